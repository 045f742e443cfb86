/* SPDX-License-Identifier: MIT */
/*
 * fault_conn_kill.c - ends the NFS connections of this host at both ends, as a firewall does that resets them: an instant.
 *
 * A client that connects again may use the same ports, so a connection is known by its cookie.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "confine.h"
#include "err.h"
#include "nfs.h"
#include "plan.h"

#include "faults.h"

struct kill {
	struct nfs_link link;
	int nr;
	struct nfs_connection before[NFS_CONNECTIONS_MAX], now[NFS_CONNECTIONS_MAX];
};

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct kill *kill = calloc(1, sizeof *kill);
	int rc = 0;

	run->state = kill;
	if (!kill)
		return -ENOMEM;
	if (!run->dry)
		rc = nfs_link_find(&run->allow, &kill->link, err);
	if (rc == 0 && !run->dry)
		rc = nfs_connections(kill->link.address, kill->before, NFS_CONNECTIONS_MAX, err);
	if (rc < 0)
		return rc;
	kill->nr = rc;
	return plan_add_run(plan, err, "ss -K -tnH " NFS_CONNECTIONS, NFS_PORT, NFS_PORT, run->dry ? "ADDRESS" : kill->link.address);
}

static bool is_among(const struct nfs_connection *list, int nr, uint64_t cookie)
{
	for (int i = 0; i < nr; i++)
		if (list[i].cookie == cookie)
			return true;
	return false;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct kill *kill = run->state;
	struct err e = ERR_INIT;
	int nr = nfs_connections(kill->link.address, kill->now, NFS_CONNECTIONS_MAX, &e), left = 0;

	if (nr < 0)
		return fault_unseen(nr, &e, evidence, bytes);
	for (int i = 0; i < kill->nr; i++)
		left += is_among(kill->now, nr, kill->before[i].cookie);
	(void)snprintf(evidence, bytes, "%d of %d NFS connections of %s are gone, %d are new", kill->nr - left, kill->nr, kill->link.address, nr - left);
	return left == 0 ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

/* Seen in the lab: reads go on, writes whose answer was on the way took up to 7.1 s, no error on hard mounts. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Clients connect again by themselves; requests whose answer was on its way are sent again after"
		       " some seconds, and none fails on a hard mount");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "ss", NULL };

const struct fault fault_conn_kill = {
	.name = "conn-kill",
	.breaks = "ends the NFS connections of this host",
	.where = "an NFS server or client",
	.page = "docs/faults/conn-kill.scd",
	.heal_class = HEAL_H1,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.instant = true,
	.allowed = ALLOW_INTERFACE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
