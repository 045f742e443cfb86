/* SPDX-License-Identifier: MIT */
/*
 * cut.h - drops the packets of a TCP port, on the interfaces that the allow file names or between this host and a few peers, or those with NFSv4
 * callbacks: what the faults that cut share.
 *
 * The rules are in an nft table with `flags owner`: the kernel destroys it when the nft process that made it dies, and nobody else can change
 * it. That process reads from a pipe of the holder and gets SIGKILL with it, so the cut cannot outlive the holder. Source: nft(8), table flags.
 */
#ifndef SQUALL_CHAOS_CUT_H
#define SQUALL_CHAOS_CUT_H

#include <stddef.h>

#include "faults.h"

struct nfs_connection;
struct plan;

extern const char *const cut_direction_names[];	/* both, in, out */
extern const char *const cut_needs[];

/** @param table  of its own, "squall_..." ; a string that stays. The run has an argument `direction`. */
int cut_plan(struct fault_run *run, const char *table, unsigned int port, struct plan *plan, struct err *err);

/** The same for some peers behind one interface alone. */
int cut_plan_peers(struct fault_run *run, const char *table, unsigned int port, const char *dev, const struct nfs_connection *peers, size_t peers_nr,
		   struct plan *plan, struct err *err);

/** Drop what this host sends that begins with a call of NFSv4's callback program, over whatever connection. The run needs no argument. */
int cut_plan_callbacks(struct fault_run *run, const char *table, struct plan *plan, struct err *err);

int cut_inject(struct fault_run *run, const struct plan *plan, struct err *err);
enum fault_verdict cut_verify(struct fault_run *run, char *evidence, size_t bytes);
void cut_heal(struct fault_run *run);

#endif
