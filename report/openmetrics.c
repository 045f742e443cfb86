/* SPDX-License-Identifier: MIT */
/*
 * openmetrics.c - the run as OpenMetrics text, each value with its instant, so that it can be loaded into a database of metrics beside the operator's own.
 *
 * A family at a time, in it a label set at a time, in it in order of time: the standard wants it so.
 * Source: OpenMetrics 1.0.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "metrics.h"
#include "record.h"
#include "report.h"
#include "series.h"


struct text {
	FILE *out;
	int64_t start_ns;	/* T0, since 1970 */
	const struct series_list *list;
};

/* Backslash, quote and newline are escaped in a label's value. */
static void put_label(FILE *out, const char *before, const char *name, const char *value)
{
	(void)fprintf(out, "%s%s=\"", before, name);
	for (; *value != '\0'; value++)
		if (*value == '\n')
			(void)fputs("\\n", out);
		else
			(void)fprintf(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
	(void)fputc('"', out);
}

static void put_family(FILE *out, const char *name, const char *type, const char *unit, const char *help)
{
	(void)fprintf(out, "# TYPE %s %s\n", name, type);
	if (*unit != '\0')
		(void)fprintf(out, "# UNIT %s %s\n", name, unit);
	(void)fprintf(out, "# HELP %s %s\n", name, help);
}

/* " value instant", to the ms. */
static void put_value(const struct text *t, double value, int64_t ns)
{
	int64_t ms = (t->start_ns + ns) / 1000000;

	(void)fprintf(t->out, " %.12g %lld.%03lld\n", value, (long long)(ms / 1000), (long long)(ms % 1000));
}

static void put_labels(const struct text *t, const char *name, const struct series *s, const char *label, const char *value)
{
	(void)fputs(name, t->out);
	put_label(t->out, "{", "job", s->job);
	if (s->op[0] != '\0')
		put_label(t->out, ",", "op", s->op);
	if (label)
		put_label(t->out, ",", label, value);
	(void)fputc('}', t->out);
}

/* What ended, as counters from T0 on. */
static void put_ended(const struct text *t, bool of_ops)
{
	static const char *const outcomes[] = { "ok", "error", "unknown" };
	const char *name = of_ops ? "squall_op_ended_total" : "squall_job_ended_total";

	put_family(t->out, of_ops ? "squall_op_ended" : "squall_job_ended", "counter", "",
		   of_ops ? "Ops of a job that ended, by outcome." : "Pages of a page job, or ops of another, that ended, by outcome.");
	for (size_t i = 0; i < t->list->nr; i++) {
		const struct series *s = &t->list->series[i];

		for (int k = 0; (s->op[0] != '\0') == of_ops && k < 3; k++) {
			uint64_t sum = 0;

			for (size_t p = 0; p < s->nr; p++) {
				sum += k == 0 ? s->point[p].ok : k == 1 ? s->point[p].errors : s->point[p].unknown;
				put_labels(t, name, s, "outcome", outcomes[k]);
				put_value(t, (double)sum, (s->point[p].second + 1) * SECOND);
			}
		}
	}
}

static void put_responses(const struct text *t, bool of_ops)
{
	static const char *const quantiles[] = { "0.5", "0.99", "1" };
	const char *name = of_ops ? "squall_op_response_seconds" : "squall_job_response_seconds";

	put_family(t->out, name, "gauge", "seconds", "Quantiles of the response times of what was done in the second before, from the instant at which it was due.");
	for (size_t i = 0; i < t->list->nr; i++) {
		const struct series *s = &t->list->series[i];

		for (int k = 0; (s->op[0] != '\0') == of_ops && k < 3; k++)
			for (size_t p = 0; p < s->nr; p++) {
				const struct point *point = &s->point[p];

				if (!point->any)
					continue;
				put_labels(t, name, s, "quantile", quantiles[k]);
				put_value(t, (double)(k == 0 ? point->p50_ns : k == 1 ? point->p99_ns : point->max_ns) / 1e9, (point->second + 1) * SECOND);
			}
	}
}

static uint64_t due(const struct point *p) { return p->due_total; }
static uint64_t not_issued(const struct point *p) { return p->not_issued_total; }
static uint64_t in_flight(const struct point *p) { return p->in_flight; }
static uint64_t waiting(const struct point *p) { return p->waiting; }
static uint64_t oldest(const struct point *p) { return p->oldest_ns; }

static void put_gauges(const struct text *t)
{
	static const struct {
		const char *name, *type, *unit, *help;
		uint64_t (*of)(const struct point *p);
		double scale;
	} rows[] = {
		{ "squall_job_due", "counter", "", "Arrivals that were due.", due, 1 },
		{ "squall_job_not_issued", "counter", "", "Arrivals that were due and for which no slot ever came free.", not_issued, 1 },
		{ "squall_job_in_flight", "gauge", "", "In flight at the end of the second.", in_flight, 1 },
		{ "squall_job_waiting", "gauge", "", "Due and waiting for a slot at the end of the second.", waiting, 1 },
		{ "squall_job_oldest_age_seconds", "gauge", "seconds", "Age of the oldest one in flight.", oldest, 1e9 },
	};

	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		char sample[64];

		put_family(t->out, rows[r].name, rows[r].type, rows[r].unit, rows[r].help);
		(void)snprintf(sample, sizeof sample, "%s%s", rows[r].name, strcmp(rows[r].type, "counter") == 0 ? "_total" : "");
		for (size_t i = 0; i < t->list->nr; i++) {
			const struct series *s = &t->list->series[i];

			for (size_t p = 0; s->op[0] == '\0' && p < s->nr; p++) {
				if (!s->point[p].has_gauges)
					continue;
				put_labels(t, sample, s, NULL, NULL);
				put_value(t, (double)rows[r].of(&s->point[p]) / rows[r].scale, (s->point[p].second + 1) * SECOND);
			}
		}
	}
}

/* "nfsd.hung_ratio" is squall_nfsd_hung_ratio; what is in ns gets _seconds. */
static void put_metric(const struct text *t, struct metrics *metrics, int idx)
{
	bool is_time = strcmp(metric_table[idx].unit, "ns") == 0;
	char name[96];
	double v;

	(void)snprintf(name, sizeof name, "squall_%s%s", metric_table[idx].name, is_time ? "_seconds" : "");
	for (char *c = name; *c != '\0'; c++)
		if (*c == '.')
			*c = '_';
	put_family(t->out, name, "gauge", is_time ? "seconds" : "", metric_table[idx].meaning);
	for (int64_t ns = SECOND; ns <= metrics_end(metrics); ns += SECOND)
		if (metrics_value(metrics, idx, ns, &v)) {
			(void)fputs(name, t->out);
			put_value(t, is_time ? v / 1e9 : v, ns);
		}
}

static void put_faults(const struct text *t, const json_t *faults, int64_t end_ns)
{
	size_t i;
	const json_t *fault;

	put_family(t->out, "squall_fault_in_force", "gauge", "", "1 from the injection of a fault to its heal, else 0.");
	json_array_foreach(faults, i, fault) {
		const json_t *from = json_object_get(fault, "inject_ns"), *to = json_object_get(fault, "heal_ns");
		char idx[24];

		(void)snprintf(idx, sizeof idx, "%zu", i);
		for (int64_t ns = 0; ns <= end_ns; ns += SECOND) {
			bool in_force = json_is_integer(from) && ns >= json_integer_value(from) && !(json_is_integer(to) && ns >= json_integer_value(to));

			put_label(t->out, "squall_fault_in_force{", "idx", idx);
			put_label(t->out, ",", "fault", json_string_value(json_object_get(fault, "fault")));
			put_label(t->out, ",", "host", json_string_value(json_object_get(fault, "host")));
			(void)fputc('}', t->out);
			put_value(t, in_force, ns);
		}
	}
}

static void put_head(const struct text *t, const json_t *verdict)
{
	const char *is = json_string_value(json_object_get(verdict, "verdict"));
	char seed[32];

	(void)snprintf(seed, sizeof seed, "%lld", (long long)json_integer_value(json_object_get(verdict, "seed")));
	put_family(t->out, "squall_run", "info", "", "What was run.");
	put_label(t->out, "squall_run_info{", "profile", json_string_value(json_object_get(verdict, "profile")));
	put_label(t->out, ",", "run", json_string_value(json_object_get(verdict, "run")));
	put_label(t->out, ",", "seed", seed);
	put_label(t->out, ",", "version", json_string_value(json_object_get(json_object_get(verdict, "squall"), "version")));
	(void)fputs("} 1\n", t->out);
	put_family(t->out, "squall_verdict", "stateset", "", "The verdict of the run.");
	for (int i = 0; verdict_names[i]; i++)
		(void)fprintf(t->out, "squall_verdict{squall_verdict=\"%s\"} %d\n", verdict_names[i], is && strcmp(is, verdict_names[i]) == 0);
}

int report_openmetrics(struct record *record, const json_t *verdict, FILE *out, struct err *err)
{
	struct series_list list = { 0 };
	struct metrics *metrics = NULL;
	struct text t = { .out = out, .start_ns = json_integer_value(json_object_get(verdict, "start_utc_ns")), .list = &list };
	int rc = series_read(record, NULL, 1, &list, err);

	if (rc == 0)
		rc = metrics_open(record, 0, &metrics, err);
	if (rc < 0)
		goto out;
	put_head(&t, verdict);
	put_ended(&t, false);
	put_ended(&t, true);
	put_responses(&t, false);
	put_responses(&t, true);
	put_gauges(&t);
	put_faults(&t, json_object_get(verdict, "faults"), metrics_end(metrics));
	for (int i = 0; metric_table[i].name; i++)
		put_metric(&t, metrics, i);
	(void)fputs("# EOF\n", out);
	rc = fflush(out) != 0 || ferror(out) ? -EIO : 0;
out:
	metrics_close(metrics);
	series_release(&list);
	return rc;
}
