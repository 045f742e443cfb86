/* SPDX-License-Identifier: MIT */
/*
 * resume.c - `squall run --resume`: a run whose coordinator died goes on with another one.
 *
 *	the record --> phases, faults --> hosts that are all in it still --> what they have told nobody --> the course of the run
 *
 * The agents have gone on by themselves, and do until they have heard nothing for AGENT_LEASE_NS. Whoever of them has ended it, has ended it: a
 * load is not begun anew, for what would be between the two was never measured. Then the rest ends too, and `squall collect` has all of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "run.h"

static int take_phase(void *row, void *arg)
{
	struct run *run = arg;
	struct load_phase *phase = &run->plan.phases[run->plan.phases_nr];

	if (run->plan.phases_nr == PHASES_MAX)
		return -EBADMSG;
	(void)snprintf(phase->name, sizeof phase->name, "%s", record_text(row, 0));
	phase->start_ns = (uint64_t)sqlite3_column_int64(row, 1);
	phase->end_ns = (uint64_t)sqlite3_column_int64(row, 2);
	run->plan.phases_nr++;
	return 0;
}

static int take_away(void *row, void *arg)
{
	((struct run *)arg)->away_ns = sqlite3_column_int64(row, 0);
	return 0;
}

/* fault_idx, kind: what had been done of a fault beyond what its row says. */
static int take_event(void *row, void *arg)
{
	struct run *run = arg;
	int64_t idx = sqlite3_column_int64(row, 0);
	const char *kind = record_text(row, 1);
	struct run_fault *f;

	if (idx >= (int64_t)run->profile.faults_nr)
		return 0;
	f = &run->fault[idx];
	if (f->state != FAULT_WAITING && f->state != FAULT_ASKED)
		return 0;
	if (strcmp(kind, "condition") == 0)
		f->ripe = true;
	else if (strcmp(kind, "inject") == 0 && f->host >= 0)
		f->state = FAULT_ASKED;
	else if (strcmp(kind, "failed") == 0)
		f->state = FAULT_OVER;
	return 0;
}

/* With the last sign of life of the coordinator. */
static int recall(struct run *run, struct err *err)
{
	static const char last[] = "SELECT MAX(0, (SELECT COALESCE(MAX(t_ns), 0) FROM events), (SELECT COALESCE(MAX(t_ns), 0) FROM samples),"
				   " (SELECT COALESCE(MAX(second), 0) * 1000000000 FROM job_seconds))";
	int rc = run_recall(run, err);

	if (rc == 0)
		rc = record_query(run->record, "SELECT name, start_ns, end_ns FROM phases ORDER BY idx", NULL, take_phase, run, err);
	if (rc == 0)
		rc = record_query(run->record, "SELECT fault_idx, kind FROM events WHERE fault_idx IS NOT NULL ORDER BY rowid", NULL, take_event, run, err);
	return rc < 0 ? rc : record_query(run->record, last, NULL, take_away, run, err);
}

static int check_all_go_on(const struct run *run, struct err *err)
{
	char ended[ERR_TEXT_BYTES - 200] = "";

	for (int i = 0; i < run->hosts_nr; i++)
		if (!run->host[i].goes_on)
			err_list(ended, sizeof ended, "%s", run->host[i].name);
	return *ended ? err_set(err, -ESTALE, "the run cannot go on: %s has heard nothing for 10 s, or was started again; squall collect takes what is left of it", ended) : 0;
}

/* Its folder is to be renamed: where it is, is to be known. */
static int set_folders(struct run *run, const char *dir, struct err *err)
{
	char *path = realpath(dir, NULL);
	const char *name = path ? strrchr(path, '/') : NULL;
	int rc = 0;

	if (!name)
		rc = err_set(err, -errno, "%s: %s", dir, strerror(errno));
	else if (strlen(path) >= sizeof run->dir)
		rc = err_set(err, -ENAMETOOLONG, "%.60s...: the path is too long", path);
	if (rc == 0)
		rc = run_reopen(run, path, err);
	if (rc == 0)
		(void)snprintf(run->final_dir, sizeof run->final_dir, "%.*s/%s", (int)(name - path), path, run->run_name);
	free(path);
	return rc;
}

/* Clocks have gone on: one that was set meanwhile shows at the first round trip. */
static void trust_offsets(struct run *run)
{
	for (int i = 0; i < run->hosts_nr; i++) {
		struct host *host = &run->host[i];

		host->ping_best_ns = 2 * (uint64_t)host->error_ns;
		host->offset_at_ns = run->t0_ns;
	}
}

int run_resume(struct run *run, const char *dir, struct err *err)
{
	char text[64];
	int rc = set_folders(run, dir, err);

	run->own.allow_reboot = true;	/* else it had not begun */
	if (rc == 0)
		rc = schedule_check(run, err);
	if (rc == 0)
		rc = hosts_check(run, err);
	run->going_on = true;
	if (rc == 0)
		rc = hosts_connect(run, err);
	if (rc == 0)
		rc = recall(run, err);
	if (rc < 0)
		return rc;
	trust_offsets(run);
	rc = hosts_meet(run, err);
	run->going_on = false;
	if (rc == 0)
		rc = check_all_go_on(run, err);
	if (rc < 0)
		return rc;
	(void)snprintf(text, sizeof text, "squall run was away since %.1f s", (double)run->away_ns / 1e9);
	rc = record_begin(run->record, err);	/* one is nothing without the other */
	run_note(run, "", "away", -1, run->away_ns, "squall run died");
	run_note(run, "", "resumed", -1, run_now(run), text);
	if (rc == 0)
		rc = record_commit(run->record, err);
	if (rc < 0)
		return rc;
	progress_say(run, "%s goes on at %.1f s; %s", run->run_name, (double)run_now(run) / 1e9, text);
	schedule_go_on(run);
	return 0;
}
