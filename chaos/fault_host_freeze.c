/* SPDX-License-Identifier: MIT */
/*
 * fault_host_freeze.c - stops the processors of a host of the lab, as a hypervisor does that is itself held up, and lets them go on. The host cannot tell.
 */
#include <stdio.h>

#include "faults.h"
#include "plan.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	(void)run;
	return plan_add_hold(plan, "stop of the virtual machine, by QMP", "", err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected when it is over before the peer misses an answer to its ping (ping-int 10s + ping-timeout 500ms), else the peer goes on"
		       " alone, and resyncs afterwards. Writes wait for it meanwhile. Clients of a frozen server wait, and go on. Its clocks stand: no timer of its own"
		       " comes due, and DRBD on it notices nothing");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { NULL };

const struct fault fault_host_freeze = {
	.name = "host-freeze",
	.breaks = "stops the processors of the host, and its clocks",
	.where = "a store of the lab",
	.page = "docs/faults/host-freeze.scd",
	.heal_class = HEAL_H2,
	.outside = "cont of the virtual machine, by QMP; its time of day is set",
	.not_here = "only a hypervisor stops a host and lets it go on: squall run --on lab does; here client-pause stops processes, disk-freeze a disk, net-cut the network",
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.foresee = foresee,
};
