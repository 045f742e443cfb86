/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_rate.c - a DRBD link of few bits per second: writes queue up behind each other, DRBD stays Connected.
 */
#include <inttypes.h>
#include <stdio.h>

#include "netem.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	uint64_t rate = fault_arg_u64(run, "rate");
	char netem[96];

	if (rate % 1000 == 0)
		snprintf(netem, sizeof(netem), "rate %" PRIu64 "kbit limit 10000", rate / 1000);
	else
		snprintf(netem, sizeof(netem), "rate %" PRIu64 "bit limit 10000", rate);
	return netem_plan(run, netem, plan, err);
}

static const struct fault_arg args[] = {
	{ "rate", ARG_BITS, 8000, 10000000000ULL, NULL, NULL, NULL, "what the link carries" },
	{ "socket", ARG_ENUM, 0, 0, "both", netem_socket_names, NULL, "which of DRBD's two sockets" },
	{ .name = NULL },
};

const struct fault fault_drbd_link_rate = {
	.name = "drbd-link-rate",
	.breaks = "limits the rate of the DRBD link in the direction that this host sends",
	.where = "a DRBD peer",
	.page = "docs/faults/drbd-link-rate.scd",
	.heal_class = HEAL_H2,
	.args = args,
	.needs = netem_needs,
	.probe = netem_probe,
	.plan = plan,
	.verify = netem_verify,
};
