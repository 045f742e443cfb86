/* SPDX-License-Identifier: MIT */
/*
 * probe_cpu.c - how much of a host's processors is left, and how much its hypervisor took: /proc/stat.
 *
 * Source: proc_stat(5). The first line is of all processors; guest time is part of user time, and idle time with I/O under way stands apart as iowait.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

bool cpu_line_parse(const char *line, struct cpu_line *ret)
{
	uint64_t user, nice, system, idle, iowait, irq, softirq;
	char one[LINE_BYTES];

	if (strncmp(line, "cpu ", 4) != 0 || !line_copy(line, one, sizeof one) ||	/* in sscanf()'s eyes the space may be missing, as of cpu0 */
	    sscanf(one, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &user, &nice, &system, &idle, &iowait,
		   &irq, &softirq, &ret->steal) != 8)
		return false;
	ret->idle = idle + iowait;
	ret->total = user + nice + system + ret->idle + irq + softirq + ret->steal;
	return true;
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	return probe_file_available(env, "/proc/stat", reason, reason_bytes);
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	return probe_file_open(env, "/proc/stat", sizeof(struct probe_file), ret_state);
}

static int sample(void *state, struct probe_out *out)
{
	const double tick_ns = (double)NS_PER_S / (double)sysconf(_SC_CLK_TCK);
	struct probe_file *file = state;
	struct cpu_line cpu;
	int rc = probe_file_read(file);

	if (rc < 0 || !cpu_line_parse(file->text, &cpu))
		return rc < 0 ? rc : 0;
	probe_emit(out, "cpu.idle_ns", NULL, (double)cpu.idle * tick_ns, NULL);
	probe_emit(out, "cpu.steal_ns", NULL, (double)cpu.steal * tick_ns, NULL);
	probe_emit(out, "cpu.total_ns", NULL, (double)cpu.total * tick_ns, NULL);
	return 0;
}

const struct probe probe_cpu = {
	.name = "cpu",
	.period_ns = NS_PER_S,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
