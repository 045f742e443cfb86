/* SPDX-License-Identifier: MIT */
/*
 * fault_net_loss.c - loses some of the packets of NFS that this host sends: TCP sends them again, and ops wait now and then.
 */
#include <stdio.h>

#include "netem.h"

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	if (fault_arg_u64(run, "percent") < 100)
		(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. A lost packet costs an op 200ms and more, doubled with every loss of the same packet;"
			       " most ops are not hurt while few are lost, and none fails on a hard mount");
	else
		(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Nothing that this host sends over NFS arrives: hard mounts wait, soft NFSv3 mounts fail"
			       " with EIO after timeo x retrans, and after the heal TCP waits for its next try, which may take as long as the fault did");
}

static const struct fault_arg args[] = {
	{ "percent", ARG_COUNT, 1, 100, NULL, NULL, NULL, "how many of a hundred packets are lost, at random" },
	{ .name = NULL },
};

const struct fault fault_net_loss = {
	NETEM_NFS_FAULT,
	.name = "net-loss",
	.breaks = "loses packets of NFS that this host sends",
	.page = "docs/faults/net-loss.scd",
	.args = args,
	.plan = netem_plan_nfs,
	.foresee = foresee,
};
