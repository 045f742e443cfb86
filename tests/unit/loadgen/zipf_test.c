/* SPDX-License-Identifier: MIT */
/*
 * zipf_test.c - draws have the distribution of Zipf and no other, for all exponents and sizes, of ops and of pages.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "../../../loadgen/hot.h"
#include "device.h"
#include "fixture.h"

#define DRAWS 200000u

/*
 * Chi-square of counts against 1 / k^s, ranks joined until at least 8 are expected: the mean is the degrees of freedom, the variance
 * twice that; 5 sigma, and some for the skew of few degrees.
 */
static void check(const char *what, const uint32_t *count, uint32_t n, double s, double draws)
{
	double norm = 0, chi_square = 0, freedom = -1, want = 0, got = 0, rest = draws;

	for (uint32_t k = n; k >= 1; k--)	/* from the smallest, for the sake of the sum */
		norm += pow(k, -s);
	for (uint32_t k = 1; k <= n; k++) {
		double expected = draws * pow(k, -s) / norm;

		want += expected;
		got += count[k - 1];
		rest -= expected;
		if (want < 8 || (rest < 8 && k < n))
			continue;
		chi_square += (got - want) * (got - want) / want;
		freedom++;
		want = got = 0;
	}
	cr_assert_leq(fabs(chi_square - freedom), 5 * sqrt(2 * freedom) + 10, "%s: %u ranks, s = %g: chi-square %g of %g degrees of freedom", what, n, s,
		      chi_square, freedom);
}

Test(zipf, draws_have_the_distribution)
{
	static const double exponents[] = { 0.05, 0.5, 0.99, 1, 1 + 1e-12, 1.2, 2, 5 };
	static const uint32_t sizes[] = { 1, 2, 3, 10, 1000 };

	for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++)
		for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
			uint32_t *count = calloc(sizes[n], sizeof *count);
			struct zipf z;

			zipf_init(&z, sizes[n], exponents[e]);
			for (uint64_t i = 0; i < DRAWS; i++) {
				uint32_t k = zipf_draw(&z, hot_draw(7, i, 1));

				cr_assert_lt(k, sizes[n]);
				count[k]++;
			}
			check("zipf_draw", count, sizes[n], exponents[e], DRAWS);
			free(count);
		}
}

Test(zipf, a_billion_ranks_need_no_table)
{
	struct zipf z;
	double first = 0, half = 0;

	zipf_init(&z, 1000000000, 1);
	for (uint64_t i = 0; i < DRAWS; i++) {
		uint32_t k = zipf_draw(&z, hot_draw(1, i, 1));

		first += k == 0;
		half += k < 31623;		/* the root of n: half of the logarithm */
	}
	/* The harmonic number of n is ln n + 0.5772; 5 standard errors. */
	cr_assert_float_eq(first / DRAWS, 1 / 21.3, 5 * sqrt(1 / 21.3 / DRAWS), "%g", first / DRAWS);
	cr_assert_float_eq(half / DRAWS, 10.9389 / 21.3005, 5 * sqrt(0.25 / DRAWS), "%g", half / DRAWS);
}

/* Ops and pages of a job, as its threads pick them. */
Test(zipf, sites_and_files_of_a_job_are_drawn_by_it)
{
	const struct dataset_spec spec = { .sites = 40, .files_per_site = 100 };
	struct job job = { .order = ORDER_ZIPF, .zipf_s = 0.9, .mix = { 1 }, .page_nr = 2, .page = { OP_STAT, OP_READ } };
	struct job_run r = { .job = &job, .seed = 5, .ops_nr = 1 };
	uint32_t site[40] = { 0 }, file[100] = { 0 }, page_site[40] = { 0 }, second[100] = { 0 };
	uint32_t same = 0;

	zipf_init(&r.zipf_site, spec.sites, job.zipf_s);
	zipf_init(&r.zipf_file, spec.files_per_site, job.zipf_s);
	for (uint64_t i = 0; i < DRAWS; i++) {
		struct op op = hot_pick(&r, &spec, i), a = hot_pick_of_page(&r, &spec, i, 0, 0), b = hot_pick_of_page(&r, &spec, i, 0, 1);
		struct op again = hot_pick(&r, &spec, i);

		site[op.site]++;
		file[op.file]++;
		page_site[b.site]++;
		second[b.file]++;
		same += a.file == b.file;
		cr_assert(a.site == b.site && again.site == op.site && again.file == op.file);
	}
	check("sites of ops", site, 40, 0.9, DRAWS);
	check("files of ops", file, 100, 0.9, DRAWS);
	check("sites of pages", page_site, 40, 0.9, DRAWS);
	check("files of the second op of a page", second, 100, 0.9, DRAWS);
	cr_assert_lt(same, DRAWS / 10, "the files of a page are drawn together");
}

/* The supervisor works out the site of a page that hangs, as the worker did that issued it. */
Test(zipf, pages_that_hang_are_told_with_their_sites)
{
	const json_t *open;
	struct fixture f;
	struct job *j = &f.profile.jobs[0];

	fixture_init(&f);
	fixture_build(&f);
	j->order = ORDER_ZIPF;
	j->zipf_s = 1;
	j->mix[OP_READ] = 0;
	j->is_page = true;
	j->page_nr = 1;
	j->page[0] = OP_PREAD;
	device_set(0, -1, f.dir);
	fixture_start(&f);
	fixture_watch(&f, 200 * NS_PER_MS);
	open = json_object_get(fixture_interval(&f), "open");
	cr_assert_eq(json_array_size(open), f.profile.dataset.sites);
	for (size_t i = 0; i < json_array_size(open); i++)
		cr_assert_eq(json_integer_value(json_array_get(json_array_get(open, i), 1)), (json_int_t)i);
	fixture_finish(&f, 0);
	fixture_release(&f);
}
