/* SPDX-License-Identifier: MIT */
/*
 * interval.c - what was done since the last time, as JSON.
 */
#include <string.h>

#include "as_json.h"
#include "clock.h"
#include "dataset.h"
#include "scratch.h"
#include "supervisor.h"

static void tally_add(struct tally *to, const struct tally *from)
{
	to->ok += from->ok;
	to->unknown += from->unknown;
	for (int e = 0; e < ERRNOS_NR; e++)
		to->error[e] += from->error[e];
}

static bool tally_equal(const struct tally *a, const struct tally *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* The buffers of a cell that were closed by the collection, of all shards, into `to`; and empty them. */
static void drain(const struct job_run *r, const struct job_state *st, uint32_t cell, bool service, struct hist *to)
{
	for (uint32_t i = 0; i < r->shards_nr; i++) {
		struct hist *h = live_hist(&r->shard[i], st->epoch, cell, service);

		if (h->count == 0)
			continue;
		hist_merge(to, h);
		hist_clear(h);
	}
}

static json_t *entry(const char *op, const char *phase, const struct tally *now, const struct tally *last, json_t *response, json_t *service)
{
	return json_pack("{s:s, s:s, s:I, s:o, s:I, s:o, s:o}", "op", op, "phase", phase, "ok", (json_int_t)(now->ok - last->ok), "errors",
			 errors_to_json(now->error, last->error), "unknown", (json_int_t)(now->unknown - last->unknown), "response", response,
			 "service", service);
}

/* One entry per op of a phase; of a mix also their sum, which is the job itself. */
static void phase_hists(struct load *load, const struct job_run *r, struct job_state *st, uint32_t phase, json_t *list)
{
	const char *name = load->plan.phases[phase].name;
	struct tally now = { .ok = 0 }, last = { .ok = 0 };
	json_t *sum[2] = { NULL, NULL }, *one[OP_NR + 1][2] = { { NULL } };

	for (int service = 0; service < 2; service++) {
		hist_clear(load->total);
		for (uint32_t op = 0; op < r->ops_nr; op++) {
			uint32_t cell = cell_of(r, op, phase);

			if (tally_equal(&st->now[cell], &st->last[cell]))
				continue;
			hist_clear(load->scratch);
			drain(r, st, cell, service, load->scratch);
			one[op][service] = hist_to_json(load->scratch);
			if (!r->job->is_page)
				hist_merge(load->total, load->scratch);
		}
		sum[service] = r->job->is_page ? NULL : hist_to_json(load->total);
	}
	for (uint32_t op = 0; op < r->ops_nr; op++) {
		uint32_t cell = cell_of(r, op, phase);
		int kind = r->op_kind[op];

		if (!r->job->is_page) {
			tally_add(&now, &st->now[cell]);
			tally_add(&last, &st->last[cell]);
		}
		if (!tally_equal(&st->now[cell], &st->last[cell]))
			json_array_append_new(list, entry(kind < 0 ? "" : op_kind_names[kind], name, &st->now[cell], &st->last[cell],
							  one[op][0], one[op][1]));
		st->last[cell] = st->now[cell];
	}
	if (!tally_equal(&now, &last)) {
		json_array_append_new(list, entry("", name, &now, &last, sum[0], sum[1]));
		return;
	}
	json_decref(sum[0]);
	json_decref(sum[1]);
}

static json_t *job_json(struct load *load, unsigned int idx)
{
	const struct job_run *r = &load->shared.run[idx];
	struct job_state *st = &load->state[idx];
	uint32_t ops_nr = r->job->is_page ? 1 : r->ops_nr;
	json_t *hists = json_array();
	struct tally all = { .ok = 0 };

	for (uint32_t p = 0; p < r->phases_nr && !st->stale; p++)
		phase_hists(load, r, st, p, hists);
	for (uint32_t c = 0; c < ops_nr * r->phases_nr; c++)
		tally_add(&all, &st->now[c]);
	return json_pack("{s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "job", r->job->name, "due", (json_int_t)st->due, "issued",
			 (json_int_t)(st->ok + st->errors + st->unknown + st->in_flight), "ok", (json_int_t)st->ok, "errors",
			 errors_to_json(all.error, NULL), "unknown", (json_int_t)st->unknown, "in_flight", (json_int_t)st->in_flight, "waiting",
			 (json_int_t)st->waiting, "not_issued", (json_int_t)st->not_issued, "oldest_ns", (json_int_t)st->oldest_ns, "hists",
			 hists);
}

/* @param name  room for it. @return "ok", "unknown" or the name of the error */
static const char *outcome_text(int32_t outcome, char name[static 16])
{
	if (outcome == 0 || outcome == PAGE_UNKNOWN)
		return outcome == 0 ? "ok" : "unknown";
	return errno_name(-outcome < ERRNOS_NR ? -outcome : 0, name, 16);
}

static void add_pages(struct load *load, unsigned int idx, json_t *pages)
{
	const struct job_run *r = &load->shared.run[idx];
	uint32_t epoch = load->state[idx].epoch;
	char name[16];

	for (uint32_t i = 0; i < r->shards_nr; i++) {
		struct shard *s = &r->shard[i];

		for (uint32_t n = 0; n < s->pages_nr[epoch]; n++) {
			const struct page *p = &s->pages[epoch][n];

			json_array_append_new(pages, json_pack("[i, i, I, I, s]", (int)r->job_idx, (int)p->site, (json_int_t)p->due_ns,
							       (json_int_t)p->done_ns, outcome_text(p->outcome, name)));
		}
		s->pages_nr[epoch] = 0;
	}
}

static void add_logged(struct load *load, unsigned int idx, json_t *ops)
{
	const struct job_run *r = &load->shared.run[idx];
	uint32_t epoch = load->state[idx].epoch;
	char path[DATASET_PATH_BYTES], name[16];

	for (uint32_t i = 0; i < r->shards_nr; i++) {
		struct shard *s = &r->shard[i];

		for (uint32_t n = 0; n < s->logged_nr[epoch]; n++) {
			const struct logged *o = &s->logged[epoch][n];

			op_path(&load->shared.control->spec, load->plan.host, &o->op, path);
			json_array_append_new(ops, json_pack("[i, s, s, I, I, I, s]", (int)r->job_idx, op_kind_names[o->op.kind], path, (json_int_t)o->due_ns,
							     (json_int_t)o->issued_ns, (json_int_t)o->done_ns, outcome_text(o->outcome, name)));
		}
		s->logged_nr[epoch] = 0;
	}
}

static void add_open(const struct load *load, unsigned int idx, json_t *open)
{
	const struct job_state *st = &load->state[idx];

	for (uint32_t s = 0; st->open_due && s < load->shared.control->spec.sites; s++)
		if (st->open_due[s] != UINT64_MAX)
			json_array_append_new(open, json_pack("[i, i, I]", (int)load->shared.run[idx].job_idx, (int)s,
							      (json_int_t)st->open_due[s]));
}

json_t *interval_json(struct load *load, uint64_t end_ns)
{
	json_t *jobs = json_array(), *pages = json_array(), *open = json_array(), *ops = json_array();
	uint64_t second = load->last_end_ns / NS_PER_S;

	for (unsigned int i = 0; i < load->shared.jobs_nr; i++) {
		json_array_append_new(jobs, job_json(load, i));
		if (!load->state[i].stale) {
			add_pages(load, i, pages);
			add_open(load, i, open);
			add_logged(load, i, ops);
		}
	}
	load->last_end_ns = end_ns;
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "second", (json_int_t)second, "end_ns", (json_int_t)end_ns, "jobs", jobs, "pages", pages,
			 "open", open, "ops", ops);
}

json_t *load_interval(struct load *load)
{
	for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
		(void)collect_job(load, i, false);
	return interval_json(load, load_now_ns(load));
}
