/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_resync_storm.c - again and again: disconnect, let the clients' writes dirty so much, connect, and resync at a rate that gives way to nobody.
 *
 * Never by invalidate: no copy is given up, and what is resynced is what was written meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "drbd.h"
#include "drbd_rates.h"
#include "err.h"
#include "plan.h"

#include "faults.h"

struct storm {
	unsigned int rounds;	/* resyncs that are over */
	uint64_t copying_kib;	/* in the round under way; 0 = it dirties */
};

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	const char *resource = fault_resource(run);
	int rc = drbd_check_role(run, "Primary", err);

	run->state = calloc(1, sizeof(struct storm));
	if (!run->state)
		return -ENOMEM;
	if (rc == 0)
		rc = drbd_rates_plan(run, fault_arg_u64(run, "mib_per_s"), plan, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "drbdadm disconnect %s", resource);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DRBD_CONNECT", "resource", resource), err);
}

/* One step of a round, where it is time for one. @return 1 a resync is over, 0, or -errno */
static int step(struct storm *storm, const char *resource, const struct drbd_line *line, uint64_t wanted_kib, struct err *err)
{
	int rc;

	if (storm->copying_kib == 0 && !drbd_is_linked(line->state) && line->oos_kib >= wanted_kib) {
		storm->copying_kib = line->oos_kib;
		return plan_run_now(err, "drbdadm connect %s", resource);
	}
	if (storm->copying_kib == 0 || strcmp(line->state, "Connected") != 0)
		return 0;
	storm->copying_kib = 0;
	storm->rounds++;
	rc = plan_run_now(err, "drbdadm disconnect %s", resource);
	return rc < 0 ? rc : 1;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *resource = fault_resource(run);
	uint64_t wanted_kib = fault_arg_u64(run, "dirty_kib");
	struct storm *storm = run->state;
	struct drbd_line line;
	struct err e = ERR_INIT;
	int rc = drbd_line(resource, &line, &e), stepped = 0;

	if (rc == 0 && storm->copying_kib == 0 && drbd_is_linked(line.state)) {
		(void)snprintf(evidence, bytes, "%s is %s: somebody has connected it", resource, line.state);
		return FAULT_VANISHED;
	}
	if (rc == 0)
		stepped = step(storm, resource, &line, wanted_kib, &e);
	if (rc < 0 || stepped < 0)
		return fault_unseen(rc < 0 ? rc : stepped, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s, %" PRIu64 " KiB out of sync of %" PRIu64 " wanted; %u resyncs are over", resource, line.state, line.oos_kib, wanted_kib,
		       storm->rounds);
	return stepped == 1 || strncmp(line.state, "Sync", 4) == 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD is StandAlone while the clients write %" PRIu64 " KiB, then connects and is SyncSource until they are copied, then again. Until a resync"
		       " is over the peer is Inconsistent: the primary must not be lost then. Reads and writes share disks and link with the copy",
		       fault_arg_u64(run, "dirty_kib"));
}

static const struct fault_arg args[] = {
	{ "dirty_kib", ARG_COUNT, 4, 64u << 20, "65536", NULL, NULL, "how much is to be out of sync before each resync, in KiB" },
	{ "mib_per_s", ARG_COUNT, 1, 4000, "100", NULL, NULL, "how fast it is resynced at the most, in MiB/s" },
	{ .name = NULL },
};
static const char *const needs[] = { "drbdadm", "drbdsetup", NULL };

const struct fault fault_drbd_resync_storm = {
	.name = "drbd-resync-storm",
	.breaks = "disconnects DRBD until enough is written, and resyncs at a rate that gives way to nobody, again and again",
	.where = "the DRBD primary",
	.page = "docs/faults/drbd-resync-storm.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
