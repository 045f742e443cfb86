/* SPDX-License-Identifier: MIT */
/*
 * process.c - see process.h.
 */
#include "process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "exec.h"
#include "plan.h"
#include "tool.h"

#define NAMESAKES_MAX 4096	/* workers of a service */

int process_find(const char *name, struct process ret[PROCESSES_MAX], struct err *err)
{
	pid_t pid[PROCESSES_MAX];
	int nr = tool_pids(name, pid, PROCESSES_MAX);

	if (nr < 0)
		return err_set(err, nr, "cannot look for processes named %s: %s", name, strerror(-nr));
	if (nr == 0)
		return err_set(err, -ESRCH, "no process is named %s", name);
	if (nr > PROCESSES_MAX)
		return err_set(err, -E2BIG, "%d processes are named %s, more than %d", nr, name, PROCESSES_MAX);
	for (int i = 0; i < nr; i++) {
		ret[i] = (struct process){ .pid = pid[i], .start = tool_start_time(pid[i]) };
		if (process_state(&ret[i]) == 'T')
			return err_set(err, -EBUSY, "%s (pid %d) is stopped already: by another fault (squall chaos status), or by somebody", name, (int)pid[i]);
	}
	return nr;
}

static bool has_name(pid_t pid, const char *name)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	return tool_peek(path, text, sizeof text) > 0 && strcmp(text, name) == 0;
}

int process_leaders(const char *name, struct process ret[PROCESSES_MAX], struct err *err)
{
	pid_t pid[NAMESAKES_MAX];
	int nr = tool_pids(name, pid, NAMESAKES_MAX), leaders = 0;

	if (nr < 0)
		return err_set(err, nr, "cannot look for processes named %s: %s", name, strerror(-nr));
	if (nr > NAMESAKES_MAX)
		return err_set(err, -E2BIG, "%d processes are named %s, more than %d", nr, name, NAMESAKES_MAX);
	for (int i = 0; i < nr; i++) {
		struct process process = { .pid = pid[i], .start = tool_start_time(pid[i]) };

		if (process.start == 0 || has_name(tool_parent(pid[i]), name))
			continue;
		if (leaders == PROCESSES_MAX)
			return err_set(err, -E2BIG, "more than %d services are named %s", PROCESSES_MAX, name);
		ret[leaders++] = process;
	}
	return leaders;
}

int process_check_heeds(const char *status, int signal, struct err *err)
{
	static const struct { const char *field, *does; } masks[] = { { "\nSigBlk:", "blocked" }, { "\nSigIgn:", "ignored" } };

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		const char *at = strstr(status, masks[i].field);
		uint64_t mask;

		if (!at || sscanf(at + strlen(masks[i].field), "%" SCNx64, &mask) != 1)
			return err_set(err, -EBADMSG, "there is no %s", masks[i].field + 1);
		if (mask >> (signal - 1) & 1)
			return err_set(err, -ENOTSUP, "%s %016" PRIx64 ", SIG%s is %s", masks[i].field + 1, mask, sigabbrev_np(signal), masks[i].does);
	}
	return 0;
}

/* The pidfd is taken first: it is the process whose start time is looked at then, or it has ended, and the signal goes nowhere. */
int process_signal(const struct process *process, int signal, struct err *err)
{
	int fd = exec_pidfd(process->pid), rc = 0;

	if (fd < 0)
		return err_set(err, fd, "process %d: %s", (int)process->pid, strerror(-fd));
	if (tool_start_time(process->pid) != process->start)
		rc = err_set(err, -ESRCH, "process %d has ended", (int)process->pid);
	else if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0u) < 0)
		rc = err_set(err, -errno, "process %d: %m", (int)process->pid);
	close(fd);
	return rc;
}

char process_state(const struct process *process)
{
	return process->start != 0 && tool_start_time(process->pid) == process->start ? tool_state(process->pid) : '\0';
}

size_t process_stopped(const struct process *process, size_t nr)
{
	size_t stopped = 0;

	for (size_t i = 0; i < nr; i++)
		stopped += process_state(&process[i]) == 'T';
	return stopped;
}

int process_plan_stop(const char *name, const struct process *process, size_t nr, struct plan *plan, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < nr && rc == 0; i++) {
		rc = plan_add_signal(plan, name, &process[i], SIGSTOP, err);
		if (rc == 0)
			rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:i, s:I}", "op", "CONTINUE", "name", name, "pid", (int)process[i].pid, "start",
							   (json_int_t)process[i].start), err);
	}
	return rc;
}
