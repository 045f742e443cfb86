/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_port_cut.c - drops every packet of port 2049 on an NFS server: clients wait, and nothing tells them why.
 */
#include <stdio.h>

#include "confine.h"
#include "cut.h"
#include "nfs.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	return cut_plan(run, "squall_nfs_cut", NFS_PORT, plan, err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Hard mounts wait, and go on after the heal when TCP or the client tries again, which may take"
		       " as long as the cut; soft mounts fail after timeo x retrans. NFSv4 clients that are cut off longer than the lease (90s) lose their locks");
}

static const struct fault_arg args[] = {
	{ "direction", ARG_ENUM, 0, 0, "both", cut_direction_names, NULL, "what is dropped, as this host sees it" },
	{ .name = NULL },
};

const struct fault fault_nfs_port_cut = {
	.name = "nfs-port-cut",
	.breaks = "drops every packet of NFS, port 2049",
	.where = "an NFS server",
	.page = "docs/faults/nfs-port-cut.scd",
	.heal_class = HEAL_H0,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_EXPORT | ALLOW_INTERFACE,
	.args = args,
	.needs = cut_needs,
	.plan = plan,
	.inject = cut_inject,
	.verify = cut_verify,
	.foresee = foresee,
	.heal = cut_heal,
};
