/* SPDX-License-Identifier: MIT */
/*
 * hog.c - starts and ends the children of a hog.
 */
#include "hog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "plan.h"
#include "tool.h"

#define HOGS_DIE_NS (60 * NS_PER_S)	/* one that reads a disk that hangs dies when that answers; as long as undo_entry() tries */
#define NICE 0		/* as any other program of the host, whatever the holder has */

int hogs_plan(const struct fault_run *run, const char *name, const char *what, struct plan *plan, struct err *err)
{
	int there = run->dry ? 0 : tool_processes(name, NULL), rc;

	if (there < 0)
		return err_set(err, there, "cannot look for processes named %s", name);
	if (there > 0)
		return err_set(err, -EBUSY, "there are %d processes named %s already: another fault (squall chaos status)", there, name);
	rc = plan_add_hold(plan, "children of the holder, which die with it", what, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "PROCESSES_GONE", "name", name), err);
}

static _Noreturn void become_hog(const char *name, pid_t parent, void (*work)(void *arg), void *arg)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	if (fd >= 0 && write(fd, "1000", 4) < 0)
		_exit(1);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_NAME, name);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)close_range(0, ~0U, 0);	/* a pipe of events that stays open would tell the agent that the holder lives */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != parent)
		_exit(1);
	work(arg);
	_exit(1);
}

int hogs_start(struct hogs *hogs, unsigned int nr, void (*work)(void *arg), void *arg, struct err *err)
{
	pid_t parent = getpid();

	while (hogs->nr < nr && hogs->nr < HOGS_MAX) {
		pid_t pid = fork();

		if (pid == 0)
			become_hog(hogs->name, parent, work, arg);
		if (pid < 0)
			return err_set(err, -errno, "cannot fork process %u of %u: %m", hogs->nr + 1, nr);
		hogs->pid[hogs->nr++] = pid;
	}
	return 0;
}

unsigned int hogs_alive(struct hogs *hogs)
{
	unsigned int alive = 0;

	for (unsigned int i = 0; i < hogs->nr; i++) {
		if (hogs->pid[i] > 0 && waitpid(hogs->pid[i], NULL, WNOHANG) == hogs->pid[i])
			hogs->pid[i] = 0;
		alive += hogs->pid[i] > 0;
	}
	return alive;
}

uint64_t hogs_used(struct hogs *hogs, uint64_t (*counter)(pid_t pid))
{
	uint64_t used = 0, more;

	for (unsigned int i = 0; i < hogs->nr; i++)
		if (hogs->pid[i] > 0)
			used += counter(hogs->pid[i]);
	more = used > hogs->used_last ? used - hogs->used_last : 0;
	hogs->used_last = used;
	return more;
}

void hogs_stop(struct hogs *hogs)
{
	uint64_t until_ns = clock_mono_ns() + HOGS_DIE_NS;

	for (unsigned int i = 0; i < hogs->nr; i++)
		if (hogs->pid[i] > 0)
			(void)kill(hogs->pid[i], SIGKILL);
	for (unsigned int i = 0; i < hogs->nr; i++)
		if (hogs->pid[i] > 0)
			(void)exec_kill(hogs->pid[i], until_ns);
	hogs->nr = 0;
}

void hogs_heal(struct fault_run *run)
{
	hogs_stop(run->state);
}
