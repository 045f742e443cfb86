/* SPDX-License-Identifier: MIT */
/*
 * schedule_test.c - what becomes of a fault by what its holder tells.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "profile.h"
#include "record.h"

#include "../../../coord/run.h"

static const char text[] = "name: p\nseed: 1\ndataset: {sites: 1, files_per_site: 1, size: 4KiB, depth: 1}\njobs: {j: {mix: {read: 1}, arrival: {constant: 1/s}}}\n"
			   "phases: [{name: baseline, for: 2s}, {name: after, for: 1s}]\nfaults: [{fault: none, at: baseline, for: 1s}]\nexpect: absent\n";

static struct run *run;
static char dir[] = "/tmp/squall-schedule-XXXXXX";

static void begin(void)
{
	static const struct run_options options = { .quiet = true, .on = "local:d" };
	struct err err = ERR_INIT;

	run = calloc(1, sizeof *run);
	cr_assert(run && mkdtemp(dir));
	run->options = &options;
	cr_assert_eq(profile_parse(text, "p.yaml", NULL, &run->profile, &err), 0, "%s", err.text);
	cr_assert_eq(record_create(dir, &run->record, &err), 0, "%s", err.text);
	cr_assert_eq(schedule_check(run, &err), 0, "%s", err.text);
	(void)snprintf(run->host[0].name, sizeof run->host[0].name, "local");
	run->hosts_nr = 1;
	run->fault[0].host = 0;
	run->fault[0].state = FAULT_ASKED;
}

static void end(void)
{
	record_close(run->record);
	(void)file_remove_tree(dir, NULL);
	schedule_free(run);
	profile_release(&run->profile);
	free(run);
}

TestSuite(schedule, .init = begin, .fini = end, .timeout = 60);

static void tell(json_t *event)
{
	schedule_event(run, &run->host[0], 0, event);
	json_decref(event);
}

Test(schedule, of_a_fault_that_failed_it_is_told_why)
{
	tell(json_pack("{s:s, s:i, s:s, s:s, s:s}", "event", "failed", "t_ns", 1, "evidence", "nothing was begun", "error", "no tc here", "undone", "confirmed"));
	cr_expect_eq(run->fault[0].state, FAULT_OVER);
	cr_expect_str_eq(run->fault[0].verified, "mismatch");
	cr_expect_str_eq(run->fault[0].healed, "confirmed");
	cr_expect_str_eq(run->fault[0].evidence, "no tc here");
}

Test(schedule, what_was_begun_and_could_not_be_undone_is_not_healed)
{
	tell(json_pack("{s:s, s:i, s:s, s:s, s:s}", "event", "failed", "t_ns", 1, "evidence", "the rule is there still", "error", "no room", "undone", "mismatch"));
	cr_expect_str_eq(run->fault[0].healed, "mismatch");
}
