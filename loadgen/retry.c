/* SPDX-License-Identifier: MIT */
/*
 * retry.c - see retry.h.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hot.h"
#include "retry.h"

#define LOOK_NS 30		/* for each slot, between two looks through them all: ten times what a look takes (measured: 2 to 3 ns a slot) */

/* The arrival goes from its slot, by `word`, to those that are to be tried again. @return false: it has had all its attempts, or there is no room */
static bool try_again(const struct job_run *r, struct shard *s, struct slot *slot, _Atomic uint32_t *word, uint32_t word_value, uint64_t at_ns)
{
	uint32_t tries = atomic_load_explicit(&slot->tries, RELAXED) + 1;
	struct again *again = &r->queue->again;
	struct again_cell *cell;

	if (tries == r->tries || again->nr == again->max)
		return false;
	cell = again_empty_cell(again);
	cell->arrival = (struct arrival_due){
		.index = atomic_load_explicit(&slot->index, RELAXED),
		.due_ns = atomic_load_explicit(&slot->due_ns, RELAXED),
		.phase = atomic_load_explicit(&slot->phase, RELAXED),
		.tries = tries,
	};
	hot_move(s, word, word_value, &cell->at_ns, at_ns);
	again_added(again);
	return true;
}

bool retry_abandoned(const struct job_run *r, struct shard *s, struct slot *slot, uint64_t end_ns)
{
	s->attempts[atomic_load_explicit(&slot->phase, RELAXED)].abandoned++;
	return try_again(r, s, slot, &slot->unknown, 1, end_ns);
}

bool retry_failed(const struct job_run *r, struct shard *s, struct slot *slot)
{
	s->attempts[atomic_load_explicit(&slot->phase, RELAXED)].failed++;
	return try_again(r, s, slot, &slot->state, SLOT_IDLE, hot_late_from(r, slot));
}

void retry_came_back(struct shard *s, uint32_t phase, int64_t result)
{
	if (result >= 0)
		s->attempts[phase].late_ok++;
	else
		s->attempts[phase].late_errors++;
}

/* Context: under the queue's lock, without which nothing comes into a slot. */
static void give_up(struct thread *t, uint32_t idx)
{
	const struct job_run *r = t->run;
	struct shard *s = shard_of(r, idx);
	struct slot *slot = &r->slot[idx];

	spin_lock(&s->lock, t->tid);
	if (!s->frozen && atomic_load_explicit(&slot->state, RELAXED) == SLOT_BUSY && !atomic_load_explicit(&slot->unknown, RELAXED))
		hot_give_up(r, s, slot);
	spin_unlock(&s->lock);
}

/* Not at every end of an attempt: under a stall of many slots that would be all that there is time for. Context: as give_up(). */
static void give_up_overdue(struct thread *t, uint64_t now_ns)
{
	const struct job_run *r = t->run;
	uint64_t next = UINT64_MAX, soonest = now_ns + (uint64_t)r->slots_nr * LOOK_NS;

	for (uint32_t i = 0; i < r->slots_nr; i++) {
		struct slot *slot = &r->slot[i];
		uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
		uint64_t end;

		if (state == SLOT_IDLE || atomic_load_explicit(&slot->unknown, RELAXED))
			continue;
		end = state == SLOT_BUSY ? hot_late_from(r, slot) : now_ns + r->try_ns[atomic_load_explicit(&slot->tries, RELAXED)];
		if (end < now_ns)
			give_up(t, i);
		else if (end < next)
			next = end;
	}
	r->queue->overdue_ns = next > soonest ? next : soonest;
}

/* What was taken is in flight from now on. Context: under the queue's lock. */
static void begin(struct thread *t, const struct arrival_due *d, uint64_t at_ns, uint64_t now_ns)
{
	struct queue *q = t->run->queue;
	uint64_t end = now_ns + t->run->try_ns[d->tries];

	q->attempts[d->phase]++;
	if (end < q->overdue_ns)
		q->overdue_ns = end;
	atomic_store_explicit(&t->slot->tries, d->tries, RELAXED);
	atomic_store_explicit(&t->slot->at_ns, at_ns, RELAXED);
	hot_assign(t->slot, d);
}

enum retry_turn retry_take(struct thread *t, struct arrival_due *ret, uint64_t *ret_at_ns, uint64_t *ret_next_ns)
{
	struct queue *q = t->run->queue;
	uint64_t now = hot_now(t), next, soonest = now + t->run->try_ns[0];

	if (q->overdue_ns < now)
		give_up_overdue(t, now);
	if (queue_take_due(q, now, ret, ret_at_ns)) {
		begin(t, ret, *ret_at_ns, now);
		return RETRY_TAKEN;
	}
	next = queue_next_ns(q);
	if (q->overdue_ns < next)
		next = q->overdue_ns;
	if (next == UINT64_MAX)
		return RETRY_NEVER;
	*ret_next_ns = next < soonest ? next : soonest;	/* no attempt that begins after this is overdue before */
	return RETRY_LATER;
}

static void sleep_until_bell(struct queue *q, uint32_t heard, uint64_t mono_ns)
{
	struct timespec until = { .tv_sec = (time_t)(mono_ns / NS_PER_S), .tv_nsec = (long)(mono_ns % NS_PER_S) };

	(void)syscall(SYS_futex, &q->bell, FUTEX_WAIT_BITSET, heard, mono_ns == UINT64_MAX ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Context: under the queue's lock, which is let go meanwhile. */
static void wait_for_work(struct thread *t, uint64_t next_ns)
{
	struct queue *q = t->run->queue;
	uint32_t heard = atomic_load_explicit(&q->bell, RELAXED);
	uint64_t until = UINT64_MAX;

	if (q->watch == 0)
		q->watch = t->tid;
	if (q->watch == t->tid)
		until = t->t0_ns + next_ns;
	spin_unlock(&q->lock);
	sleep_until_bell(q, heard, until);
	spin_lock(&q->lock, t->tid);
}

bool retry_wait(struct thread *t, struct arrival_due *ret, uint64_t *ret_at_ns, bool *ret_waited)
{
	struct queue *q = t->run->queue;
	enum retry_turn turn;
	uint64_t next_ns;
	bool call;

	spin_lock(&q->lock, t->tid);
	if (q->idle_nr++ == 0)
		q->idle_since_ns = hot_now(t);
	while ((turn = retry_take(t, ret, ret_at_ns, &next_ns)) == RETRY_LATER)
		wait_for_work(t, next_ns);
	*ret_waited = turn == RETRY_TAKEN && *ret_at_ns < q->idle_since_ns;
	q->idle_nr--;
	if (q->watch == t->tid)
		q->watch = 0;
	call = q->watch == 0 && q->idle_nr > 0;
	if (call)
		atomic_store_explicit(&q->bell, atomic_load_explicit(&q->bell, RELAXED) + 1, RELAXED);
	spin_unlock(&q->lock);
	if (call)
		(void)syscall(SYS_futex, &q->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
	return turn == RETRY_TAKEN;
}
