/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_unlock.c - an NFS server drops the locks of NFSv3 clients, who do not hear of it, as when its addresses or volumes move: an instant.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

#define UNLOCK_EXPORT "/proc/fs/nfsd/unlock_filesystem"
#define UNLOCK_ADDRESS "/proc/fs/nfsd/unlock_ip"

struct unlock {
	int before;
};

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return nfsd_check_file(UNLOCK_EXPORT, W_OK, err);
}

static int add_unlock(const struct fault_run *run, struct plan *plan, struct err *err)
{
	struct nfs_link link = { .address = "ADDRESS" };
	bool address = strcmp(fault_arg_text(run, "by"), "address") == 0;
	char text[ALLOW_NAME_BYTES + 1];
	int rc = address && !run->dry ? nfs_link_find(&run->allow, &link, err) : 0;

	(void)snprintf(text, sizeof text, "%s\n", address ? link.address : fault_export(run));
	return rc < 0 ? rc : plan_add_write(plan, address ? UNLOCK_ADDRESS : UNLOCK_EXPORT, text, err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct unlock *unlock = calloc(1, sizeof *unlock);

	run->state = unlock;
	if (!unlock)
		return -ENOMEM;
	unlock->before = run->dry ? 1 : nfs_locks(err);
	if (unlock->before < 0)
		return unlock->before;
	if (unlock->before == 0)
		return err_set(err, -ENOTCONN, "lockd holds no lock for any client");
	return add_unlock(run, plan, err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct unlock *unlock = run->state;
	struct err e = ERR_INIT;
	int now = nfs_locks(&e);

	if (now < 0)
		return fault_unseen(now, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "lockd holds %d locks for clients, %d before", now, unlock->before);
	return now < unlock->before ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. A client of NFSv3 takes itself to hold its locks as ever, and another one gets the same lock: both write."
		       " Linux before 6.9 leaves NFSv4 alone, later ones drop its opens and locks of the export, too");
}

static const char *const bys[] = { "export", "address", NULL };
static const struct fault_arg args[] = {
	{ "by", ARG_ENUM, 0, 0, "export", bys, NULL, "which locks: of the export's file system, or got at this host's address" },
	{ .name = NULL },
};
static const char *const needs[] = { "ss", NULL };

const struct fault fault_nfs_unlock = {
	.name = "nfs-unlock",
	.breaks = "makes an NFS server drop the locks of NFSv3 clients",
	.where = "an NFS server",
	.page = "docs/faults/nfs-unlock.scd",
	.heal_class = HEAL_H1,
	.instant = true,
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
