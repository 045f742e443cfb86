/* SPDX-License-Identifier: MIT */
/*
 * fault_snapshot.c - takes a snapshot of the disk under DRBD while it is in use, and copies it, as a backup of the volume does.
 *
 *	NAME: snapshot-origin ──> squall-origin: the table that NAME had ──> the disk
 *	squall-snapshot: what squall-origin was ──> the scratch device, where what is overwritten is kept
 *
 * The snapshot is taken while NAME is suspended, so it is of one instant. It is not kept over a boot. Source: the kernel's
 * admin-guide/device-mapper/snapshot.rst
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "confine.h"
#include "drbd.h"
#include "err.h"
#include "hog.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"

#define NAME "squall-copy"
#define BLOCK_BYTES (1u << 20)
#define CHUNK_SECTORS 16	/* of the snapshot: what is kept when a part of it is written */

/* Shared with the child that copies. */
struct copy {
	_Atomic uint64_t bytes;
	_Atomic int error;		/* errno of the read that failed */
	_Atomic bool done;
};

struct snapshot {
	struct hogs hogs;
	struct copy *copy;
	char disk[64];
	uint64_t disk_bytes, bytes_last;
};

static int probe(const struct allow *allow, struct err *err)
{
	char *text = NULL;
	int rc = tool_output(&text, err, "dmsetup targets");
	bool there = rc == 0 && strstr(text, "snapshot-origin");

	(void)allow;
	free(text);
	if (rc == 0 && !there)
		rc = err_set(err, -ENOPKG, "this kernel has no snapshots of device mapper: modprobe dm_snapshot; without it disk-slow comes nearest");
	return rc;
}

/* The disk, which has to be one linear target: a snapshot of a disk that another fault has changed would be undone in the wrong order. */
static int find_disk(const struct fault_run *run, struct snapshot *snapshot, char **ret_table, struct err *err)
{
	uint64_t sectors = 0;
	int end = 0, rc;

	if (run->dry) {
		*ret_table = strdup("0 SECTORS linear DISK OFFSET");
		(void)snprintf(snapshot->disk, sizeof snapshot->disk, "BACKING");
		return *ret_table ? 0 : err_set(err, -ENOMEM, "out of memory");
	}
	rc = drbd_backing_dm(&run->allow, snapshot->disk, sizeof snapshot->disk, err);
	if (rc == 0)
		rc = undo_dm_table(snapshot->disk, ret_table, err);
	if (rc < 0)
		return rc;
	if (sscanf(*ret_table, "0 %" SCNu64 " linear %*s %*s%n", &sectors, &end) != 1 || (*ret_table)[end] != '\0')
		return err_set(err, -ENOTSUP, "the table of the disk under DRBD is not one linear target: %.100s", *ret_table);
	snapshot->disk_bytes = sectors * 512;
	return 0;
}

static int add_actions(const struct fault_run *run, const struct snapshot *snapshot, const char *table, struct plan *plan, struct err *err)
{
	const char *scratch = run->dry ? "SCRATCH" : run->allow.scratch.name[0];
	char sectors[24] = "SECTORS";
	int rc = plan_add_run(plan, err, "dmsetup create " UNDO_DM_ORIGIN " --table '%s'", table);

	if (!run->dry)
		(void)snprintf(sectors, sizeof sectors, "%" PRIu64, snapshot->disk_bytes / 512);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup mknodes " UNDO_DM_ORIGIN);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup load %s --table '0 %s snapshot-origin /dev/mapper/" UNDO_DM_ORIGIN "'", snapshot->disk, sectors);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup suspend --nolockfs %s", snapshot->disk);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup create " UNDO_DM_SNAPSHOT " --table '0 %s snapshot /dev/mapper/" UNDO_DM_ORIGIN " /dev/mapper/%s N %d'", sectors,
				  scratch, CHUNK_SECTORS);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup resume %s", snapshot->disk);
	return rc < 0 ? rc : plan_add_run(plan, err, "dmsetup mknodes " UNDO_DM_SNAPSHOT);
}

static int add_undo(const struct fault_run *run, const struct snapshot *snapshot, const char *table, struct plan *plan, struct err *err)
{
	int rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "DM_TABLE", "name", snapshot->disk, "table", table), err);

	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DM_REMOVE", "name", UNDO_DM_SNAPSHOT), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DM_REMOVE", "name", UNDO_DM_ORIGIN), err);
	return rc < 0 ? rc : drbd_add_linked(run, plan, err);
}

/* The copy is the first in the undo: as long as it reads, the snapshot cannot be removed. */
static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	char *table = NULL;
	int rc;

	if (!snapshot)
		return -ENOMEM;
	run->state = snapshot;
	snapshot->hogs.name = NAME;
	rc = find_disk(run, snapshot, &table, err);
	if (rc == 0)
		rc = add_actions(run, snapshot, table, plan, err);
	if (rc == 0)
		rc = hogs_plan(run, NAME, "a process named " NAME " that reads all of /dev/mapper/" UNDO_DM_SNAPSHOT " once, past the page cache", plan, err);
	if (rc == 0)
		rc = add_undo(run, snapshot, table, plan, err);
	free(table);
	return rc;
}

static void copy_all(void *arg)
{
	struct copy *copy = arg;
	void *block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/mapper/" UNDO_DM_SNAPSHOT, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = 0;

	if (block != MAP_FAILED && fd >= 0)
		while ((n = read(fd, block, BLOCK_BYTES)) > 0)
			atomic_fetch_add(&copy->bytes, (uint64_t)n);
	if (block == MAP_FAILED || fd < 0 || n < 0)
		atomic_store(&copy->error, errno);
	else
		atomic_store(&copy->done, true);
	close(fd);
	for (;;)
		pause();
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	struct snapshot *snapshot = run->state;
	int rc;

	snapshot->copy = mmap(NULL, sizeof *snapshot->copy, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (snapshot->copy == MAP_FAILED)
		return err_set(err, -errno, "no memory for the copy: %m");
	rc = plan_run(plan, err);
	return rc < 0 ? rc : hogs_start(&snapshot->hogs, 1, copy_all, snapshot->copy, err);
}

/* "0 4194304 snapshot 1616/1048576 32": sectors of the scratch device that are in use; "Invalid" and the like when there were too few. */
static enum fault_verdict look_at_snapshot(uint64_t *ret_used, uint64_t *ret_all, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	char *text = NULL;
	int rc = tool_output(&text, &e, "dmsetup status " UNDO_DM_SNAPSHOT);
	bool valid;

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	valid = sscanf(text, "0 %*u snapshot %" SCNu64 "/%" SCNu64, ret_used, ret_all) == 2;
	if (!valid)
		(void)snprintf(evidence, bytes, "the snapshot is lost, its scratch device was too small: %.100s", text);
	free(text);
	return valid ? FAULT_CONFIRMED : FAULT_VANISHED;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct snapshot *snapshot = run->state;
	uint64_t used = 0, all = 0, copied = atomic_load(&snapshot->copy->bytes), more = copied - snapshot->bytes_last;
	enum fault_verdict v = look_at_snapshot(&used, &all, evidence, bytes);
	int error = atomic_load(&snapshot->copy->error);
	bool done = atomic_load(&snapshot->copy->done);

	snapshot->bytes_last = copied;
	if (v != FAULT_CONFIRMED)
		return v;
	(void)snprintf(evidence, bytes, "%" PRIu64 " of %" PRIu64 " MiB are copied, %" PRIu64 " since the last look; %" PRIu64 " of %" PRIu64 " MiB of scratch are in use%s%s",
		       copied >> 20, snapshot->disk_bytes >> 20, more >> 20, used / 2048, all / 2048, error ? "; the copy ended: " : "", error ? strerror(error) : "");
	if (error != 0 || hogs_alive(&snapshot->hogs) == 0)
		return FAULT_VANISHED;
	return more > 0 || done ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void heal(struct fault_run *run)
{
	struct snapshot *snapshot = run->state;

	if (snapshot)
		hogs_stop(&snapshot->hogs);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected. For a moment the disk is suspended. From then on the first write to each part of %d KiB waits until what was there is"
		       " read and written to the scratch device, so one request becomes three, and the copy reads beside them as fast as the disk lets it. Reads wait"
		       " longer, none fails", CHUNK_SECTORS / 2);
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "dmsetup", "drbdsetup", "drbdadm", NULL };

const struct fault fault_snapshot = {
	.name = "snapshot",
	.breaks = "takes a snapshot of the disk under DRBD and copies it",
	.where = "a DRBD peer",
	.page = "docs/faults/snapshot.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN) | CONFINE_CAP(MKNOD),
	.allowed = ALLOW_RESOURCE | ALLOW_SCRATCH,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
	.heal = heal,
};
