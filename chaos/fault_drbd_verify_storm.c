/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_verify_storm.c - DRBD compares the two disks and lets nobody go before it: both are read from one end to the other under the load.
 *
 * A verify yields to other I/O by the rates of the host that began it, when that is the primary: the other one throttles no primary. So the
 * rates of this host are raised alone. Source: the kernel's drbd_worker.c, make_ov_request(), and drbd_receiver.c, receive_DataRequest().
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drbd.h"
#include "err.h"
#include "plan.h"

#include "faults.h"

/* What is asked for at a time; more than the default, which leaves a link with a long way empty. */
#define FILL_TARGET "1M"

static int look_before(const char *resource, char *ret_minor, size_t bytes, struct drbd_rates *ret_rates, struct err *err)
{
	struct drbd_line line;
	int rc = drbd_line(resource, &line, err);

	if (rc == 0 && strcmp(line.state, "Connected") != 0)
		rc = err_set(err, -EBUSY, "%s is %s: a verify needs peers that are Connected and do nothing else, wait for that", resource, line.state);
	if (rc == 0)
		rc = drbd_minor(resource, ret_minor, bytes, err);
	return rc < 0 ? rc : drbd_rates(resource, ret_rates, err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct drbd_rates before = { "MAX_RATE", "MIN_RATE", "FILL_TARGET" }, storm = { .min = "0", .fill = FILL_TARGET };
	const char *resource = run->dry ? "RESOURCE" : run->allow.resources.name[0];
	char minor[16] = "MINOR";
	int rc = drbd_check_role(run, "Primary", err);

	snprintf(storm.max, sizeof(storm.max), "%" PRIu64 "k", fault_arg_u64(run, "rate") / 8192);
	if (rc == 0 && !run->dry)
		rc = look_before(resource, minor, sizeof(minor), &before, err);
	if (rc == 0)
		rc = drbd_plan_rates(plan, minor, &storm, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "drbdadm verify --start=0 %s", resource);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DRBD_VERIFY_END", "resource", resource), err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "op", "DRBD_RATES", "resource", resource, "minor", minor, "max_rate",
							   before.max, "min_rate", before.min, "fill_target", before.fill), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *resource = run->allow.resources.name[0];
	struct drbd_line line;
	struct err e = ERR_INIT;
	int rc = drbd_line(resource, &line, &e);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	if (strncmp(line.state, "Verify", 6) != 0) {
		snprintf(evidence, bytes, "%s is %s: it was verified to its end before the time was over, or somebody ended it; a lower rate takes longer", resource,
			 line.state);
		return FAULT_VANISHED;
	}
	snprintf(evidence, bytes, "%s is %s, %s KiB/s", resource, line.state, line.speed);
	return strtod(line.speed, NULL) > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	snprintf(ret, bytes, "DRBD stays Connected (it says VerifyS). Both disks are read from one end to the other, before all other requests up to the rate, and a write"
		 " to the part that is compared waits for it. A disk that is verified before the time is over ends the fault, and voids the run");
}

static const struct fault_arg args[] = {
	{ "rate", ARG_BITS, 250 * 8192ULL, 10000000000ULL, NULL, NULL, NULL, "how much is compared, at the most" },
	{ .name = NULL },
};
static const char *const needs[] = { "drbdsetup", "drbdadm", NULL };

const struct fault fault_drbd_verify_storm = {
	.name = "drbd-verify-storm",
	.breaks = "lets DRBD compare the disks of the peers, and nobody go before it",
	.where = "the DRBD primary",
	.page = "docs/faults/drbd-verify-storm.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
