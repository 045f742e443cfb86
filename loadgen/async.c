/* SPDX-License-Identifier: MIT */
/*
 * async.c - see async.h. A turn of the loop:
 *
 *	take what is due, into free slots ─ flush ─ take the next one, not due yet ─ reap until it is due ─ count ─ again
 *
 * flush() may block although it should not. So nothing but what is being issued is in the slots then: an arrival that is not due yet is
 * taken after it, and the other loops of the job get those that fall due meanwhile.
 *
 * A job that tries again takes nothing ahead: the next thing to do may be another by then. Its loops reap until something is due, and the first
 * one that has a free slot takes it.
 *
 * An arrival that fell due while there was a free slot is late because of us, and that is lag; one that found all slots taken has waited.
 */
#include <errno.h>
#include <stdlib.h>

#include "async.h"
#include "clock.h"

struct pending {
	bool is;
	bool waited;			/* it fell due while all slots were taken */
	struct arrival_due due;
	uint32_t slot;
};

int async_init(struct async *a, const struct thread *template, uint32_t loop_idx, struct err *err)
{
	const struct job_run *r = template->run;

	*a = (struct async){ .t = *template, .loop_idx = loop_idx };
	a->t.shard = &r->shard[loop_idx];
	a->slots_nr = (r->slots_nr - loop_idx + r->shards_nr - 1) / r->shards_nr;
	a->free = calloc(a->slots_nr, sizeof *a->free);
	a->page_at = calloc(a->slots_nr, sizeof *a->page_at);
	a->done = calloc(a->slots_nr, sizeof *a->done);
	a->rest = calloc(a->slots_nr, sizeof *a->rest);
	a->next_index = calloc(a->slots_nr, sizeof *a->next_index);
	if (!a->free || !a->page_at || !a->done || !a->rest || !a->next_index)
		return err_set(err, -ENOMEM, "job %s: no memory for %u slots", r->job->name, a->slots_nr);
	for (uint32_t n = 0; n < a->slots_nr; n++)
		a->free[n] = a->slots_nr - 1 - n;
	a->free_nr = a->slots_nr;
	return a->t.engine->loop_open(a->t.engine_ctx, a->slots_nr, &a->loop, err);
}

static void select_slot(struct async *a, uint32_t slot)
{
	a->t.slot_idx = a->loop_idx + slot * a->t.run->shards_nr;
	a->t.slot = &a->t.run->slot[a->t.slot_idx];
}

static void slot_is_free(struct async *a, uint32_t slot, uint64_t now_ns)
{
	struct rest *last;

	a->busy_nr--;
	if (a->t.run->closed) {
		last = &a->rest[(a->rest_head + a->rest_nr++) % a->slots_nr];
		*last = (struct rest){ .slot = slot, .until_ns = now_ns + a->t.run->think_ns };
		return;
	}
	if (a->free_nr == 0)
		a->free_since_ns = now_ns;
	a->free[a->free_nr++] = slot;
}

/* The op in the selected slot is done. @return 1: the next op of its page is in the slot; 0: the slot is idle; -1: frozen. */
static int count(struct async *a, uint32_t slot, int64_t result, uint64_t done_ns, struct op *ret_next)
{
	struct slot *s = a->t.slot;
	uint64_t due = atomic_load_explicit(&s->due_ns, RELAXED), index = atomic_load_explicit(&s->index, RELAXED);
	uint32_t phase = atomic_load_explicit(&s->phase, RELAXED);
	struct op op = { .kind = (enum op_kind)atomic_load_explicit(&s->kind, RELAXED) };
	bool frozen;

	if (!a->t.run->job->is_page)
		return hot_single_done(&a->t, op.kind, phase, result, due, atomic_load_explicit(&s->issued_ns, RELAXED), done_ns) ? 0 : -1;
	if (!hot_page_step(&a->t, phase, &op, a->page_at[slot] + 1u == a->t.run->job->page_nr, result, due,
			   atomic_load_explicit(&s->op_due_ns, RELAXED), atomic_load_explicit(&s->op_issued_ns, RELAXED), done_ns, &frozen))
		return frozen ? -1 : 0;
	a->page_at[slot]++;
	*ret_next = hot_page_op(&a->t, index, a->page_at[slot], done_ns, done_ns);
	return 1;
}

/* Put down an op of the selected slot; one that fails at once is done. @return false when frozen. */
static bool put_down(struct async *a, uint32_t slot, struct op op)
{
	int more = 1;

	while (more > 0) {
		int rc = a->t.engine->submit(a->loop, slot, &op);

		if (rc == 0)
			return true;
		more = count(a, slot, rc, hot_now(&a->t), &op);
	}
	if (more == 0)
		slot_is_free(a, slot, hot_now(&a->t));
	return more == 0;
}

static bool issue(struct async *a, uint32_t slot, uint64_t i, uint32_t phase, uint64_t due_ns, uint64_t issued_ns, uint64_t lag_ns)
{
	struct op op;

	select_slot(a, slot);
	a->busy_nr++;
	a->page_at[slot] = 0;
	if (a->t.run->job->is_page) {
		op = hot_page_op(&a->t, i, 0, hot_first_due(a->t.slot, due_ns), issued_ns);
	} else {
		op = hot_pick(a->t.run, &a->t.control->spec, i);
		hot_show_op(a->t.slot, &op);
	}
	hot_issue(a->t.slot, i, phase, due_ns, issued_ns, lag_ns);
	return put_down(a, slot, op);
}

static uint64_t stop_ns(const struct async *a)
{
	return atomic_load_explicit(&a->t.run->queue->stop_ns, memory_order_acquire);
}

/*
 * Take an arrival into the selected slot.
 * @param due_only  not one that is still to come. @param ret_none  there is none and there will be none.
 */
static bool take(struct async *a, bool due_only, struct arrival_due *ret, bool *ret_none)
{
	struct queue *q = a->t.run->queue;
	uint64_t now = hot_now(&a->t);
	bool waited, got;

	*ret_none = false;
	spin_lock(&q->lock, a->t.tid);
	queue_advance(q, now);
	if (due_only && queue_waiting(q) == 0) {
		spin_unlock(&q->lock);
		return false;
	}
	got = queue_take(q, now, ret, &waited);
	*ret_none = !got;
	if (got)
		hot_assign(a->t.slot, ret);
	spin_unlock(&q->lock);
	return got;
}

/* @param at_ns  when this attempt was due. @return false when frozen. */
static bool issue_arrival(struct async *a, uint32_t slot, const struct arrival_due *d, uint64_t at_ns, bool waited)
{
	uint64_t issued = hot_now(&a->t);

	return issue(a, slot, d->index, d->phase, d->due_ns, issued, waited ? NO_LAG : issued - at_ns);
}

/* @return false when frozen. */
static bool issue_due(struct async *a, struct pending *p)
{
	struct arrival_due d;
	bool none, ok = true;

	if (p->is && p->due.due_ns <= hot_now(&a->t)) {
		p->is = false;
		if (p->due.due_ns > stop_ns(a)) {
			a->ended = true;	/* it stays in its slot, see load_stop() */
			return true;
		}
		ok = issue_arrival(a, p->slot, &p->due, p->due.due_ns, p->waited);
	}
	while (ok && !p->is && a->free_nr > 0) {
		uint32_t slot = a->free[a->free_nr - 1];

		select_slot(a, slot);
		if (!take(a, true, &d, &none))
			break;
		a->free_nr--;
		ok = issue_arrival(a, slot, &d, d.due_ns, d.due_ns < a->free_since_ns);
	}
	return ok;
}

static void look_ahead(struct async *a, struct pending *p)
{
	uint32_t slot;
	bool none;

	if (p->is || a->ended || a->free_nr == 0)
		return;
	slot = a->free[a->free_nr - 1];
	select_slot(a, slot);
	p->is = take(a, false, &p->due, &none);
	a->ended = none;
	if (!p->is)
		return;
	a->free_nr--;
	p->slot = slot;
	p->waited = p->due.due_ns < a->free_since_ns;
}

/* Of a job that tries again: what is due, into free slots. @param ret_next_ns  when to look again. @return false when frozen. */
static bool issue_attempts(struct async *a, uint64_t *ret_next_ns)
{
	struct queue *q = a->t.run->queue;
	bool ok = true;

	*ret_next_ns = UINT64_MAX;
	while (ok && a->free_nr > 0) {
		uint32_t slot = a->free[a->free_nr - 1];
		struct arrival_due d;
		enum retry_turn turn;
		uint64_t at;

		select_slot(a, slot);
		spin_lock(&q->lock, a->t.tid);
		turn = retry_take(&a->t, &d, &at, ret_next_ns);
		spin_unlock(&q->lock);
		a->ended = turn == RETRY_NEVER;
		if (turn != RETRY_TAKEN)
			break;
		a->free_nr--;
		ok = issue_arrival(a, slot, &d, at, at < a->free_since_ns);
	}
	return ok;
}

/* Go on to the span that holds `now`. @return when it begins; UINT64_MAX after the last one. */
static uint64_t span_begins(struct async *a, uint64_t now_ns)
{
	const struct job_run *r = a->t.run;

	while (a->span_idx < r->spans_nr && now_ns >= r->span[a->span_idx].end_ns)
		a->span_idx++;
	return a->span_idx == r->spans_nr ? UINT64_MAX : r->span[a->span_idx].start_ns;
}

/* Closed loop: all that has rested until `now`, which is when it is issued, for it goes to the kernel together. @return false when frozen. */
static bool issue_rested(struct async *a, uint64_t now, uint64_t *ret_next_ns)
{
	const struct job_run *r = a->t.run;

	*ret_next_ns = UINT64_MAX;
	while (a->rest_nr > 0) {
		struct rest *first = &a->rest[a->rest_head];
		uint64_t at = span_begins(a, now > first->until_ns ? now : first->until_ns), i = a->next_index[first->slot];
		uint32_t slot = first->slot;

		at = at > first->until_ns ? at : first->until_ns;
		if (at == UINT64_MAX || at > stop_ns(a) || now > stop_ns(a)) {
			a->ended = true;
			return true;
		}
		if (at > now) {
			*ret_next_ns = at;
			return true;
		}
		a->rest_head = (a->rest_head + 1) % a->slots_nr;
		a->rest_nr--;
		a->next_index[slot] += (uint64_t)r->slots_nr * r->hosts_nr;
		if (!issue(a, slot, i, r->span[a->span_idx].phase, now, now, NO_LAG))
			return false;
	}
	return true;
}

/* Every turn in which ops are in flight: only the engine knows whether reap() has put down the next call of one. @param from  now */
static void flush(struct async *a, uint64_t from)
{
	struct shard *s = a->t.shard;
	uint64_t took;

	if (a->busy_nr == 0)
		return;
	atomic_store_explicit(&s->flush_since_ns, from, RELAXED);
	a->t.engine->flush(a->loop);
	atomic_store_explicit(&s->flush_since_ns, 0, RELAXED);
	took = hot_now(&a->t) - from;
	if (took < FLUSH_BLOCKED_NS)
		return;
	atomic_store_explicit(&s->blocked_nr, atomic_load_explicit(&s->blocked_nr, RELAXED) + 1, RELAXED);
	if (took > atomic_load_explicit(&s->blocked_ns_max, RELAXED))
		atomic_store_explicit(&s->blocked_ns_max, took, RELAXED);
}

/* @return false when frozen. */
static bool reap(struct async *a, uint64_t until_ns)
{
	uint64_t now = until_ns == UINT64_MAX ? 0 : hot_now(&a->t), wait = 0;
	uint32_t nr;

	if (until_ns == UINT64_MAX)
		wait = UINT64_MAX;
	else if (until_ns > now + SPIN_NS)
		wait = until_ns - now - SPIN_NS;
	if (a->busy_nr == 0) {		/* nothing can be reaped */
		if (wait > 0)
			clock_sleep_until_ns(a->t.t0_ns + now + wait);
		return true;
	}
	nr = a->t.engine->reap(a->loop, wait, a->done, a->slots_nr);
	now = hot_now(&a->t);
	for (uint32_t n = 0; n < nr; n++) {
		uint32_t slot = a->done[n].slot;
		struct op next;
		int more;

		select_slot(a, slot);
		more = count(a, slot, a->done[n].result, now, &next);
		if (more < 0 || (more > 0 && !put_down(a, slot, next)))
			return false;
		if (more == 0)
			slot_is_free(a, slot, now);
	}
	return true;
}

static bool is_over(const struct async *a)
{
	return a->ended && a->busy_nr == 0;
}

static void open_loop(struct async *a)
{
	struct pending p = { .is = false };

	while (issue_due(a, &p)) {
		flush(a, hot_now(&a->t));
		look_ahead(a, &p);
		if (!p.is && is_over(a))
			return;
		if (!reap(a, p.is ? p.due.due_ns : UINT64_MAX))
			return;
	}
}

static void retry_loop(struct async *a)
{
	uint64_t next;

	while (issue_attempts(a, &next)) {
		flush(a, hot_now(&a->t));
		if (is_over(a) || !reap(a, next))
			return;
	}
}

static void closed_loop(struct async *a)
{
	const struct job_run *r = a->t.run;
	uint64_t now, next;

	for (uint32_t slot = 0; slot < a->slots_nr; slot++) {
		select_slot(a, slot);
		a->next_index[slot] = (uint64_t)a->t.slot_idx * r->hosts_nr + r->host_idx;
		a->rest[slot] = (struct rest){ .slot = slot };
	}
	a->rest_nr = a->slots_nr;
	a->free_nr = 0;
	while (now = hot_now(&a->t), issue_rested(a, now, &next)) {
		flush(a, now);
		if (is_over(a) || !reap(a, next))
			return;
	}
}

void async_run(struct async *a)
{
	for (uint32_t slot = 0; slot < a->slots_nr; slot++) {
		select_slot(a, slot);
		atomic_store_explicit(&a->t.slot->tid, a->t.tid, memory_order_release);
	}
	if (a->t.run->closed)
		closed_loop(a);
	else if (a->t.run->tries > 0)
		retry_loop(a);
	else
		open_loop(a);
}
