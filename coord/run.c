/* SPDX-License-Identifier: MIT */
/*
 * run.c - a run from its profile to its verdict.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "hist.h"
#include "report.h"
#include "run.h"

#define HEAL_NS (60 * NS_PER_S)
#define LATE_MAX_NS NS_PER_S		/* a clock that is off by more was set, or stood: its host is not waited for */
#define COLD_NS (120 * NS_PER_S)	/* a server writes out what is dirty before */

static volatile sig_atomic_t stop_signal;

static void on_signal(int nr)
{
	stop_signal = nr;
}

bool run_was_stopped(void)
{
	return stop_signal != 0;
}

int64_t run_now(const struct run *run)
{
	return run->t0_ns ? (int64_t)(clock_mono_ns() - run->t0_ns) : 0;
}

int64_t run_told_until(int64_t now)
{
	return (now / (int64_t)NS_PER_S - 1) * (int64_t)NS_PER_S;
}

void run_note(struct run *run, const char *host, const char *kind, int fault_idx, int64_t t_ns, const char *evidence)
{
	(void)record_event(run->record, t_ns, host, kind, fault_idx, evidence, NULL);
}

/* The run is written as NAME.partial and gets its name when it is complete. */
static int open_record(struct run *run, struct err *err)
{
	char stamp[24], number[64], *text = NULL;
	struct err said = ERR_INIT;
	int rc;

	clock_format_utc(clock_utc_ns(), stamp, sizeof stamp);
	(void)snprintf(run->run_name, sizeof run->run_name, "%s-%llu", stamp, (unsigned long long)run->profile.seed);
	(void)snprintf(run->final_dir, sizeof run->final_dir, "%s/%s/%s", run->options->out, run->profile.name, run->run_name);
	(void)snprintf(run->dir, sizeof run->dir, "%s/%s/%s.partial", run->options->out, run->profile.name, run->run_name);
	rc = exec_path_answers(run->options->out, &said);
	if (rc == 0)
		rc = record_create(run->dir, &run->record, &said);
	if (rc < 0)
		return err_set(err, rc, "%s; --out DIR puts the record elsewhere", said.text);
	rc = profile_print(&run->profile, &text);
	if (rc < 0)
		return err_set(err, rc, "run: no memory for the profile");
	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)run->profile.seed);
	(void)record_meta(run->record, "profile", text, NULL);
	(void)record_meta(run->record, "profile_name", run->profile.name, NULL);
	(void)record_meta(run->record, "run", run->run_name, NULL);
	(void)record_meta(run->record, "seed", number, NULL);
	(void)record_meta(run->record, "on", run->options->on, NULL);
	if (run->options->arm)
		(void)record_meta(run->record, "arm", run->options->arm, NULL);
	(void)record_meta(run->record, "version", SQUALL_VERSION, NULL);
	(void)record_meta(run->record, "commit", SQUALL_COMMIT, NULL);
	free(text);
	progress_say(run, "%s, seed %s, record in %s", run->profile.name, number, run->dir);
	return 0;
}

static int send_profile(struct run *run, struct err *err)
{
	char *text = NULL;
	int rc = profile_print(&run->profile, &text);

	if (rc < 0)
		return err_set(err, rc, "run: no memory for the profile");
	rc = run_ask_all(run, "", "profile",
			 json_pack("{s:s, s:s, s:I}", "text", text, "file", run->profile.file, "seed", (json_int_t)run->profile.seed),
			 10 * NS_PER_S, err);
	free(text);
	if (rc < 0)
		return rc;
	return run_ask_all(run, "observe", "observe", NULL, 10 * NS_PER_S, err);
}

static void store_hosts(struct run *run)
{
	for (int i = 0; i < run->hosts_nr; i++) {
		const struct host *h = &run->host[i];
		char key[NAME_BYTES + 24];

		(void)record_host(run->record, h->name, h->roles, h->offset_ns, h->error_ns, h->start_skew_ns, NULL);
		(void)snprintf(key, sizeof key, "host.%s.kernel", h->name);
		(void)record_meta(run->record, key, h->kernel, NULL);
	}
}

static int start(struct run *run, struct err *err)
{
	char number[32];
	int rc = run_ask_all(run, "", "keep", json_pack("{s:s}", "run", run->run_name), 10 * NS_PER_S, err);

	if (rc == 0)
		rc = run_load_start(run, &run->plan, err);

	if (rc < 0)
		return rc;
	run->began = true;
	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)(clock_utc_ns() + (run->t0_ns - clock_mono_ns())));
	(void)record_meta(run->record, "t0_utc_ns", number, NULL);
	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)run->t0_ns);
	(void)record_meta(run->record, "t0_ns", number, NULL);
	for (unsigned int i = 0; i < run->plan.phases_nr; i++)
		(void)record_phase(run->record, (int)i, run->plan.phases[i].name, (int64_t)run->plan.phases[i].start_ns,
				   (int64_t)run->plan.phases[i].end_ns, NULL);
	store_hosts(run);
	for (int i = 0; i < run->hosts_nr; i++)
		host_store_config(run, &run->host[i]);
	schedule_store(run);
	return 0;
}

/* @return the guard that holds by what was told of until an instant, or NULL */
static const char *look_at_guards(const struct run *run, int64_t now)
{
	for (unsigned int i = 0; i < run->profile.guards_nr; i++)
		if (report_guard_holds(run->record, run->profile.guards[i].text, run_told_until(now), NULL) == 1)
			return run->profile.guards[i].text;
	return NULL;
}

/* By how much the last load host ends after us, for it began late or its clock is slow: what is due there until then belongs to the run. */
static int64_t latest_end(const struct run *run)
{
	int64_t latest = 0;

	for (int i = 0; i < run->hosts_nr; i++) {
		const struct host *host = &run->host[i];
		int64_t late = host->offset_ns - host->start_offset_ns;

		if (host_has(host, "load") && late > latest && late < (int64_t)LATE_MAX_NS)
			latest = late;
	}
	return latest;
}

/* Once a loop: the phase, the faults, the guards, a line for the user. @return true when the run is over */
static bool tick(struct run *run, void *arg)
{
	int64_t now = run_now(run);
	const struct load_plan *plan = &run->plan;
	const char **why = arg;

	while (run->phase < (int)plan->phases_nr && now >= (int64_t)plan->phases[run->phase].end_ns)
		run->phase++;
	schedule_tick(run, now);
	if (now >= (int64_t)run->next_progress_ns) {
		run->next_progress_ns = (uint64_t)now / NS_PER_S * NS_PER_S + NS_PER_S;
		progress_line(run, now);
		schedule_look(run, now);
		*why = look_at_guards(run, now);
		if (*why)
			return true;
	}
	return run->phase >= (int)plan->phases_nr && now >= (int64_t)plan->phases[plan->phases_nr - 1].end_ns + latest_end(run);
}

/*
 * Load off, faults healed, finals in: also after a signal. What goes wrong here is said, and the rest still done.
 * @param stopped  why the run ended before its time, or NULL. @param by  whose word that is
 */
static int finish(struct run *run, const char *stopped, const char *by, struct err *err)
{
	int rc;

	run->stop_signal = NULL;
	schedule_heal_all(run);
	rc = run_load_stop(run, err);
	if (run_pump(run, schedule_is_over, NULL, clock_mono_ns() + HEAL_NS, NULL) != 1)
		run_note(run, "", "note", -1, run_now(run), "of a fault nobody said within 60 s that it is healed");
	schedule_store(run);
	if (rc == 0)
		rc = hosts_sync(run, err);
	store_hosts(run);
	(void)record_meta_double(run->record, "end_ns", (double)run_now(run), NULL);
	if (stopped) {
		(void)record_meta(run->record, "stopped", stopped, NULL);
		(void)record_meta(run->record, "stopped_by", by, NULL);
	}
	else if (rc == 0)
		(void)record_meta(run->record, "complete", "1", NULL);
	return rc;
}

static int link_latest(const struct run *run)
{
	char path[600], temporary[620];

	(void)snprintf(path, sizeof path, "%.*s/latest", (int)(strrchr(run->final_dir, '/') - run->final_dir), run->final_dir);
	(void)snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
	(void)unlink(temporary);
	if (symlink(run->run_name, temporary) < 0 || rename(temporary, path) < 0)
		return -errno;
	return 0;
}

static int judge(struct run *run, bool complete, json_t **ret_verdict, struct err *err)
{
	int rc = report_judge(run->record, ret_verdict, err);

	if (rc == 0)
		rc = record_seal(run->record, err);
	run->sealed = rc == 0;
	if (rc == 0)
		rc = report_write(run->dir, *ret_verdict, err);
	if (rc == 0)
		rc = report_leave(run->dir, run->record, *ret_verdict, err);
	if (rc < 0 || !complete)
		return rc;
	if (rename(run->dir, run->final_dir) < 0)
		return err_set(err, -errno, "%s: %s", run->final_dir, strerror(errno));
	memcpy(run->dir, run->final_dir, sizeof run->dir);
	return run->options->arm ? 0 : link_latest(run);
}

/* From now on to its end. What nobody has looked at is looked at first. */
static int follow(struct run *run, const char **ret_why, struct err *err)
{
	uint64_t limit = run->profile.max_run_ns + LATE_MAX_NS;	/* a host that ends late is waited for, whose phases fill it whole */
	int rc;

	for (int64_t t = run->away_ns, now = run_now(run); run->options->resume && t < now && !*ret_why; t += (int64_t)NS_PER_S)
		*ret_why = look_at_guards(run, t);
	if (*ret_why)
		return 0;
	rc = run_pump(run, tick, ret_why, run->t0_ns + limit, err);
	if (rc == 0)
		*ret_why = "max_run";
	return rc < 0 ? rc : 0;
}

/* On every host, clients and servers alike. */
static int drop_caches(struct run *run, struct err *err)
{
	progress_say(run, "the caches of all hosts are dropped");
	return run_ask_all(run, "", "cold", NULL, COLD_NS, err);
}

/* A new run, up to its T0. */
static int begin(struct run *run, struct err *err)
{
	int rc = profile_load(run->options->profile, run->options->sets, &run->profile, err);

	if (rc == 0)
		rc = schedule_check(run, err);
	if (rc == 0)
		rc = hosts_check(run, err);
	if (rc == 0)
		rc = hosts_open(run, err);
	if (rc == 0)
		rc = possible_there(run, err);
	if (rc == 0)
		rc = open_record(run, err);
	if (rc == 0)
		rc = send_profile(run, err);
	if (rc == 0 && profile_needs_calibration(&run->profile))
		rc = run_calibrate(run, err);
	if (rc == 0)
		rc = run_resolve(run, err);
	if (rc == 0 && run->profile.cold)
		rc = drop_caches(run, err);
	return rc < 0 ? rc : start(run, err);
}

/* From T0, or from where it is resumed, to the verdict. */
static int measure(struct run *run, json_t **ret_verdict, struct err *err)
{
	const char *why = NULL;
	struct err later = ERR_INIT;
	int rc = follow(run, &why, err), rc_end;

	if (rc < 0 && rc != -EINTR)
		return rc;
	if (rc == -EINTR) {
		why = strsignal(stop_signal);
		err->text[0] = '\0';
	}
	rc_end = finish(run, why, rc == -EINTR ? "signal" : "guard", &later);
	if (rc_end < 0 && !why) {
		(void)err_set(err, rc_end, "%s", later.text);
		return rc_end;
	}
	return judge(run, !why, ret_verdict, err);
}

int run_profile(const struct run_options *options, json_t **ret_verdict, char *ret_dir, size_t dir_bytes, struct err *err)
{
	struct sigaction act = { .sa_handler = on_signal }, old[2];
	struct run *run = calloc(1, sizeof *run);
	int rc;

	if (!run)
		return err_set(err, -ENOMEM, "run: no memory");
	(void)sigaction(SIGINT, &act, &old[0]);
	(void)sigaction(SIGTERM, &act, &old[1]);
	run->own = *options;
	run->options = &run->own;
	run->stop_signal = &stop_signal;
	run->oldest_request_ns = -1;
	run->second = hist_new();
	run->broker = (struct broker)BROKER_INIT;
	run->bus = bus_new();
	rc = !run->second || !run->bus ? -ENOMEM : options->resume ? run_resume(run, options->resume, err) : begin(run, err);
	if (rc == -EINTR && !options->resume) {
		err->text[0] = '\0';
		rc = err_set(err, rc, "stopped by a signal (%s) before the load began: nothing was measured", strsignal(stop_signal));
	}
	if (rc == 0)
		rc = measure(run, ret_verdict, err);
	progress_end(run);
	if (run->bus)
		hosts_close(run);
	(void)snprintf(ret_dir, dir_bytes, "%s", run->dir);
	record_close(run->record);
	if (rc < 0 && run->record && !run->began)
		(void)file_remove_tree(run->dir, NULL);
	schedule_free(run);
	profile_release(&run->profile);
	free(run->second);
	free(run);
	(void)sigaction(SIGINT, &old[0], NULL);
	(void)sigaction(SIGTERM, &old[1], NULL);
	return rc;
}
