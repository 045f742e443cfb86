/* SPDX-License-Identifier: MIT */
/*
 * fault_memory_hog.c - takes memory away, so that the page cache shrinks and what was read from it is read from the disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"
#include "hog.h"
#include "plan.h"
#include "tool.h"

#define NAME "squall-mem-hog"
#define MIB (1ULL << 20)

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct hogs *hogs = calloc(1, sizeof *hogs);
	char text[96];

	if (!hogs)
		return -ENOMEM;
	hogs->name = NAME;
	run->state = hogs;
	(void)snprintf(text, sizeof text, "a process named " NAME " that holds %" PRIu64 " MiB", fault_arg_u64(run, "mib"));
	return hogs_plan(run, NAME, text, plan, err);
}

/* Locked when that is allowed: what is swapped out is not taken away. */
static void hold(void *arg)
{
	size_t bytes = *(size_t *)arg;
	volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	for (;;)
		(void)pause();
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	size_t wanted = fault_arg_u64(run, "mib") * MIB;

	(void)plan;
	return hogs_start(run->state, 1, hold, &wanted, err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct hogs *hogs = run->state;
	char path[64], text[128];
	uint64_t wanted = fault_arg_u64(run, "mib"), pages = 0, held;

	if (hogs_alive(hogs) == 0) {
		(void)snprintf(evidence, bytes, "the process that holds the memory is gone; the kernel may have killed it for want of memory");
		return FAULT_VANISHED;
	}
	(void)snprintf(path, sizeof path, "/proc/%d/statm", (int)hogs->pid[0]);
	if (tool_peek(path, text, sizeof text) > 0)
		(void)sscanf(text, "%*u %" SCNu64, &pages);
	held = pages * (uint64_t)sysconf(_SC_PAGESIZE) / MIB;
	(void)snprintf(evidence, bytes, "%" PRIu64 " of %" PRIu64 " MiB are held", held, wanted);
	return held >= wanted ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD stays Connected. The page cache gives way to %" PRIu64 " MiB; what was served from it comes from the disk then. When there is not"
		       " that much, the kernel kills this process first, and the fault has vanished", fault_arg_u64(run, "mib"));
}

static const struct fault_arg args[] = {
	{ "mib", ARG_COUNT, 1, 4194304, NULL, NULL, NULL, "how many MiB are taken" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_memory_hog = {
	.name = "memory-hog",
	.breaks = "takes memory away",
	.where = "any host",
	.page = "docs/faults/memory-hog.scd",
	.heal_class = HEAL_H0,
	.args = args,
	.needs = needs,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
	.heal = hogs_heal,
};
