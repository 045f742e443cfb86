/* SPDX-License-Identifier: MIT */
/*
 * fault_host_reboot.c - resets the host at once, without sync: what was only in its memory is lost, as when the power goes. The agent dies with it.
 */
#include <stdio.h>

#include "sysrq.h"

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return sysrq_probe(err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	(void)run;
	return sysrq_plan(plan, "b", err);
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
	.verify = sysrq_verify,
	.foresee = sysrq_foresee_reset,
};
