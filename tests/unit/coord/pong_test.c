/* SPDX-License-Identifier: MIT */
/*
 * pong_test.c - what is made of the clocks that a host tells.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "clock.h"

#include "fixture.h"

#define UTC_NS 1700000000000000000LL
#define TRIP_NS 1000000ULL

static struct run *run;

static void begin(void)
{
	run = fixture_begin();
	run->t0_ns = clock_mono_ns();
}

static void end(void)
{
	fixture_end(run);
}

TestSuite(pong, .init = begin, .fini = end, .timeout = 60);

/* Its clock is ours. */
static void answer(int64_t utc_offset_ns)
{
	struct bus_message m = { .kind = "pong", .peer = "local", .at_ns = clock_mono_ns() };
	uint32_t seq = ++run->host[0].ping_seq;

	run->host[0].ping_sent_ns[seq % PINGS] = m.at_ns - TRIP_NS;
	m.body = json_pack("{s:I, s:I, s:I}", "seq", (json_int_t)seq, "mono_ns", (json_int_t)(m.at_ns - TRIP_NS / 2), "utc_offset_ns", (json_int_t)utc_offset_ns);
	run_take(run, &m);
	json_decref(m.body);
}

static int take_step(void *row, void *arg)
{
	int64_t *sum = arg;

	sum[0]++;
	sum[1] += sqlite3_column_int64(row, 0);
	return 0;
}

/* How many steps were told, and how far they lead. */
static void expect_steps(int64_t nr, int64_t by_ns)
{
	int64_t sum[2] = { 0, 0 };

	cr_assert_eq(record_query(run->record, "SELECT CAST(evidence AS INTEGER) FROM events WHERE kind = 'utc' AND host = 'local'", NULL, take_step, sum, NULL), 0);
	cr_expect(sum[0] == nr && sum[1] == by_ns, "%lld steps by %lld ns", (long long)sum[0], (long long)sum[1]);
}

Test(pong, a_clock_of_the_day_that_is_set_is_told_each_time)
{
	answer(UTC_NS);
	answer(UTC_NS + 3600 * (int64_t)NS_PER_S);
	answer(UTC_NS + 3600 * (int64_t)NS_PER_S);
	expect_steps(1, 3600 * (int64_t)NS_PER_S);
	answer(UTC_NS - 5 * (int64_t)NS_PER_S);
	expect_steps(2, -5 * (int64_t)NS_PER_S);
}

Test(pong, two_looks_at_one_clock_differ_by_what_a_busy_host_makes_of_it)
{
	answer(UTC_NS);
	answer(UTC_NS + (int64_t)CLOCK_OFFSET_ERROR_NS);
	answer(UTC_NS - (int64_t)CLOCK_OFFSET_ERROR_NS);
	expect_steps(0, 0);
}

Test(pong, another_boot_has_another_clock)
{
	static const char *const boots[] = { "a", "b" };

	for (int i = 0; i < 2; i++) {
		struct bus_message hello = { .kind = "hello", .peer = "local", .at_ns = clock_mono_ns(), .body = json_pack("{s:s}", "boot", boots[i]) };

		run_take(run, &hello);
		json_decref(hello.body);
		run->host[0].kept_of_before = false;
		answer(UTC_NS + i * 100 * (int64_t)NS_PER_S);
	}
	expect_steps(0, 0);
}

Test(pong, nonsense_is_no_clock_and_not_all_of_a_host_that_steps_for_ever_is_told)
{
	answer(INT64_MIN);
	answer(UTC_NS);
	answer(INT64_MAX);
	answer(-1);
	expect_steps(0, 0);
	for (int i = 1; i <= 2 * UTC_STEPS_MAX; i++)
		answer(UTC_NS + i * (int64_t)NS_PER_S);
	expect_steps(UTC_STEPS_MAX, UTC_STEPS_MAX * (int64_t)NS_PER_S);
}
