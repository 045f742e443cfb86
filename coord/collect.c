/* SPDX-License-Identifier: MIT */
/*
 * collect.c - the rest of a run whose coordinator died: what its agents have kept of it goes into its record, which is then judged.
 *
 * The load has ended and the faults are healed, as the agents heard nothing any more; what is asked here is what they have told since, and how it ended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "hist.h"
#include "report.h"
#include "run.h"

#define COLLECT_NS (20 * NS_PER_S)	/* without a word that is new */

static void text_of(sqlite3_stmt *s, int column, char *ret, size_t bytes)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	(void)snprintf(ret, bytes, "%s", text ? text : "");
}

static int64_t number_of(sqlite3_stmt *s, int column, int64_t otherwise)
{
	return sqlite3_column_type(s, column) == SQLITE_NULL ? otherwise : sqlite3_column_int64(s, column);
}

static int query(struct run *run, const char *sql, void (*take)(struct run *run, sqlite3_stmt *row), struct err *err)
{
	sqlite3 *db = record_db(run->record);
	sqlite3_stmt *s = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	while (code == SQLITE_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
		take(run, s);
		code = SQLITE_OK;
	}
	(void)sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : err_set(err, -EIO, "%s: %s", run->dir, sqlite3_errmsg(db));
}

/* host, offset_ns */
static void take_host(struct run *run, sqlite3_stmt *row)
{
	char name[NAME_BYTES], key[NAME_BYTES + 8], *told;
	struct host *host;

	text_of(row, 0, name, sizeof name);
	host = hosts_find(run, name);
	if (!host)
		return;
	host->offset_ns = number_of(row, 1, 0);
	(void)snprintf(key, sizeof key, "told.%s", name);
	told = record_meta_get(run->record, key);
	host->told = host->kept = told ? strtoull(told, NULL, 10) : 0;
	free(told);
}

/* idx, host, verified, healed, inject_ns, heal_ns, healed_by, evidence. One that was in force was so on a host that has lost its coordinator. */
static void take_fault(struct run *run, sqlite3_stmt *row)
{
	int64_t idx = number_of(row, 0, -1);
	char name[NAME_BYTES];
	struct run_fault *f;
	struct host *host;

	if (idx < 0 || idx >= (int64_t)run->profile.faults_nr)
		return;
	f = &run->fault[idx];
	text_of(row, 1, name, sizeof name);
	host = hosts_find(run, name);
	f->host = host ? (int)(host - run->host) : -1;
	text_of(row, 2, f->verified, sizeof f->verified);
	text_of(row, 3, f->healed, sizeof f->healed);
	f->inject_ns = number_of(row, 4, -1);
	f->heal_ns = number_of(row, 5, -1);
	text_of(row, 6, f->healed_by, sizeof f->healed_by);
	text_of(row, 7, f->evidence, sizeof f->evidence);
	f->state = host && f->inject_ns >= 0 && f->heal_ns < 0 ? FAULT_LOST : FAULT_OVER;
}

static int load_record(struct run *run, const char *dir, struct run_options *options, struct err *err)
{
	char *complete, *on, *text, *name, *t0;
	int rc = record_open(dir, true, &run->record, err);

	if (rc < 0)
		return rc;
	complete = record_meta_get(run->record, "complete");
	on = record_meta_get(run->record, "on");
	text = record_meta_get(run->record, "profile");
	name = record_meta_get(run->record, "run");
	t0 = record_meta_get(run->record, "t0_ns");
	if (complete)
		rc = err_set(err, -EINVAL, "%s: there is nothing to collect, it is sealed; squall report shows it", dir);
	else if (!on || strcmp(on, "lab") == 0 || strncmp(on, "local:", 6) == 0)
		rc = err_set(err, -EINVAL, "%s: only the agents of a fleet keep what is not in the record; squall report judges what is there", dir);
	else if (!text || !name || !t0)
		rc = err_set(err, -EINVAL, "%s: it died before the load began; there is nothing to collect", dir);
	if (rc == 0) {
		(void)snprintf(run->run_name, sizeof run->run_name, "%s", name);
		(void)snprintf(run->dir, sizeof run->dir, "%s", dir);
		run->t0_ns = strtoull(t0, NULL, 10);
		options->on = on;
		on = NULL;
		rc = profile_parse(text, dir, NULL, &run->profile, err);
	}
	free(complete);
	free(on);
	free(text);
	free(name);
	free(t0);
	return rc;
}

static bool is_collected(const struct run *run, const struct host *host)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++)
		if (run->fault[i].state == FAULT_LOST && &run->host[run->fault[i].host] == host)
			return false;
	return host->collected;
}

struct progress {
	uint64_t told, at_ns;
};

/* @return true: all are, or nothing new has come for so long */
static bool is_over(struct run *run, void *arg)
{
	struct progress *p = arg;
	uint64_t told = 0;
	bool all = true;

	for (int i = 0; i < run->hosts_nr; i++) {
		told += run->host[i].told;
		all &= is_collected(run, &run->host[i]);
	}
	if (told != p->told)
		*p = (struct progress){ told, clock_mono_ns() };
	return all || clock_mono_ns() > p->at_ns + COLLECT_NS;
}

static int check_all(const struct run *run, struct err *err)
{
	char missing[ERR_TEXT_BYTES - 160] = "";
	size_t used = 0;

	for (int i = 0; i < run->hosts_nr; i++)
		if (!is_collected(run, &run->host[i]) && used < sizeof missing)
			used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", used > 0 ? ", " : "", run->host[i].name);
	return used > 0 ? err_set(err, -ETIMEDOUT, "no word from %s; what the others had is in the record: try again when it is there, or squall report judges what there is",
				  missing) : 0;
}

static int collect(struct run *run, struct err *err)
{
	struct progress progress = { 0, clock_mono_ns() };
	uint64_t before = 0, after = 0;
	int rc = hosts_check(run, err);

	if (rc == 0)
		rc = hosts_connect(run, err);
	if (rc == 0)
		rc = query(run, "SELECT host, offset_ns FROM hosts", take_host, err);
	if (rc == 0)
		rc = query(run, "SELECT idx, host, verified, healed, inject_ns, heal_ns, healed_by, evidence FROM faults", take_fault, err);
	for (int i = 0; i < run->hosts_nr; i++)
		before += run->host[i].told;
	if (rc == 0)
		rc = run_pump(run, is_over, &progress, UINT64_MAX, err);
	for (int i = 0; i < run->hosts_nr; i++)
		after += run->host[i].told;
	if (rc < 0)
		return rc;
	progress_say(run, "%llu messages of %d agents were not in the record", (unsigned long long)(after - before), run->hosts_nr);
	return check_all(run, err);
}

static int seal(struct run *run, json_t **ret_verdict, struct err *err)
{
	int rc;

	(void)record_meta(run->record, "stopped", "squall run died; what its agents had kept was collected later", NULL);
	(void)record_meta(run->record, "stopped_by", "death", NULL);
	rc = report_judge(run->record, ret_verdict, err);
	if (rc == 0)
		rc = record_seal(run->record, err);
	if (rc == 0)
		rc = report_write(run->dir, *ret_verdict, err);
	return rc < 0 ? rc : report_leave(run->dir, run->record, *ret_verdict, err);
}

int run_collect(const char *dir, bool quiet, json_t **ret_verdict, struct err *err)
{
	struct run_options options = { .command = "collect", .out = "", .quiet = quiet };
	struct run *run = calloc(1, sizeof *run);
	int rc;

	if (!run)
		return err_set(err, -ENOMEM, "collect: no memory");
	run->options = &options;
	run->collecting = true;
	run->oldest_request_ns = -1;
	run->broker = (struct broker)BROKER_INIT;
	run->second = hist_new();
	run->bus = bus_new();
	rc = run->second && run->bus ? load_record(run, dir, &options, err) : err_set(err, -ENOMEM, "collect: no memory");
	if (rc == 0)
		rc = collect(run, err);
	if (rc == 0)
		rc = seal(run, ret_verdict, err);
	hosts_close(run);
	record_close(run->record);
	schedule_free(run);
	profile_release(&run->profile);
	free(run->second);
	free((char *)(uintptr_t)options.on);
	free(run);
	return rc;
}
