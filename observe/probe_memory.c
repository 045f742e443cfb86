/* SPDX-License-Identifier: MIT */
/*
 * probe_memory.c - how much of a host's memory is page cache: whether reads reach the disks, or the server at all.
 *
 * Source: Documentation/filesystems/proc.rst of Linux, meminfo. Values are in KiB there, in bytes here.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

static const struct { const char *key, *metric; } fields[] = {
	{ "MemTotal", "memory.total" }, { "Cached", "memory.cached" }, { "Dirty", "memory.dirty" },
};

struct state {
	char path[PATH_MAX + 32];
	char *text;
	size_t room;
};

bool memory_line_parse(const char *line, struct memory_line *ret)
{
	char one[LINE_BYTES];
	unsigned long long kib;
	char unit;

	if (!line_copy(line, one, sizeof one) || sscanf(one, "%31[A-Za-z_]: %llu k%c", ret->key, &kib, &unit) != 3 || unit != 'B' || kib > UINT64_MAX / 1024)
		return false;
	ret->bytes = kib * 1024;
	return true;
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/proc/meminfo", env->root);
	if (access(path, R_OK) == 0)
		return true;
	(void)snprintf(reason, reason_bytes, "%s cannot be read", path);
	return false;
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	struct state *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	(void)snprintf(s->path, sizeof s->path, "%s/proc/meminfo", env->root);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	struct state *s = state;
	struct memory_line memory;
	int rc = probe_read(s->path, &s->text, &s->room);

	if (rc < 0)
		return rc;
	for (const char *line = s->text; line; line = line_next(line)) {
		if (!memory_line_parse(line, &memory))
			continue;
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			if (strcmp(memory.key, fields[i].key) == 0)
				probe_emit(out, fields[i].metric, NULL, (double)memory.bytes, NULL);
	}
	return 0;
}

const struct probe probe_memory = {
	.name = "memory",
	.period_ns = NS_PER_S,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
