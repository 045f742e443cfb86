/* SPDX-License-Identifier: MIT */
/*
 * dry_run.c - `--dry-run`: what a run would do, for whoever has to answer for it, before the effective profile.
 *
 * The plan is written as comments of YAML, so that the whole is a profile that runs as it was printed. Instants count from the start of the load:
 * calibration comes before it. What is relative to a capacity that nobody has measured is not put into figures.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "chaos.h"
#include "err.h"
#include "fleet.h"
#include "run.h"
#include "units.h"

#define PIECES_SHOWN 8

/* Each job whose rate is relative, one after the other. */
static uint64_t calibration_of(const struct profile *p, unsigned int *ret_jobs)
{
	*ret_jobs = 0;
	for (unsigned int i = 0; i < p->jobs_nr; i++)
		*ret_jobs += arrival_needs_capacity(&p->jobs[i].arrival);
	return *ret_jobs * calibrate_each_ns(p);
}

static void print_length(FILE *f, const struct profile *p)
{
	unsigned int jobs;
	uint64_t load_ns = profile_phase_start(p, p->phases_nr), calibrate_ns = calibration_of(p, &jobs);
	char load[32], each[32], max[32];

	fprintf(f, "length:  %s of load", units_exact_ns(load_ns, load, sizeof load));
	if (jobs > 0)
		fprintf(f, ", after %s in which capacity is measured (%u job%s, one after the other) and the storage comes to rest", units_exact_ns(calibrate_ns, each, sizeof each), jobs,
			jobs == 1 ? "" : "s");
	fprintf(f, "; %s at the most (guards.max_run)\n", units_exact_ns(p->max_run_ns, max, sizeof max));
}

static void print_fleet(FILE *f, const struct run *run)
{
	fprintf(f, "where:   the hosts of the fleet in %s, over the broker at %s:", run->fleet->dir, run->fleet->url);
	for (int i = 0; i < run->fleet->agents_nr; i++)
		fprintf(f, "%s %s", i > 0 ? "," : "", run->fleet->agent[i]);
	fputs("; each does what its agent's roles say\n", f);
}

static void print_where(FILE *f, const struct run *run)
{
	const struct profile *p = &run->profile;
	const struct run_options *o = run->options;
	const struct dataset_spec *d = &p->dataset;
	const char *who_builds = p->read_only ? "it must be there, and nothing is written to it (guards.read_only)" :
				 run->fleet ? "it must be there" : "built when it is not there";

	if (strcmp(o->on, "lab") == 0)
		fprintf(f, "where:   the VM lab: storage nodes store-a and store-b, %u client%s, %u nfsd threads, %s; nothing outside of the guests is touched\n",
			p->lab.clients, p->lab.clients == 1 ? "" : "s", p->lab.nfsd_threads, p->lab.filesystem);
	else if (run->fleet)
		print_fleet(f, run);
	else
		fprintf(f, "where:   this host (%s): it raises the load%s\n", o->on, p->faults_nr > 0 ? ", and the faults are injected INTO IT" : "");
	fprintf(f, "dataset: %u sites with %u files each, %s%" PRIu64 " bytes a file; %s%s\n", d->sites, d->files_per_site,
		d->lognormal ? "log-normal sizes up to " : "", d->size_bytes,
		who_builds, p->cold ? "; before the load all hosts drop their caches" : "");
	fprintf(f, "record:  %s/%s/UTC-%" PRIu64 "\n", o->out, p->name, p->seed);
}

static void print_phases(FILE *f, const struct profile *p)
{
	char from[32], to[32];

	fputs("phases, from the start of the load:\n", f);
	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (!p->phases[i].calibrate)
			fprintf(f, "  %-12s %s to %s\n", p->phases[i].name, units_exact_ns(profile_phase_start(p, i), from, sizeof from),
				units_exact_ns(profile_phase_start(p, i + 1), to, sizeof to));
}

static void print_ops(FILE *f, const struct job *j)
{
	bool first = true;

	if (j->is_page)
		fprintf(f, "pages of %u ops", j->page_nr);
	else
		fputs("single ops:", f);
	for (unsigned int k = 0; !j->is_page && k < OP_NR; k++)
		if (j->mix[k] > 0) {
			fprintf(f, "%s %s %u", first ? "" : ",", op_kind_names[k], j->mix[k]);
			first = false;
		}
}

/* The sum that "3x baseline" is of, when nothing of it has to be measured. @return whether it is known */
static bool baseline_of(const struct profile *p, double *ret_per_s)
{
	static const double not_measured[JOBS_MAX];

	for (unsigned int i = 0; i < p->jobs_nr; i++)
		if (is_in_baseline(p, &p->jobs[i]) && arrival_needs_capacity(&p->jobs[i].arrival))
			return false;
	*ret_per_s = baseline_per_s(p, not_measured);
	return true;
}

static const char *rate_text(const struct profile *p, const struct rate *rate, char *ret, size_t bytes)
{
	double baseline;

	if (rate->kind == RATE_ABSOLUTE)
		(void)snprintf(ret, bytes, "%g/s", rate->value);
	else if (rate->kind == RATE_CAPACITY)
		(void)snprintf(ret, bytes, "%g %% of capacity, measured first", 100 * rate->value);
	else if (baseline_of(p, &baseline))
		(void)snprintf(ret, bytes, "%gx baseline = %g/s", rate->value, rate->value * baseline);
	else
		(void)snprintf(ret, bytes, "%gx the baseline of all jobs, measured first", rate->value);
	return ret;
}

static bool is_level(const struct rate_piece *piece)
{
	return piece->from.kind == piece->to.kind && piece->from.value >= piece->to.value && piece->from.value <= piece->to.value;
}

static void print_timeline(FILE *f, const struct profile *p, const struct arrival *a)
{
	char from[80], to[80], time[32];

	for (unsigned int i = 0; i < a->pieces_nr && i < PIECES_SHOWN; i++) {
		const struct rate_piece *piece = &a->pieces[i];

		fprintf(f, "%s%s%s", i > 0 ? ", then " : "", is_level(piece) ? "" : "from ", rate_text(p, &piece->from, from, sizeof from));
		if (!is_level(piece))
			fprintf(f, " to %s", rate_text(p, &piece->to, to, sizeof to));
		if (piece->for_ns > 0)
			fprintf(f, " %s %s", is_level(piece) ? "for" : "within", units_exact_ns(piece->for_ns, time, sizeof time));
	}
	if (a->pieces_nr > PIECES_SHOWN)
		fprintf(f, ", and %u changes more", a->pieces_nr - PIECES_SHOWN);
	fputs(a->repeats ? ", again and again\n" : "\n", f);
}

/* Its timeline runs through its phases, the gaps between them left out. */
static void print_phases_of_job(FILE *f, const struct profile *p, const struct job *j)
{
	const char *sep = "    ";
	char think[32];

	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (j->phases & 1u << i) {
			fprintf(f, "%s%s", sep, p->phases[i].name);
			sep = ", ";
		}
	fputs(": ", f);
	if (j->arrival.kind == ARRIVAL_CLOSED)
		fprintf(f, "as fast as %u slots on each host go, think time %s\n", j->slots, units_exact_ns(j->arrival.think_ns, think, sizeof think));
	else
		print_timeline(f, p, &j->arrival);
}

static void print_patience(FILE *f, const struct job *j)
{
	char text[32];

	if (j->timeout_ns > 0)
		fprintf(f, "given up after %s\n", units_exact_ns(j->timeout_ns, text, sizeof text));
	else if (j->retry.tries == 0)
		fputs("never given up\n", f);
	else
		fprintf(f, "up to %u attempts, given up after", j->retry.tries);
	for (unsigned int i = 0; i < j->retry.tries; i++)
		fprintf(f, " %s%s", units_exact_ns(retry_wait_ns(&j->retry, i), text, sizeof text), i + 1 < j->retry.tries ? "," : "\n");
}

static void print_job(FILE *f, const struct profile *p, const struct job *j)
{
	const char *how = j->arrival.kind == ARRIVAL_CLOSED ? "closed loop: a slot waits for its op" : j->arrival.random ? "random (Poisson)" : "evenly spaced";

	if (j->trace.ops_nr > 0)
		how = "when and where the trace has them, here on the average";
	fprintf(f, "  %s: ", j->name);
	print_ops(f, j);
	fprintf(f, "; %s; engine %s%s, %u in flight on a host at the most, ", how, j->engine, j->direct ? " past the page cache" : "", j->slots);
	print_patience(f, j);
	print_phases_of_job(f, p, j);
}

static void print_instant(FILE *f, const struct when *when, uint64_t at)
{
	char text[32];

	fputs(when->name, f);
	if (when->offset_ns > 0)
		fprintf(f, "+%s", units_exact_ns(when->offset_ns, text, sizeof text));
	if (at == INSTANT_UNKNOWN)
		fputs(" (which never comes: these events wait for each other)", f);
	else
		fprintf(f, " (%s)", units_exact_ns(at, text, sizeof text));
}

static void print_when(FILE *f, const struct profile *p, const struct fault_plan *plan)
{
	uint64_t at, until;
	char text[32];

	schedule_planned(p, plan, &at, &until);
	fputs(plan->condition.text[0] != '\0' ? "    when:       from " : "    when:       at ", f);
	print_instant(f, &plan->at, at);
	if (plan->condition.text[0] != '\0')
		fprintf(f, " on, once it is true that %s", plan->condition.text);
	if (chaos_is_instant(plan->fault)) {
		fputs("; an instant\n", f);
		return;
	}
	if (plan->for_ns > 0) {
		fprintf(f, ", for %s", units_exact_ns(plan->for_ns, text, sizeof text));
	} else if (plan->until.name[0] != '\0') {
		fputs(" until ", f);
		print_instant(f, &plan->until, until);
	} else {
		fprintf(f, " until the end (%s)", units_exact_ns(until, text, sizeof text));
	}
	if (until != INSTANT_UNKNOWN && at != INSTANT_UNKNOWN && until <= at)
		fputs(": IT ENDS BEFORE IT BEGINS", f);
	else if (until != INSTANT_UNKNOWN && at != INSTANT_UNKNOWN && plan->for_ns == 0)
		fprintf(f, ": %s", units_exact_ns(until - at, text, sizeof text));
	fputc('\n', f);
}

static int print_fault(FILE *f, const struct run *run, unsigned int idx, struct err *err)
{
	const struct fault_plan *plan = &run->profile.faults[idx];
	json_t *e = NULL;
	int rc = chaos_explain(plan->fault, run->fault[idx].args, AGENT_LEASE_NS, run->profile.max_run_ns, &e, err);

	if (rc < 0)
		return rc;
	fprintf(f, "  %s: %s\n    host:       %s\n", plan->key, plan->fault, plan->on[0] != '\0' ? plan->on : "the DRBD primary of that moment");
	print_when(f, &run->profile, plan);
	if (json_string_length(json_object_get(e, "arguments")) > 0)
		fprintf(f, "    arguments:  %s\n", json_string_value(json_object_get(e, "arguments")));
	chaos_explain_print(e, "    ", f);
	json_decref(e);
	return 0;
}

static int print_faults(FILE *f, const struct run *run, struct err *err)
{
	int rc = 0;

	if (run->profile.faults_nr == 0) {
		fputs("faults:  none\n", f);
		return 0;
	}
	fputs("faults; capital letters stand for names that the host gives:\n", f);
	for (unsigned int i = 0; i < run->profile.faults_nr && rc == 0; i++)
		rc = print_fault(f, run, i, err);
	return rc;
}

static void print_end(FILE *f, const struct profile *p)
{
	if (p->guards_nr > 0)
		fputs("stopped early, with its faults healed, when one of these is true:\n", f);
	for (unsigned int i = 0; i < p->guards_nr; i++)
		fprintf(f, "  %s\n", p->guards[i].text);
	if (p->arms_nr > 0)
		fputs("arms, which squall reproduce runs too, each the same but for:\n", f);
	for (unsigned int i = 0; i < p->arms_nr; i++) {
		fprintf(f, "  %s:", p->arms[i].name);
		for (unsigned int k = 0; k < p->arms[i].set_nr; k++)
			fprintf(f, "%s %s", k ? "," : "", p->arms[i].set[k].text);
		fputc('\n', f);
	}
	fprintf(f, "expected: %s\n", verdict_names[p->expect]);
	if (p->signature_nr > 0)
		fputs("reproduced is a run in which all of these held:\n", f);
	for (unsigned int i = 0; i < p->signature_nr; i++)
		fprintf(f, "  %s: %s\n", p->signature[i].name, p->signature[i].text);
}

static int print_plan(FILE *f, const struct run *run, struct err *err)
{
	const struct profile *p = &run->profile;
	int rc;

	fprintf(f, "%s, seed %" PRIu64 ": what would be done. Nothing was done, and no host was asked.\n\n", p->name, p->seed);
	print_where(f, run);
	print_length(f, p);
	print_phases(f, p);
	fputs("load, of all hosts together:\n", f);
	for (unsigned int i = 0; i < p->jobs_nr; i++)
		print_job(f, p, &p->jobs[i]);
	rc = print_faults(f, run, err);
	print_end(f, p);
	return rc;
}

static json_t *instant_to_json(uint64_t at)
{
	return at == INSTANT_UNKNOWN ? json_null() : json_integer((json_int_t)at);
}

static json_t *job_to_json(const struct profile *p, const struct job *j)
{
	json_t *phases = json_array(), *rates = json_array();

	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (j->phases & 1u << i)
			(void)json_array_append_new(phases, json_string(p->phases[i].name));
	for (unsigned int i = 0; i < j->arrival.pieces_nr; i++) {
		const struct rate_piece *piece = &j->arrival.pieces[i];
		char from[80], to[80];

		(void)json_array_append_new(rates, json_pack("{s:s, s:s, s:I}", "from", rate_text(p, &piece->from, from, sizeof from), "to",
							     rate_text(p, &piece->to, to, sizeof to), "for_ns", (json_int_t)piece->for_ns));
	}
	return json_pack("{s:s, s:b, s:b, s:o, s:o}", "job", j->name, "closed", j->arrival.kind == ARRIVAL_CLOSED, "repeats", j->arrival.repeats, "phases", phases,
			 "rates", rates);
}

static int faults_to_json(const struct run *run, json_t *ret_faults, struct err *err)
{
	const struct profile *p = &run->profile;

	for (unsigned int i = 0; i < p->faults_nr; i++) {
		const struct fault_plan *plan = &p->faults[i];
		uint64_t at, until;
		json_t *e = NULL;
		int rc = chaos_explain(plan->fault, run->fault[i].args, AGENT_LEASE_NS, p->max_run_ns, &e, err);

		if (rc < 0)
			return rc;
		schedule_planned(p, plan, &at, &until);
		(void)json_object_set_new(e, "key", json_string(plan->key));
		(void)json_object_set_new(e, "host", json_string(plan->on));	/* "" = the DRBD primary of that moment */
		(void)json_object_set_new(e, "at_ns", instant_to_json(at));
		(void)json_object_set_new(e, "when", json_string(plan->condition.text));	/* "" = at that instant, else the first second from it on */
		(void)json_object_set_new(e, "until_ns", instant_to_json(until));
		(void)json_array_append_new(ret_faults, e);
	}
	return 0;
}

static int print_json(const struct run *run, const char *effective, struct err *err)
{
	const struct profile *p = &run->profile;
	json_t *phases = json_array(), *jobs = json_array(), *faults = json_array(), *all;
	unsigned int calibrated;
	int rc = faults_to_json(run, faults, err);

	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (!p->phases[i].calibrate)
			(void)json_array_append_new(phases, json_pack("{s:s, s:I, s:I}", "phase", p->phases[i].name, "start_ns",
								      (json_int_t)profile_phase_start(p, i), "end_ns", (json_int_t)profile_phase_start(p, i + 1)));
	for (unsigned int i = 0; i < p->jobs_nr; i++)
		(void)json_array_append_new(jobs, job_to_json(p, &p->jobs[i]));
	all = json_pack("{s:i, s:s, s:I, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:s, s:s}", "schema", 1, "profile", p->name, "seed", (json_int_t)p->seed, "on",
			run->options->on, "load_ns", (json_int_t)profile_phase_start(p, p->phases_nr), "calibrate_ns", (json_int_t)calibration_of(p, &calibrated),
			"max_run_ns", (json_int_t)p->max_run_ns, "phases", phases, "jobs", jobs, "faults", faults, "expect", verdict_names[p->expect],
			"effective", effective);
	if (rc == 0)
		rc = !all ? err_set(err, -ENOMEM, "run: no memory") :
			    json_dumpf(all, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF ? err_set(err, -EIO, "stdout could not be written") : 0;
	json_decref(all);
	return rc;
}

static void print_as_comment(char *text)
{
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = '\0';
		printf("#%s%s\n", *line ? " " : "", line);
		line = end;
	}
	puts("#");
}

int run_check_arm(const struct run_options *options, const struct arm *arm, struct err *err)
{
	struct run *run = calloc(1, sizeof *run);
	struct run_options changed = *options;
	int rc;

	if (!run)
		return err_set(err, -ENOMEM, "run: no memory");
	run_options_add_arm(&changed, arm);
	run->options = &changed;
	rc = profile_load(changed.profile, changed.sets, &run->profile, err);
	if (rc == 0)
		rc = schedule_check(run, err);
	if (rc == 0)
		rc = hosts_check(run, err);
	schedule_free(run);
	profile_release(&run->profile);
	free(run->fleet);
	free(run);
	return rc < 0 ? err_prefix(err, rc, "arm %s", arm->name) : 0;
}

int run_dry(const struct run_options *options, struct err *err)
{
	struct run *run = calloc(1, sizeof *run);
	char *plan = NULL, *profile = NULL;
	size_t bytes;
	FILE *f;
	int rc;

	if (!run)
		return err_set(err, -ENOMEM, "run: no memory");
	run->options = options;
	rc = profile_load(options->profile, options->sets, &run->profile, err);
	if (rc == 0)
		rc = schedule_check(run, err);
	if (rc == 0)
		rc = hosts_check(run, err);
	for (unsigned int i = 0; i < run->profile.arms_nr && rc == 0; i++)
		rc = run_check_arm(options, &run->profile.arms[i], err);
	if (rc == 0)
		rc = profile_print(&run->profile, &profile);
	if (rc == 0 && options->json)
		rc = print_json(run, profile, err);
	if (rc < 0 || options->json)
		goto out;
	f = open_memstream(&plan, &bytes);
	rc = f ? print_plan(f, run, err) : -ENOMEM;
	if (f && fclose(f) != 0)
		rc = -ENOMEM;
	if (rc == 0) {
		print_as_comment(plan);
		fputs(profile, stdout);
	}
out:
	schedule_free(run);
	profile_release(&run->profile);
	free(profile);
	free(plan);
	free(run->fleet);
	free(run);
	return rc;
}
