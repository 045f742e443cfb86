/* SPDX-License-Identifier: MIT */
/*
 * retry.h - jobs of impatient users: an arrival that is not served in time is tried again, while the server still works on what was given up.
 *
 *	             ┌── in time, without an error ──────────────────────────────> counted: ok
 *	queue ─ slot ┼── an error, or given up ─ again, until the time is over ─ another slot ...
 *	             └── the same, of the last attempt ──────────────────────────> counted: error, unknown
 *
 * Attempt k is waited for try_ns[k] from its issue on, whatever it does: when that is over and it has not succeeded the next one is due. So
 * nothing that happens meanwhile brings the next attempt forward, and whoever waits for an instant that was computed once never waits too long.
 *
 * An attempt that is given up leaves its slot taken (slot.unknown) until it comes back, and that is counted apart: nobody waits for it any more.
 * It is given up by whoever sees first that its time is over: a thread or a loop that looks for work, itself when it comes back, the supervisor
 * once a second. All compute the same instant, so that it does not matter who and when; while all slots are taken there is nothing to be issued.
 *
 * When as many arrivals as the queue may hold wait for their next attempt, an attempt that fails is the last one of its arrival.
 */
#ifndef SQUALL_LOADGEN_RETRY_H
#define SQUALL_LOADGEN_RETRY_H

#include "shared.h"

struct thread;

/**
 * The attempt in a busy slot is given up.
 * @param end_ns  when its time was over, from T0. @return whether the arrival is tried again; if not, it is still in the slot.
 * Context: under the locks of queue and shard.
 */
bool retry_abandoned(const struct job_run *r, struct shard *s, struct slot *slot, uint64_t end_ns);

/** It has come back in time, with an error. @return whether the arrival is tried again, and the slot idle. Context: as above. */
bool retry_failed(const struct job_run *r, struct shard *s, struct slot *slot);

/** One that was given up has come back. Context: under the shard's lock. */
void retry_came_back(struct shard *s, uint32_t phase, int64_t result);

enum retry_turn {
	RETRY_TAKEN,
	RETRY_LATER,		/* nothing is due now */
	RETRY_NEVER,		/* and nothing will be */
};

/**
 * Give up what is overdue, and take what has been due for the longest into the thread's slot.
 * @param ret_at_ns    when the attempt was due. @param ret_next_ns  of LATER: when to look again; from T0.
 * Context: under the queue's lock; takes those of shards.
 */
enum retry_turn retry_take(struct thread *t, struct arrival_due *ret, uint64_t *ret_at_ns, uint64_t *ret_next_ns);

/**
 * The same for a thread of a synchronous engine: waits for it. Of all that wait one wakes by the clock, and calls the next one when it goes.
 * @param ret_waited  whether the attempt waited for a slot. @return false when there will be no more. Context: blocks.
 */
bool retry_wait(struct thread *t, struct arrival_due *ret, uint64_t *ret_at_ns, bool *ret_waited);

#endif
