/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_ack_delay.c - the secondary's acknowledgements of writes are late: its disk and the way to it are well, and every write waits.
 *
 * The answers to pings take the same way, so the delay is bounded by what they may take: beyond it is another fault, a connection that breaks.
 */
#include <stdio.h>

#include "clock.h"
#include "confine.h"
#include "drbd.h"
#include "netem.h"
#include "units.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int rc = drbd_check_role(run, "Secondary", err);

	return rc < 0 ? rc : netem_plan_socket(run, NETEM_META, plan, err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	char delay[32];

	(void)snprintf(ret, bytes, "DRBD stays Connected: a ping is answered after %s, and it may take 500ms (ping-timeout). Every write of the primary waits so much longer"
		       " for its acknowledgement, an fsync for several; reads do not, until writes hold all nfsd threads",
		       units_exact_ns(fault_arg_u64(run, "delay"), delay, sizeof delay));
}

static const struct fault_arg args[] = {
	{ "delay", ARG_DURATION, NS_PER_MS, 4 * DRBD_PING_MAX_NS / 5, NULL, NULL, NULL, "how late an acknowledgement is" },
	{ .name = NULL },
};

const struct fault fault_drbd_ack_delay = {
	.name = "drbd-ack-delay",
	.breaks = "delays the acknowledgements of writes that the secondary sends",
	.where = "the DRBD secondary",
	.page = "docs/faults/drbd-ack-delay.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_RESOURCE | ALLOW_INTERFACE,
	.args = args,
	.needs = netem_drbd_needs,
	.probe = netem_probe,
	.plan = plan,
	.verify = netem_verify,
	.foresee = foresee,
};
