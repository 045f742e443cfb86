/* SPDX-License-Identifier: MIT */
/*
 * plan.c - a plan as it goes over the bus.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "load.h"

static json_t *job_to_json(const struct load_job *j)
{
	return json_pack("{s:i, s:b, s:i, s:f, s:f, s:i}", "job_idx", (int)j->job_idx, "closed", j->closed, "slots", (int)j->slots,
			 "capacity_per_s", j->capacity_per_s, "baseline_per_s", j->baseline_per_s, "phases", (int)j->phases);
}

static json_t *phase_to_json(const struct load_phase *p)
{
	return json_pack("{s:s, s:I, s:I}", "name", p->name, "start_ns", (json_int_t)p->start_ns, "end_ns", (json_int_t)p->end_ns);
}

json_t *load_plan_to_json(const struct load_plan *plan)
{
	json_t *jobs = json_array(), *phases = json_array();

	for (unsigned int i = 0; i < plan->jobs_nr; i++)
		json_array_append_new(jobs, job_to_json(&plan->jobs[i]));
	for (unsigned int i = 0; i < plan->phases_nr; i++)
		json_array_append_new(phases, phase_to_json(&plan->phases[i]));
	return json_pack("{s:i, s:i, s:I, s:o, s:o}", "host_idx", (int)plan->host_idx, "hosts_nr", (int)plan->hosts_nr, "seed",
			 (json_int_t)plan->seed, "jobs", jobs, "phases", phases);
}

static int job_from_json(json_t *json, struct load_job *ret)
{
	int idx, closed, slots, phases;
	double capacity, baseline;

	if (json_unpack(json, "{s:i, s:b, s:i, s:F, s:F, s:i}", "job_idx", &idx, "closed", &closed, "slots", &slots,
			"capacity_per_s", &capacity, "baseline_per_s", &baseline, "phases", &phases) < 0 ||
	    idx < 0 || idx >= JOBS_MAX || slots < 0 || slots > SLOTS_MAX || !(capacity >= 0) || !(baseline >= 0))
		return -EINVAL;
	*ret = (struct load_job){ .job_idx = (unsigned int)idx, .closed = closed, .slots = (unsigned int)slots,
				  .capacity_per_s = capacity, .baseline_per_s = baseline, .phases = (unsigned int)phases };
	return 0;
}

static int phase_from_json(json_t *json, struct load_phase *ret)
{
	json_int_t start, end;
	const char *name;

	if (json_unpack(json, "{s:s, s:I, s:I}", "name", &name, "start_ns", &start, "end_ns", &end) < 0 || start < 0 || end < start ||
	    strlen(name) >= sizeof ret->name)
		return -EINVAL;
	(void)snprintf(ret->name, sizeof ret->name, "%s", name);
	ret->start_ns = (uint64_t)start;
	ret->end_ns = (uint64_t)end;
	return 0;
}

int load_plan_from_json(const json_t *json, struct load_plan *ret, struct err *err)
{
	struct load_plan p = { .seed = 0 };
	json_t *jobs, *phases;
	int host_idx, hosts_nr;
	json_int_t seed;

	if (json_unpack((json_t *)json, "{s:i, s:i, s:I, s:o, s:o}", "host_idx", &host_idx, "hosts_nr", &hosts_nr, "seed", &seed, "jobs",
			&jobs, "phases", &phases) < 0 ||
	    host_idx < 0 || hosts_nr < 0 || json_array_size(jobs) > JOBS_MAX || json_array_size(phases) > PHASES_MAX)
		return err_set(err, -EINVAL, "load plan: a field is missing or out of range");
	p.host_idx = (unsigned int)host_idx;
	p.hosts_nr = (unsigned int)hosts_nr;
	p.seed = (uint64_t)seed;
	p.jobs_nr = (unsigned int)json_array_size(jobs);
	p.phases_nr = (unsigned int)json_array_size(phases);
	for (unsigned int i = 0; i < p.jobs_nr; i++)
		if (job_from_json(json_array_get(jobs, i), &p.jobs[i]) < 0)
			return err_set(err, -EINVAL, "load plan: job %u is malformed", i);
	for (unsigned int i = 0; i < p.phases_nr; i++)
		if (phase_from_json(json_array_get(phases, i), &p.phases[i]) < 0)
			return err_set(err, -EINVAL, "load plan: phase %u is malformed", i);
	*ret = p;
	return 0;
}
