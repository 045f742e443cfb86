/* SPDX-License-Identifier: MIT */
/*
 * gates.c - when a run cannot be trusted: the generator was late, a fault was not what it should be, a host was lost, something does not add up.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "judge.h"
#include "percentiles.h"
#include "record.h"
#include "units.h"

#define LAG_MIN_NS 20000000
#define LAG_SHARE 20		/* one twentieth of the phase's response p99 */

struct gate {
	struct record *record;
	const json_t *verdict;
	json_t *reasons, *doubts;
};

static void because(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void because(json_t *list, const char *format, ...)
{
	char text[640];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	json_array_append_new(list, json_string(text));
}

static const char *text_of(void *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return text ? (const char *)text : "";
}

static int check_complete(void *row, void *arg)
{
	struct gate *g = arg;
	const char *complete = text_of(row, 0), *stopped = text_of(row, 1), *by = text_of(row, 2);

	if (strcmp(by, "guard") == 0)
		because(g->doubts, "the run was stopped by its guard: %s", stopped);
	else if (*stopped != '\0')
		because(g->reasons, "the run is incomplete: it was stopped (%s)", stopped);
	else if (strcmp(complete, "1") != 0)
		because(g->reasons, "the run is incomplete: its record was not closed");
	return 0;
}

static int add_reason(void *row, void *arg)
{
	struct gate *g = arg;

	because(g->reasons, "%s", text_of(row, 0));
	return 0;
}

static int check_host(void *row, void *arg)
{
	struct gate *g = arg;

	because(g->reasons, "host %s was lost %.1f s after the start", text_of(row, 0), sqlite3_column_double(row, 1) / 1e9);
	return 0;
}

static int check_lag(void *row, void *arg)
{
	struct gate *g = arg;
	struct selection what = { .op = "", .phase = text_of(row, 1) };
	int64_t lag = sqlite3_column_int64(row, 2), hiccup = sqlite3_column_int64(row, 3), worst = lag > hiccup ? lag : hiccup;
	json_t *response = NULL, *service = NULL;
	char a[24], b[24];
	uint64_t p99 = 0, limit;

	if (worst <= LAG_MIN_NS || percentiles_read(g->record, &what, &response, &service, NULL) < 0)
		return 0;
	(void)percentiles_value(response, "p99", &p99);
	limit = p99 / LAG_SHARE > LAG_MIN_NS ? p99 / LAG_SHARE : LAG_MIN_NS;
	if ((uint64_t)worst > limit)
		because(g->reasons, "%s could not keep the schedule in phase %s: %s p99 %s, more than %s; lower the rate, or use a host with more processors",
			text_of(row, 0), text_of(row, 1), lag >= hiccup ? "lag" : "hiccup", units_format_ns((uint64_t)worst, a, sizeof a),
			units_format_ns(limit, b, sizeof b));
	json_decref(response);
	json_decref(service);
	return 0;
}

static int check_fault(void *row, void *arg)
{
	struct gate *g = arg;
	const char *fault = text_of(row, 0), *host = text_of(row, 1), *verified = text_of(row, 2), *healed = text_of(row, 3), *evidence = text_of(row, 5);

	if (sqlite3_column_type(row, 4) == SQLITE_NULL)
		because(g->reasons, "%s on %s was never injected%s%s", fault, host, *evidence ? ": " : "", evidence);
	else if (strcmp(verified, "inconclusive") == 0)
		because(g->doubts, "%s on %s could be neither confirmed nor denied: %s", fault, host, evidence);
	else if (strcmp(verified, "confirmed") != 0)
		because(g->reasons, "%s on %s was not in force: %s", fault, host, evidence);
	if (sqlite3_column_type(row, 4) != SQLITE_NULL && strcmp(healed, "confirmed") != 0)
		because(g->reasons, "%s on %s is not proved healed; look at the host with squall chaos status", fault, host);
	return 0;
}

static int check_vanished(void *row, void *arg)
{
	struct gate *g = arg;

	because(g->reasons, "a fault vanished on %s while it should have been in force: %s", text_of(row, 0), text_of(row, 1));
	return 0;
}

static void check_sums(struct gate *g)
{
	const char *name, *error;
	const json_t *job, *nr;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)g->verdict, "jobs"), name, job) {
		int64_t sum = 0;

		for (const char *const *key = (const char *const[]){ "ok", "unknown", "in_flight", "not_issued", NULL }; *key; key++)
			sum += json_integer_value(json_object_get(job, *key));
		json_object_foreach(json_object_get(job, "errors"), error, nr)
			sum += json_integer_value(nr);
		if (sum != json_integer_value(json_object_get(job, "due")))
			because(g->reasons, "job %s does not add up: %lld were due, %lld are accounted for", name,
				(long long)json_integer_value(json_object_get(job, "due")), (long long)sum);
	}
	if (json_object_size(json_object_get(g->verdict, "jobs")) == 0)
		because(g->reasons, "no host told how its load ended");
}

static int check_silent(void *row, void *arg)
{
	struct gate *g = arg;

	because(g->reasons, "host %s did not tell how its load ended", text_of(row, 0));
	return 0;
}

int judge_gates(struct record *record, const json_t *verdict, json_t *reasons, json_t *doubts, struct err *err)
{
	static const struct {
		const char *sql;
		int (*take)(void *row, void *arg);
	} gates[] = {
		{ "SELECT (SELECT value FROM meta WHERE key = 'complete'), (SELECT value FROM meta WHERE key = 'stopped'),"
		  " (SELECT value FROM meta WHERE key = 'stopped_by')",
		  check_complete },
		{ "SELECT value FROM meta WHERE key LIKE 'void.%' ORDER BY key", add_reason },
		{ "SELECT host, lost_at_ns FROM hosts WHERE lost_at_ns IS NOT NULL ORDER BY host", check_host },
		{ "SELECT host FROM hosts WHERE instr(roles, 'load') > 0 AND host NOT IN (SELECT host FROM totals) ORDER BY host", check_silent },
		{ "SELECT host, phase, p99_ns, hiccup_p99_ns FROM lag ORDER BY host, rowid", check_lag },
		{ "SELECT fault, host, verified, healed, inject_ns, evidence FROM faults ORDER BY idx", check_fault },
		{ "SELECT host, evidence FROM events WHERE kind = 'vanished' ORDER BY t_ns", check_vanished },
	};
	struct gate g = { .record = record, .verdict = verdict, .reasons = reasons, .doubts = doubts };
	int rc = 0;

	for (size_t i = 0; i < sizeof gates / sizeof gates[0] && rc == 0; i++)
		rc = judge_query(record, gates[i].sql, NULL, gates[i].take, &g, err);
	check_sums(&g);
	return rc;
}
