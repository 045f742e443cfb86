/* SPDX-License-Identifier: MIT */
/*
 * queue.h - the arrivals of a job that are due and have no slot yet.
 *
 *	arrivals ──due──> ring (at most max) ──take──> slot
 *	             │         └── waited longer than the timeout ──┐
 *	             └── the ring is full ──────────────────────────>┴─> not issued
 *
 * Nobody works it while all slots are taken: whoever takes the lock plays what has happened since, in the order of time.
 * A free thread takes an arrival that is not due yet straight from the sequence, and sleeps until then. Of a job that tries again, which may
 * have something else to do before that, all pass through the ring, and beside it are those that are to be tried again.
 */
#ifndef SQUALL_LOADGEN_QUEUE_H
#define SQUALL_LOADGEN_QUEUE_H

#include "again.h"
#include "arrivals.h"
#include "hist.h"
#include "spin.h"

#define QUEUE_MAX (1u << 20)

struct queue {
	_Alignas(64) struct spin lock;		/* protects all below */
	struct arrivals arrivals;
	struct arrival_due *ring;		/* of `max` entries */
	uint64_t max, head, tail;		/* entries [head, tail) modulo max */
	uint64_t timeout_ns;			/* 0: none */
	uint64_t *not_issued;			/* per phase */
	struct hist *ages;			/* of those, per phase: how long it would have waited at least */
	struct arrivals turned_from;		/* where the turned away began whose age is not known yet ... */
	uint64_t turned_nr;			/* ... and how many: they would have waited until there is room */
	_Atomic uint64_t stop_ns;		/* from T0; nothing later is due; written once, read anywhere */
	/* Of a job that tries again, see retry.h. */
	struct again again;
	uint64_t *attempts;			/* per phase: begun */
	uint64_t overdue_ns;			/* when to look through the slots for attempts to be given up, from T0 */
	uint32_t idle_nr, watch;		/* synchronous engines: threads that wait; tid of the one that wakes by the clock, 0 = none */
	uint64_t idle_since_ns;			/* there has been one that waits since then */
	_Atomic uint32_t bell;			/* futex: the others */
};

/** Play what has happened until now [ns from T0]. Context: under the lock. */
void queue_advance(struct queue *q, uint64_t now_ns);

/**
 * Take the oldest waiting arrival, or else the next one that is not due yet.
 * @param ret_waited whether it waited for a slot.
 * @return false when there will be no more. Context: under the lock.
 */
bool queue_take(struct queue *q, uint64_t now_ns, struct arrival_due *ret, bool *ret_waited);

/**
 * The same of a job that tries again: what is due by now, first of all what has been due for the longest.
 * @param ret_at_ns  when this attempt was due. @return false when nothing is. Context: under the lock.
 */
bool queue_take_due(struct queue *q, uint64_t now_ns, struct arrival_due *ret, uint64_t *ret_at_ns);

/** @return when something falls due by itself, from T0; UINT64_MAX: never. Context: under the lock, after queue_take_due() gave nothing. */
uint64_t queue_next_ns(const struct queue *q);

/** The ages of the turned away, had they waited until now. Context: under the lock. */
void queue_settle(struct queue *q, uint64_t now_ns);

/** An arrival is not issued for another reason, at this age. Context: under the lock. */
void queue_drop(struct queue *q, uint32_t phase, uint64_t age_ns);

/**
 * What a dead holder of the lock may have left torn, but for `ages` and `again`; it has lost one arrival at the most. @param fresh  the sequence as it
 * was at the start. Context: in its place.
 */
void queue_rebuild(struct queue *q, const struct arrivals *fresh);

static inline uint64_t queue_waiting(const struct queue *q)
{
	return q->tail - q->head;
}

#endif
