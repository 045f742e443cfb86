/* SPDX-License-Identifier: MIT */
/*
 * dm.c - plans and proves what happens to the disk under DRBD. Its undo is always the same: the table of before, live and not suspended.
 */
#include "dm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "clock.h"
#include "drbd.h"
#include "err.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"

struct dm {
	char name[64];
	uint64_t delay_ms;		/* of a slow disk, as the next three */
	char stat_path[64];		/* of /sys/dev/block */
	uint64_t ios, ms;		/* at the injection */
};

static const char *const io_names[] = { "writes", "all", NULL };

const char *const dm_needs[] = { "dmsetup", "drbdsetup", "drbdadm", NULL };
const struct fault_arg dm_slow_args[] = {
	{ "delay", ARG_DURATION, NS_PER_MS, 60 * NS_PER_S, NULL, NULL, NULL, "how much longer each request takes" },
	{ "io", ARG_ENUM, 0, 0, "writes", io_names, NULL, "which requests" },
	{ .name = NULL },
};

const struct fault_arg dm_error_args[] = {
	{ "io", ARG_ENUM, 0, 0, "writes", io_names, NULL, "which requests fail" },
	{ .name = NULL },
};

/* Of a run without a state: makes it, and finds the device and its table. @param ret_table  malloc'ed */
static int begin(struct fault_run *run, char **ret_table, struct err *err)
{
	struct dm *dm = calloc(1, sizeof *dm);
	int rc;

	run->state = dm;
	if (dm && !run->dry) {
		rc = drbd_backing_dm(&run->allow, dm->name, sizeof dm->name, err);
		return rc < 0 ? rc : undo_dm_table(dm->name, ret_table, err);
	}
	*ret_table = strdup("0 SECTORS linear DISK OFFSET");
	if (!dm || !*ret_table)
		return err_set(err, -ENOMEM, "out of memory");
	(void)snprintf(dm->name, sizeof dm->name, "BACKING");
	return 0;
}

/* The one target that a table is. */
struct linear {
	char sectors[24], disk[64], offset[24];
};

static int parse_linear(const char *table, struct linear *ret, struct err *err)
{
	int end = 0;

	if (sscanf(table, "0 %23s linear %63s %23s%n", ret->sectors, ret->disk, ret->offset, &end) != 3 || table[end] != '\0')
		return err_set(err, -ENOTSUP, "the table of the disk under DRBD is not one linear target, and no other is sure to come back as it was: %.100s", table);
	return 0;
}

int dm_add_undo(struct plan *plan, const char *name, const char *table, struct err *err)
{
	struct linear l;
	int rc = parse_linear(table, &l, err);

	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "DM_TABLE", "name", name, "table", table), err);
}

static int add_undo(const struct fault_run *run, const char *table, struct plan *plan, struct err *err)
{
	const struct dm *dm = run->state;
	int rc = dm_add_undo(plan, dm->name, table, err);

	return rc < 0 ? rc : drbd_add_linked(run, plan, err);
}

static bool is_all(const struct fault_run *run)
{
	return strcmp(fault_arg_text(run, "io"), "all") == 0;
}

/* Completed writes, or reads and writes, and the time they took. Source: the kernel's block/stat.rst, fields 1, 4, 5, 8. */
static int read_stat(const struct dm *dm, bool all, uint64_t *ret_ios, uint64_t *ret_ms)
{
	uint64_t v[8];
	char text[256];

	if (tool_peek(dm->stat_path, text, sizeof text) <= 0)
		return -ENOENT;
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) != 8)
		return -EBADMSG;
	*ret_ios = v[4] + (all ? v[0] : 0);
	*ret_ms = v[7] + (all ? v[3] : 0);
	return 0;
}

static int begin_stat(const struct fault_run *run, struct dm *dm, struct err *err)
{
	char path[128];
	struct stat st;
	int rc;

	(void)snprintf(path, sizeof path, "/dev/mapper/%s", dm->name);
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "cannot look at %s: %m", path);
	(void)snprintf(dm->stat_path, sizeof dm->stat_path, "/sys/dev/block/%u:%u/stat", major(st.st_rdev), minor(st.st_rdev));
	rc = read_stat(dm, is_all(run), &dm->ios, &dm->ms);
	return rc < 0 ? err_set(err, rc, "cannot read %s", dm->stat_path) : 0;
}

int dm_delay_table(const char *table, bool all, uint64_t delay_ms, char *ret, size_t bytes, struct err *err)
{
	struct linear l;
	int rc = parse_linear(table, &l, err);

	if (rc == 0)
		(void)snprintf(ret, bytes, "0 %s delay %s %s %" PRIu64 " %s %s %" PRIu64, l.sectors, l.disk, l.offset, all ? delay_ms : 0, l.disk, l.offset, delay_ms);
	return rc;
}

int dm_slow_plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char *table = NULL, slow[256];
	int rc = begin(run, &table, err);
	struct dm *dm = run->state;

	if (rc == 0) {
		dm->delay_ms = fault_arg_u64(run, "delay") / NS_PER_MS;
		rc = dm_delay_table(table, is_all(run), dm->delay_ms, slow, sizeof slow, err);
	}
	if (rc == 0 && !run->dry)
		rc = begin_stat(run, dm, err);
	if (rc == 0)
		rc = undo_add_dm_table(plan, dm->name, slow, err);
	if (rc == 0)
		rc = add_undo(run, table, plan, err);
	free(table);
	return rc;
}

enum fault_verdict dm_slow_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct dm *dm = run->state;
	struct err e = ERR_INIT;
	uint64_t ios, ms, mean;
	char *table = NULL, words[128];
	int rc = undo_dm_table(dm->name, &table, &e);

	if (rc == 0 && !strstr(table, " delay ")) {
		(void)snprintf(evidence, bytes, "the table of %s has no delay: %.100s", dm->name, table);
		free(table);
		return FAULT_VANISHED;
	}
	free(table);
	if (rc == 0)
		rc = read_stat(dm, is_all(run), &ios, &ms);
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	drbd_words(words, sizeof words);
	ios -= dm->ios;
	ms -= dm->ms;
	mean = ios ? ms / ios : 0;
	(void)snprintf(evidence, bytes, "%" PRIu64 " requests took %" PRIu64 " ms each since the injection, %" PRIu64 " ms added%s", ios, mean, dm->delay_ms, words);
	if (ios == 0)
		return FAULT_INCONCLUSIVE;
	return mean >= dm->delay_ms / 2 ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

int dm_freeze_plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char *table = NULL;
	int rc = begin(run, &table, err);
	const struct dm *dm = run->state;

	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup suspend --nolockfs %s", dm->name);
	if (rc == 0)
		rc = add_undo(run, table, plan, err);
	free(table);
	return rc;
}

enum fault_verdict dm_freeze_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct dm *dm = run->state;
	struct err e = ERR_INIT;
	char *info = NULL, words[128];
	bool suspended;
	int rc = tool_output(&info, &e, "dmsetup info %s", dm->name);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	suspended = strstr(info, "SUSPENDED") != NULL;
	free(info);
	drbd_words(words, sizeof words);
	(void)snprintf(evidence, bytes, "the device %s is %ssuspended%s", dm->name, suspended ? "" : "not ", words);
	return suspended ? FAULT_CONFIRMED : FAULT_VANISHED;
}

/* Down all the time: "up 0 s, down 1 s". */
int dm_error_table(const char *table, bool all, char *ret, size_t bytes, struct err *err)
{
	struct linear l;
	int rc = parse_linear(table, &l, err);

	if (rc == 0 && all)
		(void)snprintf(ret, bytes, "0 %s error", l.sectors);
	else if (rc == 0)
		(void)snprintf(ret, bytes, "0 %s flakey %s %s 0 1 1 error_writes", l.sectors, l.disk, l.offset);
	return rc;
}

/* Whoever hands errors on gives them to the file system, which then shuts down: no heal undoes that. */
static int check_detaches(const char *resource, struct err *err)
{
	char *text = NULL, on_error[DRBD_SETTING_BYTES];
	int rc = drbd_settings(resource, &text, err);

	if (rc == 0)
		rc = drbd_parse_setting(text, "on-io-error", on_error, err);
	if (rc == 0 && strcmp(on_error, "detach") != 0)
		rc = err_set(err, -ENOPKG, "on-io-error of %s is not detach: the file system on it would get the errors and shut down", resource);
	free(text);
	return rc;
}

int dm_error_plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	const char *resource = fault_resource(run);
	char *table = NULL, failing[256];
	int rc = begin(run, &table, err);
	const struct dm *dm = run->state;

	if (rc == 0 && !run->dry)
		rc = check_detaches(resource, err);
	if (rc == 0)
		rc = dm_error_table(table, is_all(run), failing, sizeof failing, err);
	if (rc == 0)
		rc = undo_add_dm_table(plan, dm->name, failing, err);
	if (rc == 0)
		rc = add_undo(run, table, plan, err);
	free(table);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DRBD_ATTACH", "resource", resource), err);
}

enum fault_verdict dm_error_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *resource = fault_resource(run);
	const struct dm *dm = run->state;
	struct err e = ERR_INIT;
	struct drbd_line line;
	char *table = NULL;
	bool fails;
	int rc = undo_dm_table(dm->name, &table, &e);

	if (rc == 0)
		rc = drbd_line(resource, &line, &e);
	if (rc < 0) {
		free(table);
		return fault_unseen(rc, &e, evidence, bytes);
	}
	fails = strstr(table, is_all(run) ? " error" : " flakey ") != NULL;
	free(table);
	(void)snprintf(evidence, bytes, "the table of %s %s, the disks of %s are %s", dm->name, fails ? "fails requests" : "fails nothing", resource, line.disks);
	if (!fails)
		return FAULT_VANISHED;
	return drbd_has_disk(&line) ? FAULT_INCONCLUSIVE : FAULT_CONFIRMED;
}
