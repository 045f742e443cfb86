/* SPDX-License-Identifier: MIT */
/*
 * course.c - how the run went around its faults: the layers before and under them, ratios to the baseline, recovery and herd.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "judge.h"
#include "percentiles.h"
#include "record.h"

#define SECOND 1000000000ll
#define IN_BAND 0.99
#define LATE_NS (30 * SECOND)

const struct layer layer_rows[] = {
	{ "nfsd_hung_ratio_max", "nfsd.hung_ratio", false, "nfsd thread-time in waits of 500 ms and more, most", 100, " %" },
	{ "nfsd_blocked_ratio_max", "nfsd.blocked_ratio", false, NULL, 100, " %" },	/* a healthy server has 100 % under writes */
	{ "drbd_oldest_request_max_ns", "drbd.oldest_request_age", false, "DRBD's oldest request, greatest age", 1e-9, " s" },
	{ "drbd_connected_min", "drbd.connected", true, "DRBD connected all the time (1 = yes)", 1, "" },
	{ "oldest_op_max_ns", "load.oldest_op_age", false, "oldest op in flight, greatest age", 1e-9, " s" },
	{ .key = NULL },
};

struct instants {
	int64_t first_ns;	/* the first fault in force; -1 = none */
	int64_t act_ns;		/* what ended them: the last heal, or the reboot */
	char act[NAME_BYTES];	/* "heal" or the fault that did it */
};

/*
 * fault, inject_ns, heal_ns, healed_by; in the order of injection. What ended the faults is the latest of the heals and of the instants, which are ended
 * by themselves; a fault that another one ended (a reboot) tells nothing that the other's row does not.
 */
static int look_fault(void *row, void *arg)
{
	struct instants *at = arg;
	const char *fault = (const char *)sqlite3_column_text(row, 0), *by = (const char *)sqlite3_column_text(row, 3);
	bool healed = by && strcmp(by, "heal") == 0 && sqlite3_column_type(row, 2) != SQLITE_NULL;
	int64_t inject_ns = sqlite3_column_int64(row, 1), ns = healed ? sqlite3_column_int64(row, 2) : inject_ns;

	if (strcmp(fault, "none") == 0)
		return 0;
	if (at->first_ns < 0)
		at->first_ns = inject_ns;
	if (ns >= at->act_ns) {
		at->act_ns = ns;
		(void)snprintf(at->act, sizeof at->act, "%s", by ? by : "");
	}
	return 0;
}

static json_t *extremes(struct metrics *metrics, const char *metric, int64_t from, int64_t to, bool least)
{
	double best = 0, v;
	bool any = false;

	for (int64_t t = (from + SECOND - 1) / SECOND * SECOND; t <= to; t += SECOND) {
		if (!metrics_value(metrics, metric_find(metric), t, &v))
			continue;
		best = !any || (least ? v < best : v > best) ? v : best;
		any = true;
	}
	return any ? json_real(best) : json_null();
}

/* The storage before the first fault, and while it lasted. */
static json_t *layers(struct metrics *metrics, const struct instants *at)
{
	int64_t baseline = metrics_baseline_end(metrics), from = at->first_ns < 0 ? baseline : at->first_ns;
	int64_t to = at->first_ns < 0 ? metrics_end(metrics) : at->act_ns;
	int64_t warm = baseline < METRICS_WINDOW_NS ? baseline : METRICS_WINDOW_NS;
	json_t *all = json_object();

	for (const struct layer *l = layer_rows; l->key; l++)
		json_object_set_new(all, l->key, json_pack("{s:o, s:o}", "baseline", extremes(metrics, l->metric, warm, baseline, l->least), "under_fault",
							   extremes(metrics, l->metric, from, to, l->least)));
	return all;
}

/* p50 and p99 of each job's phases over those of its baseline. */
static json_t *ratios(const json_t *jobs)
{
	json_t *all = json_object();
	const char *name, *phase;
	json_t *job, *part;

	json_object_foreach((json_t *)(uintptr_t)jobs, name, job) {
		const json_t *base = json_object_get(json_object_get(json_object_get(job, "phases"), "baseline"), "response");
		json_t *of_job = json_object();
		uint64_t base50, base99, p50, p99;

		if (!base || percentiles_value(base, "p50", &base50) != 1 || percentiles_value(base, "p99", &base99) != 1 || base50 == 0 || base99 == 0) {
			json_decref(of_job);
			continue;
		}
		json_object_foreach(json_object_get(job, "phases"), phase, part) {
			const json_t *response = json_object_get(part, "response");
			int at50 = percentiles_value(response, "p50", &p50), at99 = percentiles_value(response, "p99", &p99);

			if (strcmp(phase, "baseline") != 0 && p99 > 0)
				json_object_set_new(of_job, phase, json_pack("{s:f, s:b, s:f, s:b}", "p50", (double)p50 / (double)base50, "p50_at_least", !at50,
									     "p99", (double)p99 / (double)base99, "p99_at_least", !at99));
		}
		json_object_set_new(all, name, of_job);
	}
	return all;
}

static json_t *recovery(struct metrics *metrics, const struct instants *at)
{
	int ok = metric_find("sites.ok_ratio");
	int64_t since = -1;
	double v;

	for (int64_t t = (at->act_ns + SECOND - 1) / SECOND * SECOND; at->first_ns >= 0 && t <= metrics_end(metrics); t += SECOND) {
		bool in_band = metrics_value(metrics, ok, t, &v) && v >= IN_BAND;

		since = in_band ? (since < 0 ? t : since) : -1;
	}
	return json_pack("{s:s, s:o, s:s}", "after", at->act, "ns", since < 0 || at->first_ns < 0 ? json_null() : json_integer(since - at->act_ns), "band",
			 "sites.ok_ratio >= 0.99 up to the end");
}

struct peak {
	int64_t from, to, at;
	double value;
};

static int look_peak(void *row, void *arg)
{
	struct peak *p = arg;
	int64_t t = sqlite3_column_int64(row, 0) * SECOND;

	if (t >= p->from && t < p->to && sqlite3_column_double(row, 1) > p->value) {
		p->value = sqlite3_column_double(row, 1);
		p->at = t;
	}
	return 0;
}

/*
 * The load that came back at once: greatest second after the act over the mean of the baseline, in pages and ops done, and in RPCs. What grew over seconds
 * of which a host told nothing is shared out over them.
 */
static int herd(struct record *record, struct metrics *metrics, const struct instants *at, json_t *verdict, struct err *err)
{
	static const char done[] = "SELECT second AS s, SUM(CAST(ok - before AS REAL) / (second - told)) AS n FROM (SELECT second, ok, LAG(ok, 1, 0) OVER w AS before,"
				   " LAG(second, 1, second - 1) OVER w AS told FROM job_seconds WINDOW w AS (PARTITION BY host, job ORDER BY second)) GROUP BY second";
	static const char rpcs[] = "SELECT CAST(t_ns / 1000000000 AS INTEGER) AS s, SUM(MAX(value - before, 0) / MAX(1, ROUND((t_ns - told) / 1e9))) AS n FROM"
				   " (SELECT t_ns, value, LAG(value) OVER w AS before, LAG(t_ns) OVER w AS told FROM samples WHERE metric = 'mount.ops'"
				   " WINDOW w AS (PARTITION BY host, label ORDER BY t_ns)) WHERE before IS NOT NULL GROUP BY s";
	const char *const sql[] = { done, rpcs }, *const keys[] = { "done_peak_ratio", "rpc_peak_ratio" };
	json_t *json = json_object();
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		char mean[900];
		struct peak base = { .from = 0, .to = INT64_MAX }, peak = { .from = at->act_ns, .to = metrics_end(metrics) };

		(void)snprintf(mean, sizeof mean, "SELECT 0, AVG(n) FROM (SELECT * FROM (%s) WHERE s > 0 AND s < %lld)", sql[i],
			       (long long)(metrics_baseline_end(metrics) / SECOND));
		rc = record_query(record, mean, NULL, look_peak, &base, err);
		if (rc == 0)
			rc = record_query(record, sql[i], NULL, look_peak, &peak, err);
		json_object_set_new(json, keys[i], at->first_ns >= 0 && base.value > 0 ? json_real(peak.value / base.value) : json_null());
		if (i == 0)
			json_object_set_new(json, "at_ns", at->first_ns >= 0 ? json_integer(peak.at) : json_null());
	}
	json_object_set_new(verdict, "herd", json);
	return rc;
}

static int count(void *row, void *arg)
{
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

int judge_course(struct record *record, struct metrics *metrics, json_t *verdict, struct err *err)
{
	static const char faults[] = "SELECT fault, inject_ns, heal_ns, healed_by FROM faults WHERE inject_ns IS NOT NULL ORDER BY inject_ns";
	static const char both[] = "SELECT COUNT(*) FROM pages AS bad WHERE (bad.outcome != 'ok' OR bad.done_ns - bad.due_ns > 30000000000) AND EXISTS"
				   " (SELECT 1 FROM pages AS good WHERE good.outcome = 'ok' AND good.done_ns - good.due_ns <= 30000000000"
				   " AND good.done_ns BETWEEN bad.done_ns - 10000000000 AND bad.done_ns)";
	struct instants at = { .first_ns = -1, .act_ns = -1 };
	int64_t failed = 0;
	int rc = record_query(record, faults, NULL, look_fault, &at, err);

	if (rc == 0)
		rc = record_query(record, both, NULL, count, &failed, err);
	if (rc == 0)
		rc = herd(record, metrics, &at, verdict, err);
	if (rc == 0)
		rc = judge_clients(record, at.first_ns < 0 ? -1 : at.act_ns, verdict, err);
	if (rc < 0)
		return rc;
	json_object_set_new(verdict, "failed_while_others_ok", json_integer(failed));
	json_object_set_new(verdict, "layers", layers(metrics, &at));
	json_object_set_new(verdict, "ratios", ratios(json_object_get(verdict, "jobs")));
	json_object_set_new(verdict, "recovery", recovery(metrics, &at));
	return 0;
}
