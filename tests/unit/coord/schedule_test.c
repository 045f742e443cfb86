/* SPDX-License-Identifier: MIT */
/*
 * schedule_test.c - what becomes of a fault by what its holder tells.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "clock.h"

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

/* A second fault, which takes the host of the first; it is in force, and the host away. */
static void take_host(int64_t inject_ns)
{
	run->profile.faults_nr = 2;
	snprintf(run->profile.faults[1].fault, sizeof run->profile.faults[1].fault, "host-reboot");
	run->fault[1].takes_host = true;
	run->fault[1].state = FAULT_IN_FORCE;
	run->fault[1].inject_ns = inject_ns;
	run->host[0].rebooting = true;
}

Test(schedule, a_host_that_could_not_be_taken_is_there_still)
{
	json_t *event = json_pack("{s:s, s:i, s:s}", "event", "failed", "t_ns", 1, "error", "not root");

	take_host(5);
	schedule_event(run, &run->host[0], 1, event);
	json_decref(event);
	cr_expect_eq(run->fault[1].state, FAULT_OVER);
	cr_expect_eq(run->fault[1].inject_ns, -1, "an injection that failed excuses no silence, and takes no other fault");
	cr_expect(!run->host[0].rebooting);
}

Test(schedule, what_a_reboot_took_with_it_was_healed_by_the_reboot)
{
	json_t *body = json_pack("{s:i, s:[]}", "rc", 0, "left");

	run->fault[0].state = FAULT_IN_FORCE;
	run->fault[0].inject_ns = 3;
	snprintf(run->profile.faults[0].until.name, sizeof run->profile.faults[0].until.name, "after");
	take_host(5);
	schedule_journal(run, &run->host[0], body);
	json_decref(body);
	cr_expect_eq(run->fault[0].state, FAULT_OVER);
	cr_expect_str_eq(run->fault[0].healed, "confirmed");
	cr_expect_str_eq(run->fault[0].healed_by, "host-reboot");
}

static void told(const char *host, int second, int ok, int errors)
{
	char sql[256];

	snprintf(sql, sizeof sql, "INSERT INTO job_seconds VALUES(%d, '%s', 'j', 0, 0, %d, %d, 0, 0, 0, 0, 0)", second, host, ok, errors);
	cr_assert_eq(sqlite3_exec(record_db(run->record), sql, NULL, NULL, NULL), SQLITE_OK);
}

static bool is_ripe_at(double s)
{
	schedule_look(run, (int64_t)(s * (double)NS_PER_S));
	return run->fault[0].ripe;
}

/* A host tells of a second when it is over, and not all at once. */
Test(schedule, what_a_fault_waits_for_is_asked_of_a_second_that_all_have_told_of)
{
	run->plan.phases_nr = 2;
	run->plan.phases[0] = (struct load_phase){ .name = "baseline", .end_ns = 2 * NS_PER_S };
	run->plan.phases[1] = (struct load_phase){ .name = "after", .start_ns = 60 * NS_PER_S, .end_ns = 61 * NS_PER_S };
	run->fault[0].state = FAULT_WAITING;
	run->fault[0].ripe = false;
	snprintf(run->profile.faults[0].condition.text, sizeof run->profile.faults[0].condition.text, "load.error_ratio > 0.5");
	cr_assert_eq(record_phase(run->record, 0, "baseline", 0, 2 * NS_PER_S, NULL), 0);
	for (int t = 0; t < 8; t++) {
		told("a", t, 10 * t, 0);
		told("b", t, 10 * t, 0);
	}
	told("a", 8, 80, 300);
	cr_expect(!is_ripe_at(9.05), "of second 8 a alone has told");
	told("b", 8, 500, 0);
	for (int t = 9; t < 20; t++)
		told("a", t, 80, 900 * t);
	cr_expect(!is_ripe_at(10.05), "both together do not fail so often");
	cr_expect(is_ripe_at(21.05), "nobody can have told of second 20 in whole");
}
