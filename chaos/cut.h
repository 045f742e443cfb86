/* SPDX-License-Identifier: MIT */
/*
 * cut.h - drops the packets of a TCP port, on the interfaces that the allow file names or between this host and a few peers, or those that begin with
 * certain bits: what the faults that cut share.
 *
 * The rules are in an nft table with `flags owner`: the kernel destroys it when the nft process that made it dies, and nobody else can change
 * it. That process reads from a pipe of the holder and gets SIGKILL with it, so the cut cannot outlive the holder. Source: nft(8), table flags.
 */
#ifndef SQUALL_CHAOS_CUT_H
#define SQUALL_CHAOS_CUT_H

#include <stddef.h>
#include <stdint.h>

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

#define CUT_BITS_MAX 2

/* What the packets begin with that are dropped. */
struct cut_beginning {
	const char *what;	/* for people: "callbacks"; a string that stays */
	const char *dev;	/* NULL = all interfaces of the allow file */
	unsigned int port;	/* at either end; 0 = any */
	struct {
		unsigned int skip, nr;	/* behind the header of TCP; nr = 0: no more */
		uint64_t value;
	} bits[CUT_BITS_MAX];
};

/** Drop what this host sends that begins so. TCP sends it again, with all that followed, until it is let through. The run needs no argument. */
int cut_plan_beginning(struct fault_run *run, const char *table, const struct cut_beginning *of, struct plan *plan, struct err *err);

int cut_inject(struct fault_run *run, const struct plan *plan, struct err *err);
enum fault_verdict cut_verify(struct fault_run *run, char *evidence, size_t bytes);
void cut_heal(struct fault_run *run);

#endif
