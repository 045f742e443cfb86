/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_client_expire.c - an NFS server forgets NFSv4 clients and all that they hold, as if their lease had run out: an instant.
 *
 * Which host a client is, its file `info` says, and that is not read: on some kernels it races with the end of the client and crashes the server.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "confine.h"
#include "err.h"
#include "nfs.h"
#include "plan.h"

#include "faults.h"

#define EXPIRE_MAX 16

struct expiry {
	int before_nr;
	unsigned long before[NFSD_CLIENTS_MAX], now[NFSD_CLIENTS_MAX];
};

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return nfsd_check_file(NFSD_CLIENTS, R_OK, err);
}

static int add_expire(const char *number, struct plan *plan, struct err *err)
{
	char path[64];

	(void)snprintf(path, sizeof path, NFSD_CLIENTS "/%s/ctl", number);
	return plan_add_write(plan, path, "expire\n", err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct expiry *expiry = calloc(1, sizeof *expiry);
	int wanted = (int)fault_arg_u64(run, "clients"), rc;
	char number[24];

	run->state = expiry;
	if (!expiry)
		return -ENOMEM;
	rc = run->dry ? wanted : nfsd_clients(expiry->before, NFSD_CLIENTS_MAX, err);
	if (rc < 0)
		return rc;
	if (rc < wanted)
		return err_set(err, -EINVAL, "nfsd knows %d NFSv4 clients, and %d are to be forgotten", rc, wanted);
	expiry->before_nr = rc;
	rc = 0;
	for (int i = 0; i < wanted && rc == 0; i++) {
		if (run->dry)
			(void)snprintf(number, sizeof number, "CLIENT%d", i + 1);
		else
			(void)snprintf(number, sizeof number, "%lu", expiry->before[i]);
		rc = add_expire(number, plan, err);
	}
	return rc;
}

static bool is_among(const unsigned long *list, int nr, unsigned long number)
{
	for (int i = 0; i < nr && i < NFSD_CLIENTS_MAX; i++)
		if (list[i] == number)
			return true;
	return false;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct expiry *expiry = run->state;
	int wanted = (int)fault_arg_u64(run, "clients"), left = 0, newer = 0;
	struct err e = ERR_INIT;
	int nr = nfsd_clients(expiry->now, NFSD_CLIENTS_MAX, &e);

	if (nr < 0)
		return fault_unseen(nr, &e, evidence, bytes);
	for (int i = 0; i < wanted; i++)
		left += is_among(expiry->now, nr, expiry->before[i]);
	for (int i = 0; i < nr && i < NFSD_CLIENTS_MAX; i++)
		newer += !is_among(expiry->before, expiry->before_nr, expiry->now[i]);
	(void)snprintf(evidence, bytes, "nfsd has forgotten %d of %d NFSv4 clients; %d are new", wanted - left, wanted, newer);
	return left == 0 ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. A client comes back at its next op, opens again what it had open, and has lost its locks: a process that"
		       " held one gets EIO on that file. NFSv3 is not touched");
}

static const struct fault_arg args[] = {
	{ "clients", ARG_COUNT, 1, EXPIRE_MAX, "1", NULL, NULL, "how many are forgotten, those that nfsd has known longest first" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_nfs_client_expire = {
	.name = "nfs-client-expire",
	.breaks = "makes nfsd forget NFSv4 clients with all that they have open and locked",
	.where = "an NFS server",
	.page = "docs/faults/nfs-client-expire.scd",
	.heal_class = HEAL_H1,
	.instant = true,
	.capabilities = CONFINE_CAP(DAC_READ_SEARCH),	/* the folder of the clients has mode 0600: nobody else may enter it */
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
