/* SPDX-License-Identifier: MIT */
/*
 * fault_net_cut.c - cuts NFS between this host and some of its peers: clients beside them are served, and the server looks well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "confine.h"
#include "cut.h"
#include "err.h"
#include "nfs.h"
#include "plan.h"

#include "faults.h"

#define PEERS_MAX 16

static size_t peers_asked(const struct fault_run *run)
{
	return (size_t)fault_arg_u64(run, "peers");
}

static int cut_first(struct fault_run *run, const char *dev, const struct nfs_connection *peers, struct plan *plan, struct err *err)
{
	return cut_plan_peers(run, "squall_net_cut", NFS_PORT, dev, peers, peers_asked(run), plan, err);
}

static int plan_dry(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct nfs_connection peers[PEERS_MAX];

	for (unsigned int i = 0; i < PEERS_MAX; i++)
		(void)snprintf(peers[i].peer, sizeof peers[i].peer, "PEER%u", i + 1);
	return cut_first(run, "DEV", peers, plan, err);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct nfs_connection *peers;
	struct nfs_link link;
	size_t nr;
	int rc;

	if (run->dry)
		return plan_dry(run, plan, err);
	peers = calloc(NFS_CONNECTIONS_MAX, sizeof *peers);
	if (!peers)
		return -ENOMEM;
	rc = nfs_link_find(&run->allow, &link, err);
	if (rc == 0)
		rc = nfs_connections(link.address, peers, NFS_CONNECTIONS_MAX, err);
	if (rc < 0)
		goto out;
	nr = nfs_peers(peers, (size_t)rc);
	if (nr < peers_asked(run))
		rc = err_set(err, -EINVAL, "%s has NFS connections with %zu peers, and %zu are to be cut off", link.address, nr, peers_asked(run));
	else
		rc = cut_first(run, link.dev, peers, plan, err);
out:
	free(peers);
	return rc;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	const char *several = peers_asked(run) > 1 ? "s" : "";

	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. The %zu peer%s with the lowest address%s cannot reach this host; the others notice nothing. Hard mounts"
		       " go on after the heal when TCP or the client tries again, which may take as long as the cut; soft mounts fail after timeo x retrans. NFSv4"
		       " clients that are cut off longer than the lease (90s) lose their locks", peers_asked(run), several, *several ? "es" : "");
}

static const struct fault_arg args[] = {
	{ "peers", ARG_COUNT, 1, PEERS_MAX, "1", NULL, NULL, "how many of the peers are cut off, the lowest addresses first" },
	{ "direction", ARG_ENUM, 0, 0, "both", cut_direction_names, NULL, "what is dropped, as this host sees it" },
	{ .name = NULL },
};
static const char *const needs[] = { "nft", "ss", NULL };

const struct fault fault_net_cut = {
	.name = "net-cut",
	.breaks = "drops every packet of NFS between this host and some of its peers",
	.where = "an NFS server or client",
	.page = "docs/faults/net-cut.scd",
	.heal_class = HEAL_H0,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_INTERFACE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.inject = cut_inject,
	.verify = cut_verify,
	.foresee = foresee,
	.heal = cut_heal,
};
