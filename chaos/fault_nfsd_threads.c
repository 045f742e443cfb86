/* SPDX-License-Identifier: MIT */
/*
 * fault_nfsd_threads.c - takes nfsd threads away by lowering the pool: signals to nfsd threads are ignored by kernels of today.
 *
 * The write waits in the kernel for busy threads while it holds nfsd_mutex, so it runs in a child with a deadline, and so does every read
 * of the number; how many there really are is counted in /proc, which waits for nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
	return nfsd_check_file(UNDO_NFSD_THREADS, W_OK, err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	unsigned int wanted = (unsigned int)fault_arg_u64(run, "threads"), before = 8;
	char text[24];
	int rc = 0;

	if (!run->dry)
		rc = undo_nfsd_pool(&before, err);
	if (rc < 0)
		return rc;
	if (!run->dry && before <= wanted)
		return err_set(err, -EINVAL, "nfsd has %u threads: lowering it to %u takes none away", before, wanted);
	(void)snprintf(text, sizeof text, "%u\n", wanted);
	rc = plan_add_write(plan, UNDO_NFSD_THREADS, text, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:i}", "op", "NFSD_THREADS", "threads", (int)before), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	int wanted = (int)fault_arg_u64(run, "threads");
	int nr = tool_processes("nfsd", NULL);

	(void)snprintf(evidence, bytes, "%d nfsd threads run, %d wanted", nr, wanted);
	if (nr < 0)
		return FAULT_INCONCLUSIVE;
	return nr == wanted ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. %u nfsd threads are left for all clients. While threads are blocked, the write to the pool"
		       " waits in the kernel until they are not, and so does every other reader of it", (unsigned int)fault_arg_u64(run, "threads"));
}

static const struct fault_arg args[] = {
	{ "threads", ARG_COUNT, 1, 1024, NULL, NULL, NULL, "how many are left" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_nfsd_threads = {
	.name = "nfsd-threads",
	.breaks = "lowers the number of nfsd threads",
	.where = "an NFS server",
	.page = "docs/faults/nfsd-threads.scd",
	.heal_class = HEAL_H2,
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
