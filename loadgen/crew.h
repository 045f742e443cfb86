/* SPDX-License-Identifier: MIT */
/*
 * crew.h - the same small piece of work for each of many items, by several threads.
 *
 * Building a tree over a network waits for one round trip after the other: many at a time is what makes it quick.
 */
#ifndef SQUALL_LOADGEN_CREW_H
#define SQUALL_LOADGEN_CREW_H

#include <stdint.h>

struct err;

#define CREW_THREADS_DEFAULT 8u
#define CREW_THREADS_MAX 256u
#define CREW_BUFFER_BYTES 32768u

struct crew_work {
	uint64_t items_nr;
	/** Context: any of the threads. @param buffer the thread's own, CREW_BUFFER_BYTES. @return 0, or -errno with a sentence: nobody begins another item. */
	int (*item)(void *arg, uint64_t idx, char *buffer, struct err *err);
	void *arg;
	void (*progress)(uint64_t done, uint64_t total);	/* once a second, from the second second on; may be NULL */
};

/** Context: the caller waits. @param threads_nr 0: CREW_THREADS_DEFAULT. Errors: that of the first item that failed. */
int crew_run(const struct crew_work *work, unsigned int threads_nr, struct err *err);

#endif
