/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_unexport.c - takes an export away from all its clients: what they ask for is refused, on hard mounts too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

#define STATISTICS "/proc/net/rpc/nfsd"

struct unexport {
	uint64_t refused_before;
};

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return nfsd_check_file(STATISTICS, R_OK, err);
}

/* Requests since nfsd was loaded that had a stale file handle, and those of clients that nothing is exported to, whom the server does not know. */
static int read_refused(uint64_t *ret, struct err *err)
{
	unsigned long long stale = 0, strangers = 0;
	char *text = NULL, *fh, *rpc;
	int rc = tool_read(STATISTICS, &text, err);

	if (rc < 0)
		return rc;
	fh = strstr(text, "\nfh ");
	rpc = strstr(text, "\nrpc ");
	if (!fh || !rpc || sscanf(fh, " fh %llu", &stale) != 1 || sscanf(rpc, " rpc %*u %*u %*u %llu", &strangers) != 1)
		rc = err_set(err, -EBADMSG, "%s has no line fh or no line rpc", STATISTICS);
	free(text);
	*ret = stale + strangers;
	return rc;
}

static int add_actions(const char *path, const char *lines, struct plan *plan, struct err *err)
{
	struct nfs_export to[NFS_EXPORTS_MAX];
	int nr = nfs_parse_exports(lines, path, to, NFS_EXPORTS_MAX, err), rc = 0;

	if (nr <= 0)
		return nr < 0 ? nr : err_set(err, -EINVAL, "%s is not exported (exportfs -s)", path);
	for (int i = 0; i < nr && rc == 0; i++)
		rc = plan_add_run(plan, err, "exportfs -u '%s:%s'", to[i].client, path);
	if (rc == 0)
		rc = plan_add_run(plan, err, "exportfs -f");	/* what the kernel has kept */
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "EXPORTS", "path", path, "lines", lines), err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct unexport *unexport = calloc(1, sizeof *unexport);
	char *lines = NULL;
	int rc = 0;

	run->state = unexport;
	if (!unexport)
		return -ENOMEM;
	if (!run->dry)
		rc = read_refused(&unexport->refused_before, err);
	if (rc == 0 && !run->dry)
		rc = nfs_exports(fault_export(run), &lines, err);
	if (rc == 0)
		rc = add_actions(fault_export(run), run->dry ? "EXPORT CLIENT(OPTIONS)" : lines, plan, err);
	free(lines);
	return rc;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct unexport *unexport = run->state;
	struct err e = ERR_INIT;
	uint64_t refused = 0;
	char *lines = NULL;
	bool exported;
	int rc = nfs_exports(fault_export(run), &lines, &e);

	if (rc == 0)
		rc = read_refused(&refused, &e);
	exported = lines && *lines != '\0';
	free(lines);
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %sexported; %" PRIu64 " requests were refused", fault_export(run), exported ? "" : "not ",
		       refused - unexport->refused_before);
	if (exported)
		return FAULT_VANISHED;
	return refused > unexport->refused_before ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

/* Seen in the lab, where the client has no other export: EACCES at once on hard NFSv3 mounts, ESTALE for the root of the mount; none after the heal. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Every request is refused at once, on hard mounts too, and nothing tries again: programs on the"
		       " clients get ESTALE, or EACCES where nothing else is exported to them. After the heal the file handles are good again");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "exportfs", NULL };

const struct fault fault_nfs_unexport = {
	.name = "nfs-unexport",
	.breaks = "takes an export away from all its clients",
	.where = "an NFS server",
	.page = "docs/faults/nfs-unexport.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(DAC_READ_SEARCH),
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
