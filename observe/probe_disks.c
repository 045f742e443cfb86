/* SPDX-License-Identifier: MIT */
/*
 * probe_disks.c - what the block devices do: /proc/diskstats, whole disks alone.
 *
 * Source: Documentation/admin-guide/iostats.rst of Linux. Field 1 reads completed, 5 writes completed, 10 ms with I/O in flight. The counters of a disk
 * that has done nothing yet are not emitted.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

static bool all(int (*kind)(int), const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (!kind((unsigned char)*text))
			return false;
	}
	return true;
}

/* vda and sdab, not vda1; nvme0n1, not nvme0n1p2; drbd0; dm-3. */
static bool is_whole_disk(const char *name)
{
	int end = 0;

	if (strncmp(name, "vd", 2) == 0 || strncmp(name, "sd", 2) == 0)
		return all(isalpha, name + 2);
	if (strncmp(name, "nvme", 4) == 0)
		return sscanf(name, "nvme%*un%*u%n", &end) >= 0 && end > 0 && name[end] == '\0';
	if (strncmp(name, "drbd", 4) == 0)
		return all(isdigit, name + 4);
	return strncmp(name, "dm-", 3) == 0 && all(isdigit, name + 3);
}

bool disk_line_parse(const char *line, struct disk_line *ret)
{
	unsigned long long reads, writes, busy;
	char one[LINE_BYTES];

	if (!line_copy(line, one, sizeof one) ||
	    sscanf(one, " %*u %*u %39s %llu %*u %*u %*u %llu %*u %*u %*u %*u %llu", ret->name, &reads, &writes, &busy) != 4 ||
	    !is_whole_disk(ret->name))
		return false;
	ret->read_ops = reads;
	ret->write_ops = writes;
	ret->busy_ms = busy;
	return true;
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	return probe_file_available(env, "/proc/diskstats", reason, reason_bytes);
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	return probe_file_open(env, "/proc/diskstats", sizeof(struct probe_file), ret_state);
}

static int sample(void *state, struct probe_out *out)
{
	struct probe_file *file = state;
	struct disk_line disk;
	int rc;

	rc = probe_file_read(file);
	if (rc < 0)
		return rc;
	for (const char *line = file->text; line; line = line_next(line)) {
		if (!disk_line_parse(line, &disk) || disk.read_ops + disk.write_ops == 0)
			continue;
		probe_emit(out, "disk.read_ops", disk.name, (double)disk.read_ops, NULL);
		probe_emit(out, "disk.write_ops", disk.name, (double)disk.write_ops, NULL);
		probe_emit(out, "disk.busy_ns", disk.name, (double)disk.busy_ms * (double)NS_PER_MS, NULL);
	}
	return 0;
}

const struct probe probe_disks = {
	.name = "disks",
	.period_ns = NS_PER_S,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
