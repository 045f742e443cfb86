/* SPDX-License-Identifier: MIT */
/*
 * probe_mountstats.c - the NFS client's own counters of the mount under test.
 *
 * It is found in /proc/self/mountstats as the deepest mount point above the path, by its text: nothing is opened there, so a hung server does not hang this.
 *
 *	device SERVER:/EXPORT mounted on /PATH with fstype nfs4 statvers=1.1
 *		opts:	rw,vers=4.1,...
 *		age:	SECONDS
 *		xprt:	tcp port binds connects connect-time idle sends receives bad-xids requests backlog ...
 *		per-op statistics
 *		        READ: ops transmissions timeouts sent received queue-ms rtt-ms execute-ms [errors]
 *
 * Source: fs/nfs/super.c, net/sunrpc/stats.c and xprtsock.c of Linux 5.x and 6.x. The sums of ms are signed in the kernel and printed unsigned: one
 * that ran below zero comes as a number near 2^64, and is left out.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

#define MOUNTSTATS "/proc/self/mountstats"

struct state {
	struct probe_file file;		/* first */
	char path[PATH_MAX];
	struct mount_stats stats;
};

/*
 * The kernel writes space, tab, newline, backslash and # of a path as \ooo.
 * @param ret_length  of the mount point. @return what follows it, or NULL: the path is not below it
 */
static const char *mount_point_match(const char *escaped, const char *path, size_t *ret_length)
{
	const char *at = path;
	unsigned int c;

	for (; *escaped != ' '; at++) {
		bool is_octal = escaped[0] == '\\' && sscanf(escaped + 1, "%3o", &c) == 1;

		if (!is_octal)
			c = (unsigned char)*escaped;
		if (*escaped == '\0' || *escaped == '\n' || (unsigned char)*at != c)
			return NULL;
		escaped += is_octal ? 4 : 1;
	}
	*ret_length = (size_t)(at - path);
	return *at == '\0' || *at == '/' || (at > path && at[-1] == '/') ? escaped : NULL;
}

/* @return is this the head of an NFS mount that holds the path? -1: not a head at all. @param ret_length  of the mount point; 0: it does not hold it */
static int head_match(const char *line, const char *path, size_t *ret_length)
{
	const char *end = line + strcspn(line, "\n");
	const char *on, *rest;

	*ret_length = 0;
	if (strncmp(line, "device ", 7) != 0 && strncmp(line, "no device ", 10) != 0)
		return -1;
	on = memmem(line, (size_t)(end - line), " mounted on ", 12);
	rest = on ? mount_point_match(on + 12, path, ret_length) : NULL;
	if (!rest)
		*ret_length = 0;
	return rest && (strncmp(rest, " with fstype nfs ", 17) == 0 || strncmp(rest, " with fstype nfs4 ", 18) == 0);
}

static void xprt_parse(const char *line, struct mount_stats *ret)
{
	unsigned long long connects, backlog;

	if (sscanf(line, " xprt: tcp %*u %*u %llu %*s %*s %*u %*u %*u %*u %llu", &connects, &backlog) != 2)
		return;
	ret->connects += connects;	/* nconnect: a line each */
	ret->backlog += backlog;
}

static void op_parse(const char *line, struct mount_stats *ret)
{
	struct mount_op *op = &ret->ops[ret->ops_nr];
	unsigned long long ops, transmissions, rtt_ms;

	if (ret->ops_nr == MOUNT_OPS_MAX ||
	    sscanf(line, " %39[A-Za-z0-9_]: %llu %llu %*u %*u %*u %*u %llu", op->name, &ops, &transmissions, &rtt_ms) != 4)
		return;
	op->ops = ops;
	op->transmissions = transmissions;
	op->rtt_ms = rtt_ms;
	op->rtt_valid = rtt_ms <= INT64_MAX;
	ret->ops_nr++;
}

bool mountstats_parse(const char *text, const char *path, struct mount_stats *ret)
{
	bool found = false, inside = false, ops = false;
	size_t length, longest = 0;
	char one[LINE_BYTES];
	unsigned long long age;
	int head;

	for (const char *line = text; line; line = line_next(line)) {
		head = head_match(line, path, &length);
		if (head >= 0)
			inside = false;
		if (length > 0 && length >= longest) {		/* a later mount on the same path covers the one before */
			memset(ret, 0, sizeof *ret);
			longest = length;
			found = inside = head == 1;
			ops = false;
		}
		if (head >= 0 || !inside || !line_copy(line, one, sizeof one))
			continue;
		if (strncmp(one, "\topts:\t", 7) == 0)
			(void)snprintf(ret->options, sizeof ret->options, "%s", one + 7);
		else if (sscanf(one, " age: %llu", &age) == 1)
			ret->age_s = age;
		else if (strncmp(one, "\tper-op statistics", 18) == 0)
			ops = true;
		else if (ops)
			op_parse(one, ret);
		else
			xprt_parse(one, ret);
	}
	return found;
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	return probe_file_available(env, MOUNTSTATS, reason, reason_bytes);
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	int rc = probe_file_open(env, MOUNTSTATS, sizeof(struct state), ret_state);
	struct state *s;
	size_t n;

	if (rc < 0)
		return rc;
	s = *ret_state;
	(void)snprintf(s->path, sizeof s->path, "%s", env->path);
	for (n = strlen(s->path); n > 1 && s->path[n - 1] == '/'; n--)
		s->path[n - 1] = '\0';
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	struct state *s = state;
	const struct mount_op *op;
	int rc;

	rc = probe_file_read(&s->file);
	if (rc < 0)
		return rc;
	if (!mountstats_parse(s->file.text, s->path, &s->stats))
		return 0;			/* not mounted now: the agent's other side says so */
	probe_emit(out, "mount.options", NULL, 1, s->stats.options);
	probe_emit(out, "mount.age", NULL, (double)s->stats.age_s, NULL);
	probe_emit(out, "mount.backlog", NULL, (double)s->stats.backlog, NULL);
	probe_emit(out, "mount.connects", NULL, (double)s->stats.connects, NULL);
	for (unsigned int i = 0; i < s->stats.ops_nr; i++) {
		op = &s->stats.ops[i];
		if (op->ops == 0)
			continue;
		probe_emit(out, "mount.ops", op->name, (double)op->ops, NULL);
		if (op->rtt_valid)
			probe_emit(out, "mount.rtt_ns", op->name, (double)op->rtt_ms * (double)NS_PER_MS, NULL);
		probe_emit(out, "mount.retrans", op->name, op->transmissions > op->ops ? (double)(op->transmissions - op->ops) : 0, NULL);
	}
	return 0;
}

const struct probe probe_mountstats = {
	.name = "mountstats",
	.period_ns = NS_PER_S,
	.needs_path = true,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
