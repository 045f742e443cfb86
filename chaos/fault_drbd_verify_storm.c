/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_verify_storm.c - an online verify of the whole device that gives way to nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "drbd.h"
#include "drbd_rates.h"
#include "err.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

struct storm {
	unsigned int rounds;	/* how often the whole device was done */
};

static int look_before(const char *resource, struct err *err)
{
	char *text = NULL;
	int rc = tool_output(&text, err, "drbdsetup show %s", resource);

	if (rc == 0 && !strstr(text, "verify-alg"))
		rc = err_set(err, -ENOPKG, "%s has no verify-alg: drbdadm net-options --verify-alg=crc32c %s, on both peers", resource, resource);
	free(text);
	return rc;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	const char *resource = fault_resource(run);
	int rc = drbd_check_role(run, "Primary", err);

	run->state = calloc(1, sizeof(struct storm));
	if (!run->state)
		return -ENOMEM;
	if (rc == 0 && !run->dry)
		rc = look_before(resource, err);
	if (rc == 0)
		rc = drbd_rates_plan(run, fault_arg_u64(run, "mib_per_s"), plan, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "drbdadm verify %s", resource);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DRBD_VERIFY_END", "resource", resource), err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "DRBD_CONNECT", "resource", resource), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *resource = fault_resource(run);
	struct storm *storm = run->state;
	struct drbd_line line;
	struct err e = ERR_INIT;
	int rc = drbd_line(resource, &line, &e);

	if (rc == 0 && strcmp(line.state, "Connected") == 0) {	/* all is done */
		storm->rounds++;
		rc = plan_run_now(&e, "drbdadm verify %s", resource);
		if (rc == 0)
			rc = drbd_line(resource, &line, &e);
	}
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s, round %u", resource, line.state, storm->rounds + 1);
	return strncmp(line.state, "Verify", 6) == 0 ? FAULT_CONFIRMED : FAULT_VANISHED;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD stays connected, in the state VerifyS, and reads the device on both peers at up to %u MiB/s, whatever the clients need; their reads"
		       " and writes share the disks with it. The heal ends it by a disconnect and a connect, after which DRBD resyncs what was written in between",
		       (unsigned int)fault_arg_u64(run, "mib_per_s"));
}

static const struct fault_arg args[] = {
	{ "mib_per_s", ARG_COUNT, 1, 4000, "100", NULL, NULL, "how fast it goes at the most, in MiB/s" },
	{ .name = NULL },
};
static const char *const needs[] = { "drbdadm", "drbdsetup", NULL };

const struct fault fault_drbd_verify_storm = {
	.name = "drbd-verify-storm",
	.breaks = "verifies a DRBD device online, at a rate that gives way to nobody",
	.where = "the DRBD primary",
	.page = "docs/faults/drbd-verify-storm.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN) | CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
