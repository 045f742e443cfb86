/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_peer_disk_freeze.c - the disk under DRBD on the secondary answers nothing: its dm device is suspended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drbd.h"
#include "err.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

struct freeze {
	char name[64];
};

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct freeze *freeze = calloc(1, sizeof(*freeze));
	char *table = NULL;
	int rc = 0;

	run->state = freeze;
	if (!freeze)
		return -ENOMEM;
	snprintf(freeze->name, sizeof(freeze->name), "BACKING");
	if (!run->dry)
		rc = drbd_peer_dm(&run->allow, freeze->name, sizeof(freeze->name), &table, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup suspend --nolockfs %s", freeze->name);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "DM_TABLE", "name", freeze->name, "table", table ? table : "TABLE"), err);
	if (rc == 0)
		rc = drbd_add_linked(run, plan, err);
	free(table);
	return rc;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct freeze *freeze = run->state;
	struct err e = ERR_INIT;
	char *info = NULL, words[128];
	bool suspended;
	int rc = tool_output(&info, &e, "dmsetup info %s", freeze->name);

	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	suspended = strstr(info, "SUSPENDED") != NULL;
	free(info);
	drbd_words(words, sizeof(words));
	snprintf(evidence, bytes, "the device %s is %ssuspended%s", freeze->name, suspended ? "" : "not ", words);
	return suspended ? FAULT_CONFIRMED : FAULT_VANISHED;
}

/* Seen in the lab: writes hang for 43.0 s, Connected all the time; then the primary expels the peer and goes on alone. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	snprintf(ret, bytes, "DRBD stays Connected for 42s (timeout x ko-count), and no write of the primary is done meanwhile; a freeze that lasts longer ends with"
		 " the peer given up, writes that go on alone, and a resync after the heal");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "dmsetup", "drbdsetup", "drbdadm", NULL };

const struct fault fault_drbd_peer_disk_freeze = {
	.name = "drbd-peer-disk-freeze",
	.breaks = "freezes the disk under DRBD",
	.where = "the DRBD secondary",
	.page = "docs/faults/drbd-peer-disk-freeze.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
