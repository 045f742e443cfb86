/* SPDX-License-Identifier: MIT */
/*
 * cold.h - a start with cold caches, on one host: the agent's part.
 *
 * Dropping takes its time, and the sync before it may hang on a dead mount: a child does both, and the agent's loop goes on.
 */
#ifndef SQUALL_COORD_COLD_H
#define SQUALL_COORD_COLD_H

#include <sys/types.h>

struct err;

struct cold {
	pid_t pid;
	int pidfd;	/* readable when it is done; -1 = none is under way */
};

#define COLD_INIT { .pidfd = -1 }

/** Write out what is dirty, then drop pages, names and inodes, in a child that dies with its parent. Errors: -EBUSY one is under way; -errno */
int cold_start(struct cold *cold, struct err *err);

/** Once pidfd is readable. Errors: -ENOPKG without the right to; -errno */
int cold_end(struct cold *cold, struct err *err);

/** Leave a child behind, with SIGKILL. */
void cold_release(struct cold *cold);

#endif
