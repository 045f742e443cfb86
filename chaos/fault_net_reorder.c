/* SPDX-License-Identifier: MIT */
/*
 * fault_net_reorder.c - lets some of the packets of NFS that this host sends overtake the others.
 */
#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "netem.h"
#include "units.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char netem[64], delay[32];

	(void)snprintf(netem, sizeof netem, "delay %s reorder %" PRIu64 "%%", units_exact_ns(fault_arg_u64(run, "delay"), delay, sizeof delay), fault_arg_u64(run, "percent"));
	return netem_plan_nfs_told(run, netem, "reord_seen", plan, err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	char delay[32];

	units_exact_ns(fault_arg_u64(run, "delay"), delay, sizeof delay);
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Packets that do not overtake wait for %s. TCP of the other end holds back what came too early, and TCP"
		       " of this host may take what was overtaken for lost: it sends again and more slowly. No op fails on a hard mount", delay);
}

static const struct fault_arg args[] = {
	{ "percent", ARG_COUNT, 1, 99, NULL, NULL, NULL, "how many of a hundred packets do not wait, at random" },
	{ "delay", ARG_DURATION, NS_PER_MS, 60 * NS_PER_S, "10ms", NULL, NULL, "how long the others wait" },
	{ .name = NULL },
};

const struct fault fault_net_reorder = {
	NETEM_NFS_FAULT,
	.name = "net-reorder",
	.breaks = "lets packets of NFS that this host sends overtake each other",
	.page = "docs/faults/net-reorder.scd",
	.args = args,
	.plan = plan,
	.foresee = foresee,
};
