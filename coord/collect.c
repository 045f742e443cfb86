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

static int64_t number_of(void *row, int column, int64_t otherwise)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? otherwise : sqlite3_column_int64(row, column);
}

static void copy_text(void *row, int column, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s", record_text(row, column));
}

/* host, offset_ns */
static int take_host(void *row, void *arg)
{
	struct run *run = arg;
	struct host *host = hosts_find(run, record_text(row, 0));
	char key[NAME_BYTES + 8], *told;

	if (!host)
		return 0;
	host->offset_ns = number_of(row, 1, 0);
	(void)snprintf(key, sizeof key, "told.%s", host->name);
	told = record_meta_get(run->record, key);
	host->told = host->kept = told ? strtoull(told, NULL, 10) : 0;
	free(told);
	return 0;
}

/* idx, host, verified, healed, inject_ns, heal_ns, healed_by, evidence. One that was in force was so on a host that has lost its coordinator. */
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
	f->state = host && f->inject_ns >= 0 && f->heal_ns < 0 ? FAULT_LOST : FAULT_OVER;
	return 0;
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

/* How many messages of all hosts are in the record. */
static uint64_t told_of(const struct run *run)
{
	uint64_t told = 0;

	for (int i = 0; i < run->hosts_nr; i++)
		told += run->host[i].told;
	return told;
}

/* @return true: all are, or nothing new has come for so long */
static bool is_over(struct run *run, void *arg)
{
	struct progress *p = arg;
	uint64_t told = told_of(run);
	bool all = true;

	for (int i = 0; i < run->hosts_nr && all; i++)
		all = is_collected(run, &run->host[i]);
	if (told != p->told)
		*p = (struct progress){ told, clock_mono_ns() };
	return all || clock_mono_ns() > p->at_ns + COLLECT_NS;
}

static int check_all(const struct run *run, struct err *err)
{
	char missing[ERR_TEXT_BYTES - 160] = "";

	for (int i = 0; i < run->hosts_nr; i++)
		if (!is_collected(run, &run->host[i]))
			err_list(missing, sizeof missing, "%s", run->host[i].name);
	return *missing ? err_set(err, -ETIMEDOUT, "no word from %s; what the others had is in the record: try again when it is there, or squall report judges what there is",
				  missing) : 0;
}

static int collect(struct run *run, struct err *err)
{
	struct progress progress = { 0, clock_mono_ns() };
	uint64_t before;
	int rc = hosts_check(run, err);

	if (rc == 0)
		rc = hosts_connect(run, err);
	if (rc == 0)
		rc = record_query(run->record, "SELECT host, offset_ns FROM hosts", NULL, take_host, run, err);
	if (rc == 0)
		rc = record_query(run->record, "SELECT idx, host, verified, healed, inject_ns, heal_ns, healed_by, evidence FROM faults", NULL, take_fault, run, err);
	before = told_of(run);
	if (rc == 0)
		rc = run_pump(run, is_over, &progress, UINT64_MAX, err);
	if (rc < 0)
		return rc;
	progress_say(run, "%llu messages of %d agents were not in the record", (unsigned long long)(told_of(run) - before), run->hosts_nr);
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
	run->sealed = rc == 0;
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
