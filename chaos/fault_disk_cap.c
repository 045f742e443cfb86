/* SPDX-License-Identifier: MIT */
/*
 * fault_disk_cap.c - lets the disk of a store of the lab do so many requests a second and no more, as a volume of a cloud does that has used up its credit.
 *
 * Within a host there is no such cap for what matters here: io.max of a cgroup does not bind threads of the kernel, such as nfsd's and DRBD's.
 * Source: the kernel's block/blk-throttle.c, the file is not there in the root group, where those threads are.
 */
#include <inttypes.h>
#include <stdio.h>

#include "faults.h"
#include "plan.h"

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char text[96];

	(void)snprintf(text, sizeof text, "block_set_io_throttle of the disk under DRBD to %" PRIu64 " requests/s, by QMP", fault_arg_u64(run, "iops"));
	return plan_add_hold(plan, text, "", err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD stays Connected as long as each request is done within 42s (ko-count 7 x timeout 6s). Reads that are not cached, and writes of both"
		       " hosts, queue for %" PRIu64 " requests/s; a write over NFS costs several. What is cached is served at once, until threads of nfsd that wait for"
		       " the disk are as many as there are", fault_arg_u64(run, "iops"));
}

static const struct fault_arg args[] = {
	{ "iops", ARG_COUNT, 1, 100000, NULL, NULL, NULL, "how many requests a second, reads and writes together" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_disk_cap = {
	.name = "disk-cap",
	.breaks = "caps the requests of the disk under DRBD",
	.where = "a store of the lab",
	.page = "docs/faults/disk-cap.scd",
	.heal_class = HEAL_H2,
	.outside = "block_set_io_throttle of the disk to no cap, by QMP",
	.not_here = "io.max of a cgroup binds neither nfsd nor DRBD, so only a hypervisor caps the disk of a host: squall run --on lab does; here disk-slow comes nearest",
	.allowed = ALLOW_RESOURCE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.foresee = foresee,
};
