/* SPDX-License-Identifier: MIT */
/*
 * fault_cpu_hog.c - busy processes beside everything else that the host does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "hog.h"
#include "plan.h"
#include "tool.h"

#define NAME "squall-cpu-hog"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct hogs *hogs = calloc(1, sizeof *hogs);
	char text[96];

	if (!hogs)
		return -ENOMEM;
	hogs->name = NAME;
	run->state = hogs;
	(void)snprintf(text, sizeof text, "%u busy processes named " NAME, (unsigned int)fault_arg_u64(run, "processes"));
	return hogs_plan(run, NAME, text, plan, err);
}

static void burn(void *unused)
{
	volatile uint64_t n = 0;

	(void)unused;
	for (;;)
		n++;
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	(void)plan;
	return hogs_start(run->state, (unsigned int)fault_arg_u64(run, "processes"), burn, NULL, err);
}

/* User time of a process [ticks]: field 14 of proc_pid_stat(5). The name holds no blank. */
static uint64_t cpu_ticks(pid_t pid)
{
	char path[64], text[512];
	uint64_t ticks = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (tool_peek(path, text, sizeof text) <= 0)
		return 0;
	(void)sscanf(text, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64, &ticks);
	return ticks;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct hogs *hogs = run->state;
	unsigned int alive = hogs_alive(hogs);
	uint64_t ticks = hogs_used(hogs, cpu_ticks);

	(void)snprintf(evidence, bytes, "%u of %u processes run; they took %.2f s of processor time since the last look", alive, hogs->nr,
		       (double)ticks / (double)sysconf(_SC_CLK_TCK));
	if (alive < hogs->nr)
		return FAULT_VANISHED;
	return ticks > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD stays Connected unless the host comes too late to answer a ping in 500ms (ping-timeout). %u busy processes take turns with"
		       " all others of the host; threads of the kernel such as nfsd's have no precedence", (unsigned int)fault_arg_u64(run, "processes"));
}

static const struct fault_arg args[] = {
	{ "processes", ARG_COUNT, 1, HOGS_MAX, NULL, NULL, NULL, "how many; one a processor leaves each the half of it" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_cpu_hog = {
	.name = "cpu-hog",
	.breaks = "takes processor time with busy processes",
	.where = "any host",
	.page = "docs/faults/cpu-hog.scd",
	.heal_class = HEAL_H0,
	.args = args,
	.needs = needs,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
	.heal = hogs_heal,
};
