/* SPDX-License-Identifier: MIT */
/*
 * fault_host_crash.c - crashes the kernel of the host: everything stops where it is, nobody is told, and the host is back when the kernel gives up
 * waiting (kernel.panic) and has booted.
 *
 * A kernel that waits for ever is refused: nobody could undo that from here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "tool.h"

#include "sysrq.h"

#define PANIC "/proc/sys/kernel/panic"
#define PANIC_MAX_S 60		/* as long as a run waits for its faults to be over */

/* [s] from the crash to the reboot; negative: at once. Source: Documentation/admin-guide/sysctl/kernel.rst, panic. */
static int read_panic(long *ret, struct err *err)
{
	char text[32];
	int rc = tool_peek(PANIC, text, sizeof text);

	if (rc < 0)
		return err_set(err, -ENOPKG, "cannot read %s", PANIC);
	*ret = strtol(text, NULL, 10);
	return 0;
}

static int probe(const struct allow *allow, struct err *err)
{
	long panic_s = 0;
	int rc = read_panic(&panic_s, err);

	(void)allow;
	if (rc == 0 && panic_s == 0)
		rc = err_set(err, -ENOPKG, "this kernel stays as it is after a crash, and the host would not come back: sysctl kernel.panic=10");
	if (rc == 0 && panic_s > PANIC_MAX_S)
		rc = err_set(err, -ENOPKG, "this kernel waits %ld s after a crash before it boots, more than %d: sysctl kernel.panic=10", panic_s, PANIC_MAX_S);
	return rc < 0 ? rc : sysrq_probe(err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	(void)run;
	return sysrq_plan(plan, "c", err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD does not stay Connected: the peer misses this host within 10.5s (ping-int 10s + ping-timeout 500ms), and resyncs when it is"
		       " back. An NFS server serves nothing until it has waited kernel.panic seconds, written its dump where kdump is set up, and booted; hard mounts"
		       " wait, and NFSv4 clients wait for the grace period too");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { NULL };

const struct fault fault_host_crash = {
	.name = "host-crash",
	.breaks = "crashes the kernel of the host",
	.where = "any host",
	.page = "docs/faults/host-crash.scd",
	.heal_class = HEAL_H3,
	.instant = true,
	.takes_host = true,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = sysrq_verify,
	.foresee = foresee,
};
