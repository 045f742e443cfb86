/* SPDX-License-Identifier: MIT */
/*
 * calibrate.c - what the system carries, measured before the run, and the rates that follow from it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "run.h"

#define CALIBRATE_SLOTS 8
#define CALIBRATE_NS (5 * NS_PER_S)	/* when the profile has no phase of this name */
#define START_AHEAD_NS (NS_PER_S / 2)
#define SETTLED_NS (10 * NS_PER_S)
#define SETTLE_MAX_NS (60 * NS_PER_S)

static bool all_final(struct run *run, void *arg)
{
	(void)arg;
	for (int i = 0; i < run->hosts_nr; i++)
		if (host_has(&run->host[i], "load") && run->host[i].connected && !run->host[i].has_final)
			return false;
	return true;
}

int run_load_start(struct run *run, const struct load_plan *plan, struct err *err)
{
	json_t *json = load_plan_to_json(plan);
	int rc = run_ask_all(run, "load", "load", json_pack("{s:o}", "plan", json), 60 * NS_PER_S, err);

	if (rc < 0)
		return rc;
	run->t0_ns = clock_mono_ns() + START_AHEAD_NS;
	for (int i = 0; i < run->hosts_nr; i++) {
		run->host[i].has_final = false;
		run->host[i].start_offset_ns = run->host[i].offset_ns;
	}
	return run_ask_all(run, "load", "start", json_pack("{s:I}", "t0_ns", (json_int_t)run->t0_ns), 10 * NS_PER_S, err);
}

int run_load_stop(struct run *run, struct err *err)
{
	const volatile sig_atomic_t *signal = run->stop_signal;
	int rc;

	for (int i = 0; i < run->hosts_nr; i++)
		if (host_has(&run->host[i], "load"))
			(void)bus_send(run->bus, run->host[i].name, "stop", NULL);
	run->stop_signal = NULL;	/* what was measured is collected, also after Ctrl-C */
	rc = run_pump(run, all_final, NULL, clock_mono_ns() + 10 * NS_PER_S, err);
	run->stop_signal = signal;
	return rc < 0 ? rc : 0;
}

static double done_of(const json_t *final, const char *job)
{
	size_t i;
	const json_t *j;

	json_array_foreach(json_object_get(final, "jobs"), i, j)
		if (strcmp(json_string_value(json_object_get(j, "job")), job) == 0)
			return (double)json_integer_value(json_object_get(j, "ok"));
	return 0;
}

static int measure(struct run *run, unsigned int job, uint64_t for_ns, struct err *err)
{
	struct load_plan plan = { .seed = run->profile.seed, .jobs_nr = 1, .phases_nr = 1 };
	char key[NAME_BYTES + 16];
	double done = 0;
	int rc;

	plan.jobs[0] = (struct load_job){ .job_idx = job, .closed = true, .slots = CALIBRATE_SLOTS, .phases = 1 };
	plan.phases[0] = (struct load_phase){ .name = "calibrate", .end_ns = for_ns };
	progress_say(run, "calibrate: %s, %.0f s", run->profile.jobs[job].name, (double)for_ns / 1e9);
	rc = run_load_start(run, &plan, err);
	if (rc < 0)
		return rc;
	rc = run_pump(run, NULL, NULL, run->t0_ns + for_ns, err);
	if (rc < 0)
		return rc;
	rc = run_load_stop(run, err);
	for (int i = 0; i < run->hosts_nr; i++)
		done += done_of(run->host[i].last, run->profile.jobs[job].name);
	run->capacity[job] = done / ((double)for_ns / 1e9);
	if (rc == 0 && done == 0)
		return err_set(err, -EIO, "calibrate: not one %s of '%s' was done in %.0f s", run->profile.jobs[job].is_page ? "page" : "op",
			       run->profile.jobs[job].name, (double)for_ns / 1e9);
	(void)snprintf(key, sizeof key, "capacity.%s", run->profile.jobs[job].name);
	(void)record_meta_double(run->record, key, run->capacity[job], NULL);
	progress_say(run, "calibrate: %s carries %.0f/s", run->profile.jobs[job].name, run->capacity[job]);
	return rc;
}

uint64_t calibrate_each_ns(const struct profile *p)
{
	uint64_t for_ns = CALIBRATE_NS;

	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (p->phases[i].calibrate)
			for_ns = p->phases[i].for_ns;
	return for_ns;
}

static bool is_settled(struct run *run, void *arg)
{
	(void)arg;
	return clock_mono_ns() >= run->storage_busy_ns + SETTLED_NS;
}

/*
 * What calibration has written reaches the disks some seconds later: xfs pushes its log every 30 s, the kernel dirty pages every 5 s. The baseline
 * shall not begin with it, so T0 waits until DRBD has had no slow request for ten seconds. Where its requests are not measured, nothing would
 * tell.
 */
static int settle(struct run *run, struct err *err)
{
	uint64_t begin_ns = clock_mono_ns();
	int rc;

	if (run->oldest_request_ns < 0)
		return 0;
	progress_say(run, "calibrate: until DRBD has had no request older than %.0f ms for %.0f s", (double)STORAGE_BUSY_NS / NS_PER_MS, (double)SETTLED_NS / NS_PER_S);
	run->storage_busy_ns = begin_ns;
	rc = run_pump(run, is_settled, NULL, begin_ns + SETTLE_MAX_NS, err);
	if (rc == 0)
		progress_say(run, "calibrate: after %.0f s DRBD still has slow requests; the baseline shows them", (double)SETTLE_MAX_NS / NS_PER_S);
	(void)record_meta_double(run->record, "settle_ns", (double)(clock_mono_ns() - begin_ns), NULL);
	return rc < 0 ? rc : 0;
}

int run_calibrate(struct run *run, struct err *err)
{
	uint64_t for_ns = calibrate_each_ns(&run->profile);
	int rc = 0;

	run->calibrating = true;
	for (unsigned int i = 0; i < run->profile.jobs_nr && rc >= 0; i++)
		if (arrival_needs_capacity(&run->profile.jobs[i].arrival))
			rc = measure(run, i, for_ns, err);
	if (rc >= 0)
		rc = settle(run, err);
	run->calibrating = false;
	run->t0_ns = 0;
	return rc;
}

/* The plan's phases are the profile's but for calibration: bit i of a job moves down accordingly. */
static unsigned int plan_phases(struct run *run)
{
	uint64_t at = 0;
	unsigned int skipped = 0;

	run->plan.phases_nr = 0;
	for (unsigned int i = 0; i < run->profile.phases_nr; i++) {
		const struct phase *p = &run->profile.phases[i];
		struct load_phase *to = &run->plan.phases[run->plan.phases_nr];

		if (p->calibrate) {
			skipped |= 1u << i;
			continue;
		}
		memcpy(to->name, p->name, sizeof to->name);
		to->start_ns = at;
		at += p->for_ns;
		to->end_ns = at;
		run->plan.phases_nr++;
	}
	return skipped;
}

static unsigned int without(unsigned int bits, unsigned int skipped)
{
	unsigned int out = 0, to = 0;

	for (unsigned int i = 0; i < PHASES_MAX; i++)
		if (!(skipped & (1u << i))) {
			if (bits & (1u << i))
				out |= 1u << to;
			to++;
		}
	return out;
}

bool is_in_baseline(const struct profile *p, const struct job *j)
{
	unsigned int first = 0;

	while (first + 1 < p->phases_nr && p->phases[first].calibrate)
		first++;
	return j->phases & 1u << first;
}

double baseline_per_s(const struct profile *p, const double capacity_per_s[])
{
	double sum = 0;

	for (unsigned int i = 0; i < p->jobs_nr; i++)
		if (is_in_baseline(p, &p->jobs[i]))
			sum += arrival_baseline_per_s(&p->jobs[i].arrival, capacity_per_s[i]);
	return sum;
}

int run_resolve(struct run *run, struct err *err)
{
	unsigned int skipped = plan_phases(run);
	double baseline = baseline_per_s(&run->profile, run->capacity);

	run->plan.seed = run->profile.seed;
	run->plan.jobs_nr = run->profile.jobs_nr;
	for (unsigned int i = 0; i < run->profile.jobs_nr; i++) {
		const struct job *j = &run->profile.jobs[i];
		struct load_job *to = &run->plan.jobs[i];
		double peak = arrival_peak_per_s(&j->arrival, run->capacity[i], baseline);
		char key[NAME_BYTES + 16];

		*to = (struct load_job){ .job_idx = i, .closed = j->arrival.kind == ARRIVAL_CLOSED, .capacity_per_s = run->capacity[i],
					 .baseline_per_s = baseline, .phases = without(j->phases, skipped) };
		if (!to->closed && peak <= 0)
			return err_set(err, -EINVAL, "%s:%u: the rate of '%s' comes to nothing", run->profile.file, j->line, j->name);
		(void)snprintf(key, sizeof key, "rate.%s", j->name);
		(void)record_meta_double(run->record, key, peak, NULL);
	}
	(void)record_meta_double(run->record, "baseline", baseline, NULL);
	return 0;
}
