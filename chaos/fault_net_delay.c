/* SPDX-License-Identifier: MIT */
/*
 * fault_net_delay.c - delays what this host sends over NFS: on a server the answers of all clients, on a client its own requests.
 */
#include <stdio.h>

#include "clock.h"
#include "netem.h"
#include "units.h"

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	char worst[32];

	units_exact_ns(fault_arg_u64(run, "delay") + fault_arg_u64(run, "jitter"), worst, sizeof worst);
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Every request takes up to %s longer, on a server those of all clients; what the page"
		       " cache of a client answers does not. Hard mounts lose nothing; a soft NFSv3 mount fails with EIO when that is more than timeo x retrans", worst);
}

static const struct fault_arg args[] = {
	{ "delay", ARG_DURATION, NS_PER_MS, 60 * NS_PER_S, NULL, NULL, NULL, "how long each packet waits" },
	{ "jitter", ARG_DURATION, 0, 60 * NS_PER_S, "0", NULL, "delay", "up to so much more or less, at random" },
	{ .name = NULL },
};

const struct fault fault_net_delay = {
	NETEM_NFS_FAULT,
	.name = "net-delay",
	.breaks = "delays the packets of NFS that this host sends",
	.page = "docs/faults/net-delay.scd",
	.args = args,
	.plan = netem_plan_nfs,
	.foresee = foresee,
};
