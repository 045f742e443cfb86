/* SPDX-License-Identifier: MIT */
/*
 * queue.c - admission: who waits, who gives up, who is turned away.
 */
#include <assert.h>

#include "queue.h"

void queue_drop(struct queue *q, uint32_t phase, uint64_t age_ns)
{
	if (q->timeout_ns && age_ns > q->timeout_ns)
		age_ns = q->timeout_ns;
	q->not_issued[phase]++;
	hist_add(&q->ages[phase], age_ns);
}

void queue_settle(struct queue *q, uint64_t now_ns)
{
	while (q->turned_nr > 0) {
		struct arrival_due d = arrivals_next(&q->turned_from);
		uint64_t age = now_ns > d.due_ns ? now_ns - d.due_ns : 0;

		if (q->timeout_ns && age > q->timeout_ns)
			age = q->timeout_ns;
		hist_add(&q->ages[d.phase], age);
		q->turned_nr--;
	}
}

static void turn_away(struct queue *q)
{
	if (q->turned_nr == 0)
		q->turned_from = q->arrivals;
	atomic_signal_fence(memory_order_seq_cst);	/* whole before it is meant, see queue_rebuild() */
	q->turned_nr++;
	q->not_issued[arrivals_next(&q->arrivals).phase]++;
}

/* When the next of the sequence is due; UINT64_MAX: there will be none. */
static uint64_t sequence_next_ns(const struct queue *q)
{
	if (q->arrivals.ended || q->arrivals.ahead.due_ns > atomic_load_explicit(&q->stop_ns, memory_order_acquire))
		return UINT64_MAX;
	return q->arrivals.ahead.due_ns;
}

/* Out of the ring first: who is killed in between loses one, and counts none twice. */
static void drop_first(struct queue *q)
{
	uint32_t phase = q->ring[q->head % q->max].phase;

	q->head++;
	atomic_signal_fence(memory_order_seq_cst);
	queue_drop(q, phase, q->timeout_ns);
}

void queue_advance(struct queue *q, uint64_t now_ns)
{
	for (;;) {
		uint64_t leaves = UINT64_MAX, due = sequence_next_ns(q);

		if (q->timeout_ns && queue_waiting(q) > 0)
			leaves = q->ring[q->head % q->max].due_ns + q->timeout_ns;
		if ((leaves < due ? leaves : due) > now_ns)
			return;
		if (leaves <= due) {
			queue_settle(q, leaves);
			drop_first(q);
		} else if (queue_waiting(q) < q->max) {
			q->ring[q->tail % q->max] = arrivals_next(&q->arrivals);
			__atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
		} else {
			turn_away(q);
		}
	}
}

static struct arrival_due take_waiting(struct queue *q)
{
	return q->ring[q->head++ % q->max];
}

bool queue_take(struct queue *q, uint64_t now_ns, struct arrival_due *ret, bool *ret_waited)
{
	queue_advance(q, now_ns);
	queue_settle(q, now_ns);
	*ret_waited = queue_waiting(q) > 0;
	if (*ret_waited) {
		*ret = take_waiting(q);
		return true;
	}
	if (sequence_next_ns(q) == UINT64_MAX)
		return false;
	*ret = arrivals_next(&q->arrivals);
	return true;
}

bool queue_take_due(struct queue *q, uint64_t now_ns, struct arrival_due *ret, uint64_t *ret_at_ns)
{
	uint64_t again_ns = again_next_ns(&q->again), first_ns = UINT64_MAX;

	queue_advance(q, now_ns);
	queue_settle(q, now_ns);
	if (queue_waiting(q) > 0)
		first_ns = q->ring[q->head % q->max].due_ns;
	*ret_at_ns = again_ns < first_ns ? again_ns : first_ns;
	if (*ret_at_ns > now_ns)
		return false;
	*ret = again_ns < first_ns ? again_take(&q->again) : take_waiting(q);
	return true;
}

uint64_t queue_next_ns(const struct queue *q)
{
	uint64_t fresh_ns = sequence_next_ns(q), again_ns = again_next_ns(&q->again);

	return again_ns < fresh_ns ? again_ns : fresh_ns;
}

void queue_rebuild(struct queue *q, const struct arrivals *fresh)
{
	arrivals_rewalk(&q->arrivals, fresh);
	if (q->turned_nr == 0)
		return;
	arrivals_rewalk(&q->turned_from, fresh);
	q->turned_nr = q->arrivals.taken_nr - q->turned_from.taken_nr;	/* the last of the sequence: who comes after them finds room, and settles */
}
