/* SPDX-License-Identifier: MIT */
/*
 * fault_nfsd_restart.c - stops nfsd and starts it again at once, with the threads and listeners of before: an instant.
 *
 * What starts it is the undo of the stop, so it stands in the journal before nfsd is touched: whoever dies between the two, nfsd is started. It has
 * been restarted when no thread of before is left, each known by its pid and the time at which it began.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"

#include "faults.h"

#define THREADS_MAX 4096
#define GRACE_ENDED "/proc/fs/nfsd/v4_end_grace"

struct thread {
	pid_t pid;
	uint64_t start;
};

struct restart {
	int nr;
	struct thread before[THREADS_MAX];
	pid_t now[THREADS_MAX];
};

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return nfsd_check_file(UNDO_NFSD_PORTS, W_OK, err);
}

static int note_threads(struct restart *restart, struct err *err)
{
	int nr = tool_pids("nfsd", restart->now, THREADS_MAX);

	if (nr < 0)
		return err_set(err, nr, "cannot look for the threads of nfsd");
	if (nr > THREADS_MAX)
		return err_set(err, -E2BIG, "nfsd has more than %d threads", THREADS_MAX);
	for (int i = 0; i < nr; i++)
		restart->before[i] = (struct thread){ restart->now[i], tool_start_time(restart->now[i]) };
	restart->nr = nr;
	return 0;
}

static bool ends_grace(const struct fault_run *run)
{
	return strcmp(fault_arg_text(run, "grace"), "end") == 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct restart *restart = calloc(1, sizeof *restart);
	int rc;

	run->state = restart;
	if (!restart)
		return err_set(err, -ENOMEM, "out of memory");
	if (ends_grace(run) && !run->dry && access(GRACE_ENDED, W_OK) < 0)
		return err_set(err, -ENOPKG, "this kernel does not let the grace period be ended: %s: %s", GRACE_ENDED, strerror(errno));
	rc = nfsd_add_serving(run, plan, err);
	if (rc == 0 && !run->dry)
		rc = note_threads(restart, err);
	if (rc == 0)
		rc = undo_plan(plan->undo, plan, err);
	return rc < 0 || !ends_grace(run) ? rc : plan_add_write(plan, GRACE_ENDED, "Y", err);
}

static bool is_of_before(const struct restart *restart, pid_t pid)
{
	for (int i = 0; i < restart->nr; i++)
		if (restart->before[i].pid == pid && restart->before[i].start == tool_start_time(pid))
			return true;
	return false;
}

/* NFSv4 alone has one, and a kernel without it has no such file. */
static bool has_grace_period(void)
{
	struct err ignored = ERR_INIT;
	char *text = NULL;
	bool is_on = access(GRACE_ENDED, R_OK) == 0 && tool_read(GRACE_ENDED, &text, &ignored) == 0 && *text == 'N';

	free(text);
	return is_on;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct restart *restart = run->state;
	int nr = tool_pids("nfsd", restart->now, THREADS_MAX), left = 0;
	bool in_grace;

	if (nr < 0 || nr > THREADS_MAX) {
		(void)snprintf(evidence, bytes, "cannot look for the threads of nfsd");
		return FAULT_INCONCLUSIVE;
	}
	for (int i = 0; i < nr; i++)
		left += is_of_before(restart, restart->now[i]);
	in_grace = has_grace_period();
	(void)snprintf(evidence, bytes, "%d of %d nfsd threads have ended, %d are new%s", restart->nr - left, restart->nr, nr - left,
		       in_grace ? "; the grace period of NFSv4 has begun" : ends_grace(run) ? "; the grace period of NFSv4 is over" : "");
	return left == 0 && nr == restart->nr && !(in_grace && ends_grace(run)) ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Connections end, and what was not answered is sent again over new ones: no request fails on a"
		       " hard mount. NFSv4 clients %s. While threads are blocked, the stop waits for them in the kernel",
		       ends_grace(run) ? "that have not reclaimed their state by then lose it, locks and all"
				       : "reclaim their state, and wait for the grace period (90s) for anything new");
}

static const char *const grace_names[] = { "keep", "end", NULL };
static const struct fault_arg args[] = {
	{ "grace", ARG_ENUM, 0, 0, "keep", grace_names, NULL, "the grace period of NFSv4: as long as it is, or over at once" },
	{ .name = NULL },
};
static const char *const needs[] = { "ss", NULL };

const struct fault fault_nfsd_restart = {
	.name = "nfsd-restart",
	.breaks = "restarts nfsd: other threads, and connections begin anew",
	.where = "an NFS server",
	.page = "docs/faults/nfsd-restart.scd",
	.heal_class = HEAL_H2,
	.instant = true,
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
