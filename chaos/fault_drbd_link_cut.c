/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_cut.c - drops every packet of port 7789, both ways or one.
 */
#include <stdio.h>

#include "confine.h"
#include "cut.h"
#include "drbd.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int rc = cut_plan(run, "squall_link_cut", DRBD_PORT, plan, err);

	return rc < 0 ? rc : drbd_add_linked(run, plan, err);
}

/* Seen in the lab: Connected for 10.7 s, then WFConnection; one stall of 10.6 s. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;	/* in whichever direction it is cut, a ping gets no answer */
	(void)snprintf(ret, bytes, "DRBD does not stay Connected: every write waits until a ping is missed, at most 10.5s (ping-int 10s + ping-timeout 500ms); then"
		       " the peer is given up, writes go on alone without a copy, and a resync follows the heal");
}

static const struct fault_arg args[] = {
	{ "direction", ARG_ENUM, 0, 0, "both", cut_direction_names, NULL, "what is dropped, as this host sees it" },
	{ .name = NULL },
};

static const char *const needs[] = { "nft", "drbdadm", NULL };

const struct fault fault_drbd_link_cut = {
	.name = "drbd-link-cut",
	.breaks = "drops every packet of the DRBD link",
	.where = "a DRBD peer",
	.page = "docs/faults/drbd-link-cut.scd",
	.heal_class = HEAL_H0,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_RESOURCE | ALLOW_INTERFACE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.inject = cut_inject,
	.verify = cut_verify,
	.foresee = foresee,
	.heal = cut_heal,
};
