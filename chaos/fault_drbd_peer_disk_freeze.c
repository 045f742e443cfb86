/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_peer_disk_freeze.c - the disk under DRBD on the secondary answers nothing: its dm device is suspended.
 */
#include <stdio.h>

#include "confine.h"
#include "dm.h"
#include "drbd.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int rc = drbd_check_role(run, "Secondary", err);

	return rc < 0 ? rc : dm_freeze_plan(run, plan, err);
}

/* Seen in the lab: writes hang for 43.0 s, Connected all the time; then the primary expels the peer and goes on alone. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected for 42s (timeout x ko-count), and no write of the primary is done meanwhile; a freeze that lasts longer ends with"
		       " the peer given up, writes that go on alone, and a resync after the heal");
}

static const struct fault_arg args[] = { { .name = NULL } };

const struct fault fault_drbd_peer_disk_freeze = {
	.name = "drbd-peer-disk-freeze",
	.breaks = "freezes the disk under DRBD",
	.where = "the DRBD secondary",
	.page = "docs/faults/drbd-peer-disk-freeze.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = dm_needs,
	.plan = plan,
	.verify = dm_freeze_verify,
	.foresee = foresee,
};
