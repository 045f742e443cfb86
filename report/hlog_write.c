/* SPDX-License-Identifier: MIT */
/*
 * hlog_write.c - the response times of a record as an interval log of HdrHistogram, a line a second and tag.
 *
 * A log of histograms has no word for what never ended, and a stall that nothing came back from would look like a quiet time. So the ages of what was
 * in flight at the end, timed out, or was never issued stand in it as well, under tags of their own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "hdr.h"
#include "hist.h"
#include "intervals.h"
#include "judge.h"
#include "profile.h"
#include "record.h"
#include "report.h"

struct log {
	FILE *out;
	double end_s;
	struct err *err;
};

/* A comma or a space in a name would end the field. */
static void tag_of(const char *job, const char *op, const char *kind, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s%s%s%s%s", job, *op != '\0' ? "." : "", op, kind ? ":" : "", kind ? kind : "");
	for (char *c = ret; *c != '\0'; c++)
		if (*c == ',' || (unsigned char)*c <= ' ')
			*c = '_';
}

static int put_line(struct log *log, const char *tag, double from_s, double for_s, const struct hist *h)
{
	char *text = NULL;

	if (hdr_encode(h, &text) < 0)
		return err_set(log->err, -ENOMEM, "report: no memory");
	(void)fprintf(log->out, "Tag=%s,%.3f,%.3f,%.3f,%s\n", tag, from_s, for_s, (double)h->max_ns / 1e6, text);
	free(text);
	return 0;
}

static int put_interval(const struct interval *i, void *arg)
{
	char tag[2 * NAME_BYTES];

	tag_of(i->job, i->op, NULL, tag, sizeof tag);
	return put_line(arg, tag, (double)i->second, 1, i->response);
}

/* job, op, kind of a series of ages */
static int put_ages(void *row, void *arg)
{
	struct log *log = arg;
	struct hist *ages = hist_new();
	char tag[3 * NAME_BYTES];
	int rc = ages ? 0 : err_set(log->err, -ENOMEM, "report: no memory");

	if (rc == 0 && hist_decode_merge(ages, sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3)) < 0)
		rc = err_set(log->err, -EBADMSG, "the record holds a histogram that is damaged");
	if (rc == 0 && ages->count > 0) {
		tag_of((const char *)sqlite3_column_text(row, 0), (const char *)sqlite3_column_text(row, 1), (const char *)sqlite3_column_text(row, 2), tag, sizeof tag);
		rc = put_line(log, tag, 0, log->end_s, ages);
	}
	free(ages);
	return rc;
}

static double meta_seconds(struct record *record, const char *key)
{
	char *text = record_meta_get(record, key);
	double ns = text ? strtod(text, NULL) : 0;

	free(text);
	return ns / 1e9;
}

int report_hlog(struct record *record, const json_t *verdict, FILE *out, struct err *err)
{
	static const char ages[] = "SELECT job, op, kind, ages FROM censored ORDER BY job, op, kind";
	double start_s = meta_seconds(record, "t0_utc_ns");
	struct log log = { .out = out, .end_s = meta_seconds(record, "end_ns"), .err = err };
	char date[24];
	int rc;

	(void)verdict;
	clock_format_utc((uint64_t)(start_s * 1e9), date, sizeof date);
	(void)fprintf(out,
		      "#[Logged by squall " SQUALL_VERSION "]\n#[Histogram log format version 1.3]\n"
		      "#[StartTime: %.3f (seconds since epoch), %s]\n#[BaseTime: %.3f (seconds since epoch)]\n"
		      "#[Values: response times in ns, from the instant at which it was due; Interval_Max in ms]\n"
		      "#[Tags: JOB or JOB.OP, a line a second; JOB:in_flight, JOB:unknown, JOB:not_issued are ages of what never ended, of the whole run]\n"
		      "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
		      start_s, date, start_s);
	rc = record_query(record, ages, NULL, put_ages, &log, err);
	if (rc == 0)
		rc = intervals_walk(record, BY_SECOND, put_interval, &log, err);
	return rc < 0 ? rc : fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
