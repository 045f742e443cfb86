/* SPDX-License-Identifier: MIT */
/*
 * arrivals.c - due times, computed from the index so that errors do not add up.
 */
#include <assert.h>
#include <math.h>

#include "arrivals.h"
#include "rng.h"
#include "trace.h"

uint32_t arrivals_spans(const struct load_plan *plan, const struct load_job *job, struct span span[PHASES_MAX])
{
	uint64_t before = 0;
	uint32_t n = 0;

	for (uint32_t p = 0; p < plan->phases_nr; p++) {
		const struct load_phase *phase = &plan->phases[p];

		if (!(job->phases >> p & 1) || phase->end_ns <= phase->start_ns)
			continue;
		span[n++] = (struct span){ .start_ns = phase->start_ns, .end_ns = phase->end_ns, .before_ns = before, .phase = p };
		before += phase->end_ns - phase->start_ns;
	}
	return n;
}

static double draw_e(struct arrivals *a, uint64_t i)
{
	struct rng rng;

	if (!a->random)
		return (double)i;
	rng_init(&rng, a->seed, i);
	return a->sum + rng_exponential(&rng);
}

/* The time of a trace does not hang on what is drawn before. @return [ns of the job's time]; infinity after its end */
static double next_traced(struct arrivals *a)
{
	uint64_t i = a->next_index + (a->host_idx + a->hosts_nr - a->next_index % a->hosts_nr) % a->hosts_nr;

	a->ahead.index = i;
	a->next_index = i + 1;
	return i < a->trace->ops_nr ? (double)a->trace->op[i].at_ns / a->trace_speed : INFINITY;
}

static double next_drawn(struct arrivals *a)
{
	do {
		a->sum = draw_e(a, a->next_index);
		a->ahead.index = a->next_index++;
	} while (a->ahead.index % a->hosts_nr != a->host_idx);
	return curve_inverse(&a->curve, a->sum);
}

static void look_ahead(struct arrivals *a)
{
	double tau = a->trace ? next_traced(a) : next_drawn(a);

	while (a->span_idx < a->spans_nr) {
		const struct span *s = &a->span[a->span_idx];

		if (tau < (double)(s->before_ns + (s->end_ns - s->start_ns))) {
			a->ahead.due_ns = s->start_ns + ((uint64_t)tau - s->before_ns);
			if (a->ahead.due_ns == 0)
				a->ahead.due_ns = 1;
			a->ahead.phase = s->phase;
			return;
		}
		a->span_idx++;
	}
	a->ended = true;
}

void arrivals_init(struct arrivals *a, const struct load_plan *plan, const struct load_job *job, struct curve_piece *room)
{
	const struct job *j = &plan->profile->jobs[job->job_idx];

	*a = (struct arrivals){
		.random = j->arrival.random,
		.seed = rng_subseed(rng_subseed(plan->seed, "arrivals"), j->name),
		.host_idx = plan->host_idx,
		.hosts_nr = plan->hosts_nr,
		.trace = j->trace.ops_nr > 0 ? &j->trace : NULL,
		.trace_speed = j->trace_speed,
	};
	curve_init(&a->curve, &j->arrival, job->capacity_per_s, job->baseline_per_s, room);
	a->spans_nr = arrivals_spans(plan, job, a->span);
	look_ahead(a);
}

struct arrival_due arrivals_next(struct arrivals *a)
{
	struct arrival_due due = a->ahead;

	assert(!a->ended);
	look_ahead(a);
	__atomic_store_n(&a->taken_nr, a->taken_nr + 1, __ATOMIC_RELEASE);
	return due;
}

void arrivals_rewalk(struct arrivals *a, const struct arrivals *fresh)
{
	uint64_t taken_nr = a->taken_nr;

	*a = *fresh;
	while (a->taken_nr < taken_nr)
		(void)arrivals_next(a);
}
