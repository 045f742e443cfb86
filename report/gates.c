/* SPDX-License-Identifier: MIT */
/*
 * gates.c - when a run cannot be trusted: the generator was late or died, a fault was not what it should be, a host was lost; see also whole.c.
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
	json_t *reasons, *doubts;
	struct err *err;
};

void judge_because(json_t *list, const char *format, ...)
{
	char text[640];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	json_array_append_new(list, json_string(text));
}

static int check_complete(void *row, void *arg)
{
	struct gate *g = arg;
	const char *complete = record_text(row, 0), *stopped = record_text(row, 1), *by = record_text(row, 2);

	if (strcmp(by, "guard") == 0)
		judge_because(g->doubts, "the run was stopped by its guard: %s", stopped);
	else if (*stopped != '\0')
		judge_because(g->reasons, "the run is incomplete: it was stopped (%s)", stopped);
	else if (strcmp(complete, "1") != 0)
		judge_because(g->reasons, "the run is incomplete: its record was not closed");
	return 0;
}

/* A row is a sentence. */
static int add_reason(void *row, void *arg)
{
	struct gate *g = arg;

	judge_because(g->reasons, "%s", record_text(row, 0));
	return 0;
}

static int add_doubt(void *row, void *arg)
{
	struct gate *g = arg;

	judge_because(g->doubts, "%s", record_text(row, 0));
	return 0;
}

static int check_lag(void *row, void *arg)
{
	struct gate *g = arg;
	struct selection what = { .op = "", .phase = record_text(row, 1) };
	int64_t lag = sqlite3_column_int64(row, 2), hiccup = sqlite3_column_int64(row, 3), worst = lag > hiccup ? lag : hiccup;
	json_t *response = NULL, *service = NULL;
	char a[24], b[24];
	uint64_t p99 = 0, limit;
	int rc = worst <= LAG_MIN_NS ? 0 : percentiles_read(g->record, &what, &response, &service, g->err);

	if (worst <= LAG_MIN_NS || rc < 0)
		return rc;
	(void)percentiles_value(response, "p99", &p99);
	limit = p99 / LAG_SHARE > LAG_MIN_NS ? p99 / LAG_SHARE : LAG_MIN_NS;
	if ((uint64_t)worst > limit)
		judge_because(g->reasons, "%s could not keep the schedule in phase %s: %s p99 %s, more than %s; lower the rate, or use a host with more processors",
			      record_text(row, 0), record_text(row, 1), lag >= hiccup ? "lag" : "hiccup", units_format_ns((uint64_t)worst, a, sizeof a),
			      units_format_ns(limit, b, sizeof b));
	json_decref(response);
	json_decref(service);
	return 0;
}

static int check_fault(void *row, void *arg)
{
	struct gate *g = arg;
	const char *fault = record_text(row, 0), *host = record_text(row, 1), *verified = record_text(row, 2), *healed = record_text(row, 3), *evidence = record_text(row, 5);

	if (sqlite3_column_type(row, 4) == SQLITE_NULL)
		judge_because(g->reasons, "%s on %s was never injected%s%s", fault, host, *evidence ? ": " : "", evidence);
	else if (strcmp(verified, "inconclusive") == 0)
		judge_because(g->doubts, "%s on %s could be neither confirmed nor denied: %s", fault, host, evidence);
	else if (strcmp(verified, "confirmed") != 0)
		judge_because(g->reasons, "%s on %s was not in force: %s", fault, host, evidence);
	if ((sqlite3_column_type(row, 4) != SQLITE_NULL || sqlite3_column_type(row, 6) != SQLITE_NULL) && strcmp(healed, "confirmed") != 0)	/* begun, or undone half-way */
		judge_because(g->reasons, "%s on %s is not proved healed; look at the host with squall chaos status", fault, host);
	return 0;
}

int judge_gates(struct record *record, const struct profile *profile, const json_t *verdict, json_t *reasons, json_t *doubts, struct err *err)
{
	static const struct {
		const char *sql;
		int (*take)(void *row, void *arg);
	} gates[] = {
		{ "SELECT (SELECT value FROM meta WHERE key = 'complete'), (SELECT value FROM meta WHERE key = 'stopped'),"
		  " (SELECT value FROM meta WHERE key = 'stopped_by')",
		  check_complete },
		{ "SELECT evidence FROM events WHERE kind = 'clock' ORDER BY t_ns", add_reason },
		{ "SELECT printf('host %s was lost %.1f s after the start', host, lost_at_ns / 1e9) FROM hosts WHERE lost_at_ns IS NOT NULL ORDER BY host",
		  add_reason },
		{ "SELECT printf('host %s: %s', host, evidence) FROM events WHERE kind = 'gap' ORDER BY t_ns", add_reason },
		{ "SELECT printf('host %s did not tell how its load ended', host) FROM hosts"
		  " WHERE instr(roles, 'load') > 0 AND host NOT IN (SELECT host FROM totals) ORDER BY host", add_reason },
		{ "SELECT printf('host %s did not tell whether it kept the schedule in phase %s', host, name) FROM phases, (SELECT DISTINCT host FROM totals) AS t"
		  " WHERE NOT EXISTS (SELECT 1 FROM lag WHERE lag.host = t.host AND lag.phase = name) ORDER BY host, idx",
		  add_reason },
		{ "SELECT printf('the worker process of host %s died: look for the OOM killer in its log', substr(key, 13)) FROM meta"
		  " WHERE key LIKE 'worker!_died.%' ESCAPE '!' ORDER BY key", add_reason },
		{ "SELECT printf('%s pages of host %s found no room in its memory: what visitors saw is not known; lower the rate', value, substr(key, 15))"
		  " FROM meta WHERE key LIKE 'dropped!_pages.%' ESCAPE '!' ORDER BY key", add_reason },
		/* Whose worker was paused by plan, its lag is what was to be measured. */
		{ "SELECT host, phase, CASE WHEN EXISTS (SELECT 1 FROM faults, phases WHERE fault = 'client-pause' AND faults.host = lag.host AND name = phase"
		  " AND inject_ns < end_ns AND COALESCE(heal_ns, end_ns) > start_ns) THEN 0 ELSE p99_ns END, hiccup_p99_ns FROM lag ORDER BY host, rowid", check_lag },
		{ "SELECT fault, host, verified, healed, inject_ns, evidence, heal_ns FROM faults ORDER BY idx", check_fault },
		{ "SELECT evidence FROM events WHERE kind = 'late' ORDER BY rowid", add_doubt },
		{ "SELECT printf('a fault vanished on %s while it should have been in force: %s', host, evidence) FROM events WHERE kind = 'vanished'"
		  " ORDER BY t_ns", add_reason },
	};
	struct gate g = { .record = record, .reasons = reasons, .doubts = doubts, .err = err };
	int rc = 0;

	for (size_t i = 0; i < sizeof gates / sizeof gates[0] && rc == 0; i++)
		rc = record_query(record, gates[i].sql, NULL, gates[i].take, &g, err);
	return rc < 0 ? rc : judge_whole(record, verdict, profile, reasons, err);
}
