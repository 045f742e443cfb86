/* SPDX-License-Identifier: MIT */
/*
 * probe_memory.c - how much of a host's memory is page cache: whether reads reach the disks, or the server at all.
 *
 * Source: Documentation/filesystems/proc.rst of Linux, meminfo. Values are in KiB there, in bytes here.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

static const struct { const char *key, *metric; } fields[] = {
	{ "MemTotal", "memory.total" }, { "Cached", "memory.cached" }, { "Dirty", "memory.dirty" },
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
	return probe_file_available(env, "/proc/meminfo", reason, reason_bytes);
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	return probe_file_open(env, "/proc/meminfo", sizeof(struct probe_file), ret_state);
}

static int sample(void *state, struct probe_out *out)
{
	struct probe_file *file = state;
	struct memory_line memory;
	int rc = probe_file_read(file);

	if (rc < 0)
		return rc;
	for (const char *line = file->text; line; line = line_next(line)) {
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
