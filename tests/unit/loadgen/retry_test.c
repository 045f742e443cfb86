/* SPDX-License-Identifier: MIT */
/*
 * retry_test.c - arrivals that are tried again: when, how often, and that each of them and each attempt is somewhere, whatever dies.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../loadgen/again.h"
#include "../../../loadgen/supervisor.h"
#include "device.h"
#include "fixture.h"

#define CELLS_NR 100u

static struct again_cell cells[CELLS_NR];
static uint32_t order[CELLS_NR];

static void put(struct again *a, uint64_t at_ns)
{
	struct again_cell *cell = again_empty_cell(a);

	cell->arrival.index = at_ns;
	cell->at_ns = at_ns;
	again_added(a);
}

static void fill(struct again *a)
{
	again_init(a, cells, order, CELLS_NR);
	for (uint64_t i = 0; i < CELLS_NR; i++)
		put(a, 1 + i * 37 % CELLS_NR);
	cr_assert_eq(a->nr, CELLS_NR);
}

static void assert_empties_in_order(struct again *a, uint64_t from_ns)
{
	for (uint64_t at = from_ns; at <= CELLS_NR; at++) {
		cr_assert_eq(again_next_ns(a), at);
		cr_assert_eq(again_take(a).index, at);
	}
	cr_assert_eq(again_next_ns(a), UINT64_MAX);
}

Test(retry, arrivals_come_back_in_the_order_of_their_times)
{
	struct again a;

	fill(&a);
	assert_empties_in_order(&a, 1);
	for (uint64_t i = 0; i < CELLS_NR; i++)
		cr_assert_eq(cells[i].at_ns, 0, "cell %lu is not empty", i);
}

/* Whatever a dead worker has left of the heap: the cells are what counts. */
Test(retry, a_heap_that_was_left_torn_is_made_again_from_its_cells)
{
	struct again a;

	fill(&a);
	for (uint64_t at = 1; at <= 30; at++)
		cr_assert_eq(again_take(&a).index, at);
	a.nr = 7;
	memset(order, 0, sizeof order);
	again_rebuild(&a);
	cr_assert_eq(a.nr, CELLS_NR - 30);
	for (uint64_t at = 1; at <= 30; at++)
		put(&a, at);
	assert_empties_in_order(&a, 1);
}

static void assert_sums(const struct fixture *f)
{
	cr_assert_eq(fixture_count(f, "due"), fixture_count(f, "ok") + fixture_count(f, "errors") + fixture_count(f, "unknown") + fixture_count(f, "in_flight") +
		     fixture_count(f, "not_issued"));
	cr_assert_eq(fixture_attempts(f, "attempts"), fixture_count(f, "ok") + fixture_attempts(f, "failed") + fixture_attempts(f, "abandoned") +
		     fixture_attempts(f, "in_flight"));
}

static void retry_init(struct fixture *f, unsigned int tries, uint64_t after_ns, double backoff)
{
	fixture_init(f);
	f->profile.jobs[0].retry = (struct retry){ .tries = tries, .after_ns = after_ns, .backoff = backoff };
}

Test(retry, who_is_never_served_in_time_has_all_attempts_and_no_more)
{
	struct fixture f;

	retry_init(&f, 5, 1, 1);	/* no op takes less than 1 ns */
	fixture_run(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "due"), 200);
	cr_assert_eq(fixture_count(&f, "unknown"), 200);
	cr_assert_eq(fixture_attempts(&f, "attempts"), 1000);
	cr_assert_eq(fixture_attempts(&f, "abandoned"), 1000);
	cr_assert_eq(fixture_attempts(&f, "late_ok"), 1000);
	assert_sums(&f);
	fixture_release(&f);
}

Test(retry, a_job_without_it_says_nothing_of_attempts)
{
	struct fixture f;

	fixture_init(&f);
	fixture_run(&f, NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 200);
	cr_assert_null(json_object_get(json_array_get(json_object_get(f.final, "jobs"), 0), "retry"));
	fixture_release(&f);
}

Test(retry, a_calibration_tries_nothing_again)
{
	struct fixture f;

	retry_init(&f, 5, 1, 1);
	f.plan.jobs[0].closed = true;
	fixture_run(&f, NS_PER_S);
	cr_assert_gt(fixture_count(&f, "ok"), 200);
	cr_assert_null(json_object_get(json_array_get(json_object_get(f.final, "jobs"), 0), "retry"));
	fixture_release(&f);
}

static void move_site(const struct fixture *f, const char *name, const char *to)
{
	char from_path[80], to_path[80];

	(void)snprintf(from_path, sizeof from_path, "%s/%s", f->dir, name);
	(void)snprintf(to_path, sizeof to_path, "%s/%s", f->dir, to);
	cr_assert_eq(rename(from_path, to_path), 0);
}

/* A dataset of one site whose folder is away: every op fails at once. */
static void retry_init_broken(struct fixture *f, unsigned int tries, uint64_t after_ns, double backoff, double per_second)
{
	retry_init(f, tries, after_ns, backoff);
	f->profile.dataset.sites = 1;
	fixture_build(f);
	f->profile.jobs[0].slots = 50;
	move_site(f, "s0000", "aside");
	fixture_rate(f, ARRIVAL_CONSTANT, per_second);
}

/* 100 ms and 200 ms: the third attempt is made 300 ms after the first one, by a thread that nothing but the time wakes. */
Test(retry, an_error_is_tried_again_when_the_time_of_its_attempt_is_over)
{
	struct fixture f;

	retry_init_broken(&f, 3, 100 * NS_PER_MS, 2, 100);
	fixture_run(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "errors"), 20);
	cr_assert_eq(fixture_attempts(&f, "attempts"), 60);
	cr_assert_eq(fixture_attempts(&f, "failed"), 60);
	assert_sums(&f);
	cr_assert_geq(hist_quantile(f.response, 0), 299 * NS_PER_MS);
	cr_assert_lt(hist_quantile(f.response, 0.5), 350 * NS_PER_MS, "half of them took %lu ns", hist_quantile(f.response, 0.5));
	cr_assert_lt(hist_quantile(f.service, 0.5), 50 * NS_PER_MS);
	fixture_release(&f);
}

Test(retry, the_first_success_is_the_outcome_and_its_time_runs_from_the_first_due_time)
{
	struct fixture f;

	retry_init_broken(&f, 2, 500 * NS_PER_MS, 1, 100);
	fixture_start(&f);
	fixture_watch(&f, 250 * NS_PER_MS);
	move_site(&f, "aside", "s0000");
	fixture_finish(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 20);
	cr_assert_eq(fixture_attempts(&f, "attempts"), 40);
	cr_assert_eq(fixture_attempts(&f, "failed"), 20);
	assert_sums(&f);
	cr_assert_geq(hist_quantile(f.response, 0), 499 * NS_PER_MS);
	cr_assert_lt(hist_quantile(f.service, 0.5), 50 * NS_PER_MS);
	fixture_release(&f);
}

Test(retry, who_waits_for_the_next_attempt_at_the_end_is_in_flight_at_its_age)
{
	struct fixture f;
	struct hist *ages;

	retry_init_broken(&f, 2, 3600 * NS_PER_S, 1, 100);
	fixture_run(&f, 100 * NS_PER_MS);
	ages = fixture_ages(&f, "in_flight");
	cr_assert_eq(fixture_count(&f, "in_flight"), 20);
	cr_assert_eq(ages->count, 20);
	cr_assert_geq(hist_quantile(ages, 1), 299 * NS_PER_MS);
	cr_assert_eq(fixture_attempts(&f, "in_flight"), 0);
	cr_assert_eq(json_array_size(json_object_get(f.final, "hung")), 0);
	assert_sums(&f);
	free(ages);
	fixture_release(&f);
}

Test(retry, an_attempt_is_the_last_one_when_no_more_may_wait_for_theirs)
{
	struct fixture f;

	retry_init_broken(&f, 2, NS_PER_S, 1, 20);
	f.profile.jobs[0].queue_max = 1;
	fixture_run(&f, 3 * NS_PER_S);
	cr_assert_gt(fixture_count(&f, "errors"), 1);
	cr_assert_eq(fixture_attempts(&f, "attempts"), fixture_count(&f, "errors") + 1, "%lu attempts of %lu arrivals",
		     fixture_attempts(&f, "attempts"), fixture_count(&f, "errors"));
	assert_sums(&f);
	fixture_release(&f);
}

/* Pages that hang in their second op, while the next attempt makes its file: under a name of its own, or it would fail. */
Test(retry, attempts_of_a_page_do_not_meet_in_what_they_create)
{
	static const uint8_t page[] = { OP_CREATE, OP_PREAD, OP_UNLINK };
	struct fixture f;
	struct job *j = &f.profile.jobs[0];

	retry_init(&f, 10, 40 * NS_PER_MS, 1);
	fixture_build(&f);
	fixture_rate(&f, ARRIVAL_CONSTANT, 200);
	j->slots = 300;
	j->mix[OP_READ] = 0;
	j->is_page = true;
	j->page_nr = sizeof page;
	memcpy(j->page, page, sizeof page);
	device_set(50, 150, f.dir);
	fixture_run(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 40, "%lu ok, %lu errors", fixture_count(&f, "ok"), fixture_count(&f, "errors"));
	cr_assert_eq(f.pages_nr[0], 40);
	cr_assert_gt(fixture_op(&f, "pread", "all", "unknown"), 20);
	cr_assert_leq(fixture_op(&f, "pread", "all", "unknown"), fixture_attempts(&f, "abandoned"));
	cr_assert_gt(fixture_op(&f, "create", "all", "ok"), 60);
	assert_sums(&f);
	fixture_release(&f);
}

static uint64_t due_so_far(struct fixture *f)
{
	return json_u64(json_array_get(json_object_get(fixture_interval(f), "jobs"), 0), "due");
}

/* At any instant, with or without locks, in the middle of a move. The supervisor asserts that all arrivals are somewhere, and all attempts. */
Test(retry, a_killed_worker_takes_no_arrival_with_it, .timeout = 60)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct fixture f;

		retry_init(&f, 4, 1, 1);
		fixture_rate(&f, ARRIVAL_POISSON, 30000);
		fixture_phase(&f, 0, "all", 0, NS_PER_S);
		fixture_start(&f);
		fixture_watch(&f, (20 + i) * NS_PER_MS);
		for (unsigned int turn = 0; turn < 500 && due_so_far(&f) < 500; turn++)	/* a worker that began late has its arrivals late */
			fixture_wait(clock_mono_ns() + NS_PER_MS);
		cr_assert_eq(kill(f.load->worker_pid, SIGKILL), 0);
		fixture_finish(&f, 100 * NS_PER_MS);
		cr_assert(json_is_true(json_object_get(f.final, "worker_died")));
		cr_assert_gt(fixture_count(&f, "unknown"), 100);
		cr_assert_gt(fixture_attempts(&f, "attempts"), 3 * fixture_count(&f, "unknown"));
		assert_sums(&f);
		fixture_release(&f);
	}
}
