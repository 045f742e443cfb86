/* SPDX-License-Identifier: MIT */
/*
 * race.h - what the programs under ThreadSanitizer share: a load whose worker threads run in the process of the test.
 *
 * ThreadSanitizer knows the threads of one process. A worker is a process of its own, and shares memory with the supervisor that looks
 * into it: neither sees the other's accesses. Here fork() is wrapped (see one_process.c): a process that only waits stands in for the
 * worker, and its threads are started beside the supervisor. All that is not a fork is the code that runs in a real load.
 */
#ifndef SQUALL_TESTS_RACE_H
#define SQUALL_TESTS_RACE_H

#include <stdio.h>
#include <stdlib.h>

#include "load.h"

/* Stays on in every build; a failure ends the program at once. */
#define CHECK(what, ...)                                                                       \
	do {                                                                                   \
		if (!(what)) {                                                                 \
			fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #what);   \
			fprintf(stderr, __VA_ARGS__);                                          \
			fputc('\n', stderr);                                                   \
			_Exit(1);                                                              \
		}                                                                              \
	} while (0)

/* How the last slot of a job ends: it takes one arrival, and goes without a word. */
enum dying {
	DIES_NOT,
	DIES_WITH_QUEUE,	/* holds the queue's lock, has taken an arrival that is nowhere now */
	DIES_WITH_SHARD,	/* holds the shard's lock; its op is issued, nothing of it is counted */
	DIES_IN_REDO,		/* the same, has counted the latency and written down what it was about to do */
	DIES_IN_MOVE,		/* holds both, has written down that the arrival goes back to be tried again */
};

/** load_new() in one process. */
struct load *race_load(const struct load_plan *plan, enum dying dying);

/** Wait for all threads of the load, after load_final() and before load_free(). @return whether the one that was to die did. */
bool race_join(void);

#endif
