/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_rate.c - a DRBD link of few bits per second: writes queue up behind each other, DRBD stays Connected.
 */
#include <stdio.h>

#include "clock.h"
#include "confine.h"
#include "drbd.h"
#include "netem.h"
#include "units.h"

#define WRITE_BYTES 4096	/* what a small write takes along; headers are left out */

/* Seen in the lab: 256kbit on both sockets stays Connected under writes, half of which take 690 ms and more. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	double per_s = (double)fault_arg_u64(run, "rate") / 8;
	char write[24], ko[24], ping[24];

	units_format_ns((uint64_t)(WRITE_BYTES / per_s * 1e9), write, sizeof write);
	units_format_bytes((uint64_t)(per_s * (double)(DRBD_WRITE_MAX_NS / NS_PER_S)), ko, sizeof ko);
	units_format_bytes((uint64_t)(per_s * (double)DRBD_PING_MAX_NS / 1e9), ping, sizeof ping);
	if (netem_which(run) == NETEM_META)
		(void)snprintf(ret, bytes, "DRBD stays Connected unless more than %s wait before a ping (ping-timeout 500ms). On the primary the meta socket carries pings"
			       " alone; on the secondary the acknowledgements of writes, which become slow", ping);
	else
		(void)snprintf(ret, bytes, "DRBD stays Connected while writes are acknowledged: 4 KiB are on the link for %s, and a write waits for all that is queued"
			       " before it. The peer is given up when that is more than %s (42s, timeout x ko-count)%s%s%s", write, ko,
			       netem_which(run) == NETEM_BOTH ? ", or, when acknowledgements cease, more than " : "", netem_which(run) == NETEM_BOTH ? ping : "",
			       netem_which(run) == NETEM_BOTH ? " before a ping (ping-timeout 500ms)" : "");
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
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_RESOURCE | ALLOW_INTERFACE,
	.args = args,
	.needs = netem_drbd_needs,
	.probe = netem_probe,
	.plan = netem_plan_drbd,
	.verify = netem_verify,
	.foresee = foresee,
};
