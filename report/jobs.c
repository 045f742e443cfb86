/* SPDX-License-Identifier: MIT */
/*
 * jobs.c - what became of every arrival, by job, phase and op.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "judge.h"
#include "percentiles.h"
#include "record.h"

static void add_to(json_t *object, const char *key, int64_t nr)
{
	json_object_set_new(object, key, json_integer(json_integer_value(json_object_get(object, key)) + nr));
}

static json_t *new_counts(void)
{
	return json_pack("{s:i, s:i, s:{}, s:i, s:i, s:i}", "due", 0, "ok", 0, "errors", "unknown", 0, "in_flight", 0, "not_issued", 0);
}

/* totals: job, due, ok, errors (JSON), unknown, in_flight, not_issued, of one host */
static int add_total(void *row, void *arg)
{
	static const char *const keys[] = { "due", "ok", NULL, "unknown", "in_flight", "not_issued" };
	json_t *jobs = arg, *job = json_object_get(jobs, record_text(row, 0)), *errors = json_loads(record_text(row, 3), 0, NULL), *nr;
	const char *name;

	if (!job) {
		job = new_counts();
		json_object_set_new(jobs, record_text(row, 0), job);
	}
	for (int i = 0; i < 6; i++)
		if (keys[i])
			add_to(job, keys[i], sqlite3_column_int64(row, i + 1));
	json_object_foreach(errors, name, nr)
		add_to(json_object_get(job, "errors"), name, json_integer_value(nr));
	json_decref(errors);
	return 0;
}

struct part {
	struct record *record;
	json_t *counts;
};

static int add_done(void *row, void *arg)
{
	struct part *p = arg;

	add_to(p->counts, "ok", sqlite3_column_int64(row, 0));
	add_to(p->counts, "unknown", sqlite3_column_int64(row, 1));
	add_to(p->counts, "due", sqlite3_column_int64(row, 0) + sqlite3_column_int64(row, 1));
	return 0;
}

static int add_error(void *row, void *arg)
{
	struct part *p = arg;

	add_to(json_object_get(p->counts, "errors"), record_text(row, 0), sqlite3_column_int64(row, 1));
	add_to(p->counts, "due", sqlite3_column_int64(row, 1));
	return 0;
}

/* How many lie in an encoded histogram of ages: its count follows the version byte, as a varint. */
static int add_censored(void *row, void *arg)
{
	struct part *p = arg;
	const unsigned char *blob = sqlite3_column_blob(row, 1);
	int64_t nr = 0;

	for (int i = 1, shift = 0; blob && i < sqlite3_column_bytes(row, 1) && shift < 63; i++, shift += 7) {
		nr |= (int64_t)(blob[i] & 127) << shift;
		if (blob[i] < 128)
			break;
	}
	if (strcmp(record_text(row, 0), "unknown") != 0) {
		add_to(p->counts, record_text(row, 0), nr);
		add_to(p->counts, "due", nr);
	}
	return 0;
}

/* A phase, or an op over the whole run. `texts` are job, op and, or not, phase. */
static int add_part(struct record *record, const char *const texts[], json_t *into, const char *key, struct err *err)
{
	struct part p = { .record = record, .counts = new_counts() };
	struct selection what = { .job = texts[0], .op = texts[1], .phase = texts[2] };
	json_t *response = NULL, *service = NULL;
	int rc;

#define PART " WHERE job = ?1 AND op = ?2 AND (?3 IS NULL OR phase = ?3)"
	rc = record_query(record, "SELECT SUM(ok), SUM(unknown) FROM intervals" PART, texts, add_done, &p, err);
	if (rc == 0)
		rc = record_query(record, "SELECT errno, SUM(nr) FROM errors" PART " GROUP BY errno", texts, add_error, &p, err);
	if (rc == 0)
		rc = record_query(record, "SELECT kind, ages FROM censored" PART, texts, add_censored, &p, err);
	if (rc == 0)
		rc = percentiles_read(record, &what, &response, &service, err);
	if (rc < 0) {
		json_decref(p.counts);
		return rc;
	}
	json_object_set_new(p.counts, "response", response);
	json_object_set_new(p.counts, "service", service);
	json_object_set_new(into, key, p.counts);
	return 0;
}

static int add_name(void *row, void *arg)
{
	json_array_append_new(arg, json_string(record_text(row, 0)));
	return 0;
}

static int fill_job(struct record *record, const char *name, json_t *job, struct err *err)
{
	json_t *phases = json_array(), *ops = json_array(), *by_phase = json_object(), *by_op = json_object(), *response = NULL, *service = NULL, *word;
	struct selection what = { .job = name, .op = "" };
	size_t i;
	int rc = percentiles_read(record, &what, &response, &service, err);

	json_object_set_new(job, "response", response);
	json_object_set_new(job, "service", service);
	if (rc == 0)
		rc = record_query(record, "SELECT name FROM phases ORDER BY idx", NULL, add_name, phases, err);
	if (rc == 0)
		rc = record_query(record, "SELECT op FROM intervals WHERE job = ?1 AND op != '' UNION SELECT op FROM censored WHERE job = ?1 AND op != '' ORDER BY op", (const char *const[]){ name, NULL }, add_name,
				 ops, err);
	json_array_foreach(phases, i, word)
		if (rc == 0)
			rc = add_part(record, (const char *const[]){ name, "", json_string_value(word), NULL }, by_phase, json_string_value(word), err);
	json_array_foreach(ops, i, word)
		if (rc == 0)
			rc = add_part(record, (const char *const[]){ name, json_string_value(word), NULL }, by_op, json_string_value(word), err);
	json_object_set_new(job, "phases", by_phase);
	json_object_set_new(job, "ops", by_op);
	json_decref(phases);
	json_decref(ops);
	return rc;
}

/* engines.HOST of the record: which engine did the job, into "engines" of each */
static int add_engines(void *row, void *arg)
{
	json_t *engines = json_loads(record_text(row, 1), 0, NULL), *engine, *job;
	const char *name;

	json_object_foreach(engines, name, engine) {
		job = json_object_get(arg, name);
		if (job && !json_object_get(job, "engines"))
			json_object_set_new(job, "engines", json_object());
		json_object_set(json_object_get(job, "engines"), record_text(row, 0), engine);
	}
	json_decref(engines);
	return 0;
}

/* What one host says of the attempts of a job in a phase, to what is known of it. */
static void add_attempts(json_t *into, const json_t *part)
{
	static const char *const keys[] = { "attempts", "failed", "abandoned", "in_flight", "late_ok", "late_errors" };
	json_t *retry = json_object_get(into, "retry");

	if (!into)
		return;
	if (!retry) {
		retry = json_object();
		json_object_set_new(into, "retry", retry);
	}
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		add_to(retry, keys[i], json_integer_value(json_object_get(part, keys[i])));
}

/* retries.HOST of the record, into "retry" of each job and each of its phases */
static int add_retries(void *row, void *arg)
{
	json_t *retries = json_loads(record_text(row, 0), 0, NULL), *list, *job, *part;
	const char *name, *phase;
	size_t i;

	json_object_foreach(retries, name, list) {
		job = json_object_get(arg, name);
		json_array_foreach(list, i, part) {
			phase = json_string_value(json_object_get(part, "phase"));
			add_attempts(job, part);
			add_attempts(json_object_get(json_object_get(job, "phases"), phase ? phase : ""), part);
		}
	}
	json_decref(retries);
	return 0;
}

/* How many attempts there were for each arrival that was begun; of none nothing is said. */
static void amplify(const json_t *counts)
{
	static const char *const begun[] = { "ok", "unknown", "in_flight" };
	json_t *retry = json_object_get(counts, "retry"), *nr;
	json_int_t arrivals = 0;
	const char *name;

	for (size_t i = 0; i < sizeof begun / sizeof begun[0]; i++)
		arrivals += json_integer_value(json_object_get(counts, begun[i]));
	json_object_foreach(json_object_get(counts, "errors"), name, nr)
		arrivals += json_integer_value(nr);
	if (retry && arrivals > 0)
		json_object_set_new(retry, "amplification", json_real((double)json_integer_value(json_object_get(retry, "attempts")) / (double)arrivals));
}

static int fill_retries(struct record *record, json_t *jobs, struct err *err)
{
	int rc = record_query(record, "SELECT value FROM meta WHERE key LIKE 'retries.%' ORDER BY key", NULL, add_retries, jobs, err);
	json_t *job, *part;
	const char *name, *phase;

	json_object_foreach(jobs, name, job) {
		amplify(job);
		json_object_foreach(json_object_get(job, "phases"), phase, part)
			amplify(part);
	}
	return rc;
}

int judge_jobs(struct record *record, json_t **ret, struct err *err)
{
	json_t *jobs = json_object(), *job;
	const char *name;
	int rc = record_query(record, "SELECT job, due, ok, errors, unknown, in_flight, not_issued FROM totals ORDER BY rowid", NULL, add_total, jobs, err);

	if (rc == 0)
		rc = record_query(record, "SELECT substr(key, 9), value FROM meta WHERE key LIKE 'engines.%' ORDER BY key", NULL, add_engines, jobs, err);
	json_object_foreach(jobs, name, job)
		if (rc == 0)
			rc = fill_job(record, name, job, err);
	if (rc == 0)
		rc = fill_retries(record, jobs, err);
	if (rc < 0) {
		json_decref(jobs);
		return rc;
	}
	*ret = jobs;
	return 0;
}
