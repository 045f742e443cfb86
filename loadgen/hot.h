/* SPDX-License-Identifier: MIT */
/*
 * hot.h - the path of one op: pick it, do it, count it. Inline; no allocation, no formatting, no lock but the shard's own.
 *
 * All times here are ns from T0.
 */
#ifndef SQUALL_LOADGEN_HOT_H
#define SQUALL_LOADGEN_HOT_H

#include "retry.h"
#include "rng.h"
#include "shared.h"
#include "trace.h"

#define RELAXED memory_order_relaxed

#define SPIN_NS 4000		/* shorter waits are spent awake: a sleep and its wake-up cost about as much */

/* What a thread knows. */
struct thread {
	const struct job_run *run;
	const struct control *control;
	const struct engine *engine;
	void *engine_ctx;
	struct slot *slot;
	struct shard *shard;
	uint32_t slot_idx, tid;
	uint64_t t0_ns;
	char *buffer;
	size_t buffer_bytes;
};

/* Draw k of op i: a counter-based generator, so that nothing has to be kept. Source: splitmix64, Steele and others, 2014. */
static inline uint64_t hot_draw(uint64_t seed, uint64_t i, uint64_t k)
{
	return rng_mix(rng_mix(seed + i * 0x9e3779b97f4a7c15ULL) + k * 0xd1b54a32d192ed03ULL);
}

/* Below `bound`; the bias is under 2^-32 for bounds below 2^32. */
static inline uint32_t hot_below(uint64_t draw, uint32_t bound)
{
	return (uint32_t)((unsigned __int128)draw * bound >> 64);
}

/* The site or file of a draw, unless the order is a walk. */
static inline uint32_t hot_nth(const struct job_run *r, const struct zipf *z, uint64_t draw, uint32_t bound)
{
	return r->job->order == ORDER_ZIPF ? zipf_draw(z, draw) : hot_below(draw, bound);
}

/* A further attempt makes files of its own: the one before may still be at work on those that it has made. */
static inline uint64_t hot_key(const struct job_run *r, uint64_t i, uint32_t tries)
{
	return hot_draw(r->seed, i, UINT64_MAX - tries);
}

/* Op i of a trace; of a job that is measured in a closed loop, which does not end, from the start again. */
static inline const struct trace_op *hot_traced(const struct job_run *r, uint64_t i)
{
	return &r->job->trace.op[i % r->job->trace.ops_nr];
}

/* Which op of the mix it is, as an index of cells. */
static inline uint32_t hot_pick_op(const struct job_run *r, uint64_t i)
{
	uint32_t at, n = 0;

	if (r->job->trace.ops_nr > 0)
		return r->op_idx[hot_traced(r, i)->kind];
	at = r->ops_nr > 1 ? hot_below(hot_draw(r->seed, i, 0), r->weight_sum) : 0;
	while (r->ops_nr > 1 && at >= r->weight_end[n])
		n++;
	return n;
}

/* One file after the other, site by site, and from the first again. */
static inline void hot_place(const struct dataset_spec *spec, uint64_t nth, struct op *op)
{
	uint64_t file = nth % ((uint64_t)spec->sites * spec->files_per_site);

	op->site = (uint32_t)(file / spec->files_per_site);
	op->file = (uint32_t)(file % spec->files_per_site);
}

/* The same file of a trace is the same file of the dataset, and its offset the same as far as that file is as long. */
static inline void hot_place_traced(const struct job_run *r, const struct dataset_spec *spec, uint64_t i, struct op *op)
{
	const struct trace_op *traced = hot_traced(r, i);

	hot_place(spec, traced->file, op);
	op->bytes = traced->length_bytes;
	if (traced->kind == OP_PREAD || traced->kind == OP_WRITE || traced->kind == OP_WRITE_FSYNC)
		op->draw = traced->offset_bytes / PREAD_BYTES;
}

/* Draws of an op: 0 kind, 1 site, then two an op of the page: file, the op's own; the last of all are the keys of the arrival's attempts. */
static inline struct op hot_pick(const struct job_run *r, const struct dataset_spec *spec, uint64_t i)
{
	struct op op = { .kind = (enum op_kind)r->op_kind[hot_pick_op(r, i)], .draw = hot_draw(r->seed, i, 3), .key = hot_key(r, i, 0) };

	if (r->job->trace.ops_nr > 0) {
		hot_place_traced(r, spec, i, &op);
	} else if (r->job->order == ORDER_WALK) {
		hot_place(spec, i, &op);
	} else {
		op.site = hot_nth(r, &r->zipf_site, hot_draw(r->seed, i, 1), spec->sites);
		op.file = hot_nth(r, &r->zipf_file, hot_draw(r->seed, i, 2), spec->files_per_site);
	}
	return op;
}

static inline uint32_t hot_page_site(const struct job_run *r, const struct dataset_spec *spec, uint64_t i)
{
	if (r->job->order == ORDER_WALK)
		return (uint32_t)(i % spec->sites);
	return hot_nth(r, &r->zipf_site, hot_draw(r->seed, i, 1), spec->sites);
}

/* Op k of a page: on a file of its own, or on the one that the last open_only before it has opened. */
static inline struct op hot_pick_of_page(const struct job_run *r, const struct dataset_spec *spec, uint64_t i, uint32_t tries, uint32_t k)
{
	uint32_t of = k;
	struct op op = { .kind = (enum op_kind)r->job->page[k], .site = hot_page_site(r, spec, i), .draw = hot_draw(r->seed, i, 3 + 2 * k),
			 .key = hot_key(r, i, tries) };

	if (op_needs_open(op.kind))
		while (r->job->page[of] != OP_OPEN_ONLY)
			of--;
	if (r->job->order == ORDER_WALK)
		op.file = (uint32_t)((i / spec->sites * r->job->page_nr + of) % spec->files_per_site);
	else
		op.file = hot_nth(r, &r->zipf_file, hot_draw(r->seed, i, 2 + 2 * of), spec->files_per_site);
	return op;
}

static inline uint64_t *hot_counter(struct tally *t, int64_t result)
{
	if (result >= 0)
		return &t->ok;
	return &t->error[-result < ERRNOS_NR ? -result : 0];
}

static inline void hot_add(struct shard *s, uint32_t cell, uint64_t response_ns, uint64_t service_ns)
{
	hist_add(live_hist(s, s->epoch, cell, false), response_ns);
	hist_add(live_hist(s, s->epoch, cell, true), service_ns);
}

/* The arrival leaves the slot, by `word`, and is where `counter` says, as one step: see struct redo. Context: under the shard's lock. */
static inline void hot_move(struct shard *s, _Atomic uint32_t *word, uint32_t word_value, uint64_t *counter, uint64_t value)
{
	s->redo.word = word;
	s->redo.word_value = word_value;
	s->redo.counter = counter;
	s->redo.value = value;
	atomic_signal_fence(memory_order_seq_cst);
	s->redo.active = 1;
	atomic_signal_fence(memory_order_seq_cst);
	*counter = value;
	atomic_store_explicit(word, word_value, RELAXED);
	atomic_signal_fence(memory_order_seq_cst);
	s->redo.active = 0;
}

static inline void hot_page(struct shard *s, uint32_t site, int32_t outcome, uint64_t due_ns, uint64_t done_ns)
{
	uint32_t n = s->pages_nr[s->epoch];

	if (n == PAGES_SHARD_MAX) {
		s->pages_dropped++;
		return;
	}
	s->pages[s->epoch][n] = (struct page){ .site = site, .outcome = outcome, .due_ns = due_ns, .done_ns = done_ns };
	s->pages_nr[s->epoch] = n + 1;
}

/* What a slot shows. */
static inline struct op hot_shown(const struct job_run *r, const struct slot *slot)
{
	return (struct op){ .kind = (enum op_kind)atomic_load_explicit(&slot->kind, RELAXED), .site = atomic_load_explicit(&slot->site, RELAXED),
			    .file = atomic_load_explicit(&slot->file, RELAXED), .draw = atomic_load_explicit(&slot->draw, RELAXED),
			    .key = hot_key(r, atomic_load_explicit(&slot->index, RELAXED), atomic_load_explicit(&slot->tries, RELAXED)) };
}

/* The op of a slot is over. @param outcome  0, PAGE_UNKNOWN or -errno. Context: under the shard's lock. */
static inline void hot_log(const struct job_run *r, struct shard *s, const struct slot *slot, int64_t outcome, uint64_t due_ns, uint64_t issued_ns,
			   uint64_t done_ns)
{
	uint32_t n = s->logged_nr[s->epoch];

	if (!r->job->logs_ops || (outcome >= 0 && done_ns - due_ns < r->job->log_from_ns))
		return;
	if (n == LOGGED_SHARD_MAX) {
		s->logged_dropped++;
		return;
	}
	s->logged[s->epoch][n] = (struct logged){ .op = hot_shown(r, slot), .outcome = outcome < 0 ? (int32_t)outcome : 0, .due_ns = due_ns,
						  .issued_ns = issued_ns, .done_ns = done_ns };
	s->logged_nr[s->epoch] = n + 1;
	s->logged_kept++;
}

static inline void hot_lag(struct shard *s, uint32_t phase, uint64_t lag_ns)
{
	if (lag_ns != NO_LAG)
		hist_add(&s->lag[phase], lag_ns);
}

/* The arrival of a busy slot is unknown from `end_ns` on. Context: under the shard's lock. */
static inline void hot_mark_unknown(const struct job_run *r, struct shard *s, struct slot *slot, uint64_t end_ns)
{
	uint32_t phase = atomic_load_explicit(&slot->phase, RELAXED);
	uint32_t kind = atomic_load_explicit(&slot->kind, RELAXED);
	uint64_t due = atomic_load_explicit(&slot->due_ns, RELAXED);
	uint32_t cell = cell_of(r, r->job->is_page ? 0 : r->op_idx[kind], phase);

	atomic_store_explicit(&slot->unknown, 1, RELAXED);
	s->tally[cell].unknown++;
	hist_add(&s->unknown_ages[cell], end_ns - due);
	if (r->job->is_page)
		hot_page(s, atomic_load_explicit(&slot->site, RELAXED), PAGE_UNKNOWN, due, end_ns);
	else
		hot_log(r, s, slot, PAGE_UNKNOWN, due, atomic_load_explicit(&slot->issued_ns, RELAXED), end_ns);
}

/* Whether an op of a page is in the slot: what is read of it after this is that op's, for it goes on to the next one under the lock alone. */
static inline bool hot_op_runs(const struct slot *slot)
{
	return atomic_load_explicit(&slot->op_active, memory_order_acquire) != 0;
}

/* So is the op of a page that runs in it. Context: as above. */
static inline void hot_mark_op_unknown(const struct job_run *r, struct shard *s, struct slot *slot, uint64_t end_ns)
{
	uint64_t from;
	uint32_t cell;

	if (!r->job->is_page || !hot_op_runs(slot))
		return;
	from = atomic_load_explicit(&slot->op_due_ns, RELAXED);
	cell = cell_of(r, r->op_idx[atomic_load_explicit(&slot->kind, RELAXED)], atomic_load_explicit(&slot->phase, RELAXED));
	s->tally[cell].unknown++;
	hist_add(&s->unknown_ages[cell], end_ns > from ? end_ns - from : 0);
	hot_log(r, s, slot, PAGE_UNKNOWN, from, atomic_load_explicit(&slot->op_issued_ns, RELAXED), end_ns > from ? end_ns : from);
}

/* When the arrival of a busy slot is too late; of a retry its attempt. Only of a job with a limit. */
static inline uint64_t hot_late_from(const struct job_run *r, const struct slot *slot)
{
	if (r->tries > 0)
		return atomic_load_explicit(&slot->issued_ns, RELAXED) + r->try_ns[atomic_load_explicit(&slot->tries, RELAXED)];
	return atomic_load_explicit(&slot->due_ns, RELAXED) + r->timeout_ns;
}

static inline bool hot_is_late(const struct job_run *r, const struct slot *slot, uint64_t now_ns)
{
	return r->limited && now_ns > hot_late_from(r, slot);
}

/*
 * What is in a busy slot is too late, and is not waited for any longer: done once, by whoever sees it first.
 * Context: under the shard's lock, of a retry under the queue's too; the slot is busy and not unknown.
 */
static inline void hot_give_up(const struct job_run *r, struct shard *s, struct slot *slot)
{
	uint64_t end = hot_late_from(r, slot);

	hot_mark_op_unknown(r, s, slot, end);
	if (r->tries == 0 || !retry_abandoned(r, s, slot, end))
		hot_mark_unknown(r, s, slot, end);
}

/* What was in a busy slot has come back. @param cell the op's; of a page the page's. Context: under the locks of hot_lock(). */
static inline void hot_finish(struct thread *t, uint32_t cell, int64_t result, bool late, uint64_t due_ns, uint64_t issued_ns, uint64_t done_ns)
{
	const struct job_run *r = t->run;
	struct shard *s = t->shard;
	struct slot *slot = t->slot;
	uint32_t phase = atomic_load_explicit(&slot->phase, RELAXED);
	uint64_t *counter;

	hot_lag(s, phase, atomic_load_explicit(&slot->lag_ns, RELAXED));
	if (late && !atomic_load_explicit(&slot->unknown, RELAXED))
		hot_give_up(r, s, slot);
	if (atomic_load_explicit(&slot->unknown, RELAXED)) {
		if (r->tries > 0)
			retry_came_back(s, phase, result);
		atomic_store_explicit(&slot->state, SLOT_IDLE, RELAXED);
		atomic_store_explicit(&slot->unknown, 0, RELAXED);
		return;
	}
	if (result < 0 && r->tries > 0 && retry_failed(r, s, slot))
		return;
	hot_add(s, cell, done_ns - due_ns, done_ns - issued_ns);
	if (r->job->is_page)
		hot_page(s, atomic_load_explicit(&slot->site, RELAXED), result < 0 ? (int32_t)result : 0, due_ns, done_ns);
	else
		hot_log(r, s, slot, result, due_ns, issued_ns, done_ns);
	counter = hot_counter(&s->tally[cell], result);
	hot_move(s, &slot->state, SLOT_IDLE, counter, *counter + 1);
}

static inline void hot_show_op(struct slot *slot, const struct op *op)
{
	atomic_store_explicit(&slot->kind, (uint32_t)op->kind, RELAXED);
	atomic_store_explicit(&slot->site, op->site, RELAXED);
	atomic_store_explicit(&slot->file, op->file, RELAXED);
	atomic_store_explicit(&slot->draw, op->draw, RELAXED);
}

/* An arrival is taken and not issued yet. Context: under the queue's lock. */
static inline void hot_assign(struct slot *slot, const struct arrival_due *d)
{
	atomic_store_explicit(&slot->index, d->index, RELAXED);
	atomic_store_explicit(&slot->due_ns, d->due_ns, RELAXED);
	atomic_store_explicit(&slot->phase, d->phase, RELAXED);
	atomic_store_explicit(&slot->state, SLOT_ASSIGNED, memory_order_release);
}

static inline void hot_issue(struct slot *slot, uint64_t i, uint32_t phase, uint64_t due_ns, uint64_t issued_ns, uint64_t lag_ns)
{
	atomic_store_explicit(&slot->index, i, RELAXED);
	atomic_store_explicit(&slot->phase, phase, RELAXED);
	atomic_store_explicit(&slot->due_ns, due_ns, RELAXED);
	atomic_store_explicit(&slot->issued_ns, issued_ns, RELAXED);
	atomic_store_explicit(&slot->lag_ns, lag_ns, RELAXED);
	atomic_store_explicit(&slot->op_issued_ns, issued_ns, RELAXED);
	atomic_store_explicit(&slot->state, SLOT_BUSY, memory_order_release);
}

static inline uint64_t hot_now(const struct thread *t)
{
	uint64_t now = clock_mono_ns();

	return now > t->t0_ns ? now - t->t0_ns : 0;
}

/*
 * The locks under which what has come back is counted: the shard's; before it the queue's when the arrival may go back there.
 * @param failed  an error, or late. @return whether both are held: for hot_unlock().
 */
static inline bool hot_lock(struct thread *t, bool failed)
{
	bool both = failed && t->run->tries > 0;

	if (both)
		spin_lock(&t->run->queue->lock, t->tid);
	spin_lock(&t->shard->lock, t->tid);
	return both;
}

static inline void hot_unlock(struct thread *t, bool both)
{
	spin_unlock(&t->shard->lock);
	if (both)
		spin_unlock(&t->run->queue->lock);
}

/* The op of a slot is done. @return whether it counted; nothing is counted any more when it did not. Context: takes the locks. */
static inline bool hot_single_done(struct thread *t, enum op_kind kind, uint32_t phase, int64_t result, uint64_t due_ns, uint64_t issued_ns,
				   uint64_t done_ns)
{
	bool late = hot_is_late(t->run, t->slot, done_ns), both = hot_lock(t, late || result < 0), frozen = t->shard->frozen;

	if (!frozen)
		hot_finish(t, cell_of(t->run, t->run->op_idx[kind], phase), result, late, due_ns, issued_ns, done_ns);
	hot_unlock(t, both);
	return !frozen;
}

/** Do one op as arrival i. @return when it was done; 0 when nothing is counted any more. */
static inline uint64_t hot_single(struct thread *t, uint64_t i, uint32_t phase, uint64_t due_ns, uint64_t issued_ns, uint64_t lag_ns)
{
	struct op op = hot_pick(t->run, &t->control->spec, i);
	uint64_t done;
	int64_t result;

	hot_show_op(t->slot, &op);
	hot_issue(t->slot, i, phase, due_ns, issued_ns, lag_ns);
	result = t->engine->run(t->engine_ctx, t->buffer, t->buffer_bytes, &op);
	done = hot_now(t);
	return hot_single_done(t, op.kind, phase, result, due_ns, issued_ns, done) ? done : 0;
}

/* One op of a page is done. @return whether the page goes on. Context: takes the locks. */
static inline bool hot_page_step(struct thread *t, uint32_t phase, const struct op *op, bool last, int64_t result, uint64_t due_ns,
				 uint64_t op_due_ns, uint64_t op_issued_ns, uint64_t done_ns, bool *ret_frozen)
{
	const struct job_run *r = t->run;
	uint32_t cell = cell_of(r, r->op_idx[op->kind], phase);
	bool late = hot_is_late(r, t->slot, done_ns), both = hot_lock(t, late || result < 0), over = last || late || result < 0;

	*ret_frozen = t->shard->frozen;
	if (*ret_frozen) {
		hot_unlock(t, both);
		return false;
	}
	if (atomic_load_explicit(&t->slot->unknown, RELAXED)) {
		over = true;
	} else if (!late) {
		hot_add(t->shard, cell, done_ns - op_due_ns, done_ns - op_issued_ns);
		hot_log(r, t->shard, t->slot, result, op_due_ns, op_issued_ns, done_ns);
		(*hot_counter(&t->shard->tally[cell], result))++;
		atomic_store_explicit(&t->slot->op_active, 0, RELAXED);
	}
	if (over)
		hot_finish(t, cell_of(r, 0, phase), result, late, due_ns, atomic_load_explicit(&t->slot->issued_ns, RELAXED), done_ns);
	hot_unlock(t, both);
	return !over;
}

/* Op k of a page goes into the slot. */
static inline struct op hot_page_op(struct thread *t, uint64_t i, uint32_t k, uint64_t op_due_ns, uint64_t op_issued_ns)
{
	struct op op = hot_pick_of_page(t->run, &t->control->spec, i, atomic_load_explicit(&t->slot->tries, RELAXED), k);

	hot_show_op(t->slot, &op);
	atomic_store_explicit(&t->slot->op_due_ns, op_due_ns, RELAXED);
	atomic_store_explicit(&t->slot->op_issued_ns, op_issued_ns, RELAXED);
	atomic_store_explicit(&t->slot->op_active, 1, memory_order_release);
	return op;
}

/* When the first op of a page is due: with its page, of a further attempt with that. */
static inline uint64_t hot_first_due(const struct slot *slot, uint64_t due_ns)
{
	return atomic_load_explicit(&slot->tries, RELAXED) > 0 ? atomic_load_explicit(&slot->at_ns, RELAXED) : due_ns;
}

/** Do the ops of a page as arrival i, up to the first that fails. @return as hot_single() */
static inline uint64_t hot_whole_page(struct thread *t, uint64_t i, uint32_t phase, uint64_t due_ns, uint64_t issued_ns, uint64_t lag_ns)
{
	uint64_t op_due = hot_first_due(t->slot, due_ns), op_issued = issued_ns, done = 0;
	const struct job *j = t->run->job;
	bool frozen = false, more = true;

	for (uint32_t k = 0; more; k++) {
		struct op op = hot_page_op(t, i, k, op_due, op_issued);
		int64_t result;

		if (k == 0)
			hot_issue(t->slot, i, phase, due_ns, issued_ns, lag_ns);
		result = t->engine->run(t->engine_ctx, t->buffer, t->buffer_bytes, &op);
		done = hot_now(t);
		more = hot_page_step(t, phase, &op, k + 1 == j->page_nr, result, due_ns, op_due, op_issued, done, &frozen);
		op_due = op_issued = done;
	}
	return frozen ? 0 : done;
}

#endif
