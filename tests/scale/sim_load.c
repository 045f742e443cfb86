/* SPDX-License-Identifier: MIT */
/*
 * sim_load.c - load.h without workers and without storage: the arrivals of the plan, each done when it is due and sim_latency_ns() has passed.
 *
 * What an agent says of it has the shape and the size of the real thing, so that its coordinator has as much to do. Of open-loop jobs with one op in their
 * mix; of all others load_begin() is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../loadgen/arrivals.h"
#include "../../loadgen/as_json.h"
#include "clock.h"
#include "err.h"
#include "hist.h"
#include "load.h"

#include "sim_load.h"

struct sim_job {
	struct arrivals arrivals;
	struct curve_piece *room;
	const struct job *job;
	uint64_t due, ok;
	uint64_t phase_ok[PHASES_MAX];	/* of the interval under way */
	struct hist *response[PHASES_MAX];
};

struct load {
	struct load_plan plan;
	uint64_t t0_ns, last_end_ns;
	bool stopped;
	struct sim_job job[JOBS_MAX];
};

uint64_t sim_latency_ns(uint64_t index)
{
	return NS_PER_MS + index % 1000 * NS_PER_US;
}

/* The name of the job's one op. */
static const char *op_of(const struct job *job)
{
	for (int op = 0; op < OP_NR; op++)
		if (job->mix[op] > 0)
			return op_kind_names[op];
	return "";
}

static int check(const struct job *job, const struct load_job *planned, struct err *err)
{
	int ops = 0;

	for (int op = 0; op < OP_NR; op++)
		ops += job->mix[op] > 0;
	if (planned->closed || job->is_page || ops != 1 || job->arrival.kind == ARRIVAL_CLOSED)
		return err_set(err, -EINVAL, "job '%s': only an open-loop job with one op is simulated", job->name);
	return 0;
}

int load_begin(const struct load_plan *plan, struct load **ret_load, struct err *err)
{
	struct load *load = calloc(1, sizeof *load);
	int rc = load ? 0 : err_set(err, -ENOMEM, "no memory");

	if (rc == 0)
		load->plan = *plan;
	for (unsigned int i = 0; i < plan->jobs_nr && rc == 0; i++) {
		struct sim_job *sim = &load->job[i];

		sim->job = &plan->profile->jobs[plan->jobs[i].job_idx];
		rc = check(sim->job, &plan->jobs[i], err);
		if (rc == 0)
			sim->room = calloc(sim->job->arrival.pieces_nr, sizeof *sim->room);
		if (rc == 0 && !sim->room)
			rc = err_set(err, -ENOMEM, "no memory");
		if (rc == 0)
			arrivals_init(&sim->arrivals, &load->plan, &load->plan.jobs[i], sim->room);
		for (unsigned int p = 0; p < plan->phases_nr && rc == 0; p++) {
			sim->response[p] = hist_new();
			rc = sim->response[p] ? 0 : err_set(err, -ENOMEM, "no memory");
		}
	}
	if (rc < 0)
		load_free(load);
	else
		*ret_load = load;
	return rc;
}

int load_ready_fd(const struct load *load)
{
	(void)load;
	return -1;
}

int load_ready(struct load *load, struct err *err)
{
	(void)load;
	(void)err;
	return 1;
}

json_t *load_notes(const struct load *load)
{
	(void)load;
	return json_array();
}

int load_start(struct load *load, uint64_t t0_ns, struct err *err)
{
	(void)err;
	load->t0_ns = t0_ns;
	return 0;
}

/* Now, since T0; before it 0. */
static uint64_t now_of(const struct load *load)
{
	uint64_t now = clock_mono_ns();

	return now > load->t0_ns ? now - load->t0_ns : 0;
}

/* What is done by then. An op after one that is not done yet waits with it: latencies differ by less than two arrivals of a host lie apart. */
static void go_on(struct sim_job *sim, uint64_t end_ns)
{
	while (!sim->arrivals.ended && sim->arrivals.ahead.due_ns + sim_latency_ns(sim->arrivals.ahead.index) <= end_ns) {
		struct arrival_due d = arrivals_next(&sim->arrivals);

		hist_add(sim->response[d.phase], sim_latency_ns(d.index));
		sim->phase_ok[d.phase]++;
		sim->due++;
		sim->ok++;
	}
}

/* The op, and the job, which is the same. */
static void add_hists(const struct load *load, struct sim_job *sim, unsigned int phase, json_t *list)
{
	const char *const names[] = { op_of(sim->job), "" };
	json_t *hist = hist_to_json(sim->response[phase]);

	for (size_t i = 0; i < sizeof names / sizeof *names && sim->phase_ok[phase] > 0; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:{}, s:I, s:O, s:O}", "op", names[i], "phase", load->plan.phases[phase].name, "ok",
						      (json_int_t)sim->phase_ok[phase], "errors", "unknown", (json_int_t)0, "response", hist, "service", hist));
	json_decref(hist);
	hist_clear(sim->response[phase]);
	sim->phase_ok[phase] = 0;
}

static json_t *interval(struct load *load, uint64_t end_ns)
{
	json_t *jobs = json_array();
	uint64_t second = load->last_end_ns / NS_PER_S;

	for (unsigned int i = 0; i < load->plan.jobs_nr; i++) {
		struct sim_job *sim = &load->job[i];
		json_t *hists = json_array();

		if (!load->stopped)
			go_on(sim, end_ns);
		for (unsigned int p = 0; p < load->plan.phases_nr; p++)
			add_hists(load, sim, p, hists);
		json_array_append_new(jobs, json_pack("{s:s, s:I, s:I, s:I, s:{}, s:I, s:I, s:I, s:I, s:I, s:o}", "job", sim->job->name, "due", (json_int_t)sim->due,
						      "issued", (json_int_t)sim->due, "ok", (json_int_t)sim->ok, "errors", "unknown", (json_int_t)0, "in_flight",
						      (json_int_t)0, "waiting", (json_int_t)0, "not_issued", (json_int_t)0, "oldest_ns", (json_int_t)0, "hists", hists));
	}
	load->last_end_ns = end_ns;
	return json_pack("{s:I, s:I, s:o, s:[], s:[]}", "second", (json_int_t)second, "end_ns", (json_int_t)end_ns, "jobs", jobs, "pages", "open");
}

json_t *load_interval(struct load *load)
{
	return interval(load, now_of(load));
}

/* What was due before the end of the plan is done, however early within its latency the stop came. */
void load_stop(struct load *load)
{
	for (unsigned int i = 0; i < load->plan.jobs_nr && !load->stopped; i++)
		go_on(&load->job[i], UINT64_MAX);
	load->stopped = true;
}

unsigned int load_in_flight(const struct load *load)
{
	(void)load;
	return 0;
}

json_t *load_final(struct load *load)
{
	json_t *jobs = json_array(), *lag = json_array();

	for (unsigned int i = 0; i < load->plan.jobs_nr; i++) {
		const struct sim_job *sim = &load->job[i];

		json_array_append_new(jobs, json_pack("{s:s, s:I, s:I, s:{}, s:I, s:I, s:I, s:s}", "job", sim->job->name, "due", (json_int_t)sim->due, "ok",
						      (json_int_t)sim->ok, "errors", "unknown", (json_int_t)0, "in_flight", (json_int_t)0, "not_issued", (json_int_t)0,
						      "engine", "null"));
	}
	for (unsigned int p = 0; p < load->plan.phases_nr; p++)
		json_array_append_new(lag, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "phase", load->plan.phases[p].name, "count", 1, "p99_ns", 1, "max_ns", 1,
						     "hiccup_p99_ns", 1, "hiccup_max_ns", 1));
	return json_pack("{s:o, s:[], s:[], s:o, s:i, s:b, s:[], s:o}", "jobs", jobs, "censored", "hung", "lag", lag, "dropped_pages", 0, "worker_died", 0, "left",
			 "interval", interval(load, now_of(load)));
}

void load_free(struct load *load)
{
	if (!load)
		return;
	for (unsigned int i = 0; i < load->plan.jobs_nr; i++) {
		free(load->job[i].room);
		for (unsigned int p = 0; p < load->plan.phases_nr; p++)
			free(load->job[i].response[p]);
	}
	free(load);
}
