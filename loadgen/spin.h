/* SPDX-License-Identifier: MIT */
/*
 * spin.h - a lock in shared memory that outlives the death of its holder: the word is the holder's tid, so that whoever buries the
 * holder knows that the lock was held, and by whom.
 *
 * Held for well under a microsecond and never across a system call; a waiter yields, because the holder may have been preempted.
 */
#ifndef SQUALL_LOADGEN_SPIN_H
#define SQUALL_LOADGEN_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

struct spin {
	_Atomic uint32_t holder;	/* tid; 0 = free */
};

static inline bool spin_try(struct spin *s, uint32_t me)
{
	uint32_t nobody = 0;

	return atomic_compare_exchange_strong_explicit(&s->holder, &nobody, me, memory_order_acquire, memory_order_relaxed);
}

/** @param until_ns when to give up [clock_mono_ns]. @return whether it is held. */
static inline bool spin_lock_until(struct spin *s, uint32_t me, uint64_t until_ns)
{
	for (unsigned int tries = 1; !spin_try(s, me); tries++) {
		if (tries % 64)
			continue;
		sched_yield();
		if (clock_mono_ns() >= until_ns)
			return false;
	}
	return true;
}

static inline void spin_lock(struct spin *s, uint32_t me)
{
	if (!spin_try(s, me))
		(void)spin_lock_until(s, me, UINT64_MAX);
}

static inline void spin_unlock(struct spin *s)
{
	atomic_store_explicit(&s->holder, 0, memory_order_release);
}

#endif
