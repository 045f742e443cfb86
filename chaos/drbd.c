/* SPDX-License-Identifier: MIT */
/*
 * drbd.c - reads what ss, drbdsetup and /proc/drbd say. Nothing here changes anything.
 */
#include "drbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "exec.h"
#include "faults.h"
#include "plan.h"
#include "tool.h"

#define SOCKETS_MAX 8
#define TOOLS_MAX 256	/* processes of one of DRBD's tools */

static uint64_t number_after(const char *line, size_t bytes, const char *key)
{
	const char *p = memmem(line, bytes, key, strlen(key));

	return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

static int parse_head(const char *line, struct drbd_socket *s)
{
	char state[24];

	/* "10.2.0.1:7789": scan up to the colon; an IPv6 address in brackets does not fit and is left out. */
	if (sscanf(line, "%23s %*u %*u %47[0-9.]:%u %47[0-9.]:%u", state, s->local, &s->local_port, s->peer, &s->peer_port) != 5)
		return -EINVAL;
	if (strcmp(state, "ESTAB") != 0 || (s->local_port != DRBD_PORT && s->peer_port != DRBD_PORT))
		return -EINVAL;
	return 0;
}

size_t drbd_parse_sockets(const char *text, struct drbd_socket *ret, size_t max)
{
	struct drbd_socket *now = NULL;
	size_t nr = 0;

	while (*text) {
		size_t n = strcspn(text, "\n");

		if (*text != ' ' && *text != '\t') {
			struct drbd_socket s = { .bytes = 0 };

			now = parse_head(text, &s) == 0 && nr < max ? &ret[nr++] : NULL;
			if (now)
				*now = s;
		}
		if (now)
			now->bytes += number_after(text, n, " bytes_sent:") + number_after(text, n, " bytes_received:");
		text += n;
		text += *text == '\n';
	}
	return nr;
}

int drbd_link_find(const struct allow *allow, struct drbd_link *ret, struct err *err)
{
	struct drbd_socket s[SOCKETS_MAX] = { 0 };
	char *text = NULL;
	size_t nr, data;
	int rc;

	rc = tool_output(&text, err, "ss -tinH ( sport = :%d or dport = :%d )", DRBD_PORT, DRBD_PORT);
	if (rc < 0)
		return rc;
	nr = drbd_parse_sockets(text, s, SOCKETS_MAX);
	free(text);
	if (nr != 2)
		return err_set(err, -ENOTCONN, "%zu established sockets on port %d where DRBD has two: is it connected?", nr, DRBD_PORT);
	rc = tool_interface_of(s[0].local, ret->dev, sizeof ret->dev);
	if (rc < 0)
		return err_set(err, rc, "no interface has the address %s of the DRBD link", s[0].local);
	if (!allow_has(&allow->interfaces, ret->dev))
		return err_set(err, -EACCES, "the DRBD link runs over %s, which the allow file does not name under interfaces", ret->dev);
	data = s[1].bytes > s[0].bytes;
	ret->data = s[data];
	ret->meta = s[!data];
	return 0;
}

/* The text between quotes after `disk`, as drbdsetup show prints it. */
static int disk_of(const char *text, char *ret, size_t bytes)
{
	const char *p = text;

	while ((p = strstr(p, "disk")) != NULL) {
		bool word = p == text || p[-1] == ' ' || p[-1] == '\t';

		p += 4;
		if (!word || p[strspn(p, " \t")] != '"')
			continue;
		p += strspn(p, " \t") + 1;
		return snprintf(ret, bytes, "%.*s", (int)strcspn(p, "\""), p) < (int)bytes ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}

int drbd_backing_disk(const struct allow *allow, char *ret, size_t bytes, struct err *err)
{
	const char *resource = allow->resources.name[0];
	char *text = NULL;
	int rc = tool_output(&text, err, "drbdsetup show %s", resource);

	if (rc < 0)
		return rc;
	rc = disk_of(text, ret, bytes);
	free(text);
	return rc < 0 ? err_set(err, rc, "drbdsetup show %s names no backing disk", resource) : 0;
}

int drbd_backing_dm(const struct allow *allow, char *ret, size_t bytes, struct err *err)
{
	char disk[DRBD_DISK_BYTES] = "";
	int rc = drbd_backing_disk(allow, disk, sizeof disk, err);

	if (rc < 0)
		return rc;
	if (strncmp(disk, "/dev/mapper/", 12) != 0)
		return err_set(err, -ENOTBLK, "the backing disk of %s is %s: only a device of /dev/mapper can be slowed", allow->resources.name[0], disk);
	if (!allow_name_is_plain(disk + 12) || snprintf(ret, bytes, "%s", disk + 12) >= (int)bytes)
		return err_set(err, -EINVAL, "the backing disk %s has no plain name", disk);
	return 0;
}

int drbd_settings(const char *resource, char **ret_text, struct err *err)
{
	return tool_output(ret_text, err, "drbdsetup show --show-defaults %s", resource);
}

/* "    c-min-rate    250k; # bytes/second" */
int drbd_parse_setting(const char *text, const char *name, char ret[DRBD_SETTING_BYTES], struct err *err)
{
	for (const char *p = text; (p = strstr(p, name)) != NULL; p += strlen(name)) {
		const char *value = p + strlen(name) + strspn(p + strlen(name), " \t");
		size_t n = strcspn(value, "; \t\n");
		bool word = p > text && (p[-1] == ' ' || p[-1] == '\t') && value > p + strlen(name);

		if (!word || value[n] != ';' || n >= DRBD_SETTING_BYTES)
			continue;
		(void)snprintf(ret, DRBD_SETTING_BYTES, "%.*s", (int)n, value);
		if (allow_name_is_plain(ret))
			return 0;
	}
	return err_set(err, -EBADMSG, "drbdsetup show does not tell the setting %s", name);
}

/* " 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----"; the letter of the protocol is a blank without a network. Source: drbd_proc.c */
int drbd_parse_line(const char *text, unsigned int minor, struct drbd_line *ret)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		unsigned int nr;
		int n = 0;

		line += *line == '\n';
		if (sscanf(line, " %u: cs:%23s ro:%11[A-Za-z]/%*s ds:%39s%n", &nr, ret->state, ret->role, ret->disks, &n) == 4 && n > 0 && nr == minor &&
		    strcspn(line + n, "\n") > 3 && sscanf(line + n + 3, "%7s", ret->flags) == 1) {
			ret->oos_kib = number_after(line, strlen(line), " oos:");
			return 0;
		}
	}
	return -ENOENT;
}

int drbd_line(const char *resource, struct drbd_line *ret, struct err *err)
{
	unsigned int minor;
	char *text = NULL;
	int rc = tool_output(&text, err, "drbdadm sh-minor %s", resource);

	if (rc == 0 && sscanf(text, "%u", &minor) != 1)
		rc = err_set(err, -EBADMSG, "drbdadm sh-minor %s says no number", resource);
	free(text);
	if (rc == 0)
		rc = tool_read("/proc/drbd", &text, err);
	if (rc < 0)
		return rc;
	rc = drbd_parse_line(text, minor, ret);
	free(text);
	return rc < 0 ? err_set(err, rc, "/proc/drbd has no line of %s, minor %u: it is not up", resource, minor) : 0;
}

int drbd_check_role(const struct fault_run *run, const char *role, struct err *err)
{
	const char *resource = fault_resource(run);
	struct drbd_line line;
	int rc = run->dry ? 0 : drbd_line(resource, &line, err);

	if (rc < 0 || run->dry || strcmp(line.role, role) == 0)
		return rc;
	return err_set(err, -EACCES, "%s is %s here, and this fault is for the %s: inject it there", resource, line.role, role);
}

bool drbd_is_linked(const char *state)
{
	static const char *const linked[] = { "Connected", "WFBitMap", "WFSyncUUID", "StartingSync", "Sync", "PausedSync", "Verify", NULL };

	for (size_t i = 0; linked[i]; i++)
		if (strncmp(state, linked[i], strlen(linked[i])) == 0)
			return true;
	return false;
}

/* Source: drbd_strings.c */
bool drbd_has_disk(const struct drbd_line *line)
{
	static const char *const none[] = { "Diskless/", "Attaching/", "Failed/", NULL };

	for (size_t i = 0; none[i]; i++)
		if (strncmp(line->disks, none[i], strlen(none[i])) == 0)
			return false;
	return true;
}

/* Source: drbd_proc.c, drbd_suspended() */
bool drbd_is_suspended(const struct drbd_line *line)
{
	return line->flags[0] == 's';
}

/* Source: drbd_proc.c, state.user_isp */
bool drbd_is_sync_paused(const struct drbd_line *line)
{
	return strlen(line->flags) > 3 && line->flags[3] == 'u';
}

int drbd_plan_verb(const struct fault_run *run, int (*check)(const char *resource, const struct drbd_line *line, struct err *err), const char *verb,
		   const char *undo, struct plan *plan, struct err *err)
{
	const char *resource = fault_resource(run);
	struct drbd_line line;
	int rc = run->dry ? 0 : drbd_line(resource, &line, err);

	if (rc == 0 && !run->dry)
		rc = check(resource, &line, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "drbdadm %s %s", verb, resource);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", undo, "resource", resource), err);
}

/* One word of the command line is the verb. */
static bool is_at(pid_t pid, const char *verb)
{
	char path[64], words[4096];
	int n;

	(void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	n = tool_peek(path, words, sizeof words);
	for (int i = 0; i < n; i += (int)strlen(words + i) + 1)
		if (strcmp(words + i, verb) == 0)
			return true;
	return false;
}

/* In a child, for a command line can be read only when the memory of its process can. */
static int count_at(int fd, void *arg)
{
	static const char *const tools[] = { "drbdadm", "drbdsetup", "drbdadm-84", "drbdsetup-84" };	/* the last two: what newer ones run for DRBD 8.4 */
	pid_t pid[TOOLS_MAX];
	int found = 0;

	for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
		int nr = tool_pids(tools[i], pid, TOOLS_MAX);

		if (nr < 0 || nr > TOOLS_MAX)
			return 1;
		for (int k = 0; k < nr; k++)
			found += is_at(pid[k], arg);
	}
	return dprintf(fd, "%d", found) < 0;
}

int drbd_at_work(const char *verb, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	int rc = exec_child(count_at, (void *)(uintptr_t)verb, FAULT_COMMAND_NS, &result, err), nr = 0;

	if (rc == 0 && (result.status != 0 || !result.out || sscanf(result.out, "%d", &nr) != 1))
		rc = err_set(err, -EIO, "cannot look whether a %s of DRBD is under way", verb);
	exec_result_release(&result);
	return rc < 0 ? rc : nr;
}

int drbd_add_linked(const struct fault_run *run, struct plan *plan, struct err *err)
{
	const char *resource = fault_resource(run);
	struct drbd_line line;
	int rc = run->dry ? 0 : drbd_line(resource, &line, err);

	if (rc < 0 || run->dry || !drbd_is_linked(line.state))
		return rc;
	return plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DRBD_LINKED", "resource", resource), err);
}

void drbd_words(char *ret, size_t bytes)
{
	struct err e = ERR_INIT;
	char *text = NULL, *cs, *ro, *lo, *pe;

	ret[0] = '\0';
	if (tool_read("/proc/drbd", &text, &e) < 0)
		return;
	cs = strstr(text, "cs:");
	ro = strstr(text, "ro:");
	lo = strstr(text, "lo:");
	pe = strstr(text, "pe:");
	if (cs && ro && lo && pe)
		(void)snprintf(ret, bytes, "; DRBD %.*s %.*s %.*s %.*s", (int)strcspn(cs + 3, " \n"), cs + 3, (int)strcspn(ro, " \n"), ro,
			       (int)strcspn(lo, " \n"), lo, (int)strcspn(pe, " \n"), pe);
	free(text);
}
