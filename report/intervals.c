/* SPDX-License-Identifier: MIT */
/*
 * intervals.c - one query over intervals, errors and job_seconds; the rows of one second, job and op, of all hosts and phases, become one.
 */
#include "intervals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hist.h"
#include "judge.h"
#include "profile.h"
#include "record.h"

#define QUERY                                                                                                                                            \
	"WITH series(job, op) AS (SELECT job, op FROM intervals UNION SELECT job, '' FROM job_seconds),"                                                 \
	" told(second, job) AS (SELECT second, job FROM job_seconds UNION SELECT second, job FROM intervals UNION SELECT second, job FROM errors),"      \
	" bad AS (SELECT second, job, op, SUM(nr) AS nr FROM errors GROUP BY second, job, op),"                                                          \
	" grown AS (SELECT *, due - LAG(due, 1, 0) OVER w AS due_more, not_issued - LAG(not_issued, 1, 0) OVER w AS not_issued_more,"                    \
	" second - LAG(second, 1, -1) OVER w <= 1 AS next FROM job_seconds WINDOW w AS (PARTITION BY host, job ORDER BY second)),"                        \
	" gauges AS (SELECT second, job, SUM(SUM(due_more)) OVER j AS due, SUM(SUM(not_issued_more)) OVER j AS not_issued, SUM(in_flight) AS in_flight," \
	" SUM(waiting) AS waiting, MAX(oldest_ns) AS oldest, SUM(due_more) FILTER (WHERE next) AS due_now,"                                              \
	" SUM(not_issued_more) FILTER (WHERE next) AS not_issued_now FROM grown GROUP BY second, job WINDOW j AS (PARTITION BY job ORDER BY second))"    \
	" SELECT told.second, series.job, series.op, i.ok, i.unknown, i.response, bad.nr, g.due, g.not_issued, g.in_flight, g.waiting, g.oldest,"        \
	" g.due_now, g.not_issued_now"                                                                                                                   \
	" FROM told JOIN series ON series.job = told.job"                                                                                                \
	" LEFT JOIN intervals AS i ON i.second = told.second AND i.job = series.job AND i.op = series.op"                                                \
	" LEFT JOIN bad ON bad.second = told.second AND bad.job = series.job AND bad.op = series.op"                                                     \
	" LEFT JOIN gauges AS g ON g.second = told.second AND g.job = series.job AND series.op = ''"

struct walk {
	struct interval now;
	char job[NAME_BYTES], op[NAME_BYTES];
	struct hist *response;
	bool any;
};

static uint64_t number_of(sqlite3_stmt *s, int column)
{
	int64_t n = sqlite3_column_int64(s, column);

	return n > 0 ? (uint64_t)n : 0;
}

static bool is_same(const struct walk *w, sqlite3_stmt *s)
{
	return w->any && sqlite3_column_int64(s, 0) == w->now.second && strcmp(record_text(s, 1), w->job) == 0 && strcmp(record_text(s, 2), w->op) == 0;
}

/* The columns that are the same in all rows of one second, job and op. */
static void begin(struct walk *w, sqlite3_stmt *s)
{
	(void)snprintf(w->job, sizeof w->job, "%s", record_text(s, 1));
	(void)snprintf(w->op, sizeof w->op, "%s", record_text(s, 2));
	hist_clear(w->response);
	w->now = (struct interval){ .second = sqlite3_column_int64(s, 0), .job = w->job, .op = w->op, .response = w->response, .errors = number_of(s, 6),
				    .has_gauges = sqlite3_column_type(s, 7) != SQLITE_NULL, .due_total = number_of(s, 7), .not_issued_total = number_of(s, 8),
				    .in_flight = number_of(s, 9), .waiting = number_of(s, 10), .oldest_ns = number_of(s, 11),
				    .has_due = sqlite3_column_type(s, 12) != SQLITE_NULL, .due = number_of(s, 12), .not_issued = number_of(s, 13) };
	w->any = true;
}

int intervals_walk(struct record *record, enum interval_order order, int (*take)(const struct interval *interval, void *arg), void *arg, struct err *err)
{
	const char *sql = order == BY_SECOND ? QUERY " ORDER BY told.second, series.job, series.op" : QUERY " ORDER BY series.job, series.op, told.second";
	struct walk w = { .response = hist_new() };
	sqlite3_stmt *s = NULL;
	int rc = w.response ? 0 : err_set(err, -ENOMEM, "report: no memory"), step = SQLITE_DONE;

	if (rc == 0 && sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) != SQLITE_OK)
		rc = err_set(err, -EIO, "the record cannot be read: %s", sqlite3_errmsg(record_db(record)));
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		if (!is_same(&w, s)) {
			rc = w.any ? take(&w.now, arg) : 0;
			begin(&w, s);
		}
		w.now.ok += number_of(s, 3);
		w.now.unknown += number_of(s, 4);
		if (rc == 0 && sqlite3_column_type(s, 5) == SQLITE_BLOB &&
		    hist_decode_merge(w.response, sqlite3_column_blob(s, 5), (size_t)sqlite3_column_bytes(s, 5)) < 0)
			rc = err_set(err, -EBADMSG, "the record holds a histogram that is damaged");
	}
	if (rc == 0 && step != SQLITE_DONE)
		rc = err_set(err, -EIO, "the record cannot be read: %s", sqlite3_errmsg(record_db(record)));
	if (rc == 0 && w.any)
		rc = take(&w.now, arg);
	(void)sqlite3_finalize(s);
	free(w.response);
	return rc;
}
