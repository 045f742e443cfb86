/* SPDX-License-Identifier: MIT */
/*
 * fault_power_cut.c - takes the power from a host of the lab and gives it back at once: its hypervisor resets the machine, however the guest is.
 */
#include "plan.h"
#include "sysrq.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	(void)run;
	return plan_add_hold(plan, "system_reset of the virtual machine, by QMP", "", err);
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { NULL };

const struct fault fault_power_cut = {
	.name = "power-cut",
	.breaks = "takes the power from the host, and gives it back",
	.where = "a host of the lab",
	.page = "docs/faults/power-cut.scd",
	.heal_class = HEAL_H3,
	.instant = true,
	.takes_host = true,
	.outside = "nothing: it is over with the boot",
	.not_here = "only a hypervisor takes the power from a host: squall run --on lab does; here host-reboot comes nearest, and host-crash",
	.args = args,
	.needs = needs,
	.plan = plan,
	.foresee = sysrq_foresee_reset,
};
