/* SPDX-License-Identifier: MIT */
/*
 * csv.c - the run as one table: a row a second, job and op, and beside it what the layers below did in that second.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hist.h"
#include "intervals.h"
#include "judge.h"
#include "metrics.h"
#include "record.h"
#include "report.h"


struct table {
	FILE *out;
	json_t *phases;		/* [[name, start_ns, end_ns], ...] */
	struct metrics *metrics;
	int64_t second;		/* of `layers`; -1 = none yet */
	char *layers;		/* ",value,value,...", of all metrics at the end of that second */
	size_t layers_bytes;
};

/* A name may hold a comma, but no quote and no newline: profile names cannot. */
static void put_text(FILE *out, const char *text)
{
	(void)fprintf(out, strpbrk(text, ", ") ? "\"%s\"" : "%s", text);
}

static int add_phase(void *row, void *arg)
{
	json_array_append_new(arg, json_pack("[s, I, I]", (const char *)sqlite3_column_text(row, 0), (json_int_t)sqlite3_column_int64(row, 1),
					     (json_int_t)sqlite3_column_int64(row, 2)));
	return 0;
}

static const char *phase_at(const struct table *t, int64_t ns)
{
	size_t i;
	const json_t *phase;

	json_array_foreach(t->phases, i, phase)
		if (ns >= json_integer_value(json_array_get(phase, 1)) && ns < json_integer_value(json_array_get(phase, 2)))
			return json_string_value(json_array_get(phase, 0));
	return "";
}

/* The same for all rows of a second. */
static int read_layers(struct table *t, int64_t second)
{
	FILE *out;

	free(t->layers);
	t->layers = NULL;
	out = open_memstream(&t->layers, &t->layers_bytes);
	if (!out)
		return -ENOMEM;
	for (int i = 0; metric_table[i].name; i++) {
		double v;

		if (metrics_value(t->metrics, i, (second + 1) * SECOND, &v))
			(void)fprintf(out, strcmp(metric_table[i].unit, "ns") == 0 ? ",%.0f" : ",%.6g", v);
		else
			(void)fputc(',', out);
	}
	t->second = second;
	return fclose(out) != 0 ? -ENOMEM : 0;
}

static int put_row(const struct interval *i, void *arg)
{
	struct table *t = arg;
	FILE *out = t->out;
	int rc = i->second == t->second ? 0 : read_layers(t, i->second);

	if (rc < 0)
		return rc;
	(void)fprintf(out, "%lld,", (long long)i->second);
	put_text(out, phase_at(t, i->second * SECOND));
	(void)fputc(',', out);
	put_text(out, i->job);
	(void)fprintf(out, ",%s,%llu,%llu,%llu", i->op, (unsigned long long)i->ok, (unsigned long long)i->errors, (unsigned long long)i->unknown);
	if (i->response->count > 0)
		(void)fprintf(out, ",%llu,%llu,%llu", (unsigned long long)hist_quantile(i->response, 0.5), (unsigned long long)hist_quantile(i->response, 0.99),
			      (unsigned long long)i->response->max_ns);
	else
		(void)fputs(",,,", out);
	if (i->has_gauges)
		(void)fprintf(out, ",%llu,%llu,%llu,%llu,%llu", (unsigned long long)i->due_total, (unsigned long long)i->not_issued_total,
			      (unsigned long long)i->in_flight, (unsigned long long)i->waiting, (unsigned long long)i->oldest_ns);
	else
		(void)fputs(",,,,,", out);
	(void)fprintf(out, "%s\n", t->layers);
	return 0;
}

int report_csv(struct record *record, const json_t *verdict, FILE *out, struct err *err)
{
	struct table t = { .out = out, .phases = json_array(), .second = -1 };
	int rc = metrics_open(record, 0, &t.metrics, err);

	(void)verdict;
	if (rc == 0)
		rc = record_query(record, "SELECT name, start_ns, end_ns FROM phases ORDER BY idx", NULL, add_phase, t.phases, err);
	if (rc < 0)
		goto out;
	(void)fputs("second,phase,job,op,ok,errors,unknown,p50_ns,p99_ns,max_ns,due_total,not_issued_total,in_flight,waiting,oldest_in_flight_ns", out);
	for (int i = 0; metric_table[i].name; i++)
		(void)fprintf(out, ",%s%s", metric_table[i].name, strcmp(metric_table[i].unit, "ns") == 0 ? "_ns" : "");
	(void)fputc('\n', out);
	rc = intervals_walk(record, BY_SECOND, put_row, &t, err);
	if (rc == -ENOMEM)
		(void)err_set(err, rc, "report: no memory");
	if (rc == 0 && (fflush(out) != 0 || ferror(out)))
		rc = -EIO;
out:
	json_decref(t.phases);
	free(t.layers);
	metrics_close(t.metrics);
	return rc;
}
