/* SPDX-License-Identifier: MIT */
/*
 * hold.c - the agent's end: starts a holder, talks to it, asks for the state of this host, heals what is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chaos.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "journal.h"
#include "json_text.h"
#include "tool.h"
#include "undo.h"

#include "holder.h"

#define HOLDER_HEALS_NS (90 * NS_PER_S)	/* longer than undo_entry() tries */

static int spawn(const struct fault *f, const char *args, uint64_t lease_ns, uint64_t max_ns, const char *why, const int fds[2], struct chaos_hold *hold,
		 struct err *err)
{
	char id[FAULT_ID_BYTES], lease[32], max[32], parent[16];
	const char *const argv[] = { "squall", "holder", "--id", id, "--fault", f->name, "--args", args, "--lease-ns", lease, "--max-ns", max,
				     "--parent", parent, "--why", why, NULL };

	(void)snprintf(id, sizeof id, "%s-%" PRIu64 "-%d", f->name, clock_utc_ns(), (int)getpid());
	(void)snprintf(lease, sizeof lease, "%" PRIu64, lease_ns);
	(void)snprintf(max, sizeof max, "%" PRIu64, max_ns);
	(void)snprintf(parent, sizeof parent, "%d", (int)getpid());
	hold->holder = holder_spawn(argv, fds, 2);
	if (hold->holder < 0)
		return err_set(err, hold->holder, "cannot fork a holder: %s", strerror(-hold->holder));
	hold->pidfd = exec_pidfd(hold->holder);
	if (hold->pidfd < 0)
		return err_set(err, hold->pidfd, "no pidfd of the holder: %s", strerror(-hold->pidfd));
	return 0;
}

int chaos_hold_start(const char *fault, const json_t *args, uint64_t lease_ns, uint64_t max_ns, const char *why, struct chaos_hold *ret_hold, struct err *err)
{
	struct chaos_hold hold = { .pidfd = -1, .control_fd = -1, .event_fd = -1 };
	int control[2] = { -1, -1 }, events[2] = { -1, -1 };
	char *text = NULL;
	int rc;

	rc = chaos_probe(fault, 0, err);
	if (rc < 0)
		return rc;
	text = args ? json_text(args, JSON_COMPACT) : strdup("{}");
	if (!text || pipe2(control, O_CLOEXEC) < 0 || pipe2(events, O_CLOEXEC) < 0) {
		rc = err_set(err, text ? -errno : -ENOMEM, "no pipe for a holder: %m");
		goto out;
	}
	rc = fcntl(events[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(control[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (rc == 0)
		rc = spawn(fault_find(fault), text, lease_ns, max_ns, why, (int[]){ control[0], events[1] }, &hold, err);
	if (rc < 0)
		goto out;
	hold.control_fd = control[1];
	hold.event_fd = events[0];
	control[1] = events[0] = -1;
	*ret_hold = hold;
out:
	for (int i = 0; i < 2; i++) {
		if (control[i] >= 0)
			close(control[i]);
		if (events[i] >= 0)
			close(events[i]);
	}
	free(text);
	return rc;
}

int chaos_hold_renew(struct chaos_hold *hold, uint64_t lease_ns)
{
	char line[48];
	int n = snprintf(line, sizeof line, "lease %" PRIu64 "\n", lease_ns);

	return write(hold->control_fd, line, (size_t)n) == n ? 0 : -errno;
}

int chaos_hold_heal(struct chaos_hold *hold)
{
	return write(hold->control_fd, "heal\n", 5) == 5 ? 0 : -errno;
}

void chaos_hold_close(struct chaos_hold *hold)
{
	int *fds[] = { &hold->control_fd, &hold->event_fd, &hold->pidfd };

	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	exec_leave(hold->holder);
	hold->holder = 0;
}

static bool is_alive(const json_t *entry)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(entry, "holder"));

	return pid > 0 && !journal_is_of_other_boot(entry) &&
	       tool_start_time(pid) == (uint64_t)json_integer_value(json_object_get(entry, "holder_start"));
}

/* @return a pidfd of the holder, or -1 when there is none any more. */
static int open_holder(const json_t *entry)
{
	int fd = exec_pidfd((pid_t)json_integer_value(json_object_get(entry, "holder")));

	if (fd >= 0 && !is_alive(entry)) {	/* looked at after the pidfd was taken: it is that process */
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -1 : fd;
}

static void ask_holder(const json_t *entry)
{
	int fd = open_holder(entry);

	if (fd < 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
	close(fd);
}

/* A fault that is held is healed by its holder; one that does not answer is killed, and its guard or we do it. */
static void wait_for_holder(const json_t *entry)
{
	struct pollfd p = { .fd = open_holder(entry), .events = POLLIN };

	if (p.fd < 0)
		return;
	if (poll(&p, 1, (int)(HOLDER_HEALS_NS / NS_PER_MS)) == 0)
		(void)syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0);
	close(p.fd);
}

static int heal_one(const json_t *entry, const char *why, struct err *err)
{
	const char *id = json_string_value(json_object_get(entry, "id"));
	char evidence[EVIDENCE_BYTES] = "";
	json_t *still = NULL;
	enum fault_verdict v;

	wait_for_holder(entry);
	if (journal_read(id, &still, NULL) == -ENOENT)	/* struck out by its holder, who has proved it healed */
		return 0;
	json_decref(still);
	v = undo_entry(entry, why, NULL, evidence, sizeof evidence);
	if (v == FAULT_CONFIRMED)
		return 0;
	return err_set(err, -EIO, "%s is not healed (%s): %s", id, fault_verdict_names[v], evidence);
}

static int heal_each(const char *why, bool held_too, struct err *err)
{
	struct err broken = ERR_INIT;
	json_t *list = journal_list(&broken);
	int first = 0, healed = 0, rc;
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)	/* all of them at once: one that is slow to heal holds up no other */
		if (held_too)
			ask_holder(entry);
	json_array_foreach(list, i, entry) {
		struct err e = ERR_INIT;

		if (!held_too && is_alive(entry))
			continue;
		rc = heal_one(entry, why, &e);
		if (rc == 0)
			healed++;
		else if (first == 0)
			first = err_set(err, rc, "%s", e.text);
	}
	json_decref(list);
	if (first == 0 && broken.text[0])
		first = err_set(err, -EBADMSG, "%s", broken.text);
	return first < 0 ? first : healed;
}

int chaos_heal_all(const char *why, struct err *err)
{
	return heal_each(why, true, err);
}

int chaos_heal_orphans(const char *why, struct err *err)
{
	return heal_each(why, false, err);
}

int chaos_status(json_t **ret_status, struct err *err)
{
	struct err broken = ERR_INIT, stopped = ERR_INIT;
	json_t *list = journal_list(&broken), *holders = json_array();
	json_t *entry;
	size_t i;

	(void)chaos_stopped(&stopped);
	json_array_foreach(list, i, entry) {
		if (!is_alive(entry))
			continue;
		json_array_append_new(holders, json_pack("{s:O, s:O, s:O, s:O}", "pid", json_object_get(entry, "holder"), "fault",
							 json_object_get(entry, "fault"), "args", json_object_get(entry, "args"), "since_ns",
							 json_object_get(entry, "since_ns")));
	}
	*ret_status = json_pack("{s:o, s:o, s:s}", "holders", holders, "journal", list, "stopped", stopped.text);
	if (!*ret_status)
		return err_set(err, -ENOMEM, "out of memory");
	return broken.text[0] ? err_set(err, -EBADMSG, "%s", broken.text) : 0;
}
