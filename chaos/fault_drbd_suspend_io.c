/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_suspend_io.c - DRBD takes no request any more: all that is not in the page cache hangs, while the peers are Connected.
 */
#include <errno.h>
#include <stdio.h>

#include "confine.h"
#include "drbd.h"
#include "err.h"

#include "faults.h"

static int check(const char *resource, const struct drbd_line *line, struct err *err)
{
	return drbd_is_suspended(line) ? err_set(err, -EBUSY, "the I/O of %s is suspended already, not by this fault", resource) : 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	return drbd_plan_verb(run, check, "suspend-io", "DRBD_RESUME", plan, err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *resource = fault_resource(run);
	struct drbd_line line;
	struct err e = ERR_INIT;
	int rc = drbd_line(resource, &line, &e);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s, flags %s", resource, line.state, line.flags);
	return drbd_is_suspended(&line) ? FAULT_CONFIRMED : FAULT_VANISHED;
}

/* Seen in the lab: all new writes hang, reads of the page cache go on, others hang as well. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected and takes no request: writes, and reads that are not in the page cache, hang until the heal, and with them one nfsd"
		       " thread after the other");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "drbdadm", NULL };

const struct fault fault_drbd_suspend_io = {
	.name = "drbd-suspend-io",
	.breaks = "suspends the I/O of a DRBD device",
	.where = "the DRBD primary",
	.page = "docs/faults/drbd-suspend-io.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
