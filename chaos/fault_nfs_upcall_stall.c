/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_upcall_stall.c - stops rpc.mountd, and lets nfsd forget what it was told: each request waits for an answer that does not come.
 *
 * Seen in the lab: all threads of nfsd in cache_check, NFSv3 and NFSv4.1 alike, until the heal, and 1 to 2 s longer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "err.h"
#include "faults.h"
#include "plan.h"
#include "process.h"
#include "tool.h"

#define MOUNTD "rpc.mountd"
#define WAITS_IN "cache_check"	/* net/sunrpc/cache.c: a request whose answer mountd owes */

struct stall {
	struct process mountd[PROCESSES_MAX];
	size_t nr;
};

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct stall *stall = calloc(1, sizeof *stall);
	int rc = 1;

	if (!stall)
		return -ENOMEM;
	run->state = stall;
	if (!run->dry)
		rc = process_find(MOUNTD, stall->mountd, err);
	if (rc < 0)
		return rc;
	stall->nr = (size_t)rc;
	rc = process_plan_stop(MOUNTD, stall->mountd, stall->nr, plan, err);
	return rc < 0 ? rc : plan_add_run(plan, err, "exportfs -f");	/* the kernel forgets what it was told */
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct stall *stall = run->state;
	size_t stopped = process_stopped(stall->mountd, stall->nr);
	int waiting = tool_processes("nfsd", WAITS_IN);

	if (stopped < stall->nr) {
		(void)snprintf(evidence, bytes, "%zu of %zu processes " MOUNTD " are stopped", stopped, stall->nr);
		return FAULT_VANISHED;
	}
	(void)snprintf(evidence, bytes, MOUNTD " is stopped, and %d nfsd threads wait for it in " WAITS_IN, waiting);
	return waiting > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected and gets no request: no disk is slow. Every thread of nfsd that takes a request waits in " WAITS_IN
		       ", interruptible and not in D, so that the load average does not tell; none is served, by NFSv3 or v4. Hard mounts go on 1 to 2 s after the"
		       " heal; soft NFSv3 mounts fail with EIO after timeo x retrans, new mounts within 30 s");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "exportfs", NULL };

const struct fault fault_nfs_upcall_stall = {
	.name = "nfs-upcall-stall",
	.breaks = "stops rpc.mountd: nfsd asks who may see what, and nobody answers",
	.where = "an NFS server",
	.page = "docs/faults/nfs-upcall-stall.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(KILL) | CONFINE_CAP(DAC_READ_SEARCH),
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
