/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_loss.c - loses some of the packets of the DRBD link: TCP sends them again, and writes wait now and then.
 */
#include <stdio.h>

#include "confine.h"
#include "netem.h"

/* Seen in the lab: 30 % on both sockets stays Connected, half of the writes take 51 ms and the slowest 1.9 s; all of the data socket for 20 s, too. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	uint64_t percent = fault_arg_u64(run, "percent");

	if (percent < 100)
		(void)snprintf(ret, bytes, "DRBD stays Connected while TCP gets its packets through: each lost one costs a write 200ms and more, doubled with every loss of"
			       " the same packet. With most of them lost a ping may go without its answer for 500ms (ping-timeout), and the peer is given up");
	else if (netem_which(run) == NETEM_DATA)
		(void)snprintf(ret, bytes, "DRBD stays Connected for 42s (timeout x ko-count): its pings use the other socket. No write of the primary is done meanwhile, and"
			       " after the heal TCP waits for its next try, some seconds more");
	else
		(void)snprintf(ret, bytes, "DRBD does not stay Connected: no ping is answered, and the peer is given up after at most 10.5s (ping-int 10s + ping-timeout"
			       " 500ms); writes go on alone then, and a resync follows the heal");
}

static const struct fault_arg args[] = {
	{ "percent", ARG_COUNT, 1, 100, NULL, NULL, NULL, "how many of a hundred packets are lost, at random" },
	{ "socket", ARG_ENUM, 0, 0, "both", netem_socket_names, NULL, "which of DRBD's two sockets" },
	{ .name = NULL },
};

const struct fault fault_drbd_link_loss = {
	.name = "drbd-link-loss",
	.breaks = "loses packets of the DRBD link that this host sends",
	.where = "a DRBD peer",
	.page = "docs/faults/drbd-link-loss.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_RESOURCE | ALLOW_INTERFACE,
	.args = args,
	.needs = netem_drbd_needs,
	.probe = netem_probe,
	.plan = netem_plan_drbd,
	.verify = netem_verify,
	.foresee = foresee,
};
