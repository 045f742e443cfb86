/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_delay.c - delays what this host sends on DRBD's sockets: DRBD stays Connected and every write waits.
 */
#include <stdio.h>

#include "clock.h"
#include "netem.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char delay[32], jitter[32], netem[96];
	uint64_t jitter_ns = fault_arg_u64(run, "jitter");

	netem_time(fault_arg_u64(run, "delay"), delay, sizeof(delay));
	netem_time(jitter_ns, jitter, sizeof(jitter));
	snprintf(netem, sizeof(netem), "delay %s%s%s limit 10000", delay, jitter_ns ? " " : "", jitter_ns ? jitter : "");
	return netem_plan(run, netem, plan, err);
}

static const struct fault_arg args[] = {
	{ "delay", ARG_DURATION, NS_PER_MS, 60 * NS_PER_S, NULL, NULL, NULL, "how long each packet waits" },
	{ "jitter", ARG_DURATION, 0, 60 * NS_PER_S, "0", NULL, "delay", "up to so much more or less, at random" },
	{ "socket", ARG_ENUM, 0, 0, "both", netem_socket_names, NULL, "which of DRBD's two sockets" },
	{ .name = NULL },
};

const struct fault fault_drbd_link_delay = {
	.name = "drbd-link-delay",
	.breaks = "delays the packets of the DRBD link that this host sends",
	.where = "a DRBD peer",
	.page = "docs/faults/drbd-link-delay.scd",
	.heal_class = HEAL_H2,
	.args = args,
	.needs = netem_needs,
	.probe = netem_probe,
	.plan = plan,
	.verify = netem_verify,
};
