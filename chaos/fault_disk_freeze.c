/* SPDX-License-Identifier: MIT */
/*
 * fault_disk_freeze.c - the disk under DRBD on this host answers nothing, whatever its role: on the primary all that is not in the page cache hangs.
 */
#include <stdio.h>

#include "confine.h"
#include "dm.h"

/* Seen in the lab, on the primary: reads that miss the page cache from 614 to 0 a second at once, all nfsd threads in D; all is well 2 s after the heal. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "On the primary DRBD stays Connected, and sets its own disk no time (disk-timeout is off): writes, and reads that are not in the page"
		       " cache, hang until the heal, and with them one nfsd thread after the other. On a secondary as drbd-peer-disk-freeze");
}

static const struct fault_arg args[] = { { .name = NULL } };

const struct fault fault_disk_freeze = {
	.name = "disk-freeze",
	.breaks = "freezes the disk under DRBD, on the primary too",
	.where = "a DRBD peer",
	.page = "docs/faults/disk-freeze.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = dm_needs,
	.plan = dm_freeze_plan,
	.verify = dm_freeze_verify,
	.foresee = foresee,
};
