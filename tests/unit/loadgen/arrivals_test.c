/* SPDX-License-Identifier: MIT */
/*
 * arrivals_test.c - when op i is due follows from (plan, seed, i) alone; rates are what the profile says; slices lose and double nothing.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../../loadgen/arrivals.h"
#include "fixture.h"

static struct arrivals open_arrivals(struct fixture *f, enum arrival_kind kind, double per_s, uint64_t for_ns)
{
	struct arrivals a;

	fixture_init(f);
	fixture_rate(f, kind, per_s);
	fixture_phase(f, 0, "all", 0, for_ns);
	arrivals_init(&a, &f->plan, &f->plan.jobs[0]);
	return a;
}

static uint64_t count(struct arrivals *a, uint64_t before_ns)
{
	uint64_t n = 0;

	for (; !a->ended && a->ahead.due_ns < before_ns; n++)
		(void)arrivals_next(a);
	return n;
}

Test(arrivals, constant_ones_are_exact_to_the_nanosecond)
{
	static const struct {
		double per_s;
		uint64_t numerator, denominator;	/* due_i = floor(i * numerator / denominator) */
	} rate[] = { { 100, 10000000, 1 }, { 3, 1000000000, 3 }, { 1000, 1000000, 1 }, { 0.5, 2000000000, 1 }, { 7, 1000000000, 7 }, { 4096, 1953125, 8 } };
	struct fixture f;

	for (size_t r = 0; r < sizeof rate / sizeof rate[0]; r++) {
		struct arrivals a = open_arrivals(&f, ARRIVAL_CONSTANT, rate[r].per_s, 3600 * NS_PER_S);

		for (uint64_t i = 0; !a.ended && i < 100000; i++) {
			struct arrival_due d = arrivals_next(&a);

			cr_assert_eq(d.index, i);
			cr_assert_eq(d.due_ns, i ? i * rate[r].numerator / rate[r].denominator : 1, "%g/s: op %lu is due at %lu", rate[r].per_s, i, d.due_ns);
		}
	}
}

Test(arrivals, constant_ones_do_not_drift_in_a_day)
{
	struct fixture f;
	struct arrivals a = open_arrivals(&f, ARRIVAL_CONSTANT, 100, 86400 * NS_PER_S);
	struct arrival_due d = { .due_ns = 0 };

	while (!a.ended)
		d = arrivals_next(&a);
	cr_assert_eq(d.index, 8639999);
	cr_assert_eq(d.due_ns, 86399990000000);
}

Test(arrivals, poisson_gaps_have_the_mean_and_the_variance_of_an_exponential)
{
	const double n = 200000;
	double sum = 0, squares = 0, longer = 0, mean, variance;
	struct fixture f;
	struct arrivals a = open_arrivals(&f, ARRIVAL_POISSON, 1000, 3600 * NS_PER_S);
	uint64_t last = 0;

	for (int i = 0; i < n; i++) {
		uint64_t due = arrivals_next(&a).due_ns;
		double gap = (double)(due - last) / 1e6;	/* in means */

		sum += gap;
		squares += gap * gap;
		longer += gap > 3;
		last = due;
	}
	mean = sum / n;
	variance = squares / n - mean * mean;
	/* Five standard errors: 1/sqrt(n) of the mean, sqrt(8/n) of the variance, sqrt(p(1-p)/n) of a share. */
	cr_assert_float_eq(mean, 1, 5 / sqrt(n), "mean %g", mean);
	cr_assert_float_eq(variance, 1, 5 * sqrt(8 / n), "variance %g", variance);
	cr_assert_float_eq(longer / n, exp(-3), 5 * sqrt(exp(-3) / n), "share of gaps over three means %g", longer / n);
}

Test(arrivals, poisson_counts_of_a_second_have_a_variance_of_their_mean)
{
	struct fixture f;
	struct arrivals a = open_arrivals(&f, ARRIVAL_POISSON, 50, 4000 * NS_PER_S);
	double sum = 0, squares = 0;

	for (uint64_t s = 1; s <= 4000; s++) {
		double n = (double)count(&a, s * NS_PER_S);

		sum += n;
		squares += n * n;
	}
	sum /= 4000;
	squares = squares / 4000 - sum * sum;
	cr_assert_float_eq(sum, 50, 5 * sqrt(50.0 / 4000));
	cr_assert_float_eq(squares, 50, 5 * 50 * sqrt(2.0 / 4000), "variance %g", squares);
}

Test(arrivals, the_same_seed_repeats_and_another_does_not)
{
	struct fixture f, g;
	struct arrivals a = open_arrivals(&f, ARRIVAL_POISSON, 100, 60 * NS_PER_S), b = open_arrivals(&g, ARRIVAL_POISSON, 100, 60 * NS_PER_S), c;
	unsigned int same = 0;

	f.plan.seed = 2;
	arrivals_init(&c, &f.plan, &f.plan.jobs[0]);
	for (int i = 0; i < 1000; i++) {
		uint64_t due = arrivals_next(&a).due_ns;

		cr_assert_eq(due, arrivals_next(&b).due_ns);
		same += due == arrivals_next(&c).due_ns;
	}
	cr_assert_leq(same, 1);
}

/* The integral of the rate, from 10/s to 90/s in 20 s and on at 90/s. */
static double risen(double from, double to, double rise_s, double t)
{
	double in = t < rise_s ? t : rise_s;

	return from * in + (to - from) / rise_s * in * in / 2 + (t > rise_s ? (t - rise_s) * to : 0);
}

Test(arrivals, a_spike_follows_the_integral_of_its_rate)
{
	static const struct {
		double from, to;
	} shape[] = { { 10, 90 }, { 0, 90 }, { 90, 10 }, { 90, 0 } };
	struct fixture f;

	for (size_t s = 0; s < 4; s++) {
		struct arrivals a;
		uint64_t n = 0;

		fixture_init(&f);
		f.profile.jobs[0].arrival = (struct arrival){ .kind = ARRIVAL_SPIKE, .rise_ns = 20 * NS_PER_S, .poisson = false };
		f.plan.jobs[0].from_per_s = shape[s].from;
		f.plan.jobs[0].to_per_s = shape[s].to;
		fixture_phase(&f, 0, "all", 0, 40 * NS_PER_S);
		arrivals_init(&a, &f.plan, &f.plan.jobs[0]);
		for (uint64_t half = 1; half <= 80; half++) {
			double want = risen(shape[s].from, shape[s].to, 20, (double)half / 2);

			n += count(&a, half * NS_PER_S / 2);
			cr_assert_float_eq((double)n, want, 1.001, "%g to %g: %lu arrivals in %g s instead of %g", shape[s].from, shape[s].to, n,
					   (double)half / 2, want);
		}
	}
}

Test(arrivals, a_random_spike_has_as_many_as_an_even_one)
{
	struct fixture f;
	struct arrivals a;
	double n, want = risen(100, 900, 20, 40);

	fixture_init(&f);
	f.profile.jobs[0].arrival = (struct arrival){ .kind = ARRIVAL_SPIKE, .rise_ns = 20 * NS_PER_S, .poisson = true };
	f.plan.jobs[0].from_per_s = 100;
	f.plan.jobs[0].to_per_s = 900;
	fixture_phase(&f, 0, "all", 0, 40 * NS_PER_S);
	arrivals_init(&a, &f.plan, &f.plan.jobs[0]);
	n = (double)count(&a, UINT64_MAX);
	cr_assert_float_eq(n, want, 5 * sqrt(want), "%g instead of %g", n, want);
}

static void assert_slices(unsigned int hosts_nr, enum arrival_kind kind)
{
	struct fixture f;
	struct arrivals whole = open_arrivals(&f, kind, 500, 10 * NS_PER_S), slice[7];

	f.plan.hosts_nr = hosts_nr;
	for (f.plan.host_idx = 0; f.plan.host_idx < hosts_nr; f.plan.host_idx++)
		arrivals_init(&slice[f.plan.host_idx], &f.plan, &f.plan.jobs[0]);
	for (uint64_t i = 0; !whole.ended; i++) {
		struct arrival_due want = arrivals_next(&whole), got = arrivals_next(&slice[i % hosts_nr]);

		cr_assert_eq(got.index, i);
		cr_assert_eq(got.due_ns, want.due_ns, "%u hosts: op %lu is due at %lu instead of %lu", hosts_nr, i, got.due_ns, want.due_ns);
	}
	for (unsigned int h = 0; h < hosts_nr; h++)
		cr_assert(slice[h].ended, "host %u of %u has an op that nobody else knows", h, hosts_nr);
}

Test(arrivals, hosts_share_the_sequence_and_nothing_is_lost_or_doubled)
{
	for (unsigned int n = 1; n <= 7; n++) {
		assert_slices(n, ARRIVAL_CONSTANT);
		assert_slices(n, ARRIVAL_POISSON);
	}
}

Test(arrivals, a_job_pauses_in_phases_that_are_not_its_own)
{
	struct fixture f;
	struct arrivals a;

	fixture_init(&f);
	fixture_rate(&f, ARRIVAL_CONSTANT, 10);
	fixture_phase(&f, 0, "one", 0, 1 * NS_PER_S);
	fixture_phase(&f, 1, "two", 1 * NS_PER_S, 3 * NS_PER_S);
	fixture_phase(&f, 2, "three", 3 * NS_PER_S, 5 * NS_PER_S);
	f.plan.jobs[0].phases = 1 | 4;
	arrivals_init(&a, &f.plan, &f.plan.jobs[0]);
	for (uint64_t i = 0; i < 30; i++) {
		struct arrival_due d = arrivals_next(&a);
		uint64_t want = i * NS_PER_S / 10 + (i < 10 ? 0 : 2 * NS_PER_S);

		cr_assert_eq(d.due_ns, want ? want : 1);
		cr_assert_eq(d.phase, i < 10 ? 0 : 2);
	}
	cr_assert(a.ended);
}

Test(arrivals, a_walk_that_was_cut_short_is_taken_up_where_it_was)
{
	struct fixture f;
	struct arrivals fresh = open_arrivals(&f, ARRIVAL_POISSON, 100, 60 * NS_PER_S), a = fresh, torn;

	for (int i = 0; i < 1234; i++)
		(void)arrivals_next(&a);
	torn = a;
	torn.sum = 7;
	torn.next_index += 3;
	torn.ahead.due_ns = 1;
	arrivals_rewalk(&torn, &fresh);
	for (int i = 0; i < 100; i++) {
		struct arrival_due x = arrivals_next(&a), y = arrivals_next(&torn);

		cr_assert(x.index == y.index && x.due_ns == y.due_ns && x.phase == y.phase);
	}
}
