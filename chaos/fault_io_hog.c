/* SPDX-License-Identifier: MIT */
/*
 * fault_io_hog.c - processes that read DRBD's disk at random, past every cache: a backup, a scan of the array, another tenant. They open it to read alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drbd.h"
#include "err.h"
#include "hog.h"
#include "plan.h"
#include "rng.h"
#include "tool.h"

#define NAME "squall-io-hog"
#define BLOCK_BYTES 4096	/* a multiple of every logical block, which O_DIRECT asks for */

struct io_hog {
	struct hogs hogs;	/* first: hogs_heal() */
	char disk[DRBD_DISK_BYTES];
};

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct io_hog *hog = calloc(1, sizeof *hog);
	char text[96 + DRBD_DISK_BYTES];
	int rc = 0;

	if (!hog)
		return -ENOMEM;
	hog->hogs.name = NAME;
	run->state = hog;
	(void)snprintf(hog->disk, sizeof hog->disk, "DISK");
	if (!run->dry)
		rc = drbd_backing_disk(&run->allow, hog->disk, sizeof hog->disk, err);
	(void)snprintf(text, sizeof text, "%u processes named " NAME " that read %s at random", (unsigned int)fault_arg_u64(run, "processes"), hog->disk);
	return rc < 0 ? rc : hogs_plan(run, NAME, text, plan, err);
}

/* A request at a time, for ever. An error of the disk ends it as little as it ends the backup that it stands for. */
static void read_at_random(void *disk)
{
	int fd = open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC);
	off_t blocks = fd < 0 ? 0 : lseek(fd, 0, SEEK_END) / BLOCK_BYTES;
	void *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	struct rng rng;

	rng_init(&rng, 0, (uint64_t)getpid());	/* each process other blocks */
	while (blocks > 0 && block)
		(void)!pread(fd, block, BLOCK_BYTES, (off_t)rng_below(&rng, (uint64_t)blocks) * BLOCK_BYTES);
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	struct io_hog *hog = run->state;

	(void)plan;
	return hogs_start(&hog->hogs, (unsigned int)fault_arg_u64(run, "processes"), read_at_random, hog->disk, err);
}

/* What a process made a disk read. Source: read_bytes in proc_pid_io(5) */
static uint64_t read_bytes(pid_t pid)
{
	char path[64], text[512];
	const char *line;

	(void)snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
	line = tool_peek(path, text, sizeof text) > 0 ? strstr(text, "\nread_bytes: ") : NULL;
	return line ? strtoull(line + strlen("\nread_bytes: "), NULL, 10) : 0;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct io_hog *hog = run->state;
	unsigned int alive = hogs_alive(&hog->hogs);
	uint64_t more = hogs_used(&hog->hogs, read_bytes);

	(void)snprintf(evidence, bytes, "%u of %u processes run; they read %" PRIu64 " blocks of 4 KiB from %s since the last look", alive, hog->hogs.nr,
		       more / BLOCK_BYTES, hog->disk);
	if (alive < hog->hogs.nr)
		return FAULT_VANISHED;
	return more > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD stays Connected: the disk is slow, and answers. Each request that DRBD has for it waits for its turn among %u that are always there: on the"
		       " primary reads and writes, on the secondary the writes of all clients (protocol C)", (unsigned int)fault_arg_u64(run, "processes"));
}

static const struct fault_arg args[] = {
	{ "processes", ARG_COUNT, 1, HOGS_MAX, NULL, NULL, NULL, "how many; each has one read of 4 KiB under way at a time" },
	{ .name = NULL },
};
static const char *const needs[] = { "drbdsetup", NULL };

const struct fault fault_io_hog = {
	.name = "io-hog",
	.breaks = "takes the time of DRBD's disk with reads at random",
	.where = "a DRBD peer",
	.page = "docs/faults/io-hog.scd",
	.heal_class = HEAL_H0,
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
	.heal = hogs_heal,
};
