/* SPDX-License-Identifier: MIT */
/*
 * reopen.c - a run whose coordinator died, as far as its record knows it: for `squall collect` and `squall run --resume`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "run.h"

static int64_t number_of(void *row, int column, int64_t otherwise)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? otherwise : sqlite3_column_int64(row, column);
}

static void copy_text(void *row, int column, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s", record_text(row, column));
}

static int check(const char *dir, const char *complete, const char *on, const char *t0, struct err *err)
{
	if (complete)
		return err_set(err, -EINVAL, "%s: it is sealed, nothing of its run is left; squall report shows it", dir);
	if (!on || strcmp(on, "lab") == 0 || strncmp(on, "local:", 6) == 0)
		return err_set(err, -EINVAL, "%s: only the agents of a fleet outlive squall run and keep what is not in the record; squall report judges what is there", dir);
	return t0 ? 0 : err_set(err, -EINVAL, "%s: it died before the load began; nothing of its run is left", dir);
}

int run_reopen(struct run *run, const char *dir, struct err *err)
{
	char *complete, *on, *text, *name, *t0, *arm;
	int rc;

	run->began = true;	/* whatever fails, what was measured stays */
	rc = record_open(dir, true, &run->record, err);
	if (rc < 0)
		return rc;
	complete = record_meta_get(run->record, "complete");
	on = record_meta_get(run->record, "on");
	text = record_meta_get(run->record, "profile");
	name = record_meta_get(run->record, "run");
	t0 = record_meta_get(run->record, "t0_ns");
	arm = record_meta_get(run->record, "arm");
	rc = check(dir, complete, on, text && name ? t0 : NULL, err);
	if (rc == 0) {
		(void)snprintf(run->run_name, sizeof run->run_name, "%s", name);
		(void)snprintf(run->dir, sizeof run->dir, "%s", dir);
		(void)snprintf(run->on, sizeof run->on, "%s", on);
		(void)snprintf(run->arm, sizeof run->arm, "%s", arm ? arm : "");
		run->t0_ns = strtoull(t0, NULL, 10);
		run->own.on = run->on;
		run->own.arm = arm ? run->arm : NULL;
		rc = profile_parse(text, dir, NULL, &run->profile, err);
	}
	free(complete);
	free(on);
	free(text);
	free(name);
	free(t0);
	free(arm);
	return rc;
}

/* host, offset_ns, offset_error_ns, whether its load has told how it ended, start_skew_ns */
static int take_host(void *row, void *arg)
{
	struct run *run = arg;
	struct host *host = hosts_find(run, record_text(row, 0));
	char key[NAME_BYTES + 8], *told;

	if (!host)
		return 0;
	host->offset_ns = host->start_offset_ns = number_of(row, 1, 0);
	host->start_skew_ns = number_of(row, 4, 0);
	host->error_ns = number_of(row, 2, 0);
	host->has_final = number_of(row, 3, 0) > 0;
	(void)snprintf(key, sizeof key, "told.%s", host->name);
	told = record_meta_get(run->record, key);
	host->told = host->kept = told ? strtoull(told, NULL, 10) : 0;
	free(told);
	return 0;
}

/* idx, host, verified, healed, inject_ns, heal_ns, healed_by, evidence */
static int take_fault(void *row, void *arg)
{
	struct run *run = arg;
	struct host *host = hosts_find(run, record_text(row, 1));
	int64_t idx = number_of(row, 0, -1);
	struct run_fault *f;

	if (idx < 0 || idx >= (int64_t)run->profile.faults_nr)
		return 0;
	f = &run->fault[idx];
	f->host = host ? (int)(host - run->host) : -1;
	copy_text(row, 2, f->verified, sizeof f->verified);
	copy_text(row, 3, f->healed, sizeof f->healed);
	f->inject_ns = number_of(row, 4, -1);
	f->heal_ns = number_of(row, 5, -1);
	copy_text(row, 6, f->healed_by, sizeof f->healed_by);
	copy_text(row, 7, f->evidence, sizeof f->evidence);
	f->state = f->heal_ns >= 0 ? FAULT_OVER : host && f->inject_ns >= 0 ? FAULT_IN_FORCE : FAULT_WAITING;
	return 0;
}

int run_recall(struct run *run, struct err *err)
{
	int rc = record_query(run->record, "SELECT host, offset_ns, offset_error_ns, host IN (SELECT host FROM totals), start_skew_ns FROM hosts", NULL, take_host, run, err);

	return rc < 0 ? rc : record_query(run->record, "SELECT idx, host, verified, healed, inject_ns, heal_ns, healed_by, evidence FROM faults", NULL, take_fault, run, err);
}
