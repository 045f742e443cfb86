/* SPDX-License-Identifier: MIT */
/*
 * lab.c - see lab.h. It needs root, and nothing of it can touch the host: namespace and folder are the test's own.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

#include "../../../chaos/journal.h"
#include "../../../chaos/tool.h"
#include "lab.h"

#define LAB_NS (10 * NS_PER_S)

static char folder[64];
static char pending[65536];
static size_t pending_bytes;
static json_t *last_entry;

void lab_enter(const char *allow)
{
	const char *const up[] = { "/usr/sbin/ip", "link", "set", "lo", "up", NULL };
	struct err err = ERR_INIT;
	char path[128];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	(void)snprintf(folder, sizeof folder, "/tmp/squall-chaos-XXXXXX");
	cr_assert(mkdtemp(folder));
	setenv("SQUALL_STATE", folder, 1);
	pending_bytes = 0;
	if (allow) {
		(void)snprintf(path, sizeof path, "%s/allow.yaml", folder);
		cr_assert_eq(file_write(path, allow, strlen(allow), 0644, &err), 0, "%s", err.text);
	}
	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("no network namespace");
	cr_assert_eq(exec_check(up, NULL, LAB_NS, &err), 0, "%s", err.text);
}

void lab_leave(void)
{
	json_decref(last_entry);
	last_entry = NULL;
	if (folder[0])
		file_remove_tree(folder, NULL);
	folder[0] = '\0';
}

void lab_connect(unsigned int port, int ret_fd[3])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr *address = (const struct sockaddr *)(const void *)&at;

	ret_fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ret_fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(ret_fd[0], address, sizeof at) == 0 && listen(ret_fd[0], 1) == 0, "cannot listen on port %u: %s", port, strerror(errno));
	cr_assert_eq(connect(ret_fd[1], address, sizeof at), 0, "%s", strerror(errno));
	ret_fd[2] = accept(ret_fd[0], NULL, NULL);
	cr_assert_geq(ret_fd[2], 0, "%s", strerror(errno));
}

void lab_start(const char *fault, uint64_t lease_ns, uint64_t max_ns, struct chaos_hold *hold)
{
	struct err err = ERR_INIT;
	json_t *args = NULL;

	cr_assert_eq(chaos_check(fault, NULL, NULL, &args, &err), 0, "%s", err.text);
	cr_assert_eq(chaos_hold_start(fault, args, lease_ns, max_ns, "by hand", hold, &err), 0, "%s", err.text);
	json_decref(args);
}

static json_t *next_line(void)
{
	char *end = memchr(pending, '\n', pending_bytes);
	json_t *o;

	if (!end)
		return NULL;
	*end++ = '\0';
	o = json_loads(pending, 0, NULL);
	cr_assert(o, "not JSON: %s", pending);
	pending_bytes -= (size_t)(end - pending);
	memmove(pending, end, pending_bytes);
	return o;
}

static bool is_wanted(const json_t *o, const char *event, const char *detail)
{
	const char *name = json_string_value(json_object_get(o, "event"));
	const char *verdict = json_string_value(json_object_get(o, "verdict")), *why = json_string_value(json_object_get(o, "why"));

	if (!name || strcmp(name, event) != 0)
		return false;
	return !detail || (verdict && strcmp(verdict, detail) == 0) || (why && strcmp(why, detail) == 0);
}

json_t *lab_event(struct chaos_hold *hold, const char *event, const char *detail)
{
	uint64_t end_ns = clock_mono_ns() + LAB_NS;
	json_t *o;

	for (;;) {
		struct pollfd p = { .fd = hold->event_fd, .events = POLLIN };
		ssize_t n;

		while ((o = next_line()) != NULL) {
			if (is_wanted(o, event, detail))
				return o;
			json_decref(o);
		}
		if (clock_mono_ns() > end_ns)
			return NULL;
		(void)poll(&p, 1, 100);
		n = read(hold->event_fd, pending + pending_bytes, sizeof pending - pending_bytes);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return NULL;
		if (n > 0)
			pending_bytes += (size_t)n;
	}
}

json_t *lab_entry(void)
{
	struct err err = ERR_INIT;
	json_t *list = journal_list(&err);
	json_t *entry = json_incref(json_array_get(list, 0));

	json_decref(list);
	if (entry) {
		json_decref(last_entry);
		last_entry = json_incref(entry);
	}
	return entry;
}

static bool has_mark(void)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	bool found = false;

	while (dir && (d = readdir(dir)) != NULL)
		found |= strncmp(d->d_name, "none-", 5) == 0;
	if (dir)
		closedir(dir);
	return found;
}

static bool runs(const char *key)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(last_entry, key));

	return pid > 0 && tool_start_time(pid) != 0;
}

bool lab_is_clean(void)
{
	uint64_t end_ns = clock_mono_ns() + LAB_NS;

	while (clock_mono_ns() < end_ns) {
		json_t *entry = lab_entry();

		if (!entry && !has_mark() && !runs("holder") && !runs("guard"))
			return true;
		json_decref(entry);
		clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
	}
	return false;
}
