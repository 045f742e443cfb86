/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_data_stall.c - nothing that the primary writes reaches its peer, and the peer answers every ping: Connected, and no write is done.
 */
#include <stdio.h>

#include "confine.h"
#include "drbd.h"
#include "netem.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int rc = drbd_check_role(run, "Primary", err);

	return rc < 0 ? rc : netem_plan(run, NETEM_DATA, "loss 100%", plan, err);
}

/* Seen in the lab, 20 s: Connected all the time, no write done, and 6 s more after the heal. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected for 42s (timeout x ko-count): its pings use the other socket. No write of the primary is done meanwhile. Then"
		       " the peer is given up, and the fault has vanished with the connection, which voids the run. After a heal TCP waits for its next try, some seconds more");
}

static const struct fault_arg args[] = { { .name = NULL } };

const struct fault fault_drbd_data_stall = {
	.name = "drbd-data-stall",
	.breaks = "loses all that the primary writes to its peer, and no ping",
	.where = "the DRBD primary",
	.page = "docs/faults/drbd-data-stall.scd",
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
