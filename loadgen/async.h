/* SPDX-License-Identifier: MIT */
/*
 * async.h - the loop of an asynchronous engine: one thread that keeps many ops in flight.
 */
#ifndef SQUALL_LOADGEN_ASYNC_H
#define SQUALL_LOADGEN_ASYNC_H

#include "hot.h"

/* One loop serves the slots of one shard: loop n has slots n, n + shards_nr, ... of the job; inside the loop they are 0, 1, ... */
struct async {
	struct thread t;		/* its slot is the one that is being worked on */
	uint32_t loop_idx, slots_nr, busy_nr;
	void *loop;			/* the engine's */
	uint32_t *free;			/* stack of free slots */
	uint32_t free_nr;
	uint16_t *page_at;		/* of each slot: which op of its page */
	struct completion *done;	/* room for slots_nr */
	uint64_t free_since_ns;		/* there has been a free slot since then */
	struct rest *rest;		/* closed loop: slots that think, in the order in which they go on */
	uint32_t rest_head, rest_nr;
	uint64_t *next_index;		/* closed loop: of each slot */
	uint32_t span_idx;
	bool ended;			/* there will be no more arrivals */
};

struct rest {
	uint32_t slot;
	uint64_t until_ns;
};

/** Take the memory of a loop and open it; it lives as long as the process, also after an error. Errors: with a sentence. @param template  run, control, engine and engine_ctx are filled in */
int async_init(struct async *a, const struct thread *template, uint32_t loop_idx, struct err *err);

/** Work until there are no more arrivals and all ops are done, or nothing is counted any more. Context: after T0 is known. */
void async_run(struct async *a);

#endif
