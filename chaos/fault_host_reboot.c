/* SPDX-License-Identifier: MIT */
/*
 * fault_host_reboot.c - resets the host at once, without sync: what was only in its memory is lost, as when the power goes.
 *
 * It proves itself from outside alone: another boot id. The agent dies with the host.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "err.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

#define SYSRQ "/proc/sysrq-trigger"

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	if (access(SYSRQ, W_OK) < 0)
		return err_set(err, -ENOPKG, "%s cannot be written", SYSRQ);
	return 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	(void)run;
	return plan_add_write(plan, SYSRQ, "b", err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	char boot_id[64] = "";

	(void)run;
	(void)tool_boot_id(boot_id, sizeof(boot_id));
	snprintf(evidence, bytes, "still running with the boot id %s", boot_id);
	return FAULT_MISMATCH;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	snprintf(ret, bytes, "DRBD does not stay Connected: the peer misses this host within 10.5s (ping-int 10s + ping-timeout 500ms), and resyncs when it is"
		 " back. An NFS server serves nothing until it has booted; hard mounts wait, and NFSv4 clients wait for the grace period too");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { NULL };

const struct fault fault_host_reboot = {
	.name = "host-reboot",
	.breaks = "resets the host at once, without sync",
	.where = "any host",
	.page = "docs/faults/host-reboot.scd",
	.heal_class = HEAL_H3,
	.instant = true,
	.takes_host = true,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
