/* SPDX-License-Identifier: MIT */
/*
 * fault_net_corrupt.c - turns a bit in some of the packets of NFS that this host sends: the other end throws them away, and no counter of a link shows it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "netem.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char netem[32];

	(void)snprintf(netem, sizeof netem, "corrupt %" PRIu64 "%%", fault_arg_u64(run, "percent"));
	return netem_plan_nfs_told(run, netem, "retrans", plan, err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Checksums find the bit: the other end drops the packet and TCP sends it again, which costs an op 200ms"
		       " and more. No op gets wrong data, and none fails on a hard mount");
}

static const struct fault_arg args[] = {
	{ "percent", ARG_COUNT, 1, 100, NULL, NULL, NULL, "how many of a hundred packets are hit, at random" },
	{ .name = NULL },
};

const struct fault fault_net_corrupt = {
	NETEM_NFS_FAULT,
	.name = "net-corrupt",
	.breaks = "turns a bit in packets of NFS that this host sends",
	.page = "docs/faults/net-corrupt.scd",
	.args = args,
	.plan = plan,
	.foresee = foresee,
};
