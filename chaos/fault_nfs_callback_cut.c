/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_callback_cut.c - drops the callbacks of an NFSv4 server: what it recalls from its clients, they never hear of.
 *
 * NFSv4.0 has a connection of its own for them, later versions use the client's. There a callback that is dropped holds up everything behind it, as TCP
 * goes on in order: the client's requests arrive and no answer comes back.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "confine.h"
#include "cut.h"
#include "err.h"
#include "nfs.h"

static int probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	return nfsd_check_file(NFSD_CLIENTS, R_OK, err);
}

/*
 * After the four bytes each of the record mark and the XID a call (0) of RPC version 2 for the callback program.
 * Source: RFC 5531, 9 and 11; NFS4_CALLBACK in the kernel's include/linux/nfs4.h.
 */
static const struct cut_beginning callback = { .what = "callbacks", .bits = { { 64, 96, 0x240000000 } } };

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	int nr = run->dry ? 1 : nfsd_clients(NULL, 0, err);

	if (nr < 0)
		return nr;
	if (nr == 0)
		return err_set(err, -ENOTCONN, "nfsd knows no NFSv4 client, and others are not called back");
	return cut_plan_beginning(run, "squall_cb_cut", &callback, plan, err);
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected. Nothing happens until somebody wants a file that a client holds a delegation of: he waits until the"
		       " server takes that away, at the latest after the lease (90s). A client of NFSv4.1 or later gets no answer at all from its first lost callback on,"
		       " until TCP sends it again after the heal or the client connects anew; one of NFSv4.0 loses its delegations alone");
}

static const struct fault_arg args[] = { { .name = NULL } };

const struct fault fault_nfs_callback_cut = {
	.name = "nfs-callback-cut",
	.breaks = "drops the callbacks to NFSv4 clients",
	.where = "an NFS server with NFSv4 clients",
	.page = "docs/faults/nfs-callback-cut.scd",
	.heal_class = HEAL_H0,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_EXPORT | ALLOW_INTERFACE,
	.args = args,
	.needs = cut_needs,
	.probe = probe,
	.plan = plan,
	.inject = cut_inject,
	.verify = cut_verify,
	.foresee = foresee,
	.heal = cut_heal,
};
