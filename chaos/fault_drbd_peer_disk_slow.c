/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_peer_disk_slow.c - a slow disk under DRBD on the secondary: the primary's writes wait for it, and DRBD stays Connected.
 *
 * dm-delay is put in place of the linear target of the backing dm device, under DRBD's feet: load, suspend, resume. It is loaded before the
 * suspend, so that a table that the kernel refuses leaves nothing suspended. Source: the kernel's admin-guide/device-mapper/delay.rst.
 */
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
#include "units.h"

#include "faults.h"

struct slow {
	char name[64];
	uint64_t delay_ms;
	char stat_path[64];		/* of /sys/dev/block */
	uint64_t ios, ms;		/* at the injection */
};

static const char *const io_names[] = { "writes", "all", NULL };

/* Completed writes, or reads and writes, and the time they took. Source: the kernel's block/stat.rst, fields 1, 4, 5, 8. */
static int read_stat(const struct slow *slow, bool all, uint64_t *ret_ios, uint64_t *ret_ms)
{
	uint64_t v[8];
	char text[256];

	if (tool_peek(slow->stat_path, text, sizeof(text)) <= 0)
		return -ENOENT;
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) != 8)
		return -EBADMSG;
	*ret_ios = v[4] + (all ? v[0] : 0);
	*ret_ms = v[7] + (all ? v[3] : 0);
	return 0;
}

static bool is_all(const struct fault_run *run)
{
	return strcmp(fault_arg_text(run, "io"), "all") == 0;
}

static int find(struct fault_run *run, struct slow *slow, char **ret_table, struct err *err)
{
	char path[128];
	struct stat st;
	int rc;

	rc = drbd_peer_dm(&run->allow, slow->name, sizeof(slow->name), ret_table, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/dev/mapper/%s", slow->name);
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "cannot look at %s: %m", path);
	snprintf(slow->stat_path, sizeof(slow->stat_path), "/sys/dev/block/%u:%u/stat", major(st.st_rdev), minor(st.st_rdev));
	rc = read_stat(slow, is_all(run), &slow->ios, &slow->ms);
	return rc < 0 ? err_set(err, rc, "cannot read %s", slow->stat_path) : 0;
}

static int delay_table(const struct slow *slow, const char *table, bool all, char *ret, size_t bytes, struct err *err)
{
	unsigned long long start, sectors, offset;
	char dev[64];

	if (sscanf(table, "%llu %llu linear %63s %llu", &start, &sectors, dev, &offset) != 4 || start != 0 || strchr(table, '\n'))
		return err_set(err, -ENOTSUP, "the table of %s is not one linear target: %.100s", slow->name, table);
	if (dev[strspn(dev, "0123456789:")] != '\0')
		return err_set(err, -ENOTSUP, "the table of %s has an unexpected device %s", slow->name, dev);
	snprintf(ret, bytes, "0 %llu delay %s %llu %" PRIu64 " %s %llu %" PRIu64, sectors, dev, offset, all ? slow->delay_ms : 0, dev, offset, slow->delay_ms);
	return 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char text[256], dry_table[] = "0 SECTORS linear DISK OFFSET";
	struct slow *slow = calloc(1, sizeof(*slow));
	char *table = NULL;
	int rc = 0;

	run->state = slow;
	if (!slow)
		return -ENOMEM;
	slow->delay_ms = fault_arg_u64(run, "delay") / NS_PER_MS;
	snprintf(slow->name, sizeof(slow->name), "BACKING");
	snprintf(text, sizeof(text), "0 SECTORS delay DISK OFFSET %" PRIu64 " DISK OFFSET %" PRIu64, is_all(run) ? slow->delay_ms : 0, slow->delay_ms);
	if (!run->dry)
		rc = find(run, slow, &table, err);
	if (rc == 0 && !run->dry)
		rc = delay_table(slow, table, is_all(run), text, sizeof(text), err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup load %s --table '%s'", slow->name, text);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup suspend --nolockfs %s", slow->name);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup resume %s", slow->name);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "DM_TABLE", "name", slow->name, "table", table ? table : dry_table), err);
	if (rc == 0)
		rc = drbd_add_linked(run, plan, err);
	free(table);
	return rc;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct slow *slow = run->state;
	struct err e = ERR_INIT;
	uint64_t ios, ms, mean;
	char *table = NULL, words[128];
	int rc = undo_dm_table(slow->name, &table, &e);

	if (rc == 0 && !strstr(table, " delay ")) {
		snprintf(evidence, bytes, "the table of %s has no delay: %.100s", slow->name, table);
		free(table);
		return FAULT_VANISHED;
	}
	free(table);
	if (rc == 0)
		rc = read_stat(slow, is_all(run), &ios, &ms);
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	drbd_words(words, sizeof(words));
	ios -= slow->ios;
	ms -= slow->ms;
	mean = ios ? ms / ios : 0;
	snprintf(evidence, bytes, "%" PRIu64 " requests took %" PRIu64 " ms each since the injection, %" PRIu64 " ms added%s", ios, mean, slow->delay_ms, words);
	if (ios == 0)
		return FAULT_INCONCLUSIVE;
	return mean >= slow->delay_ms / 2 ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

/* Seen in the lab: with 200 ms writes take 1.2 s, because an fsync is 3 to 5 requests one after the other; with a disk that stands, 43 s. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	uint64_t delay_ns = fault_arg_u64(run, "delay");
	char delay[32];

	units_exact_ns(delay_ns, delay, sizeof(delay));
	if (delay_ns >= DRBD_WRITE_MAX_NS)
		snprintf(ret, bytes, "DRBD does not stay Connected: a write takes %s, and after 42s (timeout x ko-count) the peer is given up; writes go on alone"
			 " then, and a resync follows the heal", delay);
	else
		snprintf(ret, bytes, "DRBD stays Connected: the peer answers pings while its disk is slow. A write of the primary waits %s for each request of the"
			 " peer's disk, an fsync for several; the peer is given up only when one write takes 42s (timeout x ko-count)", delay);
}

static const struct fault_arg args[] = {
	{ "delay", ARG_DURATION, NS_PER_MS, 60 * NS_PER_S, NULL, NULL, NULL, "how much longer each request takes" },
	{ "io", ARG_ENUM, 0, 0, "writes", io_names, NULL, "which requests" },
	{ .name = NULL },
};
static const char *const needs[] = { "dmsetup", "drbdsetup", "drbdadm", NULL };

const struct fault fault_drbd_peer_disk_slow = {
	.name = "drbd-peer-disk-slow",
	.breaks = "slows the disk under DRBD",
	.where = "the DRBD secondary",
	.page = "docs/faults/drbd-peer-disk-slow.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
