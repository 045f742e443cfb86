/* SPDX-License-Identifier: MIT */
/*
 * probe_drbd.c - the state of DRBD 8.4 and the age of its oldest request.
 *
 * /proc/drbd says Connected all through an outage of the replication link that is short of the time-out; the age of the oldest request does not.
 * The age is a sawtooth, so it is looked at six times a second and the greatest since the last sample is emitted.
 *
 * Format of oldest_requests: the kernel's drivers/block/drbd/drbd_debugfs.c (Linux 4.0 to 6.x, "v: 0"), a header of names with tabs between, then
 * up to two writes and two reads. DRBD 9 has neither file in this form: its probe stays silent.
 */
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

#define EMIT_NS (500 * NS_PER_MS)
#define LOOKS_NR 3			/* at the oldest request, a sample */

struct state {
	char proc[PATH_MAX + 16], pattern[PATH_MAX + 64];
	char *text;
	size_t room;
	uint64_t emit_ns, oldest_ns;
	bool debugfs;			/* an oldest_requests file was read since the last sample */
	struct drbd_minor minors[DRBD_MINORS_MAX];
};

/* States of a connection that has no peer on it: everything else is Connected or better. Source: enum drbd_conns of linux/drbd.h. */
static const char *const unconnected[] = {
	"StandAlone", "Disconnecting", "Unconnected", "Timeout", "BrokenPipe", "NetworkFailure", "ProtocolError", "TearDown", "WFConnection",
	"WFReportParams",
};

static bool is_connected(const char *cs)
{
	for (size_t i = 0; i < sizeof unconnected / sizeof unconnected[0]; i++) {
		if (strcmp(cs, unconnected[i]) == 0)
			return false;
	}
	return true;
}

/* The counters stand in the line after the states. */
static void counters_parse(const char *line, struct drbd_minor *m)
{
	const struct { const char *name; uint64_t *value; } fields[] = {
		{ " lo:", &m->lo }, { " pe:", &m->pe }, { " ua:", &m->ua }, { " ap:", &m->ap },
	};
	size_t bytes = strcspn(line, "\n");
	const char *at;

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		at = memmem(line, bytes, fields[i].name, strlen(fields[i].name));
		if (at)
			*fields[i].value = strtoull(at + strlen(fields[i].name), NULL, 10);
	}
}

unsigned int drbd_proc_parse(const char *text, struct drbd_minor ret[DRBD_MINORS_MAX])
{
	struct drbd_minor *m;
	unsigned int nr = 0;
	char one[LINE_BYTES];
	const char *next;

	for (const char *line = text; line && nr < DRBD_MINORS_MAX; line = line_next(line)) {
		m = &ret[nr];
		memset(m, 0, sizeof *m);
		if (!line_copy(line, one, sizeof one) || sscanf(one, " %u: cs:%23s ro:%39s ds:%39s", &m->minor, m->cs, m->ro, m->ds) != 4)
			continue;
		m->connected = is_connected(m->cs);
		m->primary = strncmp(m->ro, "Primary/", 8) == 0;
		m->up_to_date = strncmp(m->ds, "UpToDate/", 9) == 0;
		next = line_next(line);
		if (next)
			counters_parse(next, m);
		nr++;
	}
	return nr;
}

/* @return the field of a line with tabs between, or NULL */
static const char *field_at(const char *line, unsigned int idx)
{
	for (; idx > 0; line++) {
		if (*line == '\0' || *line == '\n')
			return NULL;
		if (*line == '\t')
			idx--;
	}
	return line;
}

/* @return the column "start" of a header, or -1 */
static int start_column(const char *line)
{
	const char *field;

	for (unsigned int i = 0; (field = field_at(line, i)) != NULL; i++) {
		if (strncmp(field, "start", 5) == 0 && strchr("\t\n", field[5]) && strncmp(line, "epoch\t", 6) == 0)
			return (int)i;
	}
	return -1;
}

bool drbd_oldest_parse(const char *text, uint64_t *ret_age_ns)
{
	const char *field;
	bool found = false;
	int column = -1;
	long long ms;
	char *end;

	*ret_age_ns = 0;
	for (const char *line = text; line; line = line_next(line)) {
		if (column < 0) {
			column = start_column(line);
			continue;
		}
		field = field_at(line, (unsigned int)column);
		ms = field ? strtoll(field, &end, 10) : 0;
		if (!field || end == field)
			continue;
		found = true;
		if (ms > 0 && (uint64_t)ms * NS_PER_MS > *ret_age_ns)
			*ret_age_ns = (uint64_t)ms * NS_PER_MS;
	}
	return found;
}

/* Opened anew each time: an open file of DRBD's debugfs keeps its module from being unloaded. */
static void oldest_look(struct state *s)
{
	glob_t paths = { 0 };
	uint64_t age_ns;

	if (glob(s->pattern, GLOB_NOSORT, NULL, &paths) == 0) {
		for (size_t i = 0; i < paths.gl_pathc; i++) {
			if (probe_read(paths.gl_pathv[i], &s->text, &s->room) < 0)
				continue;
			s->debugfs = true;
			if (drbd_oldest_parse(s->text, &age_ns) && age_ns > s->oldest_ns)
				s->oldest_ns = age_ns;
		}
	}
	globfree(&paths);
}

static void minor_emit(struct probe_out *out, const struct drbd_minor *m, const char *label)
{
	probe_emit(out, "drbd.connected", label, m->connected, m->cs);
	probe_emit(out, "drbd.role", label, m->primary, m->ro);
	probe_emit(out, "drbd.disk", label, m->up_to_date, m->ds);
	probe_emit(out, "drbd.pending", label, (double)m->pe, NULL);
	probe_emit(out, "drbd.local", label, (double)m->lo, NULL);
	probe_emit(out, "drbd.unacked", label, (double)m->ua, NULL);
	probe_emit(out, "drbd.ap_pending", label, (double)m->ap, NULL);
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof path, "%s/proc/drbd", env->root);
	(void)snprintf(reason, reason_bytes, "%s", access(path, F_OK) == 0 ? "" : "DRBD is not loaded: reports once it is");
	return true;
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	struct state *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	(void)snprintf(s->proc, sizeof s->proc, "%s/proc/drbd", env->root);
	(void)snprintf(s->pattern, sizeof s->pattern, "%s/sys/kernel/debug/drbd/resources/*/volumes/*/oldest_requests", env->root);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	struct state *s = state;
	unsigned int nr;
	char label[16];

	if (access(s->proc, F_OK) != 0)
		return 0;
	oldest_look(s);
	if (out->now_ns < s->emit_ns)
		return 0;
	s->emit_ns = out->now_ns + EMIT_NS - EMIT_NS / 10;
	if (s->debugfs)
		probe_emit(out, "drbd.oldest_request_ns", NULL, (double)s->oldest_ns, NULL);
	s->debugfs = false;
	s->oldest_ns = 0;
	if (probe_read(s->proc, &s->text, &s->room) < 0)
		return 0;
	nr = drbd_proc_parse(s->text, s->minors);
	for (unsigned int i = 0; i < nr; i++) {
		(void)snprintf(label, sizeof label, "%u", s->minors[i].minor);
		minor_emit(out, &s->minors[i], nr > 1 ? label : NULL);
	}
	return 0;
}

const struct probe probe_drbd = {
	.name = "drbd",
	.period_ns = EMIT_NS / LOOKS_NR,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
