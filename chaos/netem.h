/* SPDX-License-Identifier: MIT */
/*
 * netem.h - netem on one flow and no other, DRBD's or that of NFS: what the faults that make a network slow share.
 *
 *	eth2 egress --flower: the flow's ports--> mirred redirect --> an interface of our own with netem --> out of eth2
 *
 * The root qdisc of the interface is not touched. Source: tc-netem(8), tc-flower(8), tc-mirred(8).
 */
#ifndef SQUALL_CHAOS_NETEM_H
#define SQUALL_CHAOS_NETEM_H

#include <stddef.h>

#include "confine.h"
#include "faults.h"

struct plan;

enum netem_socket { NETEM_DATA, NETEM_META, NETEM_BOTH };
extern const char *const netem_socket_names[];

extern const char *const netem_drbd_needs[], *const netem_nfs_needs[];

int netem_probe(const struct allow *allow, struct err *err);

/** The link of DRBD. @param netem  the words after `netem`, such as "delay 2s 500ms". Errors: as drbd_link_find(); -EBUSY there is one already */
int netem_plan(struct fault_run *run, enum netem_socket which, const char *netem, struct plan *plan, struct err *err);

/** The same, of a fault whose arguments say what: delay and jitter, percent (of loss) or rate. */
int netem_plan_socket(struct fault_run *run, enum netem_socket which, struct plan *plan, struct err *err);

/** The same, of one whose argument `socket` says which, too. */
int netem_plan_drbd(struct fault_run *run, struct plan *plan, struct err *err);

/** What this host sends over NFS, to clients as a server and to servers as a client. Arguments as above, without the socket. Errors: as nfs_link_find(); -EBUSY */
int netem_plan_nfs(struct fault_run *run, struct plan *plan, struct err *err);

/**
 * The same with words of the caller's, whose effect netem does not count and TCP at this end does.
 * @param told  the counter of a connection, as ss -i names it, such as "reord_seen"; a string that stays
 */
int netem_plan_nfs_told(struct fault_run *run, const char *netem, const char *told, struct plan *plan, struct err *err);

/** Which of DRBD's sockets a run was asked for. */
enum netem_socket netem_which(const struct fault_run *run);

enum fault_verdict netem_verify(struct fault_run *run, char *evidence, size_t bytes);

/** [packets] What became of those that were sent into a netem queue. */
struct netem_counts {
	unsigned long long passed, lost, waiting;
};

/** The counters of the first netem qdisc in `tc -s qdisc show`. Errors: -ENOENT no netem there; -EBADMSG */
int netem_parse(const char *text, struct netem_counts *ret);

/** The sum of a counter over all connections in the output of ss -i, which leaves out a counter that is 0. Of two numbers, "retrans:0/7", it is the second: the total. */
unsigned long long netem_parse_told(const char *text, const char *told);

/* What all faults of NFS by netem have in common. */
#define NETEM_NFS_FAULT \
	.where = "an NFS server or client", .heal_class = HEAL_H2, .capabilities = CONFINE_CAP(NET_ADMIN), .allowed = ALLOW_INTERFACE, .needs = netem_nfs_needs, \
	.probe = netem_probe, .verify = netem_verify

#endif
