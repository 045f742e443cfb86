/* SPDX-License-Identifier: MIT */
/*
 * hist_test.c - the histogram is within 0.1 %, loses nothing on the way to the record, and is honest about what has not ended.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "clock.h"
#include "hist.h"
#include "rng.h"

static struct hist *of(const uint64_t *values, size_t nr)
{
	struct hist *h = hist_new();

	for (size_t i = 0; i < nr; i++)
		hist_add(h, values[i]);
	return h;
}

Test(hist, a_value_comes_back_within_a_thousandth_from_1_ns_to_39_hours)
{
	for (double v = 1; v < 0x1p47; v *= 1.003) {
		uint64_t value = (uint64_t)v, back = hist_bucket_value(hist_index(value));
		double error = fabs((double)back - (double)value) / (double)value;

		cr_assert_lt(hist_index(value), HIST_BUCKETS);
		cr_assert_leq(error, 0.001, "%lu came back as %lu", value, back);
	}
}

Test(hist, a_value_beyond_the_range_is_kept_as_the_maximum)
{
	uint64_t value = 1ull << 50;
	struct hist *h = of(&value, 1);

	cr_assert_eq(hist_quantile(h, 1), value);
	free(h);
}

/* The device that does nothing for D seconds: response quantile q = max(0, D - (1 - q) T). */
Test(hist, the_outage_of_5_s_in_20_s_has_the_quantiles_of_its_formula)
{
	static const struct {
		double q, seconds;
	} truth[] = { { 0.80, 1.0 }, { 0.90, 3.0 }, { 0.95, 4.0 }, { 0.99, 4.8 } };
	struct hist *h = hist_new();

	for (int i = 0; i < 2000; i++) {
		double due = i / 100.0;

		hist_add(h, due >= 5 && due < 10 ? (uint64_t)((10 - due) * 1e9) : 20000);
	}
	for (size_t i = 0; i < sizeof truth / sizeof truth[0]; i++)
		cr_assert_float_eq((double)hist_quantile(h, truth[i].q) / 1e9, truth[i].seconds, truth[i].seconds * 0.015);
	free(h);
}

Test(hist, merging_is_the_same_as_adding_all_to_one)
{
	struct hist *a = hist_new(), *b = hist_new(), *all = hist_new();
	struct rng rng;

	rng_init(&rng, 1, 0);
	for (int i = 0; i < 10000; i++) {
		uint64_t v = (uint64_t)(1e6 * rng_exponential(&rng));

		hist_add(i % 3 ? a : b, v);
		hist_add(all, v);
	}
	hist_merge(a, b);
	cr_assert_arr_eq(a, all, sizeof *a);
	hist_clear(a);
	hist_merge(a, all);
	cr_assert_arr_eq(a, all, sizeof *a);
	free(a);
	free(b);
	free(all);
}

Test(hist, what_is_encoded_comes_back_and_nothing_malformed_is_taken)
{
	static const uint64_t values[] = { 0, 1, 1, 2047, 2048, 5000000000, 1ull << 46 };
	struct hist *h = of(values, 7), *back = hist_new(), *empty = hist_new();
	uint8_t *bytes;
	size_t size;

	cr_assert_eq(hist_encode(h, &bytes, &size), 0);
	cr_assert_lt(size, 100u);
	cr_assert_eq(hist_decode_merge(back, bytes, size), 0);
	cr_assert_arr_eq(back, h, sizeof *h);
	for (size_t cut = 0; cut < size; cut++) {
		hist_clear(back);
		cr_assert_eq(hist_decode_merge(back, bytes, cut), -EBADMSG, "cut at %zu", cut);
		cr_assert_arr_eq(back, empty, sizeof *back);
	}
	bytes[0] = 99;
	cr_assert_eq(hist_decode_merge(back, bytes, size), -EBADMSG);
	free(bytes);
	for (uint8_t bucket = 4; bucket <= 7; bucket++) {	/* one value; the least is 5, the greatest 6: whoever walks between them would not come by the others */
		const uint8_t one[] = { 1, 1, 5, 6, bucket, 1 };

		hist_clear(back);
		cr_assert_eq(hist_decode_merge(back, one, sizeof one), bucket == 5 || bucket == 6 ? 0 : -EBADMSG, "bucket %d", bucket);
	}
	free(h);
	free(back);
	free(empty);
}

/* By hand: done 1 2 3, one in flight at 2.5. Survival: 3/4, 2/4; at 3 one of one is left, so 0. */
Test(hist, kaplan_meier_agrees_with_the_sum_done_by_hand)
{
	static const uint64_t done[] = { 1000, 2000, 3000 }, ages[] = { 2500 };
	struct hist *d = of(done, 3), *c = of(ages, 1);
	struct hist_quantile q = hist_quantile_censored(d, c, 0.5);

	cr_assert(q.reached);
	cr_assert_eq(q.value_ns, 2000u);
	q = hist_quantile_censored(d, c, 0.75);
	cr_assert(q.reached);
	cr_assert_float_eq((double)q.value_ns, 3000, 3);
	cr_assert_float_eq((double)q.at_least_ns, 2500, 3);
	free(d);
	free(c);
}

Test(hist, a_quantile_that_hung_ops_hide_is_a_lower_bound_and_not_a_value)
{
	struct hist *done = hist_new(), *hung = hist_new();
	struct hist_quantile q;

	for (int i = 0; i < 90; i++)
		hist_add(done, 2000);
	for (int i = 0; i < 10; i++)
		hist_add(hung, 30 * NS_PER_S);
	q = hist_quantile_censored(done, hung, 0.99);
	cr_assert_not(q.reached);
	cr_assert_float_eq((double)q.at_least_ns, 30e9, 30e6);
	q = hist_quantile_censored(done, hung, 0.5);
	cr_assert(q.reached);
	cr_assert_eq(q.value_ns, 2000u);
	hist_clear(done);
	cr_assert_not(hist_quantile_censored(done, hung, 0.01).reached);
	free(done);
	free(hung);
}
