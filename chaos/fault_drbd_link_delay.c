/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_delay.c - delays what this host sends on DRBD's sockets: DRBD stays Connected and every write waits.
 */
#include <stdio.h>

#include "clock.h"
#include "confine.h"
#include "drbd.h"
#include "netem.h"
#include "units.h"

/* Seen in the lab: 1 s on both sockets stays Connected under writes, and flaps about every 7 s without. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	uint64_t worst_ns = fault_arg_u64(run, "delay") + fault_arg_u64(run, "jitter");
	char worst[32];

	units_exact_ns(worst_ns, worst, sizeof worst);
	if (worst_ns >= DRBD_WRITE_MAX_NS && netem_which(run) != NETEM_META)
		(void)snprintf(ret, bytes, "DRBD does not stay Connected: a write takes up to %s, and after 42s (timeout x ko-count) the peer is given up; writes go on"
			       " alone then, and a resync follows the heal", worst);
	else if (netem_which(run) == NETEM_DATA)
		(void)snprintf(ret, bytes, "DRBD stays Connected: its pings use the other socket, and a write may take 42s (timeout x ko-count). Every write of the"
			       " primary waits up to %s longer; reads do not, until writes hold all nfsd threads", worst);
	else if (worst_ns < DRBD_PING_MAX_NS)
		(void)snprintf(ret, bytes, "DRBD stays Connected: a ping is answered within %s, and it may take 500ms (ping-timeout). %s waits up to %s longer", worst,
			       netem_which(run) == NETEM_META ? "On the secondary every acknowledgement of a write" : "Every write of the primary", worst);
	else
		(void)snprintf(ret, bytes, "DRBD stays Connected only while writes are acknowledged: on an idle link a ping is answered after up to %s, later than"
			       " ping-timeout (500ms), and the connection breaks and comes back again and again; socket=data avoids that", worst);
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
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_RESOURCE | ALLOW_INTERFACE,
	.args = args,
	.needs = netem_drbd_needs,
	.probe = netem_probe,
	.plan = netem_plan_drbd,
	.verify = netem_verify,
	.foresee = foresee,
};
