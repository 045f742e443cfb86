/* SPDX-License-Identifier: MIT */
/*
 * arrivals.c - due times, computed from the index so that errors do not add up.
 */
#include <assert.h>
#include <math.h>

#include "arrivals.h"
#include "clock.h"
#include "rng.h"

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

/*
 * With slope s = (to - from) / rise the rise has Lambda(tau) = from tau + s tau^2 / 2. The form 2E / (b + sqrt(b^2 + 2sE)) has no
 * cancellation and no division by s. The products with 1e9 come before the division: i * 1e9 is exact up to i = 2^32, and so is then
 * a due time that is a whole number of ns.
 */
double arrivals_inverse(const struct arrivals *a, double e)
{
	double risen = a->rise_s * (a->from_per_s + a->to_per_s) / 2;
	double slope;

	if (e <= 0)
		return 0;
	if (e < risen) {
		slope = (a->to_per_s - a->from_per_s) / a->rise_s;
		return 2e9 * e / (a->from_per_s + sqrt(fmax(0, a->from_per_s * a->from_per_s + 2 * slope * e)));
	}
	if (a->to_per_s <= 0)
		return INFINITY;
	return a->rise_s * 1e9 + (e - risen) * 1e9 / a->to_per_s;
}

static double draw_e(struct arrivals *a, uint64_t i)
{
	struct rng rng;

	if (!a->random)
		return (double)i;
	rng_init(&rng, a->seed, i);
	return a->sum + rng_exponential(&rng);
}

static void look_ahead(struct arrivals *a)
{
	double tau;

	do {
		a->sum = draw_e(a, a->next_index);
		a->ahead.index = a->next_index++;
	} while (a->ahead.index % a->hosts_nr != a->host_idx);
	tau = arrivals_inverse(a, a->sum);
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

void arrivals_init(struct arrivals *a, const struct load_plan *plan, const struct load_job *job)
{
	const struct job *j = &plan->profile->jobs[job->job_idx];
	bool spike = j->arrival.kind == ARRIVAL_SPIKE;

	*a = (struct arrivals){
		.random = j->arrival.kind == ARRIVAL_POISSON || (spike && j->arrival.poisson),
		.from_per_s = job->from_per_s,
		.to_per_s = spike ? job->to_per_s : job->from_per_s,
		.rise_s = spike ? (double)j->arrival.rise_ns / (double)NS_PER_S : 0,
		.seed = rng_subseed(rng_subseed(plan->seed, "arrivals"), j->name),
		.host_idx = plan->host_idx,
		.hosts_nr = plan->hosts_nr,
	};
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
