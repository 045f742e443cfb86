/* SPDX-License-Identifier: MIT */
/*
 * schedule_test.c - what becomes of a fault by what its holder tells.
 */
#include <criterion/criterion.h>

#include "fixture.h"

static struct run *run;

static void begin(void)
{
	run = fixture_begin();
	run->fault[0].host = 0;
	run->fault[0].state = FAULT_ASKED;
}

static void end(void)
{
	fixture_end(run);
}

TestSuite(schedule, .init = begin, .fini = end, .timeout = 60);

static void tell(json_t *event)
{
	schedule_event(run, &run->host[0], 0, event);
	json_decref(event);
}

Test(schedule, of_a_fault_that_failed_it_is_told_why)
{
	tell(json_pack("{s:s, s:i, s:s, s:s, s:s}", "event", "failed", "t_ns", 1, "evidence", "nothing was begun", "error", "no tc here", "undone", "confirmed"));
	cr_expect_eq(run->fault[0].state, FAULT_OVER);
	cr_expect_str_eq(run->fault[0].verified, "mismatch");
	cr_expect_str_eq(run->fault[0].healed, "confirmed");
	cr_expect_str_eq(run->fault[0].evidence, "no tc here");
}

Test(schedule, what_was_begun_and_could_not_be_undone_is_not_healed)
{
	tell(json_pack("{s:s, s:i, s:s, s:s, s:s}", "event", "failed", "t_ns", 1, "evidence", "the rule is there still", "error", "no room", "undone", "mismatch"));
	cr_expect_str_eq(run->fault[0].healed, "mismatch");
}
