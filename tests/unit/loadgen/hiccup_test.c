/* SPDX-License-Identifier: MIT */
/*
 * hiccup_test.c - the meter beside a load sees a stall of the host as the arrivals of the load would.
 */
#include <criterion/criterion.h>
#include <signal.h>

#include "../../../loadgen/supervisor.h"
#include "fixture.h"

/* The process of the meter stands still for 300 ms of each of two phases, in one piece. Each has 600 ms, so that half of it is the stall's. */
Test(hiccup, a_stall_counts_for_as_long_as_it_was_and_in_the_phase_in_which_it_was)
{
	struct fixture f;

	fixture_init(&f);
	fixture_phase(&f, 0, "first", 0, 600 * NS_PER_MS);
	fixture_phase(&f, 1, "second", 600 * NS_PER_MS, 1200 * NS_PER_MS);
	f.plan.jobs[0].phases = 3;
	fixture_start(&f);
	fixture_wait(f.t0_ns + 300 * NS_PER_MS);
	cr_assert_eq(kill(f.load->hiccup, SIGSTOP), 0);
	fixture_wait(f.t0_ns + 900 * NS_PER_MS);
	cr_assert_eq(kill(f.load->hiccup, SIGCONT), 0);
	fixture_watch(&f, 1200 * NS_PER_MS);
	fixture_finish(&f, NS_PER_S);
	cr_expect_geq(fixture_lag(&f, "first", "hiccup_p99_ns"), 400 * NS_PER_MS);	/* 594 where nothing is late */
	cr_expect_geq(fixture_lag(&f, "second", "hiccup_p99_ns"), 200 * NS_PER_MS);	/* 294 */
	cr_expect_leq(fixture_lag(&f, "second", "hiccup_max_ns"), fixture_lag(&f, "first", "hiccup_max_ns") - 100 * NS_PER_MS);
	fixture_release(&f);
}
