/* SPDX-License-Identifier: MIT */
/*
 * fixture.c - see fixture.h.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "fixture.h"

#define AHEAD_NS (20 * NS_PER_MS)
#define INTERVAL_NS (50 * NS_PER_MS)

void fixture_init(struct fixture *f)
{
	struct job *j = &f->profile.jobs[0];

	memset(f, 0, sizeof *f);
	f->profile.jobs_nr = f->plan.jobs_nr = f->plan.hosts_nr = 1;
	f->profile.dataset = (struct dataset_spec){ .sites = 2, .files_per_site = 5, .depth = 2, .size_bytes = 4096 };
	(void)snprintf(j->name, sizeof j->name, "job");
	(void)snprintf(j->engine, sizeof j->engine, "null");
	j->mix[OP_READ] = 1;
	j->verify = true;
	j->slots = 8;
	j->queue_max = 1000;
	f->plan.profile = &f->profile;
	f->plan.host = "here";
	f->plan.dir = "/nonexistent";
	f->plan.seed = 1;
	f->plan.jobs[0].phases = 1;
	fixture_rate(f, ARRIVAL_CONSTANT, 1000);
	fixture_phase(f, 0, "all", 0, 200 * NS_PER_MS);
}

void fixture_build(struct fixture *f)
{
	int rc;

	(void)snprintf(f->dir, sizeof f->dir, "/tmp/squall-test-XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	rc = dataset_build(f->dir, &f->profile.dataset, f->plan.seed, DATASET_WHOLE, 0, NULL, &f->err);
	cr_assert_eq(rc, 0, "%s", f->err.text);
	f->plan.dir = f->dir;
	(void)snprintf(f->profile.jobs[0].engine, sizeof f->profile.jobs[0].engine, "sync");
}

struct rate per_s(double value)
{
	return (struct rate){ RATE_ABSOLUTE, value };
}

void fixture_timeline(struct fixture *f, bool random, unsigned int pieces_nr)
{
	f->profile.jobs[0].arrival = (struct arrival){ .kind = ARRIVAL_STEP, .random = random, .pieces = f->pieces, .pieces_nr = pieces_nr };
}

void fixture_rate(struct fixture *f, enum arrival_kind kind, double rate)
{
	f->pieces[0] = (struct rate_piece){ .from = per_s(rate), .to = per_s(rate) };
	fixture_timeline(f, kind == ARRIVAL_POISSON, kind == ARRIVAL_CLOSED ? 0 : 1);
	f->profile.jobs[0].arrival.kind = kind;
}

void fixture_phase(struct fixture *f, unsigned int idx, const char *name, uint64_t start_ns, uint64_t end_ns)
{
	struct load_phase *p = &f->plan.phases[idx];

	*p = (struct load_phase){ .start_ns = start_ns, .end_ns = end_ns };
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	if (f->plan.phases_nr <= idx)
		f->plan.phases_nr = idx + 1;
}

void fixture_wait(uint64_t at_ns)
{
	clock_sleep_until_ns(at_ns);
}

void fixture_start(struct fixture *f)
{
	int rc = load_new(&f->plan, &f->load, &f->err);

	cr_assert_eq(rc, 0, "%s", f->err.text);
	f->response = hist_new();
	f->service = hist_new();
	f->ops = json_object();
	f->logged = json_array();
	f->t0_ns = clock_mono_ns() + AHEAD_NS;
	rc = load_start(f->load, f->t0_ns, &f->err);
	cr_assert_eq(rc, 0, "%s", f->err.text);
}

static void merge(struct hist *into, const json_t *text)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	int rc = base64_decode(json_string_value(text), &bytes, &size);

	cr_assert_eq(rc, 0);
	rc = hist_decode_merge(into, bytes, size);
	cr_assert_eq(rc, 0);
	free(bytes);
}

static void add_number(json_t *to, const char *key, uint64_t n)
{
	json_t *have = json_object_get(to, key);

	json_object_set_new(to, key, json_integer(json_integer_value(have) + (json_int_t)n));
}

static void add_hist(struct fixture *f, const json_t *h)
{
	const char *op = json_string_value(json_object_get(h, "op")), *phase = json_string_value(json_object_get(h, "phase")), *error;
	struct hist *response = hist_new(), *service = hist_new();
	json_t *sum, *value;
	char key[128];

	(void)snprintf(key, sizeof key, "%s/%s", op, phase);
	sum = json_object_get(f->ops, key);
	if (!sum) {
		sum = json_object();
		json_object_set_new(f->ops, key, sum);
	}
	add_number(sum, "ok", json_u64(h, "ok"));
	add_number(sum, "unknown", json_u64(h, "unknown"));
	json_object_foreach(json_object_get(h, "errors"), error, value)
		add_number(sum, error, (uint64_t)json_integer_value(value));
	merge(response, json_object_get(h, "response"));
	merge(service, json_object_get(h, "service"));
	cr_assert_eq(response->count, json_u64(h, "ok") + json_errors(h), "%s: a histogram of %lu for %lu ops", key, response->count,
		     json_u64(h, "ok") + json_errors(h));
	cr_assert_eq(service->count, response->count);
	if (op[0] == '\0') {
		hist_merge(f->response, response);
		hist_merge(f->service, service);
	}
	free(response);
	free(service);
}

static void add_interval(struct fixture *f, const json_t *interval)
{
	const json_t *jobs = json_object_get(interval, "jobs"), *pages = json_object_get(interval, "pages");

	json_array_extend(f->logged, json_object_get(interval, "ops"));
	for (size_t j = 0; j < json_array_size(jobs); j++) {
		const json_t *job = json_array_get(jobs, j), *hists = json_object_get(job, "hists");

		cr_assert_eq(json_u64(job, "due"), json_u64(job, "ok") + json_errors(job) + json_u64(job, "unknown") + json_u64(job, "in_flight") +
			     json_u64(job, "waiting") + json_u64(job, "not_issued"));
		cr_assert_eq(json_u64(job, "issued"), json_u64(job, "ok") + json_errors(job) + json_u64(job, "unknown") + json_u64(job, "in_flight"));
		for (size_t i = 0; j == 0 && i < json_array_size(hists); i++)
			add_hist(f, json_array_get(hists, i));
	}
	for (size_t i = 0; i < json_array_size(pages); i++) {
		const char *outcome = json_string_value(json_array_get(json_array_get(pages, i), 4));

		f->pages_nr[strcmp(outcome, "ok") == 0 ? 0 : strcmp(outcome, "unknown") == 0 ? 1 : 2]++;
	}
	f->intervals_nr++;
}

const json_t *fixture_interval(struct fixture *f)
{
	json_t *interval = load_interval(f->load);

	cr_assert_not_null(interval);
	add_interval(f, interval);
	json_object_set_new(f->ops, "last interval", interval);
	return interval;
}

void fixture_watch(struct fixture *f, uint64_t until_ns)
{
	for (uint64_t at = f->t0_ns; at < f->t0_ns + until_ns; at += INTERVAL_NS) {
		if (at + INTERVAL_NS < clock_mono_ns())
			continue;
		fixture_wait(at + INTERVAL_NS < f->t0_ns + until_ns ? at + INTERVAL_NS : f->t0_ns + until_ns);
		(void)fixture_interval(f);
	}
}

void fixture_finish(struct fixture *f, uint64_t grace_ns)
{
	uint64_t until = clock_mono_ns() + grace_ns, waiting;

	load_stop(f->load);
	do {
		waiting = json_u64(json_array_get(json_object_get(fixture_interval(f), "jobs"), 0), "waiting");
		fixture_wait(clock_mono_ns() + NS_PER_MS);
	} while ((waiting > 0 || load_in_flight(f->load) > 0) && clock_mono_ns() < until);
	f->final = load_final(f->load);
	cr_assert_not_null(f->final);
	add_interval(f, json_object_get(f->final, "interval"));
}

void fixture_run(struct fixture *f, uint64_t grace_ns)
{
	fixture_start(f);
	fixture_watch(f, f->plan.phases[f->plan.phases_nr - 1].end_ns);
	fixture_finish(f, grace_ns);
}

void fixture_release(struct fixture *f)
{
	load_free(f->load);
	json_decref(f->final);
	json_decref(f->ops);
	json_decref(f->logged);
	free(f->response);
	free(f->service);
	if (f->dir[0])
		cr_assert_eq(file_remove_tree(f->dir, &f->err), 0, "%s", f->err.text);
}

static const json_t *the_job(const struct fixture *f)
{
	return json_array_get(json_object_get(f->final, "jobs"), 0);
}

uint64_t fixture_count(const struct fixture *f, const char *what)
{
	return strcmp(what, "errors") == 0 ? json_errors(the_job(f)) : json_u64(the_job(f), what);
}

uint64_t fixture_attempts(const struct fixture *f, const char *what)
{
	const json_t *phases = json_object_get(the_job(f), "retry");
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(phases); i++)
		sum += json_u64(json_array_get(phases, i), what);
	return sum;
}

uint64_t fixture_op(const struct fixture *f, const char *op, const char *phase, const char *what)
{
	char key[128];

	(void)snprintf(key, sizeof key, "%s/%s", op, phase);
	return (uint64_t)json_integer_value(json_object_get(json_object_get(f->ops, key), what));
}

struct hist *fixture_ages(const struct fixture *f, const char *kind)
{
	const json_t *list = json_object_get(f->final, "censored");
	struct hist *h = hist_new();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *c = json_array_get(list, i);

		if (strcmp(json_string_value(json_object_get(c, "kind")), kind) == 0 && json_string_value(json_object_get(c, "op"))[0] == '\0')
			merge(h, json_object_get(c, "ages"));
	}
	return h;
}

uint64_t fixture_lag(const struct fixture *f, const char *phase, const char *what)
{
	const json_t *list = json_object_get(f->final, "lag");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "phase")), phase) == 0)
			return json_u64(json_array_get(list, i), what);
	cr_assert_fail("there is no phase %s", phase);
	return 0;
}
