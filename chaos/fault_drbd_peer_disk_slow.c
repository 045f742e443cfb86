/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_peer_disk_slow.c - a slow disk under DRBD on the secondary: the primary's writes wait for it, and DRBD stays Connected.
 */
#include <stdio.h>

#include "confine.h"
#include "dm.h"
#include "drbd.h"
#include "units.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int rc = drbd_check_role(run, "Secondary", err);

	return rc < 0 ? rc : dm_slow_plan(run, plan, err);
}

/* Seen in the lab: with 200 ms writes take 1.2 s, because an fsync is 3 to 5 requests one after the other; with a disk that stands, 43 s. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	uint64_t delay_ns = fault_arg_u64(run, "delay");
	char delay[32];

	units_exact_ns(delay_ns, delay, sizeof delay);
	if (delay_ns >= DRBD_WRITE_MAX_NS)
		(void)snprintf(ret, bytes, "DRBD does not stay Connected: a write takes %s, and after 42s (timeout x ko-count) the peer is given up; writes go on alone"
			       " then, and a resync follows the heal", delay);
	else
		(void)snprintf(ret, bytes, "DRBD stays Connected: the peer answers pings while its disk is slow. A write of the primary waits %s for each request of the"
			       " peer's disk, an fsync for several; the peer is given up only when one write takes 42s (timeout x ko-count)", delay);
}

const struct fault fault_drbd_peer_disk_slow = {
	.name = "drbd-peer-disk-slow",
	.breaks = "slows the disk under DRBD",
	.where = "the DRBD secondary",
	.page = "docs/faults/drbd-peer-disk-slow.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = dm_slow_args,
	.needs = dm_needs,
	.plan = plan,
	.verify = dm_slow_verify,
	.foresee = foresee,
};
