/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_suspend_io.c - DRBD takes no request any more: all that is not in the page cache hangs, while the peers are Connected.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "drbd.h"
#include "err.h"
#include "plan.h"

#include "faults.h"

struct suspend {
	unsigned int minor;
};

static int look_before(const struct fault_run *run, struct suspend *s, struct err *err)
{
	struct drbd_line line;
	int rc = drbd_first(&run->allow, &s->minor, &line, err);

	if (rc == 0 && line.flags[0] == 's')
		rc = err_set(err, -EBUSY, "the I/O of %s is suspended already, not by this fault", run->allow.resources.name[0]);
	return rc;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct suspend *s = calloc(1, sizeof(*s));
	int rc;

	run->state = s;
	if (!s)
		return -ENOMEM;
	rc = run->dry ? 0 : look_before(run, s, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "drbdsetup suspend-io %u", s->minor);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:i}", "op", "DRBD_RESUME", "minor", (int)s->minor), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct suspend *s = run->state;
	struct drbd_line line;
	struct err e = ERR_INIT;
	int rc = drbd_line(s->minor, &line, &e);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	snprintf(evidence, bytes, "minor %u is %s, flags %s", s->minor, line.state, line.flags);
	return line.flags[0] == 's' ? FAULT_CONFIRMED : FAULT_VANISHED;
}

/* Seen in the lab: all new writes hang, reads of the page cache go on, others hang as well. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	snprintf(ret, bytes, "DRBD stays Connected and takes no request: writes, and reads that are not in the page cache, hang until the heal, and with them one nfsd"
		 " thread after the other");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "drbdadm", "drbdsetup", NULL };

const struct fault fault_drbd_suspend_io = {
	.name = "drbd-suspend-io",
	.breaks = "suspends the I/O of a DRBD device",
	.where = "the DRBD primary",
	.page = "docs/faults/drbd-suspend-io.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
