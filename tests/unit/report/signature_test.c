/* SPDX-License-Identifier: MIT */
/*
 * signature_test.c - lines over samples and pages whose truth is known to the second.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../../report/signature.h"
#include "err.h"
#include "fixture.h"
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

TestSuite(signature, .init = sound, .fini = end, .timeout = 20);

/* One sample a second of a metric, from a second to another, at half past. */
static void samples(const char *metric, int from, int to, double value)
{
	for (int t = from; t < to; t++)
		fixture_sql(record, "INSERT INTO samples VALUES(%lld, 's', '%s', '', %.17g, '')", t * S + S / 2, metric, value);
}

static struct signature_result look(const char *text)
{
	struct named_line line = { .name = "x", .line = 1 };
	struct signature_result result;
	struct metrics *metrics = NULL;
	struct err err = ERR_INIT;

	snprintf(line.text, sizeof line.text, "%s", text);
	cr_assert_eq(metrics_open(record, 0, &metrics, &err), 0);
	cr_assert_eq(signature_evaluate(record, metrics, &line, &result, &err), 0, "%s", err.text);
	metrics_close(metrics);
	return result;
}

Test(signature, what_was_not_measured_is_not_true)
{
	cr_expect(!look("drbd.pending < 5").held);
	cr_expect(strstr(look("drbd.pending < 5").evidence, "not measured"));
	samples("drbd.pending", 30, 31, 1);
	cr_expect(look("drbd.pending < 5").held);
	cr_expect_eq(look("drbd.pending < 5").at_ns, 31 * S);
}

Test(signature, a_value_speaks_of_the_ten_seconds_before)
{
	samples("drbd.oldest_request_ns", 0, 60, 1e6);
	fixture_sql(record, "UPDATE samples SET value = 2e9 WHERE t_ns = %lld", 25 * S + S / 2);
	/* seen from 26 to 35 s */
	cr_expect(look("drbd.oldest_request_age >= 2s for 9s").held);
	cr_expect_eq(look("drbd.oldest_request_age >= 2s for 9s").at_ns, 35 * S);
	cr_expect(!look("drbd.oldest_request_age >= 2s for 10s").held);
	cr_expect(!look("drbd.oldest_request_age > 2s").held);
}

/* After the first second there is one number, and no growth yet. */
Test(signature, a_rate_of_one_second_alone_is_no_rate)
{
	struct metrics *metrics = NULL;
	struct err err = ERR_INIT;
	double v = 0;

	for (int t = 0; t < 2; t++)
		fixture_sql(record, "INSERT INTO job_seconds VALUES(%d, 'c', 'web', %d, %d, %d, 0, 0, 0, 0, 0, 5000000000)", t, 10 * t + 10, 10 * t + 10, 10 * t + 10);
	cr_assert_eq(metrics_open(record, 0, &metrics, &err), 0);
	cr_expect(!metrics_value(metrics, metric_find("load.ops_per_s"), S, &v), "%g", v);
	cr_expect(metrics_value(metrics, metric_find("load.oldest_op_age"), S, &v) && v == 5e9, "%g", v);
	cr_expect(metrics_value(metrics, metric_find("load.ops_per_s"), 2 * S, &v) && v == 10, "%g", v);
	metrics_close(metrics);
}

Test(signature, a_percentage_is_a_share_unless_the_metric_counts_in_percent)
{
	fixture_sql(record, "INSERT INTO samples VALUES(%lld, 's', 'pressure.cpu', 'some', 30, '')", 25 * S + S / 2);
	cr_expect(look("pressure.cpu_some >= 30%").held && look("pressure.cpu_some >= 30").held);
	cr_expect(!look("pressure.cpu_some > 30%").held && !look("pressure.cpu_some > 30").held);
	cr_expect(look("sites.ok_ratio >= 99%").held && look("sites.ok_ratio >= 0.99").held);
}

/* Host b ends before c, which says nothing of second 14: neither takes back what was done, nor is what b had in flight there for ever. */
Test(signature, a_host_that_ends_earlier_or_skips_a_second_has_done_what_it_had_done)
{
	static const struct {
		const char *metric;
		int64_t second;
		double value;
	} is[] = { { "load.ops_per_s", 14, 28 }, { "load.ops_per_s", 20, 29 }, { "load.error_ratio", 14, 19. / 299 }, { "load.error_ratio", 20, 19. / 309 }, { "load.in_flight", 20, 7 },
		   { "load.in_flight", 30, 4 }, { "load.oldest_op_age", 20, 6e9 }, { "load.oldest_op_age", 30, 5e9 } };
	struct metrics *metrics = NULL;
	struct err err = ERR_INIT;

	for (int t = 0; t < 31; t++) {
		if (t != 14)
			fixture_sql(record, "INSERT INTO job_seconds VALUES(%d, 'c', 'web', 0, 0, %d, %d, 0, 4, 0, 0, 5000000000)", t, 20 * t + 20, t + 1);
		if (t < 20)
			fixture_sql(record, "INSERT INTO job_seconds VALUES(%d, 'b', 'web', 0, 0, %d, 0, %d, 3, 0, 0, 6000000000)", t, 10 * t + 10, t + 1);
	}
	cr_assert_eq(metrics_open(record, 0, &metrics, &err), 0);
	for (size_t i = 0; i < sizeof is / sizeof is[0]; i++) {
		double v = -1;

		cr_expect(metrics_value(metrics, metric_find(is[i].metric), (is[i].second + 1) * S, &v), "%s at %lld", is[i].metric, (long long)is[i].second);
		cr_expect_float_eq(v, is[i].value, 1e-9, "%s at %lld: %.9g instead of %.9g", is[i].metric, (long long)is[i].second, v, is[i].value);
	}
	metrics_close(metrics);
}

Test(signature, the_baseline_does_not_count)
{
	samples("drbd.pending", 0, 8, 9);
	cr_expect(!look("drbd.pending > 1").held);
}

Test(signature, for_wants_no_break)
{
	samples("drbd.connected", 0, 60, 1);
	cr_expect(look("drbd.connected for 30s").held);
	fixture_sql(record, "UPDATE samples SET value = 0 WHERE t_ns = %lld", 40 * S + S / 2);
	cr_expect(!look("drbd.connected for 30s").held);
	cr_expect(strstr(look("drbd.connected for 30s").evidence, "20 s at most"), "%s", look("drbd.connected for 30s").evidence);
}

Test(signature, while_wants_both_all_the_time)
{
	samples("drbd.oldest_request_ns", 20, 60, 3e9);
	samples("drbd.connected", 0, 60, 1);
	cr_expect(look("drbd.oldest_request_age >= 1s for 20s while drbd.connected").held);
	fixture_sql(record, "UPDATE samples SET value = 0 WHERE metric = 'drbd.connected' AND t_ns = %lld", 40 * S + S / 2);
	cr_expect(!look("drbd.oldest_request_age >= 1s for 20s while drbd.connected").held);
}

Test(signature, within_counts_from_the_event_and_needs_it)
{
	samples("drbd.pending", 0, 60, 1);
	samples("drbd.pending", 48, 49, 7);
	cr_expect(!look("drbd.pending >= 7 within 30s of host-reboot").held);
	cr_expect(strstr(look("drbd.pending >= 7 within 30s of host-reboot").evidence, "never happened"));
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'host-reboot', 's', 'confirmed', 'confirmed', %lld, NULL, '', '')", 41 * S);
	cr_expect(look("drbd.pending >= 7 within 8s of host-reboot").held);
	cr_expect(!look("drbd.pending >= 7 within 7s of host-reboot").held);
	cr_expect(look("drbd.pending >= 7 within 9s of after").held);
}

Test(signature, before_looks_no_further_than_the_event_if_it_came)
{
	samples("drbd.pending", 0, 60, 1);
	samples("drbd.pending", 48, 49, 7);
	cr_expect(look("drbd.pending >= 7 before host-reboot").held);
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'host-reboot', 's', 'confirmed', 'confirmed', %lld, NULL, '', '')", 48 * S);
	cr_expect(!look("drbd.pending >= 7 before host-reboot").held);
	cr_expect(strstr(look("drbd.pending >= 7 before host-reboot").evidence, "to 48 s"), "%s", look("drbd.pending >= 7 before host-reboot").evidence);
	fixture_sql(record, "UPDATE faults SET inject_ns = %lld", 49 * S);
	cr_expect(look("drbd.pending >= 7 before host-reboot").held);
}

Test(signature, and_binds_closer_than_or)
{
	samples("drbd.pending", 0, 60, 1);
	cr_expect(look("drbd.pending == 1 or drbd.pending == 2 and drbd.pending == 3").held);
	cr_expect(!look("drbd.pending == 3 and drbd.pending == 1 or drbd.pending == 2").held);
	cr_expect(look("drbd.pending>=1").held);
	cr_expect(!look("drbd.pending != 1").held);
}

/* hung_ns grows by 40 % of total_ns, and both begin again at a reboot at 30 s. */
Test(signature, a_counter_that_begins_again_does_not_go_backwards)
{
	for (int t = 0; t < 60; t++) {
		long long since = t < 30 ? t : t - 30;

		fixture_sql(record, "INSERT INTO samples VALUES(%lld, 's', 'nfsd.hung_ns', '', %lld, ''), (%lld, 's', 'nfsd.total_ns', '', %lld, '')", t * S, since * 4, t * S,
			    since * 10);
	}
	cr_expect(look("nfsd.hung_ratio >= 0.39 for 35s").held, "%s", look("nfsd.hung_ratio >= 0.39 for 35s").evidence);
	cr_expect(!look("nfsd.hung_ratio > 41%").held);
}

/* 100 clients, each of which sends one RPC again each second. */
Test(signature, counters_of_all_hosts_are_summed_however_many)
{
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5999) INSERT INTO samples"
			    " SELECT i / 100 * %lld + i %% 100, 'client-' || (i %% 100), 'mount.retrans', 'READ', 1000 + i / 100, '' FROM n", S);
	cr_expect(look("mount.retrans_per_s == 100 for 30s").held, "%s", look("mount.retrans_per_s == 100 for 30s").evidence);
}

Test(signature, disks_that_are_half_busy_are_no_busy_disk)
{
	for (int t = 0; t < 60; t++)
		fixture_sql(record, "INSERT INTO samples VALUES(%lld, 's', 'disk.busy_ns', 'sda', %lld, ''), (%lld, 's', 'disk.busy_ns', 'sdb', %lld, '')", t * S,
			    t * 6 * S / 10, t * S, t * 5 * S / 10);
	cr_expect(look("disk.busy_ratio >= 0.59").held);
	cr_expect(!look("disk.busy_ratio > 0.61").held, "%s", look("disk.busy_ratio > 0.61").evidence);
}

Test(signature, a_site_is_slow_above_a_second_and_five_times_its_baseline)
{
	cr_expect(look("sites.ok_ratio == 1 for 39s").held);
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 1010000000 WHERE site = 0 AND due_ns >= %lld AND due_ns < %lld", 25 * S, 45 * S);
	cr_expect(look("sites.slow_ratio == 0.5 and sites.ok_ratio == 50% for 10s").held);
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 990000000 WHERE site = 0 AND due_ns >= %lld AND due_ns < %lld", 25 * S, 45 * S);
	cr_expect(!look("sites.slow_ratio > 0").held);
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 900000000 WHERE site = 0 AND due_ns < %lld", 20 * S);
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 4400000000 WHERE site = 0 AND due_ns >= %lld AND due_ns < %lld", 25 * S, 45 * S);
	cr_expect(!look("sites.slow_ratio > 0").held);
	fixture_sql(record, "UPDATE pages SET done_ns = due_ns + 4600000000 WHERE site = 0 AND due_ns >= %lld AND due_ns < %lld", 25 * S, 45 * S);
	cr_expect(look("sites.slow_ratio > 0").held);
}

/* As many as a profile may have. */
Test(signature, the_last_of_ten_thousand_sites_counts)
{
	fixture_sql(record, "UPDATE pages SET site = 9999 WHERE site = 1");
	fixture_sql(record, "UPDATE pages SET outcome = 'EIO' WHERE site = 9999 AND due_ns >= %lld AND due_ns < %lld", 25 * S, 45 * S);
	cr_expect(look("sites.down_ratio == 0.5 and sites.failed_pages == 50 for 5s").held, "%s", look("sites.down_ratio == 0.5").evidence);
}

Test(signature, a_site_without_a_page_keeps_its_state_until_its_oldest_is_too_old)
{
	fixture_sql(record, "DELETE FROM pages WHERE site = 1 AND due_ns >= %lld", 22 * S);
	for (int t = 22; t < 60; t++)
		fixture_sql(record, "INSERT INTO pages_open VALUES(%lld, 'c', 'web', 1, %lld)", t * S, 35 * S - S / 2 > t * S ? t * S : 35 * S - S / 2);
	cr_expect(look("sites.down_ratio == 0.5 for 20s").held);
	cr_expect_eq(look("sites.down_ratio == 0.5").at_ns, 36 * S, "%lld", (long long)look("sites.down_ratio == 0.5").at_ns);
}

Test(signature, an_error_is_a_failed_page_and_a_site_with_nothing_else_is_down)
{
	fixture_sql(record, "UPDATE pages SET outcome = 'unknown' WHERE site = 1 AND due_ns >= %lld AND due_ns < %lld", 25 * S, 40 * S);
	cr_expect(look("sites.failed_pages == 50 and sites.down_ratio == 0.5").held);
	cr_expect(look("sites.failed_pages == 0 and sites.ok_ratio == 1 within 20s of after").held);
}

static bool is_no_fault(const char *name)
{
	(void)name;
	return false;
}

Test(signature, bad_lines_are_named_with_their_place)
{
	static const struct {
		const char *text, *says;
	} bad[] = { { "nfsd.hang_ratio > 1", "nfsd.hung_ratio" },	 { "drbd.oldest_request_age > 1", "not a time" }, { "nfsd.hung_ratio > much", "not a number" },
		    { "nfsd.hung_ratio > 1 for ten", "not a time" },	 { "nfsd.hung_ratio > 1 until 5s", "not expected" },
		    { "nfsd.hung_ratio > 1 within 5s of", "event is missing" }, { "nfsd.hung_ratio > 1 within 5s of chrismas", "neither a phase nor a fault" },
		    { "nfsd.hung_ratio > 1 before", "event is missing" }, { "nfsd.hung_ratio > 1 before chrismas", "neither a phase nor a fault" } };
	struct profile profile = { .file = "p.yaml" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct named_line line = { .name = "x", .line = 12 };
		struct err err = ERR_INIT;
		snprintf(line.text, sizeof line.text, "%s", bad[i].text);
		cr_expect_eq(report_check_line(&profile, &line, is_no_fault, &err), -EINVAL, "%s", bad[i].text);
		cr_expect(strstr(err.text, "p.yaml:12: x: ") == err.text && strstr(err.text, bad[i].says), "%s: %s", bad[i].text, err.text);
	}
}

Test(signature, what_is_asked_of_one_instant_has_no_event)
{
	static const char *const bad[] = { "nfsd.hung_ratio > 1 before storm", "nfsd.hung_ratio > 1 within 5s of storm" };
	struct profile profile = { .file = "p.yaml", .phases = { { .name = "storm" } }, .phases_nr = 1 };
	struct named_line line = { .line = 12, .text = "nfsd.hung_ratio > 1 while drbd.connected for 5s" };
	struct err err = ERR_INIT;

	cr_expect_eq(report_check_line(&profile, &line, NULL, &err), 0, "%s", err.text);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(line.text, sizeof line.text, "%s", bad[i]);
		cr_expect_eq(report_check_line(&profile, &line, is_no_fault, &err), 0, "%s: %s", bad[i], err.text);
		cr_expect_eq(report_check_line(&profile, &line, NULL, &err), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(err.text, "asked while the run goes on"), "%s", err.text);
	}
}
