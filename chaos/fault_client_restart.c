/* SPDX-License-Identifier: MIT */
/*
 * fault_client_restart.c - a rolling restart: the services that the allow file names are ended one after another, each when whatever supervises them
 * has started the one before again.
 *
 * Squall starts none of them, as it runs no command of a user. So its own load, which nobody starts again, is left out.
 *
 *	signal ──> it has ended ──> as many run as before ──> the gap ──> the next
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "confine.h"
#include "err.h"
#include "faults.h"
#include "plan.h"
#include "process.h"

#define OWN_LOAD "squall-worker"

struct service {
	const char *name;
	struct process process;
	int namesakes;			/* itself too */
};

struct restart {
	struct service service[PROCESSES_MAX];
	size_t nr, done;
	bool ending;			/* service[done] was sent its signal */
	uint64_t next_ns;		/* when it is to be sent, before */
};

static int probe(const struct allow *allow, struct err *err)
{
	for (size_t i = 0; i < allow->processes.nr; i++)
		if (strcmp(allow->processes.name[i], OWN_LOAD) != 0)
			return 0;
	return err_set(err, -ENOPKG, "the allow file names no process but " OWN_LOAD ", which nobody starts again");
}

static int signal_of(const struct fault_run *run)
{
	return strcmp(fault_arg_text(run, "signal"), "kill") == 0 ? SIGKILL : SIGTERM;
}

static int add_name(const struct fault_run *run, struct restart *restart, const char *name, struct plan *plan, struct err *err)
{
	struct process found[PROCESSES_MAX] = { { 0, 0 } };
	int nr = run->dry ? 1 : process_leaders(name, found, err), rc = 0;

	if (nr <= 0)
		return nr;		/* of some that may be restarted */
	if (restart->nr + (size_t)nr > PROCESSES_MAX)
		return err_set(err, -E2BIG, "the allow file names more than %d running services", PROCESSES_MAX);
	for (int i = 0; i < nr && rc == 0; i++) {
		restart->service[restart->nr++] = (struct service){ name, found[i], nr };
		rc = plan_add_signal(plan, name, &found[i], signal_of(run), err);
	}
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s, s:i}", "op", "SERVICES_RUN", "name", name, "nr", nr), err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct restart *restart = calloc(1, sizeof *restart);
	int rc = 0;

	if (!restart)
		return -ENOMEM;
	run->state = restart;
	if (run->dry)
		return add_name(run, restart, "SERVICE", plan, err);
	for (size_t i = 0; i < run->allow.processes.nr && rc == 0; i++)
		if (strcmp(run->allow.processes.name[i], OWN_LOAD) != 0)
			rc = add_name(run, restart, run->allow.processes.name[i], plan, err);
	if (rc == 0 && restart->nr == 0)
		return err_set(err, -ESRCH, "none of the services that the allow file names is running");
	return rc;
}

/* One that has ended by itself meanwhile is waited for like any other. */
static int end_next(const struct fault_run *run, struct restart *restart, struct err *err)
{
	int rc = process_signal(&restart->service[restart->done].process, signal_of(run), err);

	restart->ending = rc == 0 || rc == -ESRCH;
	return restart->ending ? 0 : rc;
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	(void)plan;
	return end_next(run, run->state, err);
}

/* @return 1 another one is back, 0, or -errno */
static int step(const struct fault_run *run, struct restart *restart, struct err *err)
{
	const struct service *s = &restart->service[restart->done];
	struct process found[PROCESSES_MAX];
	int nr;

	if (!restart->ending)
		return clock_mono_ns() >= restart->next_ns ? end_next(run, restart, err) : 0;
	if (process_state(&s->process) != '\0')
		return 0;
	nr = process_leaders(s->name, found, err);
	if (nr < s->namesakes)
		return nr < 0 ? nr : 0;
	restart->done++;
	restart->ending = false;
	restart->next_ns = clock_mono_ns() + fault_arg_u64(run, "gap");
	return 1;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct restart *restart = run->state;
	struct err e = ERR_INIT;
	int rc = restart->done < restart->nr ? step(run, restart, &e) : 0;
	size_t used;

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	used = (size_t)snprintf(evidence, bytes, "%zu of %zu services have ended and run again", restart->done, restart->nr);
	if (restart->ending) {
		const struct service *s = &restart->service[restart->done];

		(void)snprintf(evidence + used, bytes - used, "; %s (pid %d) %s", s->name, (int)s->process.pid,
			       process_state(&s->process) != '\0' ? "has not ended yet" : "has ended, and none has taken its place yet");
	}
	return restart->done > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. A service that ends closes its files: what it has written and not synced goes to the server, and"
		       " NFSv4 gives up its opens and locks; the one that takes its place opens them again. The mount and its cache stay. While the server hangs, what"
		       " waits for it ends only by SIGKILL, and what is in the kernel for something else not even then");
}

static const char *const signal_names[] = { "term", "kill", NULL };
static const struct fault_arg args[] = {
	{ "gap", ARG_DURATION, 0, 600 * NS_PER_S, "2s", NULL, NULL, "how long a service that is back is waited for before the next is ended" },
	{ "signal", ARG_ENUM, 0, 0, "term", signal_names, NULL, "what ends them: asked to, or killed" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_client_restart = {
	.name = "client-restart",
	.breaks = "restarts the services that the allow file names, one after another",
	.where = "an NFS client",
	.page = "docs/faults/client-restart.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(KILL),
	.allowed = ALLOW_PROCESS,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
};
