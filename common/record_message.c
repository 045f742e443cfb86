/* SPDX-License-Identifier: MIT */
/*
 * record_message.c - what agents say, as rows of run.db.
 *
 * Intervals and finals are savepoints: a malformed one leaves nothing of itself behind, and the group around it lives on.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "file.h"
#include "json_text.h"
#include "profile.h"
#include "record_db.h"

#define COUNT_MAX (1LL << 40)	/* ops of a job: a million a second for 12 days; so many rows of them that no sum overflows */

int record_sample(struct record *r, const char *host, int64_t t_ns, const json_t *sample, struct err *err)
{
	const char *metric = json_string_value(json_object_get(sample, "metric"));
	const char *label = json_string_value(json_object_get(sample, "label"));
	const char *text = json_string_value(json_object_get(sample, "text"));
	const json_t *value = json_object_get(sample, "value");

	if (!metric)
		return err_set(err, -EBADMSG, "host %s: a sample without a metric", host);
	if (json_is_number(value))
		return record_put(r, PUT_SAMPLE, err, "itttdt", t_ns, host, metric, label, json_number_value(value), text);
	return record_put(r, PUT_SAMPLE, err, "ittt0t", t_ns, host, metric, label, text);
}

/* What the walks below share: whose message it is, and where failures go. */
struct message {
	struct record *record;
	const char *host, *what;	/* what: "interval" or "final" */
	const char *const *jobs;	/* names by job_idx; ends at NULL or JOBS_MAX */
	int64_t second, end_ns;
	struct err *err;
};

static int malformed(const struct message *m, const char *where)
{
	return err_set(m->err, -EBADMSG, "host %s: malformed %s: %s", m->host, m->what, where);
}

static int unpack(const struct message *m, const json_t *json, const char *where, const char *format, ...)
{
	json_error_t why;
	va_list args;
	int rc;

	va_start(args, format);
	rc = json_vunpack_ex((json_t *)(uintptr_t)json, &why, 0, format, args);	/* the API lacks the const; unpacking changes nothing */
	va_end(args);
	if (rc == 0)
		return 0;
	rc = json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	return err_set(m->err, rc, "host %s: %s %s: %s: %s", m->host, rc == -ENOMEM ? "no memory for the" : "malformed", m->what, where, why.text);
}

/* @param flags  of jansson. @param ret malloc'ed text of an object or an array */
static int dump(const struct message *m, const json_t *json, const char *where, size_t flags, char **ret)
{
	if (!json_is_object(json) && !json_is_array(json))
		return malformed(m, where);
	*ret = json_text(json, JSON_COMPACT | flags);
	return *ret ? 0 : err_set(m->err, -ENOMEM, "host %s: no memory for the %s: %s", m->host, m->what, where);
}

static int put_each(const struct message *m, const json_t *array, const char *where, int (*one)(const struct message *m, const json_t *item))
{
	int rc = 0;

	if (!json_is_array(array))
		return malformed(m, where);
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++)
		rc = one(m, json_array_get(array, i));
	return rc;
}

static bool is_count(const json_t *nr)
{
	return json_is_integer(nr) && json_integer_value(nr) >= 0 && json_integer_value(nr) <= COUNT_MAX;
}

/* What the report adds up, of an object with "errors". */
static int check_counts(const struct message *m, const json_t *item)
{
	static const char *const keys[] = { "due", "issued", "ok", "unknown", "in_flight", "waiting", "not_issued" };
	const char *name;
	json_t *nr;

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (json_object_get(item, keys[i]) && !is_count(json_object_get(item, keys[i])))
			return malformed(m, keys[i]);
	json_object_foreach(json_object_get(item, "errors"), name, nr)
		if (!is_count(nr))
			return malformed(m, "errors");
	return 0;
}

static int64_t errors_sum(const json_t *errors)
{
	int64_t sum = 0;
	const char *name;
	json_t *nr;

	json_object_foreach((json_t *)(uintptr_t)errors, name, nr)
		sum += json_integer_value(nr);
	return sum;
}

static int blob_get(const struct message *m, const char *base64, uint8_t **ret, size_t *ret_bytes)
{
	int rc = base64_decode(base64, ret, ret_bytes);

	return rc < 0 ? err_set(m->err, rc, "host %s: malformed %s: a histogram is not base64", m->host, m->what) : 0;
}

static int put_hist(const struct message *m, const char *job, const json_t *hist)
{
	const char *op, *phase, *response64, *service64, *name;
	uint8_t *response = NULL, *service = NULL;
	size_t response_bytes = 0, service_bytes = 0;
	json_t *errors = NULL, *nr;
	json_int_t ok, unknown;
	int rc;

	rc = unpack(m, hist, "hists", "{s:s, s:s, s:I, s:o, s:I, s:s, s:s}", "op", &op, "phase", &phase, "ok", &ok, "errors", &errors,
		    "unknown", &unknown, "response", &response64, "service", &service64);
	if (rc == 0)
		rc = check_counts(m, hist);
	if (rc < 0)
		goto out;
	rc = blob_get(m, response64, &response, &response_bytes);
	if (rc < 0)
		goto out;
	rc = blob_get(m, service64, &service, &service_bytes);
	if (rc < 0)
		goto out;
	rc = record_put(m->record, PUT_INTERVAL, m->err, "ittttiibb", m->second, m->host, job, op, phase, (int64_t)ok, (int64_t)unknown,
		 (const void *)response, (uint64_t)response_bytes, (const void *)service, (uint64_t)service_bytes);
	json_object_foreach(errors, name, nr) {
		if (rc == 0)
			rc = record_put(m->record, PUT_ERROR, m->err, "ittttti", m->second, m->host, job, op, phase, name,
				 (int64_t)json_integer_value(nr));
	}
out:
	free(response);
	free(service);
	return rc;
}

static int put_job(const struct message *m, const json_t *item)
{
	json_int_t due, issued, ok, unknown, in_flight, waiting, not_issued, oldest_ns;
	json_t *errors = NULL, *hists = NULL;
	const char *job;
	int rc;

	rc = unpack(m, item, "jobs", "{s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "job", &job, "due", &due, "issued", &issued,
		    "ok", &ok, "errors", &errors, "unknown", &unknown, "in_flight", &in_flight, "waiting", &waiting, "not_issued", &not_issued,
		    "oldest_ns", &oldest_ns, "hists", &hists);
	if (rc == 0)
		rc = check_counts(m, item);
	if (rc < 0)
		return rc;
	rc = record_put(m->record, PUT_JOB_SECOND, m->err, "ittiiiiiiiii", m->second, m->host, job, (int64_t)due, (int64_t)issued, (int64_t)ok,
		 errors_sum(errors), (int64_t)unknown, (int64_t)in_flight, (int64_t)waiting, (int64_t)not_issued, (int64_t)oldest_ns);
	if (rc == 0 && !json_is_array(hists))
		rc = malformed(m, "hists");
	for (size_t i = 0; rc == 0 && i < json_array_size(hists); i++)
		rc = put_hist(m, job, json_array_get(hists, i));
	return rc;
}

static const char *job_name(const struct message *m, json_int_t idx)
{
	if (idx < 0 || idx >= JOBS_MAX || !m->jobs)
		return NULL;
	for (json_int_t i = 0; i < idx; i++) {
		if (!m->jobs[i])
			return NULL;
	}
	return m->jobs[idx];
}

static int put_page(const struct message *m, const json_t *item)
{
	json_int_t idx, site, due_ns, done_ns;
	const char *outcome, *job;
	int rc;

	rc = unpack(m, item, "pages", "[I, I, I, I, s]", &idx, &site, &due_ns, &done_ns, &outcome);
	if (rc < 0)
		return rc;
	job = job_name(m, idx);
	if (!job)
		return malformed(m, "a page of a job that does not exist");
	return record_put(m->record, PUT_PAGE, m->err, "ttiiit", m->host, job, (int64_t)site, (int64_t)due_ns, (int64_t)done_ns, outcome);
}

static int put_page_open(const struct message *m, const json_t *item)
{
	json_int_t idx, site, due_ns;
	const char *job;
	int rc;

	rc = unpack(m, item, "open", "[I, I, I]", &idx, &site, &due_ns);
	if (rc < 0)
		return rc;
	job = job_name(m, idx);
	if (!job)
		return malformed(m, "an open page of a job that does not exist");
	return record_put(m->record, PUT_PAGE_OPEN, m->err, "ittii", m->end_ns, m->host, job, (int64_t)site, (int64_t)due_ns);
}

/* One of a job that logs its ops. */
static int put_op(const struct message *m, const json_t *item)
{
	json_int_t idx, due_ns, issued_ns, done_ns;
	const char *op, *path, *outcome, *job;
	int rc;

	rc = unpack(m, item, "ops", "[I, s, s, I, I, I, s]", &idx, &op, &path, &due_ns, &issued_ns, &done_ns, &outcome);
	if (rc < 0)
		return rc;
	job = job_name(m, idx);
	if (!job)
		return malformed(m, "an op of a job that does not exist");
	return record_put(m->record, PUT_OP, m->err, "ttttiiit", m->host, job, op, path, (int64_t)due_ns, (int64_t)issued_ns, (int64_t)done_ns, outcome);
}

/* The end of a savepoint: keep it, or leave nothing of it. SQLite has undone it already when it gave up the whole transaction. */
static int item_end(struct record *r, int rc, struct err *err)
{
	if (rc == 0)
		return record_put(r, RELEASE, err, "");
	if (!sqlite3_get_autocommit(record_db(r))) {
		(void)record_put(r, UNDO, NULL, "");
		(void)record_put(r, RELEASE, NULL, "");
	}
	return rc;
}

int record_interval(struct record *r, const char *host, const json_t *interval, const char *const jobs[], struct err *err)
{
	struct message m = { .record = r, .host = host, .what = "interval", .jobs = jobs, .err = err };
	json_t *job_items = NULL, *pages = NULL, *open_pages = NULL, *ops = NULL;
	json_int_t second, end_ns;
	int rc;

	rc = unpack(&m, interval, "its head", "{s:I, s:I, s:o, s:o, s:o, s?o}", "second", &second, "end_ns", &end_ns, "jobs", &job_items, "pages",
		    &pages, "open", &open_pages, "ops", &ops);
	if (rc < 0)
		return rc;
	m.second = second;
	m.end_ns = end_ns;
	rc = record_put(r, SAVE, err, "");
	if (rc < 0)
		return rc;
	rc = put_each(&m, job_items, "jobs", put_job);
	if (rc == 0)
		rc = put_each(&m, pages, "pages", put_page);
	if (rc == 0)
		rc = put_each(&m, open_pages, "open", put_page_open);
	if (rc == 0 && ops)
		rc = put_each(&m, ops, "ops", put_op);
	return item_end(r, rc, err);
}

static int put_total(const struct message *m, const json_t *item)
{
	json_int_t due, ok, unknown, in_flight, not_issued;
	json_t *errors = NULL;
	const char *job;
	char *text;
	int rc;

	rc = unpack(m, item, "jobs", "{s:s, s:I, s:I, s:o, s:I, s:I, s:I}", "job", &job, "due", &due, "ok", &ok, "errors", &errors, "unknown",
		    &unknown, "in_flight", &in_flight, "not_issued", &not_issued);
	if (rc == 0)
		rc = check_counts(m, item);
	if (rc < 0)
		return rc;
	rc = dump(m, errors, "errors", JSON_SORT_KEYS, &text);
	if (rc < 0)
		return rc;
	rc = record_put(m->record, PUT_TOTAL, m->err, "ttiitiii", m->host, job, (int64_t)due, (int64_t)ok, text, (int64_t)unknown, (int64_t)in_flight,
		 (int64_t)not_issued);
	free(text);
	return rc;
}

static int put_censored(const struct message *m, const json_t *item)
{
	const char *job, *op, *phase, *kind, *ages64;
	uint8_t *ages = NULL;
	size_t bytes = 0;
	int rc;

	rc = unpack(m, item, "censored", "{s:s, s:s, s:s, s:s, s:s}", "job", &job, "op", &op, "phase", &phase, "kind", &kind, "ages", &ages64);
	if (rc == 0)
		rc = blob_get(m, ages64, &ages, &bytes);
	if (rc == 0)
		rc = record_put(m->record, PUT_CENSORED, m->err, "tttttb", m->host, job, op, phase, kind, (const void *)ages, (uint64_t)bytes);
	free(ages);
	return rc;
}

static int put_hung(const struct message *m, const json_t *item)
{
	const char *op, *path, *wchan;
	json_int_t pid, tid, age_ns;
	json_t *stack = NULL;
	char *text;
	int rc;

	rc = unpack(m, item, "hung", "{s:I, s:I, s:s, s:s, s:I, s:s, s:o}", "pid", &pid, "tid", &tid, "op", &op, "path", &path, "age_ns", &age_ns,
		    "wchan", &wchan, "stack", &stack);
	if (rc < 0)
		return rc;
	rc = dump(m, stack, "stack", 0, &text);
	if (rc < 0)
		return rc;
	rc = record_put(m->record, PUT_HUNG, m->err, "tiittitt", m->host, (int64_t)pid, (int64_t)tid, op, path, (int64_t)age_ns, wchan, text);
	free(text);
	return rc;
}

static int put_lag(const struct message *m, const json_t *item)
{
	json_int_t count, p99_ns, max_ns, hiccup_p99_ns, hiccup_max_ns;
	const char *phase;
	int rc;

	rc = unpack(m, item, "lag", "{s:s, s:I, s:I, s:I, s:I, s:I}", "phase", &phase, "count", &count, "p99_ns", &p99_ns, "max_ns", &max_ns,
		    "hiccup_p99_ns", &hiccup_p99_ns, "hiccup_max_ns", &hiccup_max_ns);
	if (rc < 0)
		return rc;
	return record_put(m->record, PUT_LAG, m->err, "ttiiiii", m->host, phase, (int64_t)count, (int64_t)p99_ns, (int64_t)max_ns, (int64_t)hiccup_p99_ns,
		   (int64_t)hiccup_max_ns);
}

/* meta WHAT.HOST as JSON; nothing when there is none. */
static int put_meta_json(const struct message *m, const char *what, const json_t *json)
{
	char key[160], *text;
	int rc;

	if (!json)
		return 0;
	rc = dump(m, json, what, 0, &text);
	if (rc < 0)
		return rc;
	(void)snprintf(key, sizeof key, "%s.%s", what, m->host);
	rc = record_meta(m->record, key, text, m->err);
	free(text);
	return rc;
}

/* What a job was done with, when its host named it; of an asynchronous engine also how often it blocked. */
static json_t *engine_of(const json_t *job)
{
	const json_t *engine = json_object_get(job, "engine"), *why = json_object_get(job, "engine_why");
	const json_t *blocked = json_object_get(job, "submit_blocked"), *blocked_max_ns = json_object_get(job, "submit_blocked_max_ns");

	return json_is_string(engine) ? json_pack("{s:O, s:O*, s:O*, s:O*}", "engine", engine, "why", why, "submit_blocked", blocked, "submit_blocked_max_ns",
						  blocked_max_ns) : NULL;
}

/* The attempts of one that has a retry. */
static json_t *retries_of(const json_t *job)
{
	return json_incref(json_object_get(job, "retry"));
}

/* meta WHAT.HOST, an object by job; nothing when no job has it. */
static int put_by_job(const struct message *m, const json_t *jobs, const char *what, json_t *(*of)(const json_t *job))
{
	json_t *all = json_object();
	int rc = all ? 0 : err_set(m->err, -ENOMEM, "record: no memory");

	for (size_t i = 0; i < json_array_size(jobs) && rc == 0; i++) {
		const json_t *job = json_array_get(jobs, i);
		const char *name;
		json_t *one;

		rc = unpack(m, job, "jobs", "{s:s}", "job", &name);
		one = rc == 0 ? of(job) : NULL;
		if (one && json_object_set_new(all, name, one) < 0)
			rc = err_set(m->err, -ENOMEM, "record: no memory");
	}
	if (rc == 0 && json_object_size(all) > 0)
		rc = put_meta_json(m, what, all);
	json_decref(all);
	return rc;
}

/* What has no table: pages that did not fit their ring, a worker that died, processes that could not be ended, damaged files. Only when there were any. */
static int put_leftovers(const struct message *m, json_int_t dropped_pages, bool died, const json_t *left, const json_t *damage)
{
	char key[160], value[32];
	int rc = 0;

	if (dropped_pages > 0) {
		(void)snprintf(key, sizeof key, "dropped_pages.%s", m->host);
		(void)snprintf(value, sizeof value, "%lld", (long long)dropped_pages);
		rc = record_meta(m->record, key, value, m->err);
	}
	if (rc == 0 && died) {
		(void)snprintf(key, sizeof key, "worker_died.%s", m->host);
		rc = record_meta(m->record, key, "1", m->err);
	}
	if (rc == 0 && json_array_size(left) > 0)
		rc = put_meta_json(m, "left", left);
	return rc < 0 ? rc : put_meta_json(m, "damage", damage);
}

int record_final(struct record *r, const char *host, const json_t *final, struct err *err)
{
	struct message m = { .record = r, .host = host, .what = "final", .err = err };
	json_t *jobs = NULL, *censored = NULL, *hung = NULL, *lag = NULL, *left = NULL, *damage = NULL, *logged = NULL, *rpcs = NULL;
	json_int_t dropped_pages = 0;
	int rc, died = 0;

	rc = unpack(&m, final, "its head", "{s:o, s:o, s:o, s:o, s?I, s?b, s?o, s?o, s?o, s?o}", "jobs", &jobs, "censored", &censored, "hung", &hung, "lag", &lag,
		    "dropped_pages", &dropped_pages, "worker_died", &died, "left", &left, "damage", &damage, "logged_ops",
		    &logged, "rpcs", &rpcs);
	if (rc < 0)
		return rc;
	rc = record_put(r, SAVE, err, "");
	if (rc < 0)
		return rc;
	rc = put_each(&m, jobs, "jobs", put_total);
	if (rc == 0)
		rc = put_each(&m, censored, "censored", put_censored);
	if (rc == 0)
		rc = put_each(&m, hung, "hung", put_hung);
	if (rc == 0)
		rc = put_each(&m, lag, "lag", put_lag);
	if (rc == 0)
		rc = put_leftovers(&m, dropped_pages, died, left, damage);
	if (rc == 0)
		rc = put_meta_json(&m, "logged_ops", logged);
	if (rc == 0)
		rc = put_meta_json(&m, "rpcs", rpcs);
	if (rc == 0)
		rc = put_by_job(&m, jobs, "engines", engine_of);
	if (rc == 0)
		rc = put_by_job(&m, jobs, "retries", retries_of);
	return item_end(r, rc, err);
}
