/* SPDX-License-Identifier: MIT */
/*
 * probe_disks.c - what the block devices do: /proc/diskstats, whole disks alone.
 *
 * Source: Documentation/admin-guide/iostats.rst of Linux. Field 1 reads completed, 5 writes completed, 10 ms with I/O in flight. The counters of a disk
 * that has done nothing yet are not emitted.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

struct state {
	char path[PATH_MAX + 32];
	char *text;
	size_t room;
};

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
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/proc/diskstats", env->root);
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
	(void)snprintf(s->path, sizeof s->path, "%s/proc/diskstats", env->root);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	struct state *s = state;
	struct disk_line disk;
	int rc;

	rc = probe_read(s->path, &s->text, &s->room);
	if (rc < 0)
		return rc;
	for (const char *line = s->text; line; line = line_next(line)) {
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
