/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_resync_pause.c - no resync goes on: after whatever parts the peers, the secondary is no copy to fail over to.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "confine.h"
#include "drbd.h"
#include "err.h"

#include "faults.h"

static int check(const char *resource, const struct drbd_line *line, struct err *err)
{
	return drbd_is_sync_paused(line) ? err_set(err, -EBUSY, "the resync of %s is paused already, not by this fault", resource) : 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	return drbd_plan_verb(run, check, "pause-sync", "DRBD_RESUME_SYNC", plan, err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *resource = fault_resource(run);
	struct drbd_line line;
	struct err e = ERR_INIT;
	int rc = drbd_line(resource, &line, &e);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s, flags %s, %" PRIu64 " KiB out of sync", resource, line.state, line.flags, line.oos_kib);
	if (!drbd_is_sync_paused(&line))
		return FAULT_VANISHED;
	return strncmp(line.state, "Sync", 4) == 0 ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected, and nothing happens until the peers have something to resync, after a cut link or a disconnect: it waits then (PausedSync)."
		       " New writes go to both, old ones that one has missed stay missing there until the heal");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "drbdadm", NULL };

const struct fault fault_drbd_resync_pause = {
	.name = "drbd-resync-pause",
	.breaks = "lets no resync of DRBD go on",
	.where = "a DRBD peer",
	.page = "docs/faults/drbd-resync-pause.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
