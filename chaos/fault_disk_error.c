/* SPDX-License-Identifier: MIT */
/*
 * fault_disk_error.c - the disk under DRBD fails its requests, and DRBD gives it up.
 */
#include <stdio.h>

#include "confine.h"
#include "dm.h"

/* One error is enough, so there is no rate. Source: drbd.conf(5), on-io-error. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected. With its first error it detaches the disk (on-io-error detach) and is Diskless: the primary then reads and"
		       " writes over the link to its peer, and no request fails; a secondary leaves the primary without a copy. After the heal it attaches the disk"
		       " and resyncs what was written meanwhile");
}

const struct fault fault_disk_error = {
	.name = "disk-error",
	.breaks = "fails the requests of the disk under DRBD, which detaches it",
	.where = "a DRBD peer",
	.page = "docs/faults/disk-error.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = dm_error_args,
	.needs = dm_needs,
	.plan = dm_error_plan,
	.verify = dm_error_verify,
	.foresee = foresee,
};
