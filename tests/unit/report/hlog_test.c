/* SPDX-License-Identifier: MIT */
/*
 * hlog_test.c - logs of histograms: ours out of a record, those of others with answers that follow from arithmetic, and damaged ones.
 *
 * data/foreign.hlog was written by HdrHistogram 2.1.11 for Java from these values:
 *	no tag	1, 2, ..., 1000 us in ns, in two intervals of 500; 2 digits from 1,000 ns on
 *	wide	2^0, 2^1, ..., 2^60, and 10^12 times 7; 5 digits
 *	empty	nothing
 *	fine	1, 4, 9, ..., 2000 x 2000 us in ns; 3 digits
 *	mixed	100 times 100 with 1 digit, then 100 times 5000 with 3 digits
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../report/hdr.h"
#include "err.h"
#include "file.h"
#include "fixture.h"
#include "hist.h"
#include "report.h"
#include "rng.h"

TestSuite(hlog, .timeout = 60);

static struct hdr round_trip(const struct hist *h)
{
	struct hdr back = { 0 };
	struct err err = ERR_INIT;
	char *text = NULL;

	cr_assert_eq(hdr_encode(h, &text), 0);
	cr_assert_eq(hdr_decode(text, &back, &err), 0, "%s", err.text);
	free(text);
	return back;
}

Test(hlog, a_value_lies_in_the_bucket_that_hdrhistogram_gives_it)
{
	static const uint64_t values[] = { 0, 1, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 1000000, 999999999, (1ull << 46) - 1, 1ull << 46, (1ull << 47) - 1 };

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct hist *h = hist_new();
		struct hdr back;
		uint64_t top = values[i], width = 1;

		while (top >> 11) {
			top >>= 1;
			width *= 2;
		}
		hist_add(h, values[i]);
		back = round_trip(h);
		cr_assert_eq(back.counts_nr, 1);
		cr_expect_eq(back.count[0].value, (top + 1) * width - 1, "%llu became %llu", (unsigned long long)values[i], (unsigned long long)back.count[0].value);
		hdr_release(&back);
		free(h);
	}
}

Test(hlog, every_count_comes_back_from_its_own_bucket)
{
	struct hist *h = hist_new(), *again = hist_new();
	struct rng rng;
	struct hdr back;

	rng_init(&rng, 5, 0);
	for (int i = 0; i < 20000; i++)
		hist_add(h, rng_u64(&rng) >> (17 + rng_u64(&rng) % 47));
	h->bucket[hist_first(h)] += 1ull << 40;
	h->count += 1ull << 40;
	back = round_trip(h);
	cr_expect_eq(back.total, h->count);
	for (size_t i = 0; i < back.counts_nr; i++)
		again->bucket[hist_index(back.count[i].value)] += back.count[i].nr;
	cr_expect_eq(memcmp(again->bucket, h->bucket, sizeof h->bucket), 0);
	hdr_release(&back);
	free(h);
	free(again);
}

Test(hlog, an_empty_histogram_is_one)
{
	struct hist *h = hist_new();
	struct hdr back = round_trip(h);

	cr_expect_eq(back.total, 0);
	cr_expect_eq(hdr_quantile(&back, 0.5), 0);
	hdr_release(&back);
	free(h);
}

/* The table of a log as JSON. */
static json_t *table_of(const char *path)
{
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	json_t *table;

	cr_assert_eq(report_hlog_file(path, true, out, &err), 0, "%s", err.text);
	fclose(out);
	table = json_loads(text, 0, NULL);
	cr_assert(table);
	free(text);
	return table;
}

static json_int_t cell(const json_t *table, const char *tag, const char *key)
{
	const json_t *value = json_object_get(json_object_get(json_object_get(table, "tags"), tag), key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void expect_cell(const json_t *table, const char *tag, const char *key, json_int_t wanted)
{
	cr_expect_eq(cell(table, tag, key), wanted, "%s %s: %lld instead of %lld", tag, key, (long long)cell(table, tag, key), (long long)wanted);
}

/* 2 digits from 1,000 on are 128 buckets a power of two, none narrower than 512; 3 digits, as it is printed, are 1,024. */
static json_int_t coarse(json_int_t value)
{
	json_int_t width = 512, fine = 1, least;

	while (value / width >= 256)
		width *= 2;
	least = value / width * width;
	while (least / fine >= 2048)
		fine *= 2;
	return least / fine * fine + fine - 1;
}

Test(hlog, the_log_of_another_tool_has_the_percentiles_that_follow_from_its_values)
{
	json_t *t = table_of("tests/unit/report/data/foreign.hlog");

	cr_expect_eq(json_real_value(json_object_get(t, "start_s")), 1600000000.0);
	expect_cell(t, "", "intervals", 2);
	expect_cell(t, "", "count", 1000);
	expect_cell(t, "", "p50", coarse(500000));
	expect_cell(t, "", "p90", coarse(900000));
	expect_cell(t, "", "p99", coarse(990000));
	expect_cell(t, "", "p999", coarse(999000));
	expect_cell(t, "", "max", coarse(1000000));
	expect_cell(t, "wide", "count", 1000000000061);
	expect_cell(t, "wide", "p50", 7);
	expect_cell(t, "wide", "p9999", 7);
	expect_cell(t, "wide", "max", (1ll << 60) + (1ll << 50) - 1);
	expect_cell(t, "empty", "intervals", 1);
	expect_cell(t, "empty", "count", 0);
	expect_cell(t, "empty", "p50", -1);
	/* 1 digit: 16 buckets a power of two; 100 is the lower end of one. 3 digits: 5000 lies in one of width 4. */
	/* 1000 x 1000 us are 10^9 ns, in a bucket of width 2^19 */
	expect_cell(t, "fine", "p50", 1000000000 / 524288 * 524288 + 524287);
	expect_cell(t, "mixed", "intervals", 2);
	expect_cell(t, "mixed", "count", 200);
	expect_cell(t, "mixed", "p50", 100);
	expect_cell(t, "mixed", "p90", 5003);
	json_decref(t);
}

static void expect_refused(const char *log, const char *sentence)
{
	struct err err = ERR_INIT;
	char path[] = "/tmp/squall-hlog-XXXXXX";
	int fd = mkstemp(path);
	FILE *out = fopen("/dev/null", "w");

	cr_assert(fd >= 0 && out);
	cr_assert_eq(file_write_all(fd, log, strlen(log)), 0);
	close(fd);
	cr_expect_lt(report_hlog_file(path, false, out, &err), 0, "taken: %s", log);
	cr_expect(strstr(err.text, sentence), "'%s' instead of '%s'", err.text, sentence);
	cr_expect(strncmp(err.text, path, strlen(path)) == 0, "the file is not named: %s", err.text);
	fclose(out);
	unlink(path);
}

Test(hlog, what_is_no_log_is_refused_with_the_place)
{
	expect_refused("", "no interval");
	expect_refused("#[only a comment]\n", "no interval");
	expect_refused("#\n\nhello\n", ":3: no line of an interval log");
	expect_refused("Tag=a\n", ":1: a tag and nothing after it");
	expect_refused("0.0,1.0,2.0,HIST\n", ":1: a histogram is not base64, or cut");
	expect_refused("0.0,1.0,2.0,HIST!AAA\n", ":1: a histogram is not base64, or cut");
	expect_refused("0.0,1.0,2.0,HISTEwAAAAA=\n", "of kind 1c849313");
	expect_refused("0.0,1.0,2.0,HISTFAAAABA=\n", "16 bytes are announced, 0 are there");
	expect_refused("0.0,1.0,2.0,HISTFAAAAAAA\n", "does not unpack");
}

/* Cut anywhere, and with any byte changed: refused or read, never more than that. Checksums catch nearly all. */
Test(hlog, a_damaged_histogram_is_never_read_past_its_end)
{
	struct hist *h = hist_new();
	struct hdr back = { 0 };
	char *text = NULL, *copy;
	size_t bytes;

	for (uint64_t i = 0; i < 300; i++)
		hist_add(h, i * i * 1000);
	cr_assert_eq(hdr_encode(h, &text), 0);
	bytes = strlen(text);
	for (size_t i = 0; i < bytes; i++) {
		copy = strndup(text, i);
		cr_expect_lt(hdr_decode(copy, &back, NULL), 0, "cut to %zu of %zu characters it is read", i, bytes);
		free(copy);
		copy = strdup(text);
		copy[i] = copy[i] == 'A' ? 'z' : 'A';
		if (hdr_decode(copy, &back, NULL) == 0)
			hdr_release(&back);
		free(copy);
	}
	free(text);
	free(h);
}

static json_t *table_of_record(struct record *record)
{
	struct err err = ERR_INIT;
	char folder[] = "/tmp/squall-hlog-XXXXXX", path[64];
	json_t *table, *verdict = fixture_judge(record);

	cr_assert(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/latency.hlog", folder);
	cr_assert_eq(report_leave(folder, record, verdict, &err), 0, "%s", err.text);
	json_decref(verdict);
	table = table_of(path);
	file_remove_tree(folder, NULL);
	return table;
}

Test(hlog, the_log_of_a_record_has_every_second_and_what_never_ended)
{
	struct record *record = fixture_open(NULL);
	json_t *t;

	/* the fixture answers in seconds 0, 20 and 40; watched are 0 to 59 but for 30 to 34, where nobody told anything */
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59)"
			    " INSERT INTO job_seconds SELECT i, 'c', 'web', 10, 10, 10, 0, 0, 0, 0, 0, 0 FROM n WHERE i NOT BETWEEN 30 AND 34");
	/* a second phase and a second host in the same second are the same line */
	fixture_responses(record, 20, "baseline", 50, 3 * S);
	fixture_sql(record, "INSERT INTO intervals SELECT second, 'd', job, 'read', phase, ok, unknown, response, service FROM intervals WHERE second = 20");
	fixture_censored(record, "storm", "in_flight", 40, S, 9 * S);
	fixture_censored(record, "storm", "unknown", 0, 0, 0);
	t = table_of_record(record);
	expect_cell(t, "web", "intervals", 55);
	expect_cell(t, "web", "count", 650);
	expect_cell(t, "web", "p90", 10002431);
	cr_expect(cell(t, "web", "max") >= 3 * S && cell(t, "web", "max") < 3 * S + 3 * S / 1000);
	expect_cell(t, "web.read", "intervals", 55);
	expect_cell(t, "web.read", "count", 250);
	expect_cell(t, "web:in_flight", "intervals", 1);
	expect_cell(t, "web:in_flight", "count", 40);
	cr_expect_eq(cell(t, "web:in_flight", "max") / 1000000, 9000, "%lld", (long long)cell(t, "web:in_flight", "max"));
	cr_expect_eq(json_object_size(json_object_get(t, "tags")), 3);
	json_decref(t);
	fixture_close(record);
}
