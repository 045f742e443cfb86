/* SPDX-License-Identifier: MIT */
/*
 * whole.c - whether a record is whole: what it says of the same arrivals at two places must be the same.
 *
 *	totals       of each host: due = ok + errors + unknown + in flight + not issued
 *	intervals, errors, censored   summed over the phases they have every arrival of the totals, and so do the histograms
 *	retries      every attempt that began has an end, or is in flight
 *	pages        a row for every page that ended
 *	job_seconds  no op was ever older than the longest response or age: else a stall is hidden
 *	the profile  as many arrivals were due as its rate says: a generator that waits for the storage loses those of a stall
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "judge.h"
#include "percentiles.h"
#include "record.h"
#include "units.h"

#define HIDDEN_MIN_NS 1000000000ll	/* a thread may be preempted between the end of an op and its count; more than this is no op's end */
#define POISSON_SIGMAS 6		/* a sound run is outside of them once in 500 million */

struct whole {
	struct record *record;
	const struct profile *profile;
	json_t *reasons;
	int64_t is_cut;		/* a guard stopped it: not all that was planned became due */
};

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static int64_t sum_of(const json_t *object)
{
	const char *name;
	const json_t *nr;
	int64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)object, name, nr)
		sum += json_integer_value(nr);
	return sum;
}

/* host, job, due, the sum of the ends that are numbers, errors as JSON */
static int check_total(void *row, void *arg)
{
	struct whole *w = arg;
	json_t *errors = json_loads(record_text(row, 4), 0, NULL);
	int64_t due = sqlite3_column_int64(row, 2), sum = sqlite3_column_int64(row, 3) + sum_of(errors);

	json_decref(errors);
	if (sum != due)
		judge_because(w->reasons, "job %s on %s does not add up: %lld were due, %lld are accounted for", record_text(row, 1), record_text(row, 0), (long long)due,
			      (long long)sum);
	return 0;
}

static void check_parts(struct whole *w, const char *name, const json_t *job)
{
	const json_t *response = json_object_get(job, "response"), *service = json_object_get(job, "service"), *phase;
	int64_t done = number(job, "ok") + sum_of(json_object_get(job, "errors")), open = number(job, "unknown") + number(job, "in_flight"), due = 0;
	const char *key;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)job, "phases"), key, phase)
		due += number(phase, "due");
	if (due != number(job, "due"))
		judge_because(w->reasons, "job %s: of %lld arrivals the record tells in which phase %lld ended; intervals are missing", name,
			      (long long)number(job, "due"), (long long)due);
	if (number(response, "count") != done || number(service, "count") != done)
		judge_because(w->reasons, "job %s: %lld ended, but %lld responses and %lld service times are in the record", name, (long long)done,
			      (long long)number(response, "count"), (long long)number(service, "count"));
	if (number(response, "censored") != open)
		judge_because(w->reasons, "job %s: %lld did not come back, but %lld ages are in the record", name, (long long)open,
			      (long long)number(response, "censored"));
}

static void check_attempts(struct whole *w, const char *name, const json_t *job)
{
	const json_t *retry = json_object_get(job, "retry");
	int64_t ended = number(job, "ok") + number(retry, "failed") + number(retry, "abandoned") + number(retry, "in_flight");

	if (retry && number(retry, "attempts") != ended)
		judge_because(w->reasons, "job %s: %lld attempts began, and %lld are accounted for", name, (long long)number(retry, "attempts"), (long long)ended);
}

static const struct job *job_of(const struct profile *profile, const char *name)
{
	for (unsigned int i = 0; i < profile->jobs_nr; i++)
		if (strcmp(profile->jobs[i].name, name) == 0)
			return &profile->jobs[i];
	return NULL;
}

static int take_number(void *row, void *arg)
{
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

static int ask(struct whole *w, const char *sql, const char *job, int64_t *ret, struct err *err)
{
	return record_query(w->record, sql, (const char *const[]){ job, NULL }, take_number, ret, err);
}

static int check_pages(struct whole *w, const char *name, const json_t *job, struct err *err)
{
	int64_t ended = number(job, "ok") + number(job, "unknown") + sum_of(json_object_get(job, "errors")), pages = 0;
	int rc = ask(w, "SELECT COUNT(*) FROM pages WHERE job = ?1", name, &pages, err);

	if (rc == 0 && pages != ended)
		judge_because(w->reasons, "job %s: %lld pages ended, and the record has %lld: what visitors saw is not known", name, (long long)ended,
			      (long long)pages);
	return rc;
}

static int check_hidden(struct whole *w, const char *name, const struct job *j, const json_t *job, struct err *err)
{
	const json_t *response = json_object_get(job, "response");
	int64_t oldest = 0, longest = number(response, "max_ns"), bound = number(json_object_get(response, "at_least_ns"), "max");
	char a[24], b[24];
	int rc = ask(w, "SELECT MAX(oldest_ns) FROM job_seconds WHERE job = ?1", name, &oldest, err);

	longest = bound > longest ? bound : longest;
	if (j->timeout_ns > 0 && oldest > (int64_t)j->timeout_ns)
		oldest = (int64_t)j->timeout_ns;	/* at that age it is censored */
	if (rc == 0 && oldest - oldest / 100 > longest + HIDDEN_MIN_NS)
		judge_because(w->reasons, "job %s: an op was %s old, but the longest response or age is %s: a stall is hidden", name,
			      units_format_ns((uint64_t)oldest, a, sizeof a), units_format_ns((uint64_t)longest, b, sizeof b));
	return rc;
}

/* How long the job ran [ns], by the phases of the record. */
static int run_time(struct whole *w, const struct job *j, int64_t *ret, struct err *err)
{
	int rc = 0;

	*ret = 0;
	for (unsigned int i = 0; i < w->profile->phases_nr && rc == 0; i++) {
		int64_t ns = 0;

		if (j->phases >> i & 1)
			rc = ask(w, "SELECT end_ns - start_ns FROM phases WHERE name = ?1", w->profile->phases[i].name, &ns, err);
		*ret += ns;
	}
	return rc;
}

static int check_rate(struct whole *w, const char *name, const struct job *j, const json_t *job, struct err *err)
{
	char key[NAME_BYTES + 16], *rate;
	double expected, slack;
	int64_t ns = 0;
	int rc;

	if (j->arrival.kind != ARRIVAL_CONSTANT && j->arrival.kind != ARRIVAL_POISSON)
		return 0;
	(void)snprintf(key, sizeof key, "rate.%s", name);
	rate = record_meta_get(w->record, key);
	if (!rate && j->arrival.pieces[0].from.kind != RATE_ABSOLUTE)
		return 0;
	rc = run_time(w, j, &ns, err);
	expected = (rate ? strtod(rate, NULL) : j->arrival.pieces[0].from.value) * (double)ns / 1e9;
	free(rate);
	slack = 2 + (j->arrival.kind == ARRIVAL_POISSON ? POISSON_SIGMAS * sqrt(expected) : expected / 1e6);
	if (rc == 0 && fabs((double)number(job, "due") - expected) > slack)
		judge_because(w->reasons, "job %s: %lld arrivals were due, where its rate makes %.0f", name, (long long)number(job, "due"), expected);
	return rc;
}

int judge_whole(struct record *record, const json_t *verdict, const struct profile *profile, json_t *reasons, struct err *err)
{
	static const char totals[] = "SELECT host, job, due, ok + unknown + in_flight + not_issued, errors FROM totals ORDER BY host, rowid";
	struct whole w = { .record = record, .profile = profile, .reasons = reasons };
	const json_t *jobs = json_object_get(verdict, "jobs"), *job;
	const char *name;
	int rc = record_query(record, totals, NULL, check_total, &w, err);

	if (rc == 0)
		rc = record_query(record, "SELECT 1 FROM meta WHERE key = 'stopped'", NULL, take_number, &w.is_cut, err);
	if (json_object_size(jobs) == 0)
		judge_because(reasons, "no host told how its load ended");
	/* What follows from another reason is not one of its own. */
	if (rc < 0 || json_array_size(reasons) > 0)
		return rc;
	json_object_foreach((json_t *)(uintptr_t)jobs, name, job) {
		const struct job *j = job_of(profile, name);

		check_parts(&w, name, job);
		check_attempts(&w, name, job);
		if (j && j->is_page && rc == 0)
			rc = check_pages(&w, name, job, err);
		if (j && rc == 0)
			rc = check_hidden(&w, name, j, job, err);
		if (j && rc == 0 && !w.is_cut)
			rc = check_rate(&w, name, j, job, err);
	}
	return rc;
}
