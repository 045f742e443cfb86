/* SPDX-License-Identifier: MIT */
/*
 * config_test.c - the configuration of a host, which is told every 10 s: in the record it is at T0, and again when it is another.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"

#include "fixture.h"

static struct run *run;

static void begin(void)
{
	run = fixture_begin();
}

static void end(void)
{
	fixture_end(run);
}

TestSuite(config, .init = begin, .fini = end, .timeout = 60);

static void tell(const char *metric, const char *text, uint64_t at_ns)
{
	struct bus_message m = { .kind = "samples", .peer = "local", .at_ns = clock_mono_ns() };

	m.body = json_pack("{s:[{s:s, s:i, s:s, s:I}]}", "samples", "metric", metric, "value", 1, "text", text, "t_ns", (json_int_t)at_ns);
	run_take(run, &m);
	json_decref(m.body);
}

static int add_row(void *row, void *arg)
{
	char *all = arg;

	(void)snprintf(all + strlen(all), 256 - strlen(all), "%s %s %s; ", record_text(row, 0), record_text(row, 1), record_text(row, 2));
	return 0;
}

static void expect_record(const char *expected)
{
	static const char sql[] = "SELECT CASE WHEN t_ns < 0 THEN 'before' WHEN t_ns = 0 THEN 'T0' ELSE 'after' END, metric, text FROM samples ORDER BY rowid";
	char all[256] = "";

	cr_assert_eq(record_query(run->record, sql, NULL, add_row, all, NULL), 0);
	cr_expect_str_eq(all, expected);
}

/* What comes between, when T0 is known and the load has not begun, is not recorded twice. */
static void begin_run(uint64_t ahead_ns)
{
	run->t0_ns = clock_mono_ns() + ahead_ns;
	tell("config.exports", "/a", run->t0_ns);
	run->began = true;
	host_store_config(run, &run->host[0]);
}

Test(config, what_was_told_before_t0_is_in_a_run_of_any_length)
{
	tell("config.exports", "/b", clock_mono_ns());
	tell("config.drbd", "r0", clock_mono_ns());
	begin_run(0);
	expect_record("T0 config.exports /a; T0 config.drbd r0; ");
}

Test(config, what_is_the_same_is_in_the_record_once)
{
	begin_run(0);
	for (int i = 0; i < 3; i++) {
		tell("config.exports", "/a", clock_mono_ns());
		tell("config.drbd", "r0", clock_mono_ns());
		tell("mount.options", "rw", clock_mono_ns());
	}
	tell("config.exports", "", clock_mono_ns());
	tell("config.exports", "/a", clock_mono_ns());
	expect_record("T0 config.exports /a; after config.drbd r0; after mount.options rw; after mount.options rw; after mount.options rw; "
		      "after config.exports ; after config.exports /a; ");
}

Test(config, what_changes_just_before_t0_counts_as_of_t0)
{
	begin_run(NS_PER_S);
	tell("config.exports", "/b", clock_mono_ns());
	expect_record("T0 config.exports /a; T0 config.exports /b; ");
}

Test(config, a_calibration_is_before_t0)
{
	run->t0_ns = clock_mono_ns();
	run->calibrating = true;
	tell("config.exports", "/a", clock_mono_ns());
	expect_record("");
	run->calibrating = false;
	begin_run(0);
	expect_record("T0 config.exports /a; ");
}
