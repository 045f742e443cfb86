/* SPDX-License-Identifier: MIT */
/*
 * netem.h - netem on DRBD's flow and no other: what the faults of the link share.
 *
 *	eth2 egress --flower: the socket's ports--> mirred redirect --> an interface of our own with netem --> out of eth2
 *
 * The root qdisc of the interface is not touched. Source: tc-netem(8), tc-flower(8), tc-mirred(8).
 */
#ifndef SQUALL_CHAOS_NETEM_H
#define SQUALL_CHAOS_NETEM_H

#include <stddef.h>

#include "faults.h"

struct plan;

enum netem_socket { NETEM_DATA, NETEM_META, NETEM_BOTH };
extern const char *const netem_socket_names[];

extern const char *const netem_needs[];

int netem_probe(const struct allow *allow, struct err *err);

/** @param netem  the words after `netem`, such as "delay 2s 500ms limit 10000". */
int netem_plan(struct fault_run *run, enum netem_socket which, const char *netem, struct plan *plan, struct err *err);

/** Which of the sockets a run was asked for, by its argument `socket`. */
enum netem_socket netem_which(const struct fault_run *run);

enum fault_verdict netem_verify(struct fault_run *run, char *evidence, size_t bytes);

/** [packets] What became of those that were sent into a netem queue. */
struct netem_counts {
	unsigned long long passed, lost, waiting;
};

/** The counters of the first netem qdisc in `tc -s qdisc show`. Errors: -ENOENT no netem there; -EBADMSG */
int netem_parse(const char *text, struct netem_counts *ret);

#endif
