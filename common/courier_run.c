/* SPDX-License-Identifier: MIT */
/*
 * courier_run.c - the process that takes apart what comes over the network.
 *
 *	read the identity ─> become nobody, without capabilities ─> filter ─> connect
 *
 * It may wait for the agent, which never waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "courier.h"
#include "file.h"

#define NOBODY 65534		/* the user whom the kernel itself takes for nobody: fs.overflowuid in proc(5) */
#define REST_MS 500

struct run {
	const struct client_options *outer;
	struct client *client;
	struct courier_state told;
};

/* All that it does once it is connected to nothing: memory, time, its sockets. Any other call fails with EPERM, also open(2), execve(2), kill(2). */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(shutdown), SCMP_SYS(fcntl), SCMP_SYS(connect), SCMP_SYS(socketpair), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
	SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static int put_up_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0));
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

static int drop_privileges(pid_t agent)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	/* A change of the user clears the signal of the agent's death, so that comes after it. */
	if (syscall(SYS_capset, &head, none) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return getppid() == agent ? put_up_filter() : -ESRCH;
}

static void send_frame(const struct frame *frame, const void *text)
{
	if (file_write_all(COURIER_FD, frame, sizeof *frame) < 0 || file_write_all(COURIER_FD, text, frame->bytes) < 0)
		_exit(1);	/* there is no agent any more; the broker tells our last will */
}

static const char *subscribed(void *arg, int i)
{
	const struct client_options *outer = ((struct run *)arg)->outer;

	return outer->subscribed(outer->arg, i);
}

static void on_message(void *arg, const char *topic, const char *text, size_t bytes)
{
	const char *heard;

	for (int i = 0; bytes <= CLIENT_TEXT_BYTES_MAX && (heard = subscribed(arg, i)) != NULL; i++)
		if (strcmp(heard, topic) == 0) {
			send_frame(&(struct frame){ .kind = FRAME_MESSAGE, .id = (uint32_t)i, .bytes = (uint32_t)bytes }, text);
			return;
		}
}

/* A tag is the agent's id of a flight. */
static void on_answer(void *arg, void *tag, int reason)
{
	(void)arg;
	send_frame(&(struct frame){ .kind = FRAME_ANSWER, .id = (uint32_t)(uintptr_t)tag, .reason = (uint32_t)reason }, NULL);
}

static void tell_state(struct run *r)
{
	struct courier_state now = { .ready = client_is_ready(r->client), .connected = client_away_ns(r->client, clock_mono_ns()) == 0 };
	struct err err = ERR_INIT;

	now.rc = client_problem(r->client, &err);
	(void)snprintf(now.text, sizeof now.text, "%s", err.text);
	if (memcmp(&now, &r->told, sizeof now) == 0)
		return;
	r->told = now;
	send_frame(&(struct frame){ .kind = FRAME_STATE, .bytes = sizeof now }, &now);
}

static int tell_end(int rc, const char *why)
{
	struct courier_state last = { .ends = 1, .rc = rc };

	(void)snprintf(last.text, sizeof last.text, "%s", why);
	send_frame(&(struct frame){ .kind = FRAME_STATE, .bytes = sizeof last }, &last);
	return 1;
}

static void read_whole(void *ret, size_t bytes)
{
	char *to = ret;

	while (bytes > 0) {
		ssize_t n = read(COURIER_FD, to, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);	/* as in send_frame() */
		to += n;
		bytes -= (size_t)n;
	}
}

/* @return false: the agent has said goodbye */
static bool take_frame(struct run *r)
{
	struct frame frame;
	char *text;

	read_whole(&frame, sizeof frame);
	if (frame.kind == FRAME_BYE)
		return false;
	text = malloc(frame.bytes + 1);
	if (!text)
		_exit(1);
	read_whole(text, frame.bytes);
	if (client_publish(r->client, r->outer->will_topic, text, frame.bytes, (void *)(uintptr_t)frame.id) < 0)
		_exit(1);
	free(text);
	return true;
}

static void serve(struct run *r)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = COURIER_FD, .events = POLLIN }, { .fd = -1 } };

		tell_state(r);
		(void)client_pollfd(r->client, &fds[1]);
		if (poll(fds, 2, r->told.ready ? REST_MS : CLIENT_TURN_MS) < 0 && errno != EINTR)
			return;
		if (fds[0].revents && !take_frame(r))
			return;
		client_turn(r->client, fds[1].revents);
	}
}

int courier_run(const struct client_options *options, pid_t agent)
{
	struct run r = { .outer = options };
	struct client_options own = *options;
	struct err err = ERR_INIT;
	int rc;

	own.subscribed = subscribed;
	own.on_message = on_message;
	own.on_answer = on_answer;
	own.arg = &r;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, COURIER_NAME);
	rc = client_new(&own, &r.client, &err);
	if (rc < 0)
		return tell_end(rc, err.text);
	rc = drop_privileges(agent);
	if (rc < 0) {
		(void)err_set(&err, rc, "bus: the process that connects to the broker cannot give up its privileges: %s", strerror(-rc));
		return tell_end(rc, err.text);
	}
	serve(&r);
	client_free(r.client);
	_exit(0);	/* what would be done at an exit, the filter may forbid */
}
