/* SPDX-License-Identifier: MIT */
/*
 * fault_client_pause.c - stops the processes that the allow file names: clients that hold files and locks, and do nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "err.h"
#include "faults.h"
#include "plan.h"
#include "process.h"

struct pause {
	struct process process[PROCESSES_MAX];
	size_t nr;
};

static int plan_name(struct pause *pause, const char *name, struct plan *plan, struct err *err)
{
	struct process found[PROCESSES_MAX];
	int nr = process_find(name, found, err);

	if (nr == -ESRCH)
		return 0;		/* of some that may be paused */
	if (nr < 0)
		return nr;
	if (pause->nr + (size_t)nr > PROCESSES_MAX)
		return err_set(err, -E2BIG, "the allow file names more than %d running processes", PROCESSES_MAX);
	memcpy(&pause->process[pause->nr], found, (size_t)nr * sizeof found[0]);
	pause->nr += (size_t)nr;
	return process_plan_stop(name, found, (size_t)nr, plan, err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct pause *pause = calloc(1, sizeof *pause);
	int rc = 0;

	if (!pause)
		return -ENOMEM;
	run->state = pause;
	if (run->dry)
		return process_plan_stop("PROCESS", pause->process, 1, plan, err);
	for (size_t i = 0; i < run->allow.processes.nr && rc == 0; i++)
		rc = plan_name(pause, run->allow.processes.name[i], plan, err);
	if (rc == 0 && pause->nr == 0)
		return err_set(err, -ESRCH, "none of the processes that the allow file names is running");
	return rc;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct pause *pause = run->state;
	size_t stopped = process_stopped(pause->process, pause->nr), ended = 0;

	for (size_t i = 0; i < pause->nr; i++)
		ended += process_state(&pause->process[i]) == '\0';
	(void)snprintf(evidence, bytes, "%zu of %zu processes are stopped, %zu have ended", stopped, pause->nr, ended);
	return stopped == 0 || stopped + ended < pause->nr ? FAULT_VANISHED : FAULT_CONFIRMED;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. What the processes have asked for is answered and lies in their kernel; they ask for nothing"
		       " more. The kernel renews NFSv4 leases and keeps locks for them, so that others wait for those. Afterwards all that became due meanwhile comes at"
		       " once");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { NULL };

const struct fault fault_client_pause = {
	.name = "client-pause",
	.breaks = "stops the processes that the allow file names, as they are",
	.where = "an NFS client",
	.page = "docs/faults/client-pause.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(KILL),
	.allowed = ALLOW_PROCESS,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
