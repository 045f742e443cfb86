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

/* A fault that was in force was so on a host that has lost its coordinator. One that had not begun does not any more. */
static void end_faults(struct run *run)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++)
		run->fault[i].state = run->fault[i].state == FAULT_IN_FORCE ? FAULT_LOST : FAULT_OVER;
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
		rc = run_recall(run, err);
	if (rc < 0)
		return rc;
	before = told_of(run);
	end_faults(run);
	hosts_greet(run);
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
	struct run *run = calloc(1, sizeof *run);
	int rc;

	if (!run)
		return err_set(err, -ENOMEM, "collect: no memory");
	run->own = (struct run_options){ .command = "collect", .on = "", .out = "", .quiet = quiet };
	run->options = &run->own;
	run->collecting = true;
	run->oldest_request_ns = -1;
	run->broker = (struct broker)BROKER_INIT;
	run->second = hist_new();
	run->bus = bus_new();
	rc = run->second && run->bus ? run_reopen(run, dir, err) : err_set(err, -ENOMEM, "collect: no memory");
	if (rc == 0)
		rc = collect(run, err);
	if (rc == 0)
		rc = seal(run, ret_verdict, err);
	hosts_close(run);
	record_close(run->record);
	schedule_free(run);
	profile_release(&run->profile);
	free(run->second);
	free(run);
	return rc;
}
