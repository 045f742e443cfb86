/* SPDX-License-Identifier: MIT */
/*
 * collect.c - a job at one moment: all its locks are held for some microseconds, so that due = ok + errors + unknown + in flight +
 * waiting + not issued holds exactly, and is asserted.
 *
 * A worker that was killed may have left locks behind. Once all its threads are gone they are taken over, and what their holders had
 * begun is ended (struct redo).
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hot.h"
#include "supervisor.h"

#define LOCK_WAIT_NS (200 * NS_PER_MS)

/* A histogram whose writer died in it: its buckets are what counts. */
static void repair_hist(struct hist *h)
{
	uint64_t count = 0;

	if (h->count == 0 && h->max_ns == 0 && h->bucket[0] == 0)
		return;
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		if (h->bucket[i] == 0)
			continue;
		if (count == 0 && i < hist_index(h->min_ns))
			h->min_ns = hist_bucket_value(i);
		if (i > hist_index(h->max_ns))
			h->max_ns = hist_bucket_value(i);
		count += h->bucket[i];
	}
	h->count = count;
	if (count == 0)
		memset(h, 0, sizeof *h);
}

/* Context: in place of the dead holder. */
static void bury_shard(struct load *load, const struct job_run *r, struct shard *s)
{
	if (s->redo.active) {
		*s->redo.counter = s->redo.value;
		atomic_store(s->redo.word, s->redo.word_value);
		s->redo.active = 0;
	}
	for (uint32_t c = 0; c < r->cells_nr; c++) {
		for (uint32_t e = 0; e < 2; e++) {
			repair_hist(live_hist(s, e, c, false));
			repair_hist(live_hist(s, e, c, true));
		}
		repair_hist(&s->unknown_ages[c]);
	}
	for (uint32_t p = 0; p < r->phases_nr; p++)
		repair_hist(&s->lag[p]);
	load->buried_nr++;
}

/* Context: as bury_shard(). */
static void bury_queue(struct load *load, struct job_run *r)
{
	if (!r->closed) {
		queue_rebuild(r->queue, &r->fresh);
		for (uint32_t p = 0; p < r->phases_nr; p++)
			repair_hist(&r->queue->ages[p]);
	}
	load->buried_nr++;
}

enum locked { LOCKED, LOCKED_FROM_DEAD, NOT_LOCKED };

/* A thread is dead alone when the process cannot die: one of its threads hangs and the others have gone. */
static enum locked lock_one(struct load *load, struct spin *lock, uint32_t me)
{
	uint32_t holder;

	if (spin_lock_until(lock, me, clock_mono_ns() + LOCK_WAIT_NS))
		return LOCKED;
	holder = atomic_load(&lock->holder);
	if (holder == 0 || (!load_worker_gone(load) && (tgkill(load->worker, (pid_t)holder, 0) == 0 || errno != ESRCH)))
		return NOT_LOCKED;
	return atomic_compare_exchange_strong(&lock->holder, &holder, me) ? LOCKED_FROM_DEAD : NOT_LOCKED;
}

static bool lock_all(struct load *load, struct job_run *r)
{
	uint32_t me = (uint32_t)getpid(), n, buried_nr = load->buried_nr;
	enum locked got = lock_one(load, &r->queue->lock, me);

	if (got == NOT_LOCKED)
		return false;
	if (got == LOCKED_FROM_DEAD)
		bury_queue(load, r);
	for (n = 0; n < r->shards_nr && got != NOT_LOCKED; n++) {
		got = lock_one(load, &r->shard[n].lock, me);
		if (got == LOCKED_FROM_DEAD)
			bury_shard(load, r, &r->shard[n]);
	}
	if (r->tries > 0 && load->buried_nr > buried_nr)	/* now that what was begun is done */
		again_rebuild(&r->queue->again);
	if (got != NOT_LOCKED)
		return true;
	for (n--; n > 0; n--)
		spin_unlock(&r->shard[n - 1].lock);
	spin_unlock(&r->queue->lock);
	return false;
}

static void unlock_all(struct job_run *r)
{
	for (uint32_t n = r->shards_nr; n > 0; n--)
		spin_unlock(&r->shard[n - 1].lock);
	spin_unlock(&r->queue->lock);
}

static void note_open(const struct load *load, const struct job_run *r, struct job_state *st, uint64_t index, uint64_t due_ns)
{
	uint32_t site;

	if (!st->open_due)
		return;
	site = hot_page_site(r, &load->shared.control->spec, index);
	if (due_ns < st->open_due[site])
		st->open_due[site] = due_ns;
}

static void note_age(struct job_state *st, uint64_t due_ns, uint64_t now_ns)
{
	if (now_ns > due_ns && now_ns - due_ns > st->oldest_ns)
		st->oldest_ns = now_ns - due_ns;
}

/* Context: under the locks, at the cut-off. */
static void hold(struct load *load, const struct job_run *r, const struct slot *slot, uint64_t now_ns)
{
	uint64_t from = atomic_load(&slot->op_issued_ns);

	assert(load->held_nr < load->held_max);
	load->held[load->held_nr++] = (struct held){
		.run = r,
		.tid = (pid_t)atomic_load(&slot->tid),
		.op = hot_shown(r, slot),
		.op_age_ns = now_ns > from ? now_ns - from : 0,
	};
}

static void note_in_flight(struct job_state *st, uint32_t cell, uint64_t age_ns)
{
	if (!st->in_flight_ages[cell])
		st->in_flight_ages[cell] = hist_new();
	if (st->in_flight_ages[cell])
		hist_add(st->in_flight_ages[cell], age_ns);
}

/* Context: as hold(); the slot is busy and not counted as unknown. */
static void censor(const struct job_run *r, struct job_state *st, const struct slot *slot, uint64_t now_ns)
{
	bool is_op = !r->job->is_page || hot_op_runs(slot);
	uint32_t phase = atomic_load(&slot->phase), op_cell = cell_of(r, r->op_idx[atomic_load(&slot->kind)], phase);
	uint64_t due = atomic_load(&slot->due_ns), op_due = r->job->is_page ? atomic_load(&slot->op_due_ns) : due;

	if (r->job->is_page)
		note_in_flight(st, cell_of(r, 0, phase), now_ns - due);
	if (is_op)
		note_in_flight(st, op_cell, now_ns > op_due ? now_ns - op_due : 0);
}

/* An arrival between two attempts. Context: under the locks. */
static void look_at_again(const struct load *load, const struct job_run *r, struct job_state *st, const struct arrival_due *d, uint64_t now_ns, bool freeze)
{
	st->in_flight++;
	note_age(st, d->due_ns, now_ns);
	note_open(load, r, st, d->index, d->due_ns);
	if (freeze)
		note_in_flight(st, cell_of(r, r->job->is_page ? 0 : hot_pick_op(r, d->index), d->phase), now_ns - d->due_ns);
}

/* Taken, and not issued yet. Context: under the locks. */
static void look_at_assigned(const struct load *load, const struct job_run *r, struct job_state *st, const struct slot *slot, uint64_t now_ns, bool freeze)
{
	struct arrival_due d = { .index = atomic_load(&slot->index), .due_ns = atomic_load(&slot->due_ns), .phase = atomic_load(&slot->phase),
				 .tries = atomic_load(&slot->tries) };

	if (r->tries > 0)
		st->attempts[d.phase].begun--;
	if (d.tries > 0) {
		look_at_again(load, r, st, &d, now_ns, freeze);
		return;
	}
	st->waiting += !freeze;
	if (freeze)
		queue_drop(r->queue, d.phase, now_ns - d.due_ns);
	else
		note_open(load, r, st, d.index, d.due_ns);
}

/* Context: under the locks. */
static void look_at_busy(struct load *load, const struct job_run *r, struct job_state *st, uint32_t idx, uint64_t now_ns, bool freeze)
{
	struct slot *slot = &r->slot[idx];
	struct shard *s = shard_of(r, idx);
	uint64_t due = atomic_load_explicit(&slot->due_ns, RELAXED);
	bool is_left;

	if (hot_is_late(r, slot, now_ns) && !atomic_load_explicit(&slot->unknown, RELAXED))
		hot_give_up(r, s, slot);
	is_left = atomic_load_explicit(&slot->unknown, RELAXED);
	if (!is_left || r->tries == 0)		/* what was given up is not as old as its arrival, which may have ended */
		note_age(st, due, now_ns);
	if (freeze) {
		hold(load, r, slot, now_ns);
		hot_lag(s, atomic_load(&slot->phase), atomic_load(&slot->lag_ns));
	}
	if (is_left)
		return;
	st->in_flight++;
	if (r->tries > 0)
		st->attempts[atomic_load_explicit(&slot->phase, RELAXED)].in_flight++;
	note_open(load, r, st, atomic_load_explicit(&slot->index, RELAXED), due);
	if (freeze)
		censor(r, st, slot, now_ns);
}

/* Whatever is due later is no arrival; of a load that is stopped it never becomes one. */
static uint64_t due_upto(const struct job_run *r, uint64_t now_ns)
{
	uint64_t stop_ns = atomic_load(&r->queue->stop_ns);

	return now_ns < stop_ns ? now_ns : stop_ns;
}

/* Context: under the locks. */
static void look_at_slots(struct load *load, const struct job_run *r, struct job_state *st, uint64_t now_ns, bool freeze)
{
	uint64_t upto_ns = due_upto(r, now_ns);

	for (uint32_t i = 0; i < r->slots_nr; i++) {
		uint32_t state = atomic_load_explicit(&r->slot[i].state, memory_order_acquire);

		if (state == SLOT_IDLE || atomic_load_explicit(&r->slot[i].due_ns, RELAXED) > upto_ns)
			continue;
		if (state == SLOT_ASSIGNED)
			look_at_assigned(load, r, st, &r->slot[i], now_ns, freeze);
		else
			look_at_busy(load, r, st, i, now_ns, freeze);
	}
}

/* Context: under the locks. */
static void look_at_queue(struct load *load, const struct job_run *r, struct job_state *st, uint64_t now_ns, bool freeze)
{
	struct queue *q = r->queue;
	size_t sites_left = load->shared.control->spec.sites;

	if (queue_waiting(q) > 0)
		note_age(st, q->ring[q->head % q->max].due_ns, now_ns);
	for (uint64_t at = q->head; st->open_due && at < q->tail && sites_left > 0; at++) {
		const struct arrival_due *d = &q->ring[at % q->max];
		uint32_t site = hot_page_site(r, &load->shared.control->spec, d->index);

		sites_left -= st->open_due[site] == UINT64_MAX;
		if (d->due_ns < st->open_due[site])
			st->open_due[site] = d->due_ns;
	}
	while (freeze && queue_waiting(q) > 0) {
		queue_drop(q, q->ring[q->head % q->max].phase, now_ns - q->ring[q->head % q->max].due_ns);
		q->head++;
	}
	if (freeze)
		queue_settle(q, now_ns);
	st->waiting += queue_waiting(q);
	for (uint32_t i = 0; i < q->again.nr; i++)
		look_at_again(load, r, st, &q->again.cell[q->again.order[i]].arrival, now_ns, freeze);
}

/* Context: under the locks. */
static void sum_shards(const struct job_run *r, struct job_state *st, bool freeze)
{
	st->epoch = r->shard[0].epoch;
	for (uint32_t i = 0; i < r->shards_nr; i++) {
		struct shard *s = &r->shard[i];

		assert(s->epoch == st->epoch);
		s->epoch ^= 1;
		s->frozen = s->frozen || freeze;
		for (uint32_t c = 0; c < r->cells_nr; c++) {
			const uint64_t *from = (const uint64_t *)&s->tally[c];
			uint64_t *to = (uint64_t *)&st->now[c];

			for (size_t n = 0; n < sizeof(struct tally) / sizeof(uint64_t); n++)
				to[n] = i == 0 ? from[n] : to[n] + from[n];
		}
	}
}

static void sum_outcomes(const struct job_run *r, struct job_state *st)
{
	uint32_t ops_nr = r->job->is_page ? 1 : r->ops_nr;	/* a page's ops are not arrivals */

	st->ok = st->errors = st->unknown = 0;
	for (uint32_t c = 0; c < ops_nr * r->phases_nr; c++) {
		st->ok += st->now[c].ok;
		st->unknown += st->now[c].unknown;
		for (uint32_t e = 0; e < ERRNOS_NR; e++)
			st->errors += st->now[c].error[e];
	}
}

/* Context: under the locks, before and after the slots are looked at: who has begun is somewhere, too. */
static void begin_attempts(const struct job_run *r, struct job_state *st)
{
	for (uint32_t p = 0; p < r->phases_nr; p++)
		st->attempts[p] = (struct attempts){ .begun = r->queue->attempts[p] };
}

static void balance_attempts(const struct load *load, const struct job_run *r, struct job_state *st)
{
	uint64_t begun = 0, ended = st->ok;

	for (uint32_t p = 0; p < r->phases_nr; p++) {
		struct attempts *a = &st->attempts[p];

		for (uint32_t i = 0; i < r->shards_nr; i++) {
			const struct attempts *part = &r->shard[i].attempts[p];

			a->failed += part->failed;
			a->abandoned += part->abandoned;
			a->late_ok += part->late_ok;
			a->late_errors += part->late_errors;
		}
		begun += a->begun;
		ended += a->failed + a->abandoned + a->in_flight;
	}
	/* A worker that was killed may have counted one, and not moved it, for each lock that it held: such a one failed, or began twice. */
	assert((begun > ended ? begun - ended : ended - begun) <= load->buried_nr);
	st->attempts[0].failed += begun > ended ? begun - ended : 0;
	st->attempts[0].begun += ended > begun ? ended - begun : 0;
}

static uint64_t placed(const struct job_state *st)
{
	return st->ok + st->errors + st->unknown + st->in_flight + st->waiting + st->not_issued;
}

/* Context: under the locks: what was due by the clock must be somewhere. */
static void balance(const struct load *load, const struct job_run *r, struct job_state *st, uint64_t now_ns)
{
	uint64_t upto_ns = due_upto(r, now_ns);

	st->not_issued = 0;
	if (r->closed) {
		st->due = placed(st);
		return;
	}
	while (!st->due_walk.ended && st->due_walk.ahead.due_ns <= upto_ns) {
		(void)arrivals_next(&st->due_walk);
		st->due++;
	}
	for (uint32_t p = 0; p < r->phases_nr; p++)
		st->not_issued += r->queue->not_issued[p];
	/* A worker killed while it moved an arrival from place to place has lost at most that one a lock: nobody issued it. */
	for (uint32_t lost = 0; lost < load->buried_nr && placed(st) < st->due; lost++) {
		queue_drop(r->queue, 0, 0);
		st->not_issued++;
	}
	assert(placed(st) == st->due);
}

bool collect_job(struct load *load, unsigned int idx, bool freeze)
{
	struct job_run *r = &load->shared.run[idx];
	struct job_state *st = &load->state[idx];
	uint64_t now_ns;

	(void)load_worker_gone(load);
	st->stale = !lock_all(load, r);
	if (st->stale)
		return false;
	now_ns = load_now_ns(load);
	if (!r->closed)
		queue_advance(r->queue, now_ns);
	st->in_flight = st->waiting = st->oldest_ns = 0;
	if (st->open_due)
		memset(st->open_due, 0xff, load->shared.control->spec.sites * sizeof *st->open_due);
	if (r->tries > 0)
		begin_attempts(r, st);
	look_at_slots(load, r, st, now_ns, freeze);
	if (!r->closed)
		look_at_queue(load, r, st, now_ns, freeze);
	sum_shards(r, st, freeze);
	sum_outcomes(r, st);
	if (r->tries > 0)
		balance_attempts(load, r, st);
	balance(load, r, st, now_ns);
	unlock_all(r);
	return true;
}
