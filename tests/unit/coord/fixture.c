/* SPDX-License-Identifier: MIT */
/*
 * fixture.c - see fixture.h.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "err.h"
#include "file.h"

#include "fixture.h"

static const char text[] = "name: p\nseed: 1\ndataset: {sites: 1, files_per_site: 1, size: 4KiB, depth: 1}\njobs: {j: {mix: {read: 1}, arrival: {constant: 1/s}}}\n"
			   "phases: [{name: baseline, for: 2s}, {name: after, for: 1s}]\nfaults: [{fault: none, at: baseline, for: 1s}]\nexpect: absent\n";

static char dir[] = "/tmp/squall-run-XXXXXX";

struct run *fixture_begin(void)
{
	static const struct run_options options = { .quiet = true, .on = "local:d" };
	struct run *run = calloc(1, sizeof *run);
	struct err err = ERR_INIT;

	cr_assert(run && mkdtemp(dir));
	run->bus = bus_new();
	run->options = &options;
	cr_assert_eq(profile_parse(text, "p.yaml", NULL, &run->profile, &err), 0, "%s", err.text);
	cr_assert_eq(record_create(dir, &run->record, &err), 0, "%s", err.text);
	cr_assert_eq(schedule_check(run, &err), 0, "%s", err.text);
	(void)snprintf(run->host[0].name, sizeof run->host[0].name, "local");
	run->hosts_nr = 1;
	return run;
}

void fixture_end(struct run *run)
{
	host_release(&run->host[0]);
	bus_free(run->bus);
	record_close(run->record);
	(void)file_remove_tree(dir, NULL);
	schedule_free(run);
	profile_release(&run->profile);
	free(run);
}
