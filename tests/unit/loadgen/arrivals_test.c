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

/* Room for the timelines of a test; each test is a process of its own. */
static struct curve_piece rooms[128][8];
static unsigned int rooms_nr;

static void init(struct arrivals *a, const struct fixture *f)
{
	cr_assert_lt(rooms_nr, 128u);
	arrivals_init(a, &f->plan, &f->plan.jobs[0], rooms[rooms_nr++]);
}

static struct arrivals open_arrivals(struct fixture *f, enum arrival_kind kind, double rate, uint64_t for_ns)
{
	struct arrivals a;

	fixture_init(f);
	fixture_rate(f, kind, rate);
	fixture_phase(f, 0, "all", 0, for_ns);
	init(&a, f);
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
	init(&c, &f);
	for (int i = 0; i < 1000; i++) {
		uint64_t due = arrivals_next(&a).due_ns;

		cr_assert_eq(due, arrivals_next(&b).due_ns);
		same += due == arrivals_next(&c).due_ns;
	}
	cr_assert_leq(same, 1);
}

/* Timelines in the ways in which a profile can ask for them; the same for all tests below. */
struct shape {
	const char *name;
	bool repeats;
	unsigned int pieces_nr;
	struct {
		double for_s, from, to;
	} piece[6];
};
static const struct shape shapes[] = {
	{ "constant", false, 1, { { 0, 50, 50 } } },
	{ "rise", false, 2, { { 20, 10, 90 }, { 0, 90, 90 } } },
	{ "rise from nothing", false, 2, { { 20, 0, 90 }, { 0, 90, 90 } } },
	{ "fall", false, 2, { { 20, 90, 10 }, { 0, 10, 10 } } },
	{ "fall to nothing", false, 2, { { 20, 90, 0 }, { 0, 0, 0 } } },
	{ "step", false, 2, { { 7, 20, 20 }, { 0, 200, 200 } } },
	{ "levels with a pause", false, 4, { { 3, 40, 40 }, { 5.5, 0, 0 }, { 4, 300, 300 }, { 0, 16, 16 } } },
	{ "nothing at first", false, 2, { { 4, 0, 0 }, { 0, 25, 25 } } },
	{ "burst", true, 2, { { 2, 100, 100 }, { 3, 0, 0 } } },
	{ "burst over an idle rate", true, 2, { { 0.25, 400, 400 }, { 0.5, 8, 8 } } },
	{ "saw", true, 2, { { 4, 0, 64 }, { 2, 64, 0 } } },
};
#define SHAPES_NR (sizeof shapes / sizeof shapes[0])

/* The integral of the rate, piece by piece, in seconds. */
static double integral(const struct shape *s, double t)
{
	double sum = 0;

	for (unsigned int i = 0; t > 0; i = s->repeats ? (i + 1) % s->pieces_nr : i + 1) {
		double for_s = s->piece[i].for_s > 0 ? s->piece[i].for_s : INFINITY, in = fmin(t, for_s);
		double slope = isfinite(for_s) ? (s->piece[i].to - s->piece[i].from) / for_s : 0;

		sum += s->piece[i].from * in + slope * in * in / 2;
		t -= in;
	}
	return sum;
}

static struct arrivals open_shape(struct fixture *f, const struct shape *s, bool random, double scale, uint64_t for_ns)
{
	struct arrivals a;

	fixture_init(f);
	fixture_phase(f, 0, "all", 0, for_ns);
	fixture_timeline(f, random, s->pieces_nr);
	for (unsigned int i = 0; i < s->pieces_nr; i++)
		f->pieces[i] = (struct rate_piece){ .for_ns = (uint64_t)(s->piece[i].for_s * 1e9), .from = per_s(scale * s->piece[i].from),
						    .to = per_s(scale * s->piece[i].to) };
	f->profile.jobs[0].arrival.repeats = s->repeats;
	init(&a, f);
	return a;
}

Test(arrivals, evenly_spaced_ones_are_in_every_window_as_many_as_the_integral_of_the_rate)
{
	for (size_t s = 0; s < SHAPES_NR; s++) {
		struct fixture f;
		struct arrivals a = open_shape(&f, &shapes[s], false, 1, 40 * NS_PER_S);
		uint64_t n = 0;

		for (uint64_t quarter = 1; quarter <= 160; quarter++) {	/* op i is in the first n as soon as the integral is beyond i */
			double want = ceil(integral(&shapes[s], (double)quarter / 4) - 1e-9);

			n += count(&a, quarter * NS_PER_S / 4);
			cr_assert_eq((double)n, want, "%s: %lu arrivals in %g s instead of %g", shapes[s].name, n, (double)quarter / 4, want);
		}
	}
}

/* The count of a window is Poisson with the integral as its mean: within 4 sigma, and all windows together as chi-square says. */
Test(arrivals, random_ones_are_in_every_window_as_many_as_the_integral_within_4_sigma)
{
	for (size_t s = 0; s < SHAPES_NR; s++) {
		struct fixture f;
		struct arrivals a = open_shape(&f, &shapes[s], true, 10, 40 * NS_PER_S);
		double chi_square = 0, windows = 0;

		for (uint64_t second = 1; second <= 40; second++) {
			double want = 10 * (integral(&shapes[s], (double)second) - integral(&shapes[s], (double)(second - 1)));
			double n = (double)count(&a, second * NS_PER_S);

			cr_assert_leq(fabs(n - want), 4 * sqrt(want), "%s: %g arrivals in second %lu instead of %g", shapes[s].name, n, second, want);
			if (want > 0) {
				chi_square += (n - want) * (n - want) / want;
				windows++;
			}
		}
		cr_assert_leq(fabs(chi_square - windows), 4 * sqrt(2 * windows + 1), "%s: chi-square %g of %g windows", shapes[s].name, chi_square, windows);
	}
}

Test(arrivals, relative_rates_are_shares_of_capacity_and_multiples_of_the_baseline)
{
	struct fixture f;
	struct arrivals a;

	fixture_init(&f);
	fixture_phase(&f, 0, "all", 0, 4 * NS_PER_S);
	f.pieces[0] = (struct rate_piece){ .for_ns = NS_PER_S, .from = { RATE_CAPACITY, 0.25 }, .to = { RATE_CAPACITY, 0.25 } };
	f.pieces[1] = (struct rate_piece){ .for_ns = NS_PER_S, .from = { RATE_CAPACITY, 0.25 }, .to = { RATE_BASELINE, 3 } };
	f.pieces[2] = (struct rate_piece){ .from = { RATE_BASELINE, 3 }, .to = { RATE_BASELINE, 3 } };
	fixture_timeline(&f, false, 3);
	f.plan.jobs[0].capacity_per_s = 400;
	f.plan.jobs[0].baseline_per_s = 20;
	init(&a, &f);
	cr_assert_eq(count(&a, NS_PER_S), 100u);
	cr_assert_eq(count(&a, 2 * NS_PER_S), 80u);
	cr_assert_eq(count(&a, UINT64_MAX), 120u);
}

/* What 1, 2 and 7 hosts do together is the same; and a host that is lost takes every n-th op with it and no other. */
Test(arrivals, every_timeline_is_one_sequence_however_many_hosts_share_it)
{
	static const unsigned int hosts[] = { 1, 2, 7 };

	for (size_t s = 0; s < SHAPES_NR; s++)
		for (size_t h = 0; h < 3; h++) {
			struct fixture f;
			struct arrivals whole = open_shape(&f, &shapes[s], true, 1, 30 * NS_PER_S), slice[7];

			rooms_nr = 1;
			f.plan.hosts_nr = hosts[h];
			for (f.plan.host_idx = 0; f.plan.host_idx < hosts[h]; f.plan.host_idx++)
				init(&slice[f.plan.host_idx], &f);
			rooms_nr = 0;
			for (uint64_t i = 0; !whole.ended; i++) {
				struct arrival_due want = arrivals_next(&whole), got = arrivals_next(&slice[i % hosts[h]]);

				cr_assert(got.index == i && want.index == i && got.due_ns == want.due_ns, "%s, %u hosts: op %lu is due at %lu instead of %lu",
					  shapes[s].name, hosts[h], i, got.due_ns, want.due_ns);
			}
			for (unsigned int n = 0; n < hosts[h]; n++)
				cr_assert(slice[n].ended, "%s: host %u of %u has an op that nobody else knows", shapes[s].name, n, hosts[h]);
		}
}

Test(arrivals, a_burst_keeps_its_beat_for_a_day)
{
	static const struct shape burst = { "burst", true, 2, { { 7, 3, 3 }, { 6, 0, 0 } } };
	struct fixture f;
	struct arrivals a = open_shape(&f, &burst, false, 1, 86400 * NS_PER_S);

	for (uint64_t i = 0; !a.ended; i++) {
		uint64_t want = i / 21 * 13 * NS_PER_S + i % 21 * NS_PER_S / 3;
		struct arrival_due d = arrivals_next(&a);

		cr_assert_eq(d.due_ns, want ? want : 1, "op %lu is due at %lu instead of %lu", i, d.due_ns, want);
	}
}

static void assert_slices(unsigned int hosts_nr, enum arrival_kind kind)
{
	struct fixture f;
	struct arrivals whole = open_arrivals(&f, kind, 500, 10 * NS_PER_S), slice[7];

	f.plan.hosts_nr = hosts_nr;
	for (f.plan.host_idx = 0; f.plan.host_idx < hosts_nr; f.plan.host_idx++)
		init(&slice[f.plan.host_idx], &f);
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
	init(&a, &f);
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
