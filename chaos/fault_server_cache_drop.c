/* SPDX-License-Identifier: MIT */
/*
 * fault_server_cache_drop.c - drops the page cache of an NFS server, as a reboot does: reads that came from memory come from the disk. An instant.
 *
 * Shrinking takes locks of file systems that may hang, so the write is done in a child with a deadline, as every write of a plan.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

#define DROP_CACHES "/proc/sys/vm/drop_caches"

struct drop {
	uint64_t cached_before_kib;
};

/* Pages of files in memory [KiB]. */
static int read_cached(uint64_t *ret_kib, struct err *err)
{
	char text[4096];
	const char *line;
	int rc = tool_peek("/proc/meminfo", text, sizeof text);

	if (rc < 0)
		return err_set(err, rc, "cannot read /proc/meminfo: %s", strerror(-rc));
	line = strstr(text, "\nCached:");
	if (!line)
		return err_set(err, -EBADMSG, "/proc/meminfo has no line Cached");
	*ret_kib = strtoull(line + strlen("\nCached:"), NULL, 10);
	return 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct drop *drop = calloc(1, sizeof *drop);
	int rc = 0;

	run->state = drop;
	if (!drop)
		return -ENOMEM;
	if (!run->dry)
		rc = read_cached(&drop->cached_before_kib, err);
	return rc < 0 ? rc : plan_add_write(plan, DROP_CACHES, "3\n", err);	/* pages, dentries and inodes */
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct drop *drop = run->state;
	struct err e = ERR_INIT;
	uint64_t cached_kib = 0;
	int rc = read_cached(&cached_kib, &e);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%" PRIu64 " MiB of files in memory, %" PRIu64 " MiB before", cached_kib >> 10, drop->cached_before_kib >> 10);
	return cached_kib < drop->cached_before_kib ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

/* Seen in the lab, with a disk of 100 IOPS and 40 MB of files in use: all nfsd threads in D for 83 s and more. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected and gets every read that memory answered before. Reads are slow, and hold nfsd threads, until what is in use has"
		       " been read again: its pages over the IOPS of the disk. What a client has in memory it does not ask for");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { NULL };

const struct fault fault_server_cache_drop = {
	.name = "server-cache-drop",
	.breaks = "drops the page cache, dentries and inodes of the host",
	.where = "an NFS server",
	.page = "docs/faults/server-cache-drop.scd",
	.heal_class = HEAL_H1,
	.instant = true,
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
