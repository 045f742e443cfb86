/* SPDX-License-Identifier: MIT */
/*
 * sysrq.c - writes a key to the kernel; a write by root is obeyed whatever kernel.sysrq says. Source: proc(5), /proc/sysrq-trigger.
 */
#include "sysrq.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "err.h"
#include "plan.h"
#include "tool.h"

#define SYSRQ "/proc/sysrq-trigger"

int sysrq_probe(struct err *err)
{
	if (access(SYSRQ, W_OK) < 0)
		return err_set(err, -ENOPKG, "%s cannot be written", SYSRQ);
	return 0;
}

int sysrq_plan(struct plan *plan, const char *key, struct err *err)
{
	return plan_add_write(plan, SYSRQ, key, err);
}

enum fault_verdict sysrq_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	char boot_id[64] = "";

	(void)run;
	(void)tool_boot_id(boot_id, sizeof boot_id);
	(void)snprintf(evidence, bytes, "still running with the boot id %s", boot_id);
	return FAULT_MISMATCH;
}

void sysrq_foresee_reset(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD does not stay Connected: the peer misses this host within 10.5s (ping-int 10s + ping-timeout 500ms), and resyncs when it is"
		       " back. An NFS server serves nothing until it has booted; hard mounts wait, and NFSv4 clients wait for the grace period too");
}
