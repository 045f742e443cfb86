/* SPDX-License-Identifier: MIT */
/*
 * shared.c - lay out the shared memory: measured in one pass, handed out in a second one.
 *
 * Most of it is never touched (a histogram is 300 KiB, of which a run uses a few pages), hence MAP_NORESERVE.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataset.h"
#include "rng.h"
#include "shared.h"

struct layout {
	char *base;		/* NULL while measuring */
	size_t used;
};

static void *take(struct layout *l, size_t nr, size_t bytes)
{
	void *p = l->base ? l->base + l->used : NULL;

	l->used += (nr * bytes + 127) & ~(size_t)127;
	return p;
}

static uint32_t cpus_nr(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > SHARDS_MAX ? SHARDS_MAX : (uint32_t)n;
}

static void add_op(struct job_run *r, int kind)
{
	for (uint32_t i = 0; i < r->ops_nr; i++)
		if (r->op_kind[i] == kind)
			return;
	if (kind >= 0)
		r->op_idx[kind] = r->ops_nr;
	r->op_kind[r->ops_nr++] = kind;
}

static void list_ops(struct job_run *r)
{
	const struct job *j = r->job;

	if (j->is_page) {
		add_op(r, -1);
		for (unsigned int i = 0; i < j->page_nr; i++)
			add_op(r, (int)j->page[i]);
		return;
	}
	for (int k = 0; k < OP_NR; k++) {
		if (j->mix[k] == 0)
			continue;
		add_op(r, k);
		r->weight_sum += j->mix[k];
		r->weight_end[r->ops_nr - 1] = r->weight_sum;
	}
}

static int job_check(const struct load_job *lj, const struct job *j, const struct job_run *r, struct err *err)
{
	const struct engine_traits *t = engine_traits_find(r->engine->name);
	uint64_t weights = 0;

	for (int k = 0; k < OP_NR; k++)
		weights += j->mix[k];
	if (j->is_page ? j->page_nr == 0 || j->page_nr > PAGE_OPS_MAX : weights == 0 || weights > UINT32_MAX)
		return err_set(err, -EINVAL, "job %s: it has no op to do, or too many", j->name);
	if (r->slots_nr == 0 || r->slots_nr > t->slots_max)
		return err_set(err, -EINVAL, "job %s: %u slots; from 1 to %u are possible", j->name, r->slots_nr, t->slots_max);
	if (!r->closed && t->needs_queue && j->queue_max == 0)
		return err_set(err, -EINVAL, "job %s: engine %s needs a queue of 1 or more", j->name, t->name);
	if (r->tries > 0 && j->queue_max == 0)
		return err_set(err, -EINVAL, "job %s: retry needs a queue of 1 or more", j->name);
	if (!r->closed && j->queue_max > QUEUE_MAX)
		return err_set(err, -EINVAL, "job %s: queue_max %u; at most %u is possible", j->name, j->queue_max, QUEUE_MAX);
	if (!r->closed && !(arrival_peak_per_s(&j->arrival, lj->capacity_per_s, lj->baseline_per_s) > 0))
		return err_set(err, -EINVAL, "job %s: no rate", j->name);
	return 0;
}

static int run_init(struct job_run *r, const struct load_plan *plan, const struct load_job *lj, struct err *err)
{
	const struct job *j;
	int rc;

	if (lj->job_idx >= plan->profile->jobs_nr)
		return err_set(err, -EINVAL, "load plan: no job %u in the profile", lj->job_idx);
	j = &plan->profile->jobs[lj->job_idx];
	*r = (struct job_run){
		.job = j,
		.job_idx = lj->job_idx,
		.slots_nr = lj->slots ? lj->slots : j->slots,
		.phases_nr = plan->phases_nr,
		.host_idx = plan->host_idx,
		.hosts_nr = plan->hosts_nr,
		.closed = lj->closed || j->arrival.kind == ARRIVAL_CLOSED,
		.timeout_ns = j->timeout_ns,
		.think_ns = j->arrival.kind == ARRIVAL_CLOSED ? j->arrival.think_ns : 0,
		.seed = rng_subseed(rng_subseed(plan->seed, "ops"), j->name),
	};
	if (!r->closed)		/* a calibration is, whatever the job has */
		r->tries = j->retry.tries;
	for (uint32_t i = 0; i < r->tries; i++)
		r->try_ns[i] = retry_wait_ns(&j->retry, i);
	r->limited = r->timeout_ns > 0 || r->tries > 0;
	rc = engine_choose(j, r->slots_nr, &r->engine, &r->why, err);
	if (rc == 0)
		rc = job_check(lj, j, r, err);
	if (rc < 0)
		return rc;
	r->shards_nr = r->slots_nr < cpus_nr() ? r->slots_nr : cpus_nr();
	list_ops(r);
	r->cells_nr = r->ops_nr * r->phases_nr;
	r->spans_nr = arrivals_spans(plan, lj, r->span);
	return 0;
}

static void lay_shard(struct layout *l, const struct job_run *r, struct shard *to)
{
	struct shard s = { .epoch = 0 };

	s.tally = take(l, r->cells_nr, sizeof *s.tally);
	for (int e = 0; e < 2; e++) {
		s.live[e] = take(l, 2 * (size_t)r->cells_nr, sizeof *s.live[e]);
		s.pages[e] = r->job->is_page ? take(l, PAGES_SHARD_MAX, sizeof *s.pages[e]) : NULL;
		s.logged[e] = r->job->logs_ops ? take(l, LOGGED_SHARD_MAX, sizeof *s.logged[e]) : NULL;
	}
	s.unknown_ages = take(l, r->cells_nr, sizeof *s.unknown_ages);
	s.lag = take(l, r->phases_nr, sizeof *s.lag);
	s.attempts = r->tries > 0 ? take(l, r->phases_nr, sizeof *s.attempts) : NULL;
	if (l->base)
		*to = s;
}

static void lay_queue(struct layout *l, const struct job_run *r, struct queue *q)
{
	struct arrival_due *ring = take(l, r->job->queue_max, sizeof *ring);
	uint64_t *not_issued = take(l, r->phases_nr, sizeof *not_issued);
	struct hist *ages = take(l, r->phases_nr, sizeof *ages);

	if (!q)
		return;
	q->ring = ring;
	q->not_issued = not_issued;
	q->ages = ages;
}

/* As many may wait for their next attempt as for a slot. */
static void lay_again(struct layout *l, const struct job_run *r, struct queue *q)
{
	struct again_cell *cell = take(l, r->job->queue_max, sizeof *cell);
	uint32_t *order = take(l, r->job->queue_max, sizeof *order);
	uint64_t *attempts = take(l, r->phases_nr, sizeof *attempts);

	if (!q)
		return;
	again_init(&q->again, cell, order, r->job->queue_max);
	q->attempts = attempts;
}

static void lay_run(struct layout *l, struct job_run *r, const struct load_plan *plan, const struct load_job *lj)
{
	struct curve_piece *room = take(l, r->closed ? 0 : r->job->arrival.pieces_nr, sizeof *room);
	struct queue *q;

	if (l->base && !r->closed)
		arrivals_init(&r->fresh, plan, lj, room);

	r->slot = take(l, r->slots_nr, sizeof *r->slot);
	r->shard = take(l, r->shards_nr, sizeof *r->shard);
	for (uint32_t i = 0; i < r->shards_nr; i++)
		lay_shard(l, r, l->base ? &r->shard[i] : NULL);
	r->queue = q = take(l, 1, sizeof *q);
	if (l->base)
		*q = (struct queue){ .arrivals = r->fresh, .max = r->job->queue_max, .timeout_ns = r->timeout_ns, .overdue_ns = UINT64_MAX, .stop_ns = UINT64_MAX };
	if (!r->closed)
		lay_queue(l, r, l->base ? q : NULL);
	if (r->tries > 0)
		lay_again(l, r, l->base ? q : NULL);
}

static void lay(struct layout *l, struct shared *s, const struct load_plan *plan)
{
	struct hist *hiccup;

	s->control = take(l, 1, sizeof *s->control);
	hiccup = take(l, plan->phases_nr, sizeof *hiccup);
	if (l->base)
		s->control->hiccup = hiccup;
	for (unsigned int i = 0; i < s->jobs_nr; i++)
		lay_run(l, &s->run[i], plan, &plan->jobs[i]);
}

static int plan_check(const struct load_plan *plan, struct err *err)
{
	if (plan->jobs_nr == 0 || plan->jobs_nr > JOBS_MAX || plan->phases_nr == 0 || plan->phases_nr > PHASES_MAX)
		return err_set(err, -EINVAL, "load plan: %u jobs in %u phases", plan->jobs_nr, plan->phases_nr);
	if (plan->hosts_nr == 0 || plan->host_idx >= plan->hosts_nr)
		return err_set(err, -EINVAL, "load plan: host %u of %u", plan->host_idx, plan->hosts_nr);
	for (unsigned int i = 1; i < plan->phases_nr; i++)
		if (plan->phases[i].start_ns < plan->phases[i - 1].end_ns)
			return err_set(err, -EINVAL, "load plan: phase %s starts before %s ends", plan->phases[i].name, plan->phases[i - 1].name);
	if (!plan->host || plan->host[0] == '\0' || strlen(plan->host) >= NAME_BYTES || strchr(plan->host, '/'))
		return err_set(err, -EINVAL, "load plan: '%s' is no name of a host", plan->host ? plan->host : "");
	return 0;
}

int shared_init(struct shared *s, const struct load_plan *plan, struct err *err)
{
	struct layout measure = { NULL, 0 }, layout = { NULL, 0 };
	int rc = plan_check(plan, err);

	*s = (struct shared){ .jobs_nr = plan->jobs_nr };
	for (unsigned int i = 0; i < plan->jobs_nr && rc == 0; i++)
		rc = run_init(&s->run[i], plan, &plan->jobs[i], err);
	if (rc < 0)
		return rc;
	lay(&measure, s, plan);
	s->map = mmap(NULL, measure.used, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->map == MAP_FAILED) {
		s->map = NULL;
		return err_set(err, -ENOMEM, "load: no %zu MiB of address space for the histograms", measure.used >> 20);
	}
	s->map_bytes = measure.used;
	(void)madvise(s->map, s->map_bytes, MADV_DONTDUMP);
	layout.base = s->map;
	lay(&layout, s, plan);
	assert(layout.used == measure.used);
	return 0;
}

void shared_release(struct shared *s)
{
	if (s->map)
		munmap(s->map, s->map_bytes);
	*s = (struct shared){ .map = NULL };
}

void shared_know_dataset(struct shared *s)
{
	for (unsigned int i = 0; i < s->jobs_nr; i++) {
		struct job_run *r = &s->run[i];

		if (r->job->order != ORDER_ZIPF)
			continue;
		zipf_init(&r->zipf_site, s->control->spec.sites, r->job->zipf_s);
		zipf_init(&r->zipf_file, s->control->spec.files_per_site, r->job->zipf_s);
	}
}
