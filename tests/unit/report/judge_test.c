/* SPDX-License-Identifier: MIT */
/*
 * judge_test.c - runs that are known to be bad, each for one reason, and the judge that must say so; runs that are sound, and it must not.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../../report/judge.h"
#include "../../../report/percentiles.h"
#include "err.h"
#include "fixture.h"
#include "json_text.h"
#include "report.h"

static struct record *record;

static void sound(void)
{
	record = fixture_open(NULL);
}

static void end(void)
{
	fixture_close(record);
}

TestSuite(judge, .init = sound, .fini = end, .timeout = 20);

static void expect(const char *verdict, const char *reason, int status)
{
	json_t *v = fixture_judge(record);
	char *text = json_text(v, JSON_COMPACT);

	cr_expect_str_eq(fixture_verdict(v), verdict, "%s instead of %s: %.600s", fixture_verdict(v), verdict, text);
	cr_expect(!reason || fixture_has_reason(v, reason), "no reason '%s' in %.600s", reason, text);
	cr_expect_eq(report_exit_status(v), status);
	free(text);
	json_decref(v);
}

static void fault(const char *verified, const char *healed, const char *inject)
{
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'drbd-link-delay', 's', '%s', '%s', %s, 35000000000, 'heal', 'seen')", verified, healed, inject);
}

Test(judge, a_sound_run_is_absent_as_expected)
{
	fault("confirmed", "confirmed", "25000000000");
	expect("absent", NULL, EXIT_AS_EXPECTED);
}

/* Two hosts that read what was never written: counted, named with their hosts, and not what "absent" means by healthy. */
Test(judge, a_run_that_read_damage_is_never_absent_as_expected)
{
	json_t *v, *first;
	char text[4096] = "";

	fixture_sql(record, "INSERT INTO meta VALUES('damage.c', '{\"ops\": 3, \"first\": [{\"job\": \"web\", \"path\": \"s0001/f00002\", \"offset\": 512,"
			    " \"kind\": \"zeroes\", \"found\": \"zeroes\"}]}'), ('damage.d', '{\"ops\": 1, \"first\": []}')");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	v = fixture_judge(record);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(v, "damage"), "ops")), 4);
	first = json_array_get(json_object_get(json_object_get(v, "damage"), "first"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(first, "host")), "c");
	fixture_text(v, text, sizeof text);
	cr_assert_not_null(strstr(text, "DAMAGE: 4 ops read something else than what was written there\n  s0001/f00002 on c, job web, at byte 512: zeroes\n"), "%s",
			   text);
	cr_expect_str_eq(judge_expected_text(v), ", but what was read was damaged");
	json_decref(v);
}

Test(judge, a_verdict_says_what_was_expected_instead)
{
	static const struct {
		const char *verdict, *text;
	} cases[] = {
		{ "{\"verdict\": \"reproduced\", \"expected\": true}", ", as expected" },
		{ "{\"verdict\": \"absent\", \"expected\": true}", ", as expected" },
		{ "{\"verdict\": \"reproduced\", \"expected\": false}", "; absent was expected" },
		{ "{\"verdict\": \"absent\", \"expected\": false}", "; reproduced was expected" },
		{ "{\"verdict\": \"void\", \"expected\": false}", "" },
		{ "{\"verdict\": \"inconclusive\", \"expected\": false}", "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *v = json_loads(cases[i].verdict, 0, NULL);

		cr_expect_str_eq(judge_expected_text(v), cases[i].text, "%s", cases[i].verdict);
		json_decref(v);
	}
}

Test(judge, what_a_host_has_said_steers_no_terminal)
{
	char text[4096] = "";
	json_t *v;

	fixture_sql(record, "INSERT INTO events(t_ns, host, kind, evidence) VALUES(1, 'c', 'gap', 'it says ' || char(27) || '[2J')");
	v = fixture_judge(record);
	fixture_text(v, text, sizeof text);
	cr_assert_not_null(strstr(text, "void because host c: it says ?[2J\n"), "%s", text);
	json_decref(v);
}

Test(judge, a_sound_run_has_no_line_of_damage)
{
	json_t *v = fixture_judge(record);
	char text[4096] = "";

	fixture_text(v, text, sizeof text);
	cr_assert_null(strstr(text, "DAMAGE"));
	json_decref(v);
}

Test(judge, ops_that_are_logged_one_by_one_are_counted_over_hosts_with_those_that_had_no_room)
{
	json_t *v;
	char text[4096] = "";

	fixture_sql(record, "INSERT INTO meta VALUES('logged_ops.c', '{\"kept\": 3, \"dropped\": 1}'), ('logged_ops.d', '{\"kept\": 4, \"dropped\": 0}')");
	v = fixture_judge(record);
	fixture_text(v, text, sizeof text);
	cr_assert_not_null(strstr(text, "  7 ops stand in run.db one by one (table ops); 1 more had no room\n"), "%s", text);
	json_decref(v);
}

Test(judge, rpcs_in_flight_are_told_with_their_host_and_those_alike_in_one_line)
{
	json_t *v, *rpcs;
	char text[4096] = "";

	v = fixture_judge(record);
	cr_assert_null(json_object_get(v, "rpcs"), "nothing was measured");
	json_decref(v);
	fixture_sql(record, "INSERT INTO meta VALUES('rpcs.c', '{\"nr\": 3, \"first\": ["
			    "{\"server\": \"10.0.1.11\", \"rpc\": \"nfsv3 READ\", \"xid\": \"0x1\", \"action\": \"call_status\", \"queue\": \"xprt_pending\", \"status\": 0},"
			    "{\"server\": \"10.0.1.11\", \"rpc\": \"nfsv3 READ\", \"xid\": \"0x2\", \"action\": \"call_status\", \"queue\": \"xprt_pending\", \"status\": 0},"
			    "{\"server\": \"\", \"rpc\": \"nfsv3 WRITE\", \"xid\": \"0x0\", \"action\": \"call_reserve\", \"queue\": \"new_queue\", \"status\": 0}]}'),"
			    " ('rpcs.d', '{\"nr\": 300, \"first\": []}')");
	v = fixture_judge(record);
	rpcs = json_object_get(v, "rpcs");
	cr_assert_eq(json_integer_value(json_object_get(rpcs, "nr")), 303);
	cr_assert_eq(json_array_size(json_object_get(rpcs, "first")), 3);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(rpcs, "first"), 1), "host")), "c");
	fixture_text(v, text, sizeof text);
	cr_assert_not_null(strstr(text, "RPCs of the kernel in flight then: 303\n"
				       "       2  c: nfsv3 READ to 10.0.1.11, sent, and not answered (xprt_pending, call_status)\n"
				       "       1  c: nfsv3 WRITE to a server, waiting (new_queue, call_reserve)\n"), "%s", text);
	json_decref(v);
}

Test(judge, errors_are_named)
{
	json_t *v;
	char text[4096] = "";

	fixture_sql(record, "UPDATE totals SET errors = '{\"EIO\": 20, \"ESTALE\": 10}'");
	v = fixture_judge(record);
	fixture_text(v, text, sizeof text);
	cr_expect(strstr(text, "\n  errors: 20 EIO, 10 ESTALE\n"), "%s", text);
	json_decref(v);
}

Test(judge, when_it_began_is_told_for_who_reads_the_logs_beside_it)
{
	for (int known = 0; known < 2; known++) {
		char text[4096] = "";
		json_t *v;

		fixture_sql(record, known ? "INSERT OR REPLACE INTO meta VALUES('t0_utc_ns', '1441411200500000000')" : "DELETE FROM meta WHERE key = 't0_utc_ns'");
		v = fixture_judge(record);
		fixture_text(v, text, sizeof text);
		cr_expect(strstr(text, known ? "  run r, seed 7, second 0 at 2015-09-05 00:00:00 UTC\n" : "  run r, seed 7\n"), "%s", text);
		json_decref(v);
	}
}

/* A storm of pages whose sites did not come back, and then the same of a job without any. */
Test(judge, only_sites_that_there_are_are_not_back)
{
	for (int pages = 1; pages >= 0; pages--) {
		char text[8192] = "";
		json_t *v;

		fixture_sql(record, "INSERT OR REPLACE INTO faults VALUES(0, 'drbd-link-delay', 's', 'confirmed', 'confirmed', 25000000000, 35000000000, 'heal', '')");
		fixture_sql(record, pages ? "UPDATE pages SET outcome = 'EIO' WHERE due_ns > 20000000000" : "DELETE FROM pages");
		v = fixture_judge(record);
		fixture_text(v, text, sizeof text);
		cr_expect_eq(strstr(text, "the sites were not back") != NULL, pages, "%s", text);
		cr_expect_eq(strstr(text, "c: no new page done after heal") != NULL, pages, "%s", text);
		json_decref(v);
	}
}

Test(judge, a_coordinator_that_was_away_is_told_of_and_is_no_reason)
{
	json_t *v, *away;
	char text[4096] = "";

	fixture_sql(record, "INSERT INTO events VALUES(4000000000, '', 'away', NULL, 'squall run died'), (7200000000, '', 'resumed', NULL, ''),"
			    " (8000000000, '', 'away', NULL, 'squall run died'), (9000000000, '', 'resumed', NULL, '')");
	expect("absent", NULL, EXIT_AS_EXPECTED);
	v = fixture_judge(record);
	away = json_object_get(v, "away");
	cr_assert_eq(json_array_size(away), 2);
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(away, 0), "from_ns")), 4000000000);
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(away, 0), "to_ns")), 7200000000);
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(away, 1), "to_ns")), 9000000000);
	fixture_text(v, text, sizeof text);
	cr_assert(strstr(text, "squall run was away from 4.0 to 7.2 s"));
	json_decref(v);
}

Test(judge, a_clock_of_the_day_that_was_set_is_told_of_and_is_no_reason)
{
	json_t *v, *step;
	char text[4096] = "";

	fixture_sql(record, "INSERT INTO events VALUES(4000000000, 'c', 'utc', NULL, '-3600000000000 ns: its clock of the day was set back by 3600 s')");
	expect("absent", NULL, EXIT_AS_EXPECTED);
	v = fixture_judge(record);
	step = json_array_get(json_object_get(v, "clock_steps"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(step, "host")), "c");
	cr_assert_eq(json_integer_value(json_object_get(step, "at_ns")), 4000000000);
	cr_assert_eq(json_integer_value(json_object_get(step, "by_ns")), -3600000000000);
	fixture_text(v, text, sizeof text);
	cr_assert(strstr(text, "its clock of the day was set back by 3600 s at 4.0 s"), "%s", text);
	json_decref(v);
}

Test(judge, a_fault_that_came_late_for_want_of_a_coordinator_is_a_doubt)
{
	fixture_sql(record, "INSERT INTO events VALUES(7200000000, '', 'late', 0, 'it was to be injected while squall run was away: it came late')");
	expect("inconclusive", "while squall run was away", EXIT_VOID);
}

Test(judge, a_lost_op_is_void)
{
	fixture_sql(record, "UPDATE totals SET ok = 599");
	expect("void", "does not add up: 600 were due, 599", EXIT_VOID);
}

/* 600 arrivals, all ok, on two hosts: what each says of its attempts. */
static void retries(unsigned int attempts, unsigned int failed)
{
	fixture_sql(record, "INSERT INTO meta VALUES('retries.c', '{\"web\": [{\"phase\": \"storm\", \"attempts\": %u, \"failed\": %u, \"abandoned\": 90,"
			    " \"in_flight\": 0, \"late_ok\": 60, \"late_errors\": 20}]}'), ('retries.d', '{\"web\": [{\"phase\": \"baseline\","
			    " \"attempts\": 200, \"failed\": 0, \"abandoned\": 0, \"in_flight\": 0, \"late_ok\": 0, \"late_errors\": 0}]}')",
		    attempts, failed);
}

Test(judge, attempts_are_summed_over_the_hosts_and_told_for_each_phase)
{
	json_t *v, *job, *retry;
	char text[4096] = "";

	retries(500, 10);
	expect("absent", NULL, EXIT_AS_EXPECTED);
	v = fixture_judge(record);
	job = json_object_get(json_object_get(v, "jobs"), "web");
	retry = json_object_get(job, "retry");
	cr_assert_eq(json_integer_value(json_object_get(retry, "attempts")), 700);
	cr_assert_eq(json_integer_value(json_object_get(retry, "late_errors")), 20);
	cr_assert_float_eq(json_number_value(json_object_get(retry, "amplification")), 700.0 / 600, 1e-9);
	retry = json_object_get(json_object_get(json_object_get(job, "phases"), "storm"), "retry");
	cr_assert_float_eq(json_number_value(json_object_get(retry, "amplification")), 2.5, 1e-9);
	fixture_text(v, text, sizeof text);
	cr_assert_not_null(strstr(text, "web: 700 attempts; 10 failed, 90 were given up, of which 60 came back later with success and 20 with an error\n"
					"    attempts for each arrival: baseline 1.00 storm 2.50 all 1.17\n"), "%s", text);
	json_decref(v);
}

Test(judge, a_lost_attempt_is_void)
{
	retries(500, 9);
	expect("void", "job web: 700 attempts began, and 699 are accounted for", EXIT_VOID);
}

Test(judge, a_late_generator_is_void)
{
	fixture_sql(record, "UPDATE lag SET p99_ns = 20100000 WHERE phase = 'storm'");
	expect("void", "could not keep the schedule in phase storm: lag p99 20.1 ms", EXIT_VOID);
}

Test(judge, a_generator_that_was_paused_by_plan_may_be_late_in_those_phases)
{
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'client-pause', 'c', 'confirmed', 'confirmed', 25000000000, 35000000000, 'heal', 'seen')");
	fixture_sql(record, "UPDATE lag SET p99_ns = 5000000000 WHERE phase = 'storm'");
	expect("absent", NULL, EXIT_AS_EXPECTED);
	fixture_sql(record, "UPDATE lag SET hiccup_p99_ns = 900000000 WHERE phase = 'storm'");
	expect("void", "hiccup p99 900 ms", EXIT_VOID);
	fixture_sql(record, "UPDATE lag SET hiccup_p99_ns = 0");
	fixture_sql(record, "UPDATE lag SET p99_ns = 5000000000 WHERE phase = 'baseline'");
	expect("void", "could not keep the schedule in phase baseline: lag p99 5.00 s", EXIT_VOID);
	fixture_sql(record, "UPDATE lag SET p99_ns = 5000000000 * (phase = 'storm')");
	fixture_sql(record, "UPDATE faults SET host = 's'");
	expect("void", "could not keep the schedule in phase storm: lag p99 5.00 s", EXIT_VOID);
}

Test(judge, a_stalled_load_host_is_void)
{
	fixture_sql(record, "UPDATE lag SET hiccup_p99_ns = 900000000 WHERE phase = 'after'");
	expect("void", "hiccup p99 900 ms", EXIT_VOID);
}

Test(judge, a_lag_below_a_twentieth_of_the_response_is_fine)
{
	fixture_sql(record, "DELETE FROM intervals WHERE phase = 'storm'");
	fixture_responses(record, 20, "storm", 200, 2 * S);
	fixture_sql(record, "UPDATE lag SET p99_ns = 99000000 WHERE phase = 'storm'");
	expect("absent", NULL, EXIT_AS_EXPECTED);
	fixture_sql(record, "UPDATE lag SET p99_ns = 101000000 WHERE phase = 'storm'");
	expect("void", "lag p99 101 ms", EXIT_VOID);
}

Test(judge, a_fault_that_never_took_effect_is_void)
{
	fault("mismatch", "confirmed", "25000000000");
	expect("void", "was not in force", EXIT_VOID);
}

Test(judge, a_fault_that_could_not_be_looked_at_is_inconclusive)
{
	fault("inconclusive", "confirmed", "25000000000");
	expect("inconclusive", "neither confirmed nor denied", EXIT_VOID);
}

Test(judge, a_fault_that_was_never_injected_is_void)
{
	fault("inconclusive", "inconclusive", "NULL");
	expect("void", "never injected", EXIT_VOID);
}

Test(judge, a_fault_that_is_not_proved_healed_is_void)
{
	fault("confirmed", "inconclusive", "25000000000");
	expect("void", "not proved healed", EXIT_VOID);
}

Test(judge, a_fault_that_is_proved_not_healed_is_void)
{
	fault("confirmed", "mismatch", "25000000000");
	expect("void", "not proved healed", EXIT_VOID);
}

Test(judge, an_injection_that_failed_and_is_not_proved_undone_is_void_for_that)
{
	fault("mismatch", "mismatch", "NULL");
	fixture_sql(record, "UPDATE faults SET heal_ns = 26000000000");
	expect("void", "not proved healed", EXIT_VOID);
}

Test(judge, a_fault_that_vanished_is_void)
{
	fault("confirmed", "confirmed", "25000000000");
	fixture_sql(record, "INSERT INTO events VALUES(27000000000, 's', 'vanished', 0, 'no such filter')");
	expect("void", "vanished on s", EXIT_VOID);
}

Test(judge, a_host_with_a_clock_of_its_own_is_void)
{
	fixture_sql(record, "INSERT INTO events VALUES(27000000000, 'c', 'clock', NULL, 'the clock of c moved')");
	expect("void", "the clock of c moved", EXIT_VOID);
}

Test(judge, a_lost_host_is_void)
{
	fixture_sql(record, "UPDATE hosts SET lost_at_ns = 30000000000");
	expect("void", "host c was lost 30.0 s after the start", EXIT_VOID);
}

Test(judge, a_host_that_does_not_tell_its_end_is_void)
{
	fixture_sql(record, "INSERT INTO hosts VALUES('d', 'load,observe', 0, 0, 0, NULL)");
	expect("void", "host d did not tell", EXIT_VOID);
}

Test(judge, an_incomplete_run_is_void)
{
	fixture_sql(record, "DELETE FROM meta WHERE key = 'complete'");
	expect("void", "incomplete", EXIT_VOID);
	record_meta(record, "stopped", "Interrupt", NULL);
	record_meta(record, "stopped_by", "signal", NULL);
	expect("void", "Interrupt", EXIT_VOID);
}

Test(judge, a_run_stopped_by_its_guard_is_inconclusive)
{
	fixture_sql(record, "DELETE FROM meta WHERE key = 'complete'");
	record_meta(record, "stopped", "sites.down_ratio > 0.9", NULL);
	record_meta(record, "stopped_by", "guard", NULL);
	expect("inconclusive", "sites.down_ratio > 0.9", EXIT_VOID);
}

/* Everything here is sound but for one thing, which leaves all other figures as beautiful as they were. */
Test(judge, a_record_that_is_not_whole_is_void)
{
	static const struct {
		const char *sql, *reason;
	} broken[] = {
		{ "UPDATE totals SET due = 601", "job web on c does not add up: 601 were due, 600" },
		{ "DELETE FROM intervals WHERE phase = 'storm'", "of 600 arrivals the record tells in which phase 400 ended" },
		{ "UPDATE intervals SET response = NULL WHERE phase = 'storm'", "600 ended, but 400 responses and 600 service times" },
		{ "UPDATE intervals SET service = NULL WHERE phase = 'storm'", "600 ended, but 600 responses and 400 service times" },
		{ "UPDATE totals SET ok = 550, in_flight = 50", "50 did not come back, but 0 ages" },
		{ "UPDATE totals SET ok = 599, errors = '{\"EIO\": 1}'; UPDATE intervals SET ok = 199 WHERE phase = 'storm'", "phase 599 ended" },
		{ "DELETE FROM pages WHERE due_ns = 30000000000", "600 pages ended, and the record has 599" },
		{ "INSERT INTO meta VALUES('dropped_pages.c', '12')", "12 pages of host c" },
		{ "INSERT INTO meta VALUES('worker_died.c', '1')", "worker process of host c died" },
		{ "DELETE FROM lag WHERE phase = 'storm'", "host c did not tell whether it kept the schedule in phase storm" },
		{ "DELETE FROM totals", "no host told" },
		{ "INSERT INTO job_seconds VALUES(30, 'c', 'web', 300, 300, 299, 0, 0, 1, 0, 0, 5000000000)", "an op was 5.00 s old, but the longest response or age is 10.0 ms" },
	};

	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		fixture_sql(record, "%s", broken[i].sql);
		expect("void", broken[i].reason, EXIT_VOID);
		fixture_close(record);
		record = fixture_open(NULL);
	}
}

Test(judge, an_arrival_that_one_host_lost_is_not_made_good_by_another)
{
	fixture_sql(record, "UPDATE totals SET ok = 299, due = 300");
	fixture_sql(record, "INSERT INTO totals VALUES('d', 'web', 300, 301, '{}', 0, 0, 0)");
	expect("void", "on c does not add up: 300 were due, 299", EXIT_VOID);
	expect("void", "on d does not add up: 300 were due, 301", EXIT_VOID);
}

/* It does not issue for 5 s, and its own figures fit each other: only the profile knows better. */
Test(judge, a_generator_that_waits_for_the_storage_is_void)
{
	fixture_sql(record, "DELETE FROM intervals WHERE phase = 'storm'");
	fixture_responses(record, 20, "storm", 150, 10000000);
	fixture_sql(record, "UPDATE totals SET due = 550, ok = 550");
	fixture_sql(record, "DELETE FROM pages WHERE due_ns >= 35000000000 AND due_ns < 40000000000");
	expect("void", "550 arrivals were due, where its rate makes 600", EXIT_VOID);
	fixture_sql(record, "INSERT INTO meta VALUES('rate.web', '9.1667')");
	expect("absent", NULL, EXIT_AS_EXPECTED);
}

static void reopen(const char *signature)
{
	fixture_close(record);
	record = fixture_open(signature);
	for (int t = 0; t < 60; t++)
		fixture_sql(record, "INSERT INTO samples VALUES(%lld, 's', 'drbd.oldest_request_ns', '', 1000000, '')", t * S + S / 2);
}

Test(judge, a_line_whose_probe_was_silent_is_unknown)
{
	reopen("  slow: drbd.oldest_request_age >= 1s for 5s");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	fixture_sql(record, "DELETE FROM samples WHERE t_ns > 25000000000 AND t_ns < 45000000000");
	expect("inconclusive", "slow may have held: drbd.oldest_request_age was not measured from 25 to 45 s", EXIT_VOID);
	fixture_sql(record, "DELETE FROM samples");
	expect("inconclusive", "slow may have held", EXIT_VOID);
	for (int t = 50; t < 58; t++)
		fixture_sql(record, "INSERT INTO samples VALUES(%lld, 's', 'drbd.oldest_request_ns', '', 2000000000, '')", t * S + S / 2);
	expect("reproduced", NULL, EXIT_AS_EXPECTED);
}

Test(judge, a_line_that_surely_did_not_hold_outweighs_an_unknown_one)
{
	reopen("  slow: drbd.oldest_request_age >= 1s for 5s\n  failing: sites.failed_pages >= 1");
	fixture_sql(record, "DELETE FROM samples WHERE t_ns > 25000000000 AND t_ns < 45000000000");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	fixture_sql(record, "UPDATE pages SET outcome = 'EIO' WHERE due_ns = 30000000000");
	expect("inconclusive", "slow may have held", EXIT_VOID);
}

Test(judge, a_host_that_is_rebooted_on_order_has_nothing_to_measure)
{
	reopen("  slow: drbd.oldest_request_age >= 1s for 5s");
	fixture_sql(record, "DELETE FROM samples WHERE t_ns > 25000000000 AND t_ns < 45000000000");
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'host-reboot', 's', 'confirmed', 'confirmed', 25000000000, 44000000000, 'host-reboot', 'seen')");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	fixture_sql(record, "UPDATE faults SET fault = 'host-crash', healed_by = 'host-crash'");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	fixture_sql(record, "UPDATE faults SET fault = 'power-cut', healed_by = 'power-cut'");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	fixture_sql(record, "UPDATE faults SET fault = 'conn-kill', healed_by = 'conn-kill'");
	expect("inconclusive", "slow may have held", EXIT_VOID);
}

/* What was not seen on store t may have been there. */
Test(judge, a_line_is_unknown_when_one_host_of_several_was_silent)
{
	reopen("  slow: drbd.oldest_request_age >= 1s for 5s");
	for (int t = 0; t < 60; t++)
		if (t < 25 || t >= 45)
			fixture_sql(record, "INSERT INTO samples VALUES(%lld, 't', 'drbd.oldest_request_ns', '', 1000000, '')", t * S + S / 2);
	expect("inconclusive", "slow may have held: drbd.oldest_request_age of t was not measured from 25 to 45 s", EXIT_VOID);
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'host-freeze', 't', 'confirmed', 'confirmed', 25000000000, 44000000000, 'heal', 'seen')");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
	fixture_sql(record, "UPDATE faults SET host = 's'");
	expect("inconclusive", "slow may have held", EXIT_VOID);
	fixture_sql(record, "DELETE FROM samples WHERE host = 't' AND t_ns > 45000000000");
	expect("inconclusive", "of t was not measured from 25 to 60 s", EXIT_VOID);
	fixture_sql(record, "DELETE FROM samples WHERE host = 't'");
	expect("absent", NULL, EXIT_NOT_AS_EXPECTED);
}

static double ns_of(const json_t *v, const char *phase, const char *key)
{
	const json_t *job = json_object_get(json_object_get(v, "jobs"), "web");
	const json_t *value = json_object_get(json_object_get(phase ? json_object_get(json_object_get(job, "phases"), phase) : job, "response"), key);

	return json_is_number(value) ? json_number_value(value) : -1;
}

/* 5 s of 20 s, the rate being constant: the quantiles are max(0, D - (1 - q) T), here with the ages of what was never answered. */
Test(judge, a_stall_that_nothing_came_back_from_is_a_lower_bound)
{
	json_t *v, *at_least, *ratio;

	fixture_sql(record, "DELETE FROM intervals WHERE phase = 'storm'");
	fixture_responses(record, 20, "storm", 150, 1000000);
	fixture_censored(record, "storm", "in_flight", 50, 0, 5 * S);
	fixture_sql(record, "UPDATE totals SET ok = 550, in_flight = 50");
	fixture_sql(record, "DELETE FROM pages WHERE due_ns >= 35000000000 AND due_ns < 40000000000");
	v = fixture_judge(record);
	cr_expect_str_eq(fixture_verdict(v), "absent");
	ratio = json_object_get(json_object_get(json_object_get(v, "ratios"), "web"), "storm");
	cr_expect(json_is_true(json_object_get(ratio, "p99_at_least")) && json_is_false(json_object_get(ratio, "p50_at_least")));
	cr_expect_float_eq(json_number_value(json_object_get(ratio, "p99")), 480, 15);
	at_least = json_object_get(json_object_get(json_object_get(json_object_get(json_object_get(json_object_get(v, "jobs"), "web"), "phases"), "storm"), "response"),
				   "at_least_ns");
	cr_expect_eq(ns_of(v, "storm", "p50_ns") / 1e6, 1.0, "%g", ns_of(v, "storm", "p50_ns"));
	cr_expect_eq(ns_of(v, "storm", "p99_ns"), -1);
	cr_expect_float_eq(json_number_value(json_object_get(at_least, "p80")) / 1e9, 1.0, 0.15);
	cr_expect_float_eq(json_number_value(json_object_get(at_least, "p90")) / 1e9, 3.0, 0.15);
	cr_expect_float_eq(json_number_value(json_object_get(at_least, "p95")) / 1e9, 4.0, 0.15);
	cr_expect_float_eq(json_number_value(json_object_get(at_least, "p99")) / 1e9, 4.8, 0.15);
	cr_expect_eq(ns_of(v, "baseline", "p99_ns") > 9e6, 1);
	json_decref(v);
}

/* Of no second there is a row of it: its ages are all that is known. */
Test(judge, an_op_that_never_ended_is_among_the_ops)
{
	json_t *v, *op;

	fixture_sql(record, "INSERT INTO censored SELECT host, job, 'append_fsync', phase, 'in_flight', response FROM intervals WHERE second = 20");
	v = fixture_judge(record);
	op = json_object_get(json_object_get(json_object_get(json_object_get(v, "jobs"), "web"), "ops"), "append_fsync");
	cr_expect_eq(json_integer_value(json_object_get(op, "in_flight")), 200);
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(op, "response"), "censored")), 200);
	json_decref(v);
}

static int stop_reading(void *on)
{
	return *(int *)on;
}

/* As a disk does that fails while the record is read. */
Test(judge, a_record_that_cannot_be_read_to_its_end_gives_no_percentile)
{
	struct selection what = { .job = "web", .op = "" };
	json_t *response = NULL, *service = NULL;
	struct err err = ERR_INIT;
	int on = 1;

	sqlite3_progress_handler(record_db(record), 1, stop_reading, &on);
	cr_expect_eq(percentiles_read(record, &what, &response, &service, &err), -EIO);
	cr_expect(strstr(err.text, "the record cannot be read: "), "%s", err.text);
	sqlite3_progress_handler(record_db(record), 0, NULL, NULL);
	json_decref(response);
	json_decref(service);
}

Test(judge, arrivals_that_were_never_issued_keep_a_percentile_from_being_reached)
{
	json_t *v;

	fixture_censored(record, "storm", "not_issued", 300, S, 9 * S);
	fixture_sql(record, "UPDATE totals SET due = 900, not_issued = 300");
	v = fixture_judge(record);
	cr_expect_eq(ns_of(v, NULL, "p90_ns"), -1);
	cr_expect_eq(ns_of(v, NULL, "censored"), 0);
	cr_expect(ns_of(v, NULL, "p50_ns") > 9e6 && ns_of(v, NULL, "p50_ns") < 11e6);
	json_decref(v);
}

Test(judge, pages_that_fail_beside_others_are_counted)
{
	json_t *v;

	fixture_sql(record, "UPDATE pages SET outcome = 'EIO' WHERE due_ns = 30000000000");
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 31000000000 WHERE due_ns = 25000000000");
	v = fixture_judge(record);
	cr_expect_eq(json_integer_value(json_object_get(v, "failed_while_others_ok")), 2);
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(v, "sites"), "failed")), 1);
	json_decref(v);
}

static json_t *recovery(json_t *v)
{
	return json_object_get(json_object_get(v, "recovery"), "ns");
}

Test(judge, a_run_that_does_not_come_back_has_no_time_of_recovery)
{
	json_t *v;

	fault("confirmed", "confirmed", "25000000000");
	fixture_sql(record, "UPDATE pages SET outcome = 'EIO' WHERE site = 1 AND due_ns >= 30000000000");
	v = fixture_judge(record);
	cr_expect(json_is_null(recovery(v)));
	json_decref(v);
	/* Back in the band at 50 s, and out of it again at the very end. */
	fixture_sql(record, "UPDATE pages SET outcome = 'ok' WHERE due_ns >= 40000000000 AND due_ns < 58000000000");
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 1900000000 WHERE site = 1 AND due_ns >= 51000000000");
	v = fixture_judge(record);
	cr_expect(json_is_null(recovery(v)));
	json_decref(v);
	fixture_sql(record, "UPDATE pages SET outcome = 'ok', done_ns = due_ns + 10000000 WHERE due_ns >= 40000000000");
	v = fixture_judge(record);
	cr_expect(json_is_integer(recovery(v)) && json_integer_value(recovery(v)) >= 5 * S && json_integer_value(recovery(v)) <= 16 * S, "%lld",
		  (long long)json_integer_value(recovery(v)));
	json_decref(v);
}

/* What the verdict says the run recovered after, and its first fault was healed by, when these are its faults. */
static void expect_cure(const char *faults, const char *act)
{
	json_t *v;

	fixture_sql(record, "DELETE FROM faults");
	fixture_sql(record, "INSERT INTO faults VALUES %s", faults);
	v = fixture_judge(record);
	cr_expect_str_eq(json_string_value(json_object_get(json_object_get(v, "recovery"), "after")), act);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(v, "faults"), 0), "healed_by")), act);
	json_decref(v);
}

Test(judge, a_cure_is_told_of_the_act_that_brought_it)
{
	expect_cure("(0, 'drbd-link-delay', 's', 'confirmed', 'confirmed', 25000000000, 35000000000, 'heal', 'seen')", "heal");
	expect_cure("(0, 'drbd-link-delay', 's', 'confirmed', 'confirmed', 25000000000, 44000000000, 'host-reboot', 'seen'),"
		    "(1, 'host-reboot', 's', 'confirmed', 'confirmed', 35000000000, 45000000000, 'host-reboot', 'seen')", "host-reboot");
	expect_cure("(0, 'drbd-link-delay', 's', 'confirmed', 'confirmed', 25000000000, 35000000000, 'heal', 'seen'),"
		    "(1, 'conn-kill', 'c', 'confirmed', 'confirmed', 30000000000, 30000000000, 'conn-kill', 'seen')", "heal");
}

static double herd(const char *what)
{
	json_t *v = fixture_judge(record);
	double ratio = json_number_value(json_object_get(json_object_get(v, "herd"), what));

	json_decref(v);
	return ratio;
}

/* Two hosts that do ten ops and a hundred RPCs a second each; of 41 to 44 s, in which nothing else happened, d has told nothing. */
Test(judge, what_was_done_in_seconds_of_which_nothing_was_told_is_no_herd)
{
	static const char *const gone[] = { "job_seconds WHERE host = 'd' AND second BETWEEN 41 AND 44", "samples WHERE host = 'd' AND t_ns BETWEEN 41000000000 AND 45000000000" };

	fault("confirmed", "confirmed", "25000000000");
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59), h(name) AS (VALUES('c'), ('d'))"
			    " INSERT INTO job_seconds(second, host, job, ok) SELECT i, name, 'web', 10 * (i + 1) FROM n, h");
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59), h(name) AS (VALUES('c'), ('d'))"
			    " INSERT INTO samples(t_ns, host, metric, label, value) SELECT i * 1000000000 + 10000000, name, 'mount.ops', 'READ', 100 * i FROM n, h");
	for (size_t i = 0; i < 2; i++)
		fixture_sql(record, "DELETE FROM %s", gone[i]);
	cr_expect_float_eq(herd("done_peak_ratio"), 1.0, 1e-9, "%f", herd("done_peak_ratio"));
	cr_expect_float_eq(herd("rpc_peak_ratio"), 1.0, 1e-9, "%f", herd("rpc_peak_ratio"));
	fixture_sql(record, "UPDATE job_seconds SET ok = ok + 60 WHERE second >= 50");
	cr_expect_float_eq(herd("done_peak_ratio"), 7.0, 1e-9, "%f", herd("done_peak_ratio"));
}

Test(judge, every_key_of_the_contract_is_there)
{
	static const char *const keys[] = { "schema", "squall", "run", "profile", "seed", "start_utc_ns", "verdict", "expected", "void_reasons", "jobs", "sites",
					    "faults", "signature", "hung", "hosts", NULL };
	static const char *const latency[] = { "count", "censored", "p50_ns", "p80_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns", "at_least_ns", NULL };
	static const char *const job[] = { "due", "ok", "errors", "unknown", "in_flight", "not_issued", "response", "service", "phases", "ops", NULL };
	json_t *v, *web;

	fault("confirmed", "confirmed", "25000000000");
	fixture_sql(record, "INSERT INTO hung VALUES('c', 1, 2, 'read', 'a/b', 5, 'w', '[\"f\"]')");
	v = fixture_judge(record);
	web = json_object_get(json_object_get(v, "jobs"), "web");
	for (int i = 0; keys[i]; i++)
		cr_expect(json_object_get(v, keys[i]), "%s", keys[i]);
	for (int i = 0; job[i]; i++)
		cr_expect(json_object_get(web, job[i]), "%s", job[i]);
	for (int i = 0; latency[i]; i++) {
		cr_expect(json_object_get(json_object_get(web, "response"), latency[i]), "%s", latency[i]);
		cr_expect(json_object_get(json_object_get(web, "service"), latency[i]), "%s", latency[i]);
	}
	cr_expect_eq(json_integer_value(json_object_get(json_array_get(json_object_get(v, "hung"), 0), "tid")), 2);
	cr_expect_eq(json_integer_value(json_object_get(json_array_get(json_object_get(v, "faults"), 0), "heal_ns")), 35 * S);
	cr_expect_eq(json_integer_value(json_object_get(json_array_get(json_object_get(v, "hosts"), 0), "lag_p99_ns")), 1000000);
	json_decref(v);
}

Test(judge, an_engine_that_did_the_job_of_another_is_named_with_the_reason)
{
	json_t *v, *engine;
	char text[4096] = "";

	fixture_sql(record, "INSERT INTO meta VALUES('engines.c', '{\"web\": {\"engine\": \"sync\", \"why\": \"io_uring is forbidden here\"}}')");
	v = fixture_judge(record);
	engine = json_object_get(json_object_get(json_object_get(json_object_get(v, "jobs"), "web"), "engines"), "c");
	cr_assert_str_eq(json_string_value(json_object_get(engine, "engine")), "sync");
	fixture_text(v, text, sizeof text);
	cr_assert_not_null(strstr(text, "c: io_uring is forbidden here"), "%s", text);
	json_decref(v);
}

Test(judge, a_client_that_came_back_by_itself_is_told_from_one_that_was_mounted_anew)
{
	json_t *v, *client;

	fault("confirmed", "confirmed", "25000000000");
	fixture_sql(record, "INSERT INTO samples(t_ns, host, metric, label, value) VALUES(34000000000, 'c', 'mount.age', '', 100),"
			    " (44000000000, 'c', 'mount.age', '', 110), (36000000000, 'c', 'mount.connects', '', 1), (44000000000, 'c', 'mount.connects', '', 2)");
	v = fixture_judge(record);
	client = json_array_get(json_object_get(v, "clients"), 0);
	cr_expect_eq(json_integer_value(json_object_get(client, "back_ns")), 110000000, "first page due after 35 s is due at 35.1 s and done 10 ms later");
	cr_expect(json_is_integer(json_object_get(client, "mounted_anew")) && json_integer_value(json_object_get(client, "mounted_anew")) == 0);
	cr_expect_eq(json_integer_value(json_object_get(client, "reconnects")), 1);
	json_decref(v);
	fixture_sql(record, "INSERT INTO samples(t_ns, host, metric, label, value) VALUES(45000000000, 'c', 'mount.age', '', 0)");
	v = fixture_judge(record);
	cr_expect_eq(json_integer_value(json_object_get(json_array_get(json_object_get(v, "clients"), 0), "mounted_anew")), 1);
	json_decref(v);
}

Test(judge, the_ops_of_a_client_stand_beside_the_calls_of_its_mount)
{
	json_t *v, *wire, *host;

	fixture_sql(record, "INSERT INTO hosts VALUES('d', 'load,observe', 0, 0, 0, NULL)");
	fixture_sql(record, "INSERT INTO intervals(second, host, job, op, phase, ok, unknown) VALUES(3, 'c', 'web', 'read', 'baseline', 90, 0),"
			    " (4, 'c', 'web', 'first_byte', 'baseline', 10, 0), (4, 'c', 'web', 'stat', 'baseline', 50, 0), (4, 'd', 'web', 'stat', 'baseline', 7, 0)");
	/* READ: 40, and 5 on a new mount. LOOKUP: first seen in mid-run, so all 9 of it are of this run. GETATTR: what was before the run does not count. */
	fixture_sql(record, "INSERT INTO samples(t_ns, host, metric, label, value) VALUES(500000000, 'c', 'mount.ops', 'READ', 1000), (9000000000, 'c', 'mount.ops', 'READ', 1040),"
			    " (9500000000, 'c', 'mount.ops', 'READ', 5), (7000000000, 'c', 'mount.ops', 'LOOKUP', 9), (500000000, 'c', 'mount.ops', 'GETATTR', 77),"
			    " (-900000000, 'c', 'mount.ops', 'READ', 990), (-900000000, 'c', 'mount.ops', 'GETATTR', 77);"
			    " INSERT INTO samples VALUES(-100000000, 'c', 'mount.options', '', 1, 'rw,soft'), (6000000000, 'c', 'mount.options', '', 1, 'rw,hard')");
	v = fixture_judge(record);
	wire = json_object_get(v, "wire");
	host = json_array_get(wire, 0);
	cr_expect_str_eq(json_string_value(json_object_get(host, "mount")), "rw,hard");
	cr_expect_eq(json_array_size(wire), 1, "d has no counters: nothing is said of it");
	cr_expect_str_eq(json_string_value(json_object_get(host, "host")), "c");
	cr_expect_eq(json_integer_value(json_object_get(host, "ops")), 150);
	cr_expect_eq(json_integer_value(json_object_get(host, "reads")), 100);
	cr_expect_eq(json_integer_value(json_object_get(host, "rpcs")), 54);
	cr_expect_eq(json_integer_value(json_object_get(host, "read_rpcs")), 45);
	cr_expect_eq(json_object_size(json_object_get(host, "by_rpc")), 2);
	json_decref(v);
}

Test(judge, what_a_server_was_configured_with_stands_with_its_host)
{
	const json_t *config;
	json_t *v;

	fixture_sql(record, "INSERT INTO hosts VALUES('s', 'observe', 0, 0, 0, NULL)");
	fixture_sql(record, "INSERT INTO samples VALUES(-100000000, 's', 'config.exports', '', 1, '/before'), (0, 's', 'config.exports', '', 1, '/a'),"
			    " (0, 's', 'config.exports', '', 1, '/b'), (0, 's', 'config.nfs', '', 1, ''), (-100000000, 's', 'config.drbd', '', 1, 'r0')");
	v = fixture_judge(record);
	config = json_object_get(json_array_get(json_object_get(v, "hosts"), 1), "config");
	cr_expect_str_eq(json_string_value(json_object_get(config, "exports")), "/b", "of two at T0 the one that was told last");
	cr_expect_str_eq(json_string_value(json_object_get(config, "nfs")), "", "told, and nothing is set");
	cr_expect_eq(json_object_size(config), 2, "what was told before T0 alone is not of this run");
	cr_expect_null(json_object_get(json_array_get(json_object_get(v, "hosts"), 0), "config"), "c has told nothing");
	json_decref(v);
	fixture_sql(record, "INSERT INTO samples VALUES(9000000000, 's', 'config.exports', '', 1, '/c\td\n/e')");
	v = fixture_judge(record);
	config = json_object_get(json_array_get(json_object_get(v, "hosts"), 1), "config");
	cr_expect_str_eq(json_string_value(json_object_get(config, "exports")), "/c\td\n/e");
	json_decref(v);
}

Test(judge, what_was_cached_when_the_load_began_stands_with_each_host)
{
	const json_t *host;
	json_t *v;

	fixture_sql(record, "INSERT INTO meta VALUES('dataset_bytes', '4096.0')");
	fixture_sql(record, "INSERT INTO samples(t_ns, host, metric, label, value) VALUES(-900000000, 'c', 'memory.cached', '', 7000), (100000000, 'c', 'memory.cached', '', 500),"
			    " (9000000000, 'c', 'memory.cached', '', 9000), (100000000, 'c', 'memory.total', '', 100000)");
	v = fixture_judge(record);
	host = json_array_get(json_object_get(v, "hosts"), 0);
	cr_expect_eq(json_integer_value(json_object_get(host, "cached_at_start_bytes")), 500);
	cr_expect_eq(json_integer_value(json_object_get(host, "memory_bytes")), 100000);
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(v, "dataset"), "bytes")), 4096);
	cr_expect_str_eq(json_string_value(json_object_get(json_object_get(v, "dataset"), "cache")), "as-is");
	json_decref(v);
}
