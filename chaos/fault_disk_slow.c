/* SPDX-License-Identifier: MIT */
/*
 * fault_disk_slow.c - a slow disk under DRBD on this host, whatever its role. On the primary all that is not in the page cache waits for it.
 */
#include <stdio.h>

#include "confine.h"
#include "dm.h"
#include "units.h"

/* Seen in the lab, 300 ms on the primary with io=all: reads that miss the page cache from 789 to 22 a second, all nfsd threads in D all the time. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	char delay[32];

	units_exact_ns(fault_arg_u64(run, "delay"), delay, sizeof delay);
	(void)snprintf(ret, bytes, "On the primary DRBD stays Connected, and sets its own disk no time (disk-timeout is off): each request of the disk takes %s longer, an"
		       " fsync waits for several, and as many nfsd threads as wait serve nobody. On a secondary as drbd-peer-disk-slow", delay);
}

const struct fault fault_disk_slow = {
	.name = "disk-slow",
	.breaks = "slows the disk under DRBD, on the primary too",
	.where = "a DRBD peer",
	.page = "docs/faults/disk-slow.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = dm_slow_args,
	.needs = dm_needs,
	.plan = dm_slow_plan,
	.verify = dm_slow_verify,
	.foresee = foresee,
};
