/* SPDX-License-Identifier: MIT */
/*
 * errand.c - children of an agent that say what came of it in JSON, in a file in memory: a pipe that nobody reads would stop them.
 */
#include "errand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"
#include "err.h"
#include "exec.h"

#define SAID_FD 3

static _Noreturn void do_it(json_t *(*work)(const json_t *), const json_t *body, int said_fd, pid_t parent)
{
	json_t *said;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || (said_fd != SAID_FD && dup2(said_fd, SAID_FD) < 0))
		_exit(1);
	(void)close_range(SAID_FD + 1, ~0U, 0);		/* the connection ends with the agent */
	(void)fcntl(SAID_FD, F_SETFD, FD_CLOEXEC);
	said = work(body);
	_exit(said && json_dumpfd(said, SAID_FD, 0) == 0 ? 0 : 1);
}

int errand_start(struct errand *errand, json_t *(*work)(const json_t *), const json_t *body, struct err *err)
{
	pid_t parent = getpid();
	int rc;

	if (errand->pidfd >= 0)
		return err_set(err, -EBUSY, "the same is being done already");
	errand->said_fd = memfd_create("errand", MFD_CLOEXEC);
	if (errand->said_fd < 0)
		return err_set(err, -errno, "no file in memory: %s", strerror(errno));
	errand->pid = fork();
	if (errand->pid == 0)
		do_it(work, body, errand->said_fd, parent);
	rc = errand->pid < 0 ? -errno : exec_pidfd(errand->pid);
	if (rc >= 0) {
		errand->pidfd = rc;
		return 0;
	}
	if (errand->pid > 0)
		(void)kill(errand->pid, SIGKILL);
	exec_leave(errand->pid);
	close(errand->said_fd);
	errand->said_fd = -1;
	return err_set(err, rc, "cannot start a process: %s", strerror(-rc));
}

json_t *errand_end(struct errand *errand, struct err *err)
{
	json_t *said = NULL;
	int status = 0;

	(void)waitpid(errand->pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && lseek(errand->said_fd, 0, SEEK_SET) == 0)
		said = json_loadfd(errand->said_fd, 0, NULL);
	if (!said)
		(void)err_set(err, -EIO, "the process that was to do it ended by %s %d", WIFSIGNALED(status) ? "signal" : "exit status",
			      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	close(errand->pidfd);
	close(errand->said_fd);
	errand->pidfd = errand->said_fd = -1;
	return said;
}

void errand_release(struct errand *errand)
{
	if (errand->pidfd < 0)
		return;
	(void)kill(errand->pid, SIGKILL);
	exec_leave(errand->pid);
	close(errand->pidfd);
	close(errand->said_fd);
	errand->pidfd = errand->said_fd = -1;
}

/* Source: Documentation/admin-guide/sysctl/vm.rst of Linux: what is clean is dropped, so what is dirty is written out first. */
static int drop_caches(struct err *err)
{
	static const char path[] = "/proc/sys/vm/drop_caches";
	int fd, rc;

	sync();
	fd = open(path, O_WRONLY | O_CLOEXEC);
	rc = fd < 0 || write(fd, "3\n", 2) != 2 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		return err_set(err, -ENOPKG, "%s: %s; a cold start needs root: leave out dataset.cache, or start squall as root", path, strerror(-rc));
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

json_t *errand_cold(const json_t *body)
{
	struct err err = ERR_INIT;
	int rc = drop_caches(&err);

	(void)body;
	return json_pack("{s:s, s:i, s:s}", "to", "cold", "rc", rc, "error", err.text);
}

json_t *errand_journal(const json_t *body)
{
	struct err err = ERR_INIT;
	json_t *status = NULL, *said;
	int rc = chaos_heal_all("agent", &err);

	(void)body;
	if (rc >= 0)
		rc = chaos_status(&status, &err);
	said = json_pack("{s:i, s:s, s:O?}", "rc", rc, "error", err.text, "left", json_object_get(status, "journal"));
	json_decref(status);
	return said;
}

json_t *errand_faults(const json_t *body)
{
	const char *host = json_string_value(json_object_get(body, "host"));
	json_t *cannot = json_array(), *f;
	size_t i;

	json_array_foreach(json_object_get(body, "faults"), i, f) {
		const char *fault = json_string_value(json_object_get(f, "fault")), *on = json_string_value(json_object_get(f, "on"));
		struct err err = ERR_INIT;

		if (!fault || !on || !host || (*on != '\0' && strcmp(on, host) != 0))
			continue;
		if (chaos_probe(fault, (uint64_t)json_integer_value(json_object_get(f, "for_ns")), &err) < 0)
			(void)json_array_append_new(cannot, json_pack("{s:O, s:s}", "idx", json_object_get(f, "idx"), "error", err.text));
	}
	return json_pack("{s:s, s:i, s:s, s:o}", "to", "faults", "rc", 0, "error", "", "cannot", cannot);
}
