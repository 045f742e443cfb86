/* SPDX-License-Identifier: MIT */
/*
 * fault_none.c - breaks nothing, by the same way as all others: the control arm of an experiment, and a rehearsal of the heal.
 *
 * It leaves a mark in squall's own folder, has it in the journal and takes it away again.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "err.h"
#include "journal.h"
#include "plan.h"

#include "faults.h"

static void mark_path(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/none-%s", journal_state_dir(), run->id);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char path[600];
	int rc;

	mark_path(run, path, sizeof path);
	rc = plan_add_write(plan, path, "squall\n", err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "MARKER_DEL", "id", run->id), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	char path[600];

	mark_path(run, path, sizeof path);
	if (access(path, F_OK) < 0) {
		(void)snprintf(evidence, bytes, "the mark is gone");
		return FAULT_VANISHED;
	}
	(void)snprintf(evidence, bytes, "nothing is broken, and the mark is there");
	return FAULT_CONFIRMED;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected; clients notice nothing");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "rm", NULL };

const struct fault fault_none = {
	.name = "none",
	.breaks = "nothing: the control arm",
	.where = "anywhere",
	.page = "docs/faults/none.scd",
	.heal_class = HEAL_H2,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
