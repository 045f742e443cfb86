/* SPDX-License-Identifier: MIT */
/*
 * fault_nfsd_stop.c - stops nfsd as `rpc.nfsd 0` does: its threads end and its port is closed.
 *
 * The kernel forgets the listeners, and with threads alone would make others than there were: so they are in the undo too.
 */
#include <stdio.h>
#include <unistd.h>

#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"

#include "faults.h"

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return nfsd_check_file(UNDO_NFSD_PORTS, W_OK, err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int rc = nfsd_add_serving(run, plan, err);

	return rc < 0 ? rc : plan_add_write(plan, UNDO_NFSD_THREADS, "0\n", err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	int nr = tool_processes("nfsd", NULL);

	(void)run;
	(void)snprintf(evidence, bytes, "%d nfsd threads run", nr);
	if (nr < 0)
		return FAULT_INCONCLUSIVE;
	return nr == 0 ? FAULT_CONFIRMED : FAULT_VANISHED;
}

/* Seen in the lab: hard mounts stall for up to 12.4 s when it is stopped for 7 s, and serve 2 s after the start. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Connections are refused: hard mounts wait and go on some seconds after the heal, soft mounts fail"
		       " after timeo x retrans. NFSv4 clients wait for the grace period (90s) too. While threads are blocked, the stop waits for them in the kernel");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "ss", NULL };

const struct fault fault_nfsd_stop = {
	.name = "nfsd-stop",
	.breaks = "stops nfsd: no thread, and nobody listens",
	.where = "an NFS server",
	.page = "docs/faults/nfsd-stop.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
