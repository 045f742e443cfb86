/* SPDX-License-Identifier: MIT */
/*
 * fault_net_rate.c - an NFS network of few bits per second in the direction that this host sends: ops queue up behind each other.
 */
#include <stdio.h>

#include "netem.h"
#include "units.h"

#define PAGE_BYTES 4096		/* a small read or write; headers are left out */

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	char page[24];

	units_format_ns((uint64_t)(PAGE_BYTES * 8 * 1e9 / (double)fault_arg_u64(run, "rate")), page, sizeof page);
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. 4 KiB are on the way for %s and wait for all that is queued before them: on a server"
		       " the reads of all clients are slow, on a client its writes. What waits at the heal is dropped, and TCP sends it again", page);
}

static const struct fault_arg args[] = {
	{ "rate", ARG_BITS, 8000, 10000000000ULL, NULL, NULL, NULL, "what the network carries" },
	{ .name = NULL },
};

const struct fault fault_net_rate = {
	NETEM_NFS_FAULT,
	.name = "net-rate",
	.breaks = "limits the rate of NFS in the direction that this host sends",
	.page = "docs/faults/net-rate.scd",
	.args = args,
	.plan = netem_plan_nfs,
	.foresee = foresee,
};
