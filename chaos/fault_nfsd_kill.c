/* SPDX-License-Identifier: MIT */
/*
 * fault_nfsd_kill.c - kills nfsd threads by SIGKILL, where the kernel lets it through to them.
 *
 * nfsd takes none since Linux 6.6, and since 5.15.160, 6.1 of Debian 12 and other stable kernels; kill(2) succeeds there and does nothing, so the
 * kernel is asked before, by what a thread says of itself. Source: commit 390390240145 "nfsd: don't allow nfsd threads to be signalled".
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "process.h"
#include "tool.h"
#include "undo.h"

#include "faults.h"

struct kill {
	struct process process[PROCESSES_MAX];
	size_t nr;
	unsigned int before;
};

static int probe(const struct allow *allow, struct err *err)
{
	char path[64], status[4096];
	struct err said = ERR_INIT;
	struct utsname kernel;
	pid_t pid;
	int rc = nfsd_check_file(UNDO_NFSD_THREADS, W_OK, err), nr;

	(void)allow;
	if (rc < 0)
		return rc;
	nr = tool_pids("nfsd", &pid, 1);
	if (nr <= 0)
		return err_set(err, -ENOPKG, "nfsd has no thread: it does not run");
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (tool_peek(path, status, sizeof status) <= 0)
		return err_set(err, -ENOPKG, "cannot read %s: whether an nfsd thread can be killed is not known", path);
	if (uname(&kernel) < 0)
		return err_set(err, -errno, "cannot tell which kernel runs: %m");
	rc = nfsd_check_kill(kernel.release, status, &said);
	return rc < 0 ? err_set(err, -ENOPKG, "nfsd threads cannot be killed here (%s): %s; nfsd-threads, nfsd-hang and nfsd-stop take them away", path, said.text) : 0;
}

static int find(struct kill *kill, struct err *err)
{
	pid_t pid[PROCESSES_MAX];
	int nr = tool_pids("nfsd", pid, PROCESSES_MAX);

	if (nr < 0)
		return err_set(err, nr, "cannot look for the threads of nfsd: %s", strerror(-nr));
	if ((size_t)nr <= kill->nr)
		return err_set(err, -EINVAL, "nfsd has %d threads: killing %zu would end it, which is nfsd-stop", nr, kill->nr);
	for (size_t i = 0; i < kill->nr; i++)
		kill->process[i] = (struct process){ .pid = pid[i], .start = tool_start_time(pid[i]) };
	return 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct kill *kill = calloc(1, sizeof *kill);
	int rc = 0;

	run->state = kill;
	if (!kill)
		return err_set(err, -ENOMEM, "out of memory");
	kill->nr = (size_t)fault_arg_u64(run, "threads");
	kill->before = 8;
	if (!run->dry)
		rc = undo_nfsd_pool(&kill->before, err);
	if (rc == 0 && !run->dry)
		rc = find(kill, err);
	for (size_t i = 0; i < kill->nr && rc == 0; i++)
		rc = plan_add_signal(plan, "nfsd", &kill->process[i], SIGKILL, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:i}", "op", "NFSD_THREADS", "threads", (int)kill->before), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct kill *kill = run->state;
	int nr = tool_processes("nfsd", NULL);
	size_t ended = 0;

	for (size_t i = 0; i < kill->nr; i++)
		ended += process_state(&kill->process[i]) == '\0';
	(void)snprintf(evidence, bytes, "%zu of %zu nfsd threads have ended, %d of %u run", ended, kill->nr, nr, kill->before);
	if (nr < 0)
		return FAULT_INCONCLUSIVE;
	if (ended < kill->nr)
		return FAULT_MISMATCH;
	return (size_t)nr + kill->nr <= kill->before ? FAULT_CONFIRMED : FAULT_VANISHED;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. %u nfsd threads fewer are there for all clients. One that is blocked may"
		       " end only afterwards", (unsigned int)fault_arg_u64(run, "threads"));
}

static const struct fault_arg args[] = {
	{ "threads", ARG_COUNT, 1, PROCESSES_MAX, NULL, NULL, NULL, "how many are killed" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_nfsd_kill = {
	.name = "nfsd-kill",
	.breaks = "kills nfsd threads by SIGKILL, where the kernel lets it through",
	.where = "an NFS server",
	.page = "docs/faults/nfsd-kill.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
