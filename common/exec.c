/* SPDX-License-Identifier: MIT */
/*
 * exec.c - children with a deadline.
 *
 *	fork ─> own process group ─> program or function
 *	  └ poll(pidfd, stdout, stderr) until it has ended, or the deadline ─> SIGKILL to the group ─> a grace ─> left behind
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

#define KILL_GRACE_NS (200 * NS_PER_MS)
#define ANSWER_NS (10 * NS_PER_S)	/* a server that is slow is not gone */
#define CHUNK 4096
#define LEFT_MAX 64	/* that hang at once; a zombie more is not worth more */

struct stream {
	int fd;			/* read end; -1 = at its end */
	char *text;
	size_t bytes;
	int rc;			/* why something of it is missing */
};

int exec_pidfd(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

bool exec_kill(pid_t pid, uint64_t until_ns)
{
	struct pollfd p = { .fd = exec_pidfd(pid), .events = POLLIN };
	uint64_t now_ns = clock_mono_ns();

	(void)kill(pid, SIGKILL);
	while (p.fd >= 0 && now_ns < until_ns && poll(&p, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1) < 0 && errno == EINTR)
		now_ns = clock_mono_ns();
	if (p.fd >= 0)
		close(p.fd);
	return waitpid(pid, NULL, WNOHANG) != 0;
}

void exec_leave(pid_t pid)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pid_t left[LEFT_MAX];
	bool is_to_keep = pid > 0 && waitpid(pid, NULL, WNOHANG) == 0;

	if (pthread_mutex_trylock(&lock) != 0)	/* in a child that was forked meanwhile it stays locked */
		return;
	for (size_t i = 0; i < LEFT_MAX; i++) {
		if (left[i] > 0 && waitpid(left[i], NULL, WNOHANG) != 0)
			left[i] = 0;
		if (left[i] == 0 && is_to_keep) {
			left[i] = pid;
			is_to_keep = false;
		}
	}
	(void)pthread_mutex_unlock(&lock);
}

/* Where exec_find() looks: programs look there for their own helpers, as drbdadm does for drbdmeta. */
static const char *const environment[] = { "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

int exec_find(const char *name, char *ret_path, size_t path_bytes)
{
	static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		int n = snprintf(ret_path, path_bytes, "%s/%s", folders[i], name);

		if (n > 0 && (size_t)n < path_bytes && access(ret_path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

void exec_result_release(struct exec_result *result)
{
	free(result->out);
	free(result->err_out);
	*result = (struct exec_result)EXEC_RESULT_INIT;
}

/* What is beyond the limit is read, so that the child does not block, and thrown away. */
static void stream_read(struct stream *s)
{
	char chunk[CHUNK];
	ssize_t n = read(s->fd, chunk, sizeof chunk);
	size_t keep;
	char *grown;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		s->rc = n < 0 ? -errno : s->rc;
		close(s->fd);
		s->fd = -1;
		return;
	}
	keep = s->bytes + (size_t)n > EXEC_OUTPUT_MAX ? EXEC_OUTPUT_MAX - s->bytes : (size_t)n;
	grown = realloc(s->text, s->bytes + keep + 1);
	if (!grown) {
		s->rc = -ENOMEM;
		return;
	}
	memcpy(grown + s->bytes, chunk, keep);
	s->text = grown;
	s->bytes += keep;
	s->text[s->bytes] = '\0';
}

static int wait_status(pid_t pid, int *ret_status)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

/* @return 0 when the child has ended, -ETIMEDOUT; what it prints is taken meanwhile, and what is left in the pipes afterwards. */
static int follow(int pidfd, struct stream stream[2], uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd fds[3] = { { .fd = pidfd, .events = POLLIN },
					 { .fd = stream[0].fd, .events = POLLIN },
					 { .fd = stream[1].fd, .events = POLLIN } };
		uint64_t now = clock_mono_ns();
		int ms = now >= deadline_ns ? 0 : (int)((deadline_ns - now) / NS_PER_MS) + 1;
		int n = poll(fds, 3, ms);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < 2; i++)
			if (stream[i].fd >= 0 && fds[i + 1].revents)
				stream_read(&stream[i]);
		if (n > 0 && fds[0].revents && !fds[1].revents && !fds[2].revents)
			return 0;
		if (now >= deadline_ns)
			return -ETIMEDOUT;
	}
}

/* In the child: nothing is inherited but the three descriptors, and it dies with its parent. */
static void become_child(pid_t parent, int in, int out, int err_out)
{
	sigset_t none;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err_out, 2) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
}

struct job {
	const char *const *argv;			/* or: */
	int (*work)(int fd, void *arg);
	void *arg;
};

static void run_child(const struct job *job)
{
	if (job->work)
		_exit(job->work(STDOUT_FILENO, job->arg));
	execve(job->argv[0], (char *const *)(uintptr_t)job->argv, (char *const *)(uintptr_t)environment);
	_exit(errno == ENOENT ? 127 : 126);
}

/* A file in memory: writing it can not block on a child that does not read. */
static int input_fd(const char *input)
{
	int fd;

	if (!input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = (int)syscall(SYS_memfd_create, "input", 1u /* MFD_CLOEXEC */);
	if (fd < 0)
		return fd;
	if (file_write_all(fd, input, strlen(input)) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int supervise(pid_t pid, struct stream stream[2], uint64_t deadline_ns, struct exec_result *ret)
{
	int pidfd = exec_pidfd(pid), rc;

	if (pidfd < 0) {
		(void)kill(-pid, SIGKILL);
		(void)wait_status(pid, &ret->status);
		return pidfd;
	}
	rc = follow(pidfd, stream, deadline_ns);
	if (rc < 0) {
		(void)kill(-pid, SIGKILL);
		ret->left_behind = follow(pidfd, stream, clock_mono_ns() + KILL_GRACE_NS) < 0;
	}
	close(pidfd);
	if (ret->left_behind)
		exec_leave(pid);
	else
		(void)wait_status(pid, &ret->status);
	return rc;
}

static int run(const struct job *job, const char *input, uint64_t timeout_ns, struct exec_result *ret, struct err *err)
{
	struct stream stream[2] = { { .fd = -1 }, { .fd = -1 } };
	int out[2] = { -1, -1 }, err_out[2] = { -1, -1 }, in = input_fd(input), rc = 0;
	pid_t parent = getpid(), pid;

	if (in < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err_out, O_CLOEXEC) < 0)
		rc = err_set(err, -errno, "exec: pipe: %s", strerror(errno));
	pid = rc < 0 ? -1 : fork();
	if (rc == 0 && pid < 0)
		rc = err_set(err, -errno, "exec: fork: %s", strerror(errno));
	if (pid == 0) {
		become_child(parent, in, out[1], err_out[1]);
		run_child(job);
	}
	close(in);
	close(out[1]);
	close(err_out[1]);
	stream[0].fd = out[0];
	stream[1].fd = err_out[0];
	ret->pid = pid;
	if (rc == 0)
		rc = supervise(pid, stream, clock_mono_ns() + timeout_ns, ret);
	for (int i = 0; i < 2; i++) {
		if (stream[i].fd >= 0)
			close(stream[i].fd);
		if (rc == 0 && stream[i].rc < 0)
			rc = err_set(err, stream[i].rc, "exec: what a child printed could not be taken: %s", strerror(-stream[i].rc));
	}
	ret->out = stream[0].text;
	ret->out_bytes = stream[0].bytes;
	ret->err_out = stream[1].text;
	return rc;
}

int exec_run(const char *const argv[], const char *input, uint64_t timeout_ns, struct exec_result *ret, struct err *err)
{
	struct job job = { .argv = argv };
	int rc;

	if (argv[0][0] != '/')
		return err_set(err, -EINVAL, "exec: '%s' is no absolute path", argv[0]);
	if (access(argv[0], X_OK) < 0)
		return err_set(err, -ENOENT, "%s: %s", argv[0], strerror(errno));
	rc = run(&job, input, timeout_ns, ret, err);
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "%s: it did not end within %.1f s", argv[0], (double)timeout_ns / 1e9);
	return rc;
}

const char *exec_last_line(char *text)
{
	char *end, *newline;

	if (!text)
		return "it said nothing";
	end = text + strlen(text);
	while (end > text && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
		*--end = '\0';
	newline = strrchr(text, '\n');
	return *text == '\0' ? "it said nothing" : newline ? newline + 1 : text;
}

int exec_check(const char *const argv[], const char *input, uint64_t timeout_ns, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	int rc = exec_run(argv, input, timeout_ns, &result, err);

	if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, "%s: exit status %d: %s", argv[0], result.status, exec_last_line(result.err_out));
	exec_result_release(&result);
	return rc;
}

int exec_child(int (*work)(int fd, void *arg), void *arg, uint64_t timeout_ns, struct exec_result *ret, struct err *err)
{
	struct job job = { .work = work, .arg = arg };
	int rc = run(&job, NULL, timeout_ns, ret, err);

	return rc == -ETIMEDOUT ? err_set(err, rc, "a child did not end within %.1f s", (double)timeout_ns / 1e9) : rc;
}

static int ask_path(int fd, void *arg)
{
	struct statvfs v;

	(void)fd;
	(void)statvfs(arg, &v);		/* NFS asks the server; stat(2) may have its answer from a cache */
	return 0;
}

int exec_path_answers(const char *path, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	struct err said = ERR_INIT;
	int rc = exec_child(ask_path, (void *)(uintptr_t)path, ANSWER_NS, &result, &said);

	exec_result_release(&result);
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "%s does not answer within 10 s, as a mount does whose server is gone: squall doctor looks at each, and at its server", path);
	return rc < 0 ? err_set(err, rc, "%s: %s", path, said.text) : 0;
}
