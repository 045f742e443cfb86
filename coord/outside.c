/* SPDX-License-Identifier: MIT */
/*
 * outside.c - one process per fault; a table says what QEMU can do to a node, how that is looked at and how it is taken back.
 *
 *	coordinator ──control (EOF = heal)──> the process ──QMP──> the node's QEMU
 *	            <───────events───────
 */
#include "outside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "json_text.h"
#include "lab.h"

#define LOOK_EVERY_NS NS_PER_S
#define UNDO_FOR_NS (60 * NS_PER_S)
#define UNDO_PAUSE_NS (300 * NS_PER_MS)
#define EVIDENCE_BYTES 320
#define CONTROL_FD 3
#define EVENT_FD 4

/* What a process holds. */
struct held {
	const struct kind *kind;
	const char *node;
	uint64_t iops;			/* of disk-cap */
	uint64_t requests, looked_ns;	/* when it was last looked at */
};

struct kind {
	const char *fault, *breaks;
	int (*begin)(struct held *held, struct err *err);
	const char *(*look)(struct held *held, char *evidence);		/* a verdict, or "vanished" */
	int (*end)(struct held *held, char *evidence, struct err *err);	/* and prove it. Errors: -EAGAIN not yet */
};

static const char *unseen(const struct err *err, char *evidence)
{
	(void)snprintf(evidence, EVIDENCE_BYTES, "could not look: %.200s", err->text);
	return "inconclusive";
}

static int begin_freeze(struct held *held, struct err *err)
{
	bool frozen = false;
	int rc = lab_is_frozen(held->node, &frozen, err);

	if (rc == 0 && frozen)
		return err_set(err, -EBUSY, "the processors of %s are stopped already", held->node);
	return rc < 0 ? rc : lab_freeze(held->node, err);
}

static const char *look_frozen(struct held *held, char *evidence)
{
	struct err err = ERR_INIT;
	bool frozen;

	if (lab_is_frozen(held->node, &frozen, &err) < 0)
		return unseen(&err, evidence);
	(void)snprintf(evidence, EVIDENCE_BYTES, "QEMU says that the processors of %s %s", held->node, frozen ? "are stopped" : "run");
	return frozen ? "confirmed" : "vanished";
}

static int end_freeze(struct held *held, char *evidence, struct err *err)
{
	bool frozen = true;
	int rc = lab_thaw(held->node, err);

	if (rc == 0)
		rc = lab_is_frozen(held->node, &frozen, err);
	if (rc == 0)
		(void)snprintf(evidence, EVIDENCE_BYTES, "the processors of %s %s, it answers, and its time of day was set", held->node, frozen ? "are stopped" : "run");
	return rc < 0 ? rc : frozen ? -EAGAIN : 0;
}

static int begin_cap(struct held *held, struct err *err)
{
	struct lab_disk disk;
	int rc = lab_look_disk(held->node, &disk, err);

	if (rc == 0 && disk.iops > 0)
		return err_set(err, -EBUSY, "the disk of %s has a cap of %" PRIu64 " requests/s already", held->node, disk.iops);
	held->requests = disk.requests;
	held->looked_ns = clock_mono_ns();
	return rc < 0 ? rc : lab_cap_disk(held->node, held->iops, err);
}

/* QEMU lets a tenth of a second's worth through at once; below half the cap it is not the cap that holds the disk back. */
static const char *look_cap(struct held *held, char *evidence)
{
	struct err err = ERR_INIT;
	struct lab_disk disk;
	double per_s;
	uint64_t now;

	if (lab_look_disk(held->node, &disk, &err) < 0)
		return unseen(&err, evidence);
	now = clock_mono_ns();
	per_s = (double)(disk.requests - held->requests) / ((double)(now - held->looked_ns) / 1e9);
	held->requests = disk.requests;
	held->looked_ns = now;
	(void)snprintf(evidence, EVIDENCE_BYTES, "the disk of %s did %.0f requests/s, with a cap of %" PRIu64, held->node, per_s, disk.iops);
	if (disk.iops != held->iops)
		return "vanished";
	if (per_s > 1.5 * (double)held->iops + 10)
		return "mismatch";
	return per_s >= 0.5 * (double)held->iops ? "confirmed" : "inconclusive";
}

static int end_cap(struct held *held, char *evidence, struct err *err)
{
	struct lab_disk disk;
	int rc = lab_cap_disk(held->node, 0, err);

	if (rc == 0)
		rc = lab_look_disk(held->node, &disk, err);
	if (rc == 0)
		(void)snprintf(evidence, EVIDENCE_BYTES, "the disk of %s has %s cap", held->node, disk.iops > 0 ? "a" : "no");
	return rc < 0 ? rc : disk.iops > 0 ? -EAGAIN : 0;
}

static const struct kind kinds[] = {
	{ "host-freeze", "the processors are stopped", begin_freeze, look_frozen, end_freeze },
	{ "disk-cap", "the disk is capped", begin_cap, look_cap, end_cap },
};

static void tell(const char *event, const char *evidence, const char *key, const char *value)
{
	json_t *o = json_pack("{s:s, s:I, s:s}", "event", event, "t_ns", (json_int_t)clock_mono_ns(), "evidence", evidence);
	char *text;

	if (value)
		json_object_set_new(o, key, json_string(value));
	text = o ? json_text(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return;
	text[strlen(text)] = '\n';	/* in place of the NUL */
	(void)file_write_all(EVENT_FD, text, strcspn(text, "\n") + 1);
	free(text);
}

/* @return why to heal, or NULL when the time of the next look has come. */
static const char *wait_for_order(uint64_t look_ns, uint64_t end_ns)
{
	struct pollfd p = { .fd = CONTROL_FD, .events = POLLIN };
	uint64_t at_ns = look_ns < end_ns ? look_ns : end_ns, now;
	char byte;

	while ((now = clock_mono_ns()) < at_ns)
		if (poll(&p, 1, (int)((at_ns - now) / NS_PER_MS) + 1) > 0)
			return read(CONTROL_FD, &byte, 1) == 1 ? "asked" : "coordinator died";
	return now >= end_ns ? "time" : NULL;
}

static int undo(struct held *held, char *evidence)
{
	uint64_t end_ns = clock_mono_ns() + UNDO_FOR_NS;

	for (;;) {
		struct err err = ERR_INIT;
		int rc;

		evidence[0] = '\0';
		rc = held->kind->end(held, evidence, &err);
		if (evidence[0] == '\0')
			(void)snprintf(evidence, EVIDENCE_BYTES, "%.300s", err.text);
		if (rc == 0 || clock_mono_ns() >= end_ns)
			return rc;
		clock_sleep_until_ns(clock_mono_ns() + UNDO_PAUSE_NS);
	}
}

static int take_back(struct held *held, const char *why)
{
	char text[64], evidence[EVIDENCE_BYTES];
	int rc;

	(void)snprintf(text, sizeof text, "healing: %s", why);
	tell("healing", text, "why", why);
	rc = undo(held, evidence);
	tell("healed", evidence, "verdict", rc == 0 ? "confirmed" : "mismatch");
	return rc == 0 ? 0 : 1;
}

/* What QEMU was asked for it may do all the same, unless nothing was asked yet. */
static int fail(struct held *held, int rc, const struct err *err)
{
	char evidence[EVIDENCE_BYTES];

	if (rc != -EBUSY)
		(void)undo(held, evidence);
	tell("failed", err->text, NULL, NULL);
	return 1;
}

static int hold(struct held *held, uint64_t max_ns)
{
	uint64_t end_ns = clock_mono_ns() + max_ns;
	struct err err = ERR_INIT;
	const char *why = NULL;
	bool there = true;
	int rc = held->kind->begin(held, &err);

	if (rc < 0)
		return fail(held, rc, &err);
	tell("injected", held->kind->breaks, NULL, NULL);
	while (!(why = wait_for_order(clock_mono_ns() + LOOK_EVERY_NS, end_ns))) {
		char evidence[EVIDENCE_BYTES] = "";
		const char *verdict;

		if (!there)
			continue;
		verdict = held->kind->look(held, evidence);
		there = strcmp(verdict, "vanished") != 0;
		tell(there ? "verify" : "vanished", evidence, "verdict", there ? verdict : NULL);
	}
	return take_back(held, why);
}

/* A process group of its own, and no descriptor of the coordinator's but these two: it outlives whoever kills the coordinator. */
static _Noreturn void become_holder(struct held *held, int control_fd, int event_fd, uint64_t max_ns)
{
	int control = fcntl(control_fd, F_DUPFD_CLOEXEC, 16), event = fcntl(event_fd, F_DUPFD_CLOEXEC, 16);

	(void)setpgid(0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	if (control < 0 || event < 0 || dup2(control, CONTROL_FD) < 0 || dup2(event, EVENT_FD) < 0)
		_exit(1);
	(void)close_range(EVENT_FD + 1, ~0U, 0);
	_exit(max_ns > 0 ? hold(held, max_ns) : take_back(held, "holder died"));
}

static int start(struct outside *outside, struct held *held, uint64_t max_ns, struct err *err)
{
	int fd[4] = { -1, -1, -1, -1 }, rc = 0;	/* of control, of events */
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0 || pipe2(fd + 2, O_CLOEXEC) < 0 || fcntl(fd[2], F_SETFL, O_NONBLOCK) < 0) {
		rc = err_set(err, -errno, "no pipe: %m");
		goto out;
	}
	pid = fork();
	if (pid == 0)
		become_holder(held, fd[0], fd[3], max_ns);
	if (pid < 0)
		rc = err_set(err, -errno, "cannot fork: %m");
out:
	if (rc == 0) {
		*outside = (struct outside){ .pid = pid, .control_fd = fd[1], .event_fd = fd[2] };
		fd[1] = fd[2] = -1;	/* ownership passes */
	}
	for (int i = 0; i < 4; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return rc;
}

static const struct kind *kind_of(const char *fault)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i].fault, fault) == 0)
			return &kinds[i];
	return NULL;
}

int outside_start(struct outside *outside, const char *fault, const char *node, const json_t *args, uint64_t max_ns, struct err *err)
{
	struct held held = { .kind = kind_of(fault), .node = node, .iops = (uint64_t)json_integer_value(json_object_get(args, "iops")) };

	if (!held.kind)
		return err_set(err, -EINVAL, "%s is none that the hypervisor holds", fault);
	return start(outside, &held, max_ns, err);
}

int outside_restart(struct outside *outside, const char *fault, const char *node, struct err *err)
{
	struct held held = { .kind = kind_of(fault), .node = node };
	int rc;

	outside_close(outside);
	rc = start(outside, &held, 0, err);
	outside->is_second = true;
	return rc;
}

void outside_heal(struct outside *outside)
{
	if (outside->pid > 0)
		(void)send(outside->control_fd, "h", 1, MSG_NOSIGNAL);	/* it may have died */
}

int outside_event(struct outside *outside, json_t **ret_event)
{
	char *newline;
	ssize_t n;

	if (outside->pid == 0)
		return 0;
	while (!(newline = memchr(outside->line, '\n', outside->line_bytes))) {
		n = read(outside->event_fd, outside->line + outside->line_bytes, sizeof outside->line - outside->line_bytes);
		if (n < 0)
			return 0;
		if (n == 0)
			return outside->told_end || outside->is_second ? -EPIPE : -ECHILD;
		outside->line_bytes += (size_t)n;
	}
	*newline++ = '\0';
	*ret_event = json_loads(outside->line, 0, NULL);
	outside->line_bytes -= (size_t)(newline - outside->line);
	memmove(outside->line, newline, outside->line_bytes);
	if (*ret_event) {
		const char *event = json_string_value(json_object_get(*ret_event, "event"));

		outside->told_end |= event && (strcmp(event, "healed") == 0 || strcmp(event, "failed") == 0);
	}
	return *ret_event ? 1 : 0;
}

void outside_close(struct outside *outside)
{
	if (outside->pid == 0)
		return;
	close(outside->control_fd);
	close(outside->event_fd);
	exec_leave(outside->pid);
	*outside = (struct outside){ 0 };
}
