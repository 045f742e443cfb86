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
	q->turned_nr++;
	q->not_issued[arrivals_next(&q->arrivals).phase]++;
}

void queue_advance(struct queue *q, uint64_t now_ns)
{
	uint64_t stop_ns = atomic_load_explicit(&q->stop_ns, memory_order_acquire);

	for (;;) {
		uint64_t leaves = UINT64_MAX, due = UINT64_MAX;

		if (q->timeout_ns && queue_waiting(q) > 0)
			leaves = q->ring[q->head % q->max].due_ns + q->timeout_ns;
		if (!q->arrivals.ended && q->arrivals.ahead.due_ns <= stop_ns)
			due = q->arrivals.ahead.due_ns;
		if ((leaves < due ? leaves : due) > now_ns)
			return;
		if (leaves <= due) {
			queue_settle(q, leaves);
			queue_drop(q, q->ring[q->head % q->max].phase, q->timeout_ns);
			q->head++;
		} else if (queue_waiting(q) < q->max) {
			q->ring[q->tail % q->max] = arrivals_next(&q->arrivals);
			__atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
		} else {
			turn_away(q);
		}
	}
}

bool queue_take(struct queue *q, uint64_t now_ns, struct arrival_due *ret, bool *ret_waited)
{
	queue_advance(q, now_ns);
	queue_settle(q, now_ns);
	*ret_waited = queue_waiting(q) > 0;
	if (*ret_waited) {
		*ret = q->ring[q->head % q->max];
		q->head++;
		return true;
	}
	if (q->arrivals.ended || q->arrivals.ahead.due_ns > atomic_load_explicit(&q->stop_ns, memory_order_acquire))
		return false;
	*ret = arrivals_next(&q->arrivals);
	return true;
}
