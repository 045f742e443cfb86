/* SPDX-License-Identifier: MIT */
/*
 * fault_net_duplicate.c - sends some of the packets of NFS of this host twice.
 */
#include <inttypes.h>
#include <stdio.h>

#include "netem.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char netem[32];

	(void)snprintf(netem, sizeof netem, "duplicate %" PRIu64 "%%", fault_arg_u64(run, "percent"));
	return netem_plan_nfs_told(run, netem, "dsack_dups", plan, err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. TCP of the other end drops what it has already and says so: NFS gets each request and answer once,"
		       " and the network carries more");
}

static const struct fault_arg args[] = {
	{ "percent", ARG_COUNT, 1, 100, NULL, NULL, NULL, "how many of a hundred packets are sent twice, at random" },
	{ .name = NULL },
};

const struct fault fault_net_duplicate = {
	NETEM_NFS_FAULT,
	.name = "net-duplicate",
	.breaks = "sends packets of NFS of this host twice",
	.page = "docs/faults/net-duplicate.scd",
	.args = args,
	.plan = plan,
	.foresee = foresee,
};
