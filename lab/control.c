/* SPDX-License-Identifier: MIT */
/*
 * control.c - both ends of the control channel: `squall lab-control PORT` in the guest, control_exec() and others on the host.
 */
#include "control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "lab.h"
#include "lines.h"

#define CHUNK 16384
#define ARGS_MAX 64
#define BEAT_NS NS_PER_S	/* from one empty line to the next */
#define LET_GO_NS (5 * NS_PER_S)

/* ---- the guest's end */

/* Lines of one stream of the program, until it has no writer any more. */
static int pass_on(int fd, int from, const char *key)
{
	static char chunk[CHUNK];
	ssize_t n = read(from, chunk, sizeof chunk);
	char *text;

	if (n <= 0)
		return -1;
	text = base64_encode(chunk, (size_t)n);
	(void)lines_send(fd, json_pack("{s:s}", key, text ? text : ""));
	free(text);
	return 0;
}

static pid_t start(char *const argv[], int *ret_out, int *ret_err)
{
	int out[2], err[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)setsid();
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(err[1], STDERR_FILENO);
		(void)signal(SIGPIPE, SIG_DFL);
		(void)execvp(argv[0], argv);
		dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	*ret_out = out[0];
	*ret_err = err[0];
	return pid;
}

/* What the host sends while it waits for an answer. @return whether there may be more */
static bool drain(int fd)
{
	char chunk[64];

	return read(fd, chunk, sizeof chunk) > 0;
}

/* Until the host has taken the answer and closed: who closes with something unread takes back what he has sent. */
static void let_go(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t until = clock_mono_ns() + LET_GO_NS, now;

	while ((now = clock_mono_ns()) < until && poll(&p, 1, (int)((until - now) / NS_PER_MS) + 1) > 0 && drain(fd))
		;
}

/* Ends when the program has ended (what it left running may keep the pipes), or at the deadline. */
static void relay(int fd, pid_t pid, int out, int err, uint64_t deadline_ns)
{
	int pidfd = exec_pidfd(pid), status = 0;
	struct pollfd p[4] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN }, { .fd = pidfd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	uint64_t now;
	bool done = false;

	while (!done && (now = clock_mono_ns()) < deadline_ns) {
		if (poll(p, 4, (int)((deadline_ns - now) / NS_PER_MS) + 1) < 0 && errno != EINTR)
			break;
		if (p[3].revents && !drain(fd))
			p[3].fd = -1;
		done = p[2].revents != 0 && !(p[0].revents & POLLIN) && !(p[1].revents & POLLIN);
		for (int i = 0; i < 2; i++)
			if (p[i].revents && pass_on(fd, p[i].fd, i == 0 ? "out" : "err") < 0)
				p[i].fd = -1;
	}
	if (!done)
		(void)kill(-pid, SIGKILL);
	if (!done || waitpid(pid, &status, WNOHANG) != pid)
		(void)lines_send(fd, json_pack("{s:s}", "error", "it did not end in time"));
	else
		(void)lines_send(fd, json_pack("{s:i}", "exit", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
}

static void serve_exec(int fd, const json_t *request)
{
	char *argv[ARGS_MAX + 1] = { NULL };
	uint64_t timeout_ns = (uint64_t)json_integer_value(json_object_get(request, "timeout_ns"));
	const json_t *list = json_object_get(request, "argv"), *word;
	int out = -1, err = -1;
	size_t i;
	pid_t pid;

	json_array_foreach(list, i, word)
		if (i < ARGS_MAX && json_is_string(word))
			argv[i] = strdup(json_string_value(word));
	pid = argv[0] ? start(argv, &out, &err) : -1;
	if (pid < 0)
		(void)lines_send(fd, json_pack("{s:s}", "error", "it could not be started"));
	else
		relay(fd, pid, out, err, clock_mono_ns() + timeout_ns);
}

static void serve_put(int fd, const json_t *request)
{
	const char *path = json_string_value(json_object_get(request, "path")), *text = json_string_value(json_object_get(request, "data"));
	struct err err = ERR_INIT;
	uint8_t *data = NULL;
	size_t bytes = 0;

	if (path && text && base64_decode(text, &data, &bytes) >= 0 && file_write(path, data, bytes, 0644, &err) == 0)
		(void)lines_send(fd, json_pack("{s:i}", "exit", 0));
	else
		(void)lines_send(fd, json_pack("{s:s}", "error", err.text[0] != '\0' ? err.text : "malformed"));
	free(data);
}

static void serve_clock(int fd, const json_t *request)
{
	uint64_t utc = (uint64_t)json_integer_value(json_object_get(request, "utc_ns"));
	struct timespec t = { .tv_sec = (time_t)(utc / NS_PER_S), .tv_nsec = (long)(utc % NS_PER_S) };

	if (clock_settime(CLOCK_REALTIME, &t) == 0)
		(void)lines_send(fd, json_pack("{s:i}", "exit", 0));
	else
		(void)lines_send(fd, json_pack("{s:s}", "error", strerror(errno)));
}

static void serve(int fd)
{
	struct lines lines = { .fd = fd };
	json_t *request = NULL;
	const char *op;
	int rc = lines_next(&lines, clock_mono_ns() + 10 * NS_PER_S, &request);

	if (rc != 1) {
		(void)lines_send(fd, json_pack("{s:s}", "error", rc == 0 ? "there was no request" : rc == -ETIMEDOUT ? "no request came in time" : strerror(-rc)));
		_exit(1);
	}
	op = json_string_value(json_object_get(request, "op"));
	if (op && strcmp(op, "exec") == 0)
		serve_exec(fd, request);
	else if (op && strcmp(op, "put") == 0)
		serve_put(fd, request);
	else if (op && strcmp(op, "clock") == 0)
		serve_clock(fd, request);
	else
		(void)lines_send(fd, json_pack("{s:s}", "error", "unknown op"));
	let_go(fd);
	_exit(0);
}

int lab_control_main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
	int listener, on = 1;
	pid_t pid;

	at.sin_port = htons((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0));
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)mlockall(MCL_CURRENT);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (at.sin_port == 0 || listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 64) < 0) {
		fprintf(stderr, "squall: lab-control: %s\n", strerror(errno));
		return EXIT_BROKEN;
	}
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno != EINTR && errno != ECONNABORTED && errno != EMFILE)
			return EXIT_BROKEN;
		if (fd < 0)
			continue;
		pid = fork();
		if (pid == 0) {
			(void)signal(SIGCHLD, SIG_DFL);
			serve(fd);
		}
		if (pid < 0)
			(void)lines_send(fd, json_pack("{s:s+}", "error", "cannot fork: ", strerror(errno)));
		close(fd);
	}
}

/* ---- the host's end */

static int dial(uint16_t port, struct err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	(void)err_set(err, -errno, "lab: port %u: %s", port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -ECONNREFUSED;
}

static int print(int fd, const json_t *text)
{
	uint8_t *data = NULL;
	size_t bytes = 0;
	int rc = 0;

	if (json_is_string(text) && base64_decode(json_string_value(text), &data, &bytes) >= 0 && fd >= 0)
		rc = file_write_all(fd, data, bytes);
	free(data);
	return rc;
}

/* @return 1 with an answer, else as lines_next(). Of a guest that was reset the line that is sent meanwhile tells. */
static int next_answer(struct lines *lines, uint64_t deadline_ns, json_t **ret)
{
	uint64_t beat_ns;
	int rc;

	do {
		beat_ns = clock_mono_ns() + BEAT_NS;
		rc = lines_next(lines, beat_ns < deadline_ns ? beat_ns : deadline_ns, ret);
		if (rc == -ETIMEDOUT)
			(void)send(lines->fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (rc == -ETIMEDOUT && beat_ns < deadline_ns);
	return rc;
}

static int sentence(int rc, struct err *err)
{
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "lab: no answer from the guest in time");
	if (rc == 0 || rc == -ECONNRESET)
		return err_set(err, -EIO, "lab: the guest ended the connection before it had answered: it was reset, or has no memory left");
	return err_set(err, rc, "lab: the guest's answer: %s", strerror(-rc));
}

static int take_answers(int fd, uint64_t timeout_ns, int out_fd, int err_fd, struct err *err)
{
	uint64_t deadline = clock_mono_ns() + timeout_ns;
	struct lines lines = { .fd = fd };
	json_t *line = NULL;
	int rc = 1, status = -1;

	while (rc == 1 && status < 0) {
		rc = next_answer(&lines, deadline, &line);
		if (rc != 1) {
			rc = sentence(rc, err);
			break;
		}
		(void)print(out_fd, json_object_get(line, "out"));
		(void)print(err_fd, json_object_get(line, "err"));
		if (json_object_get(line, "error"))
			rc = err_set(err, -EIO, "lab: the guest says: %s", json_string_value(json_object_get(line, "error")));
		if (json_object_get(line, "exit"))
			status = (int)json_integer_value(json_object_get(line, "exit"));
		json_decref(line);
	}
	lines_release(&lines);
	return rc < 0 ? rc : status;
}

static int request(uint16_t port, json_t *what, uint64_t timeout_ns, int out_fd, int err_fd, struct err *err)
{
	int fd = dial(port, err), rc;

	if (fd < 0) {
		json_decref(what);
		return fd;
	}
	rc = lines_send(fd, what);
	rc = rc < 0 ? err_set(err, rc, "lab: port %u: %s", port, strerror(-rc)) : take_answers(fd, timeout_ns, out_fd, err_fd, err);
	close(fd);
	return rc;
}

int control_exec(uint16_t port, const char *const argv[], uint64_t timeout_ns, int out_fd, int err_fd, struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; argv[i]; i++)
		json_array_append_new(list, json_string(argv[i]));
	return request(port, json_pack("{s:s, s:o, s:I}", "op", "exec", "argv", list, "timeout_ns", (json_int_t)timeout_ns), timeout_ns + 5 * NS_PER_S, out_fd,
		       err_fd, err);
}

int control_put(uint16_t port, const char *path, const void *data, size_t bytes, struct err *err)
{
	char *text = base64_encode(data, bytes);
	int rc = text ? request(port, json_pack("{s:s, s:s, s:s}", "op", "put", "path", path, "data", text), 10 * NS_PER_S, -1, -1, err) : -ENOMEM;

	free(text);
	return rc;
}

int control_set_clock(uint16_t port, struct err *err)
{
	return request(port, json_pack("{s:s, s:I}", "op", "clock", "utc_ns", (json_int_t)clock_utc_ns()), 5 * NS_PER_S, -1, -1, err);
}
