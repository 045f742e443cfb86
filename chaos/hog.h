/* SPDX-License-Identifier: MIT */
/*
 * hog.h - children of the holder that take a resource of the host away from the others: what cpu-hog, memory-hog and io-hog share.
 *
 * They hold no descriptor, die with the holder (PR_SET_PDEATHSIG), and are the first that the kernel kills when memory runs out.
 */
#ifndef SQUALL_CHAOS_HOG_H
#define SQUALL_CHAOS_HOG_H

#include <stdint.h>
#include <sys/types.h>

#include "faults.h"

struct plan;

#define HOGS_MAX 256

struct hogs {
	const char *name;	/* of the processes; a string that stays, at most 15 bytes */
	uint64_t used_last;	/* of hogs_used() */
	unsigned int nr;
	pid_t pid[HOGS_MAX];
};

/** A plan of one action, the children, and one opcode. Errors: -EBUSY there are some of this name already; -ENOMEM. @param what  for people */
int hogs_plan(const struct fault_run *run, const char *name, const char *what, struct plan *plan, struct err *err);

/** Start nr children that call work(arg) and never return. On an error those that were started stay until hogs_stop(). */
int hogs_start(struct hogs *hogs, unsigned int nr, void (*work)(void *arg), void *arg, struct err *err);

/** How many live; reaps the others. */
unsigned int hogs_alive(struct hogs *hogs);

/** What those that live have used since the last look, by a counter that each has. */
uint64_t hogs_used(struct hogs *hogs, uint64_t (*counter)(pid_t pid));

/** End them, and wait until they have ended; not for ever for one that hangs in the kernel. */
void hogs_stop(struct hogs *hogs);

/** The same, as the heal of a fault whose state begins with its hogs. */
void hogs_heal(struct fault_run *run);

#endif
