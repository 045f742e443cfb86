/* SPDX-License-Identifier: MIT */
/*
 * cold.c - writes 3 to drop_caches in a child.
 *
 * Source: Documentation/admin-guide/sysctl/vm.rst of Linux: pages, dentries and inodes that are clean; so what is dirty is written out first.
 */
#include "cold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "exec.h"

static const char path[] = "/proc/sys/vm/drop_caches";

static _Noreturn void drop(pid_t parent)
{
	int fd;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(ECHILD);
	(void)close_range(3, ~0U, 0);	/* the connection ends with the agent */
	sync();
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "3\n", 2) != 2)
		_exit(errno < 128 ? errno : EIO);
	_exit(0);
}

int cold_start(struct cold *cold, struct err *err)
{
	pid_t parent = getpid();

	if (cold->pidfd >= 0)
		return err_set(err, -EBUSY, "the caches are being dropped already");
	cold->pid = fork();
	if (cold->pid == 0)
		drop(parent);
	if (cold->pid < 0)
		return err_set(err, -errno, "cannot fork: %s", strerror(errno));
	cold->pidfd = exec_pidfd(cold->pid);
	if (cold->pidfd < 0) {
		(void)kill(cold->pid, SIGKILL);
		return err_set(err, cold->pidfd, "no pidfd: %s", strerror(-cold->pidfd));
	}
	return 0;
}

int cold_end(struct cold *cold, struct err *err)
{
	int status = 0;

	(void)waitpid(cold->pid, &status, 0);
	close(cold->pidfd);
	cold->pidfd = -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!WIFEXITED(status))
		return err_set(err, -EIO, "dropping the caches ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == EACCES || WEXITSTATUS(status) == EPERM || WEXITSTATUS(status) == EROFS)
		return err_set(err, -ENOPKG, "%s: %s; a cold start needs root: leave out dataset.cache, or start squall as root", path, strerror(WEXITSTATUS(status)));
	return err_set(err, -WEXITSTATUS(status), "%s: %s", path, strerror(WEXITSTATUS(status)));
}

void cold_release(struct cold *cold)
{
	if (cold->pidfd < 0)
		return;
	(void)kill(cold->pid, SIGKILL);
	close(cold->pidfd);
	cold->pidfd = -1;
}
