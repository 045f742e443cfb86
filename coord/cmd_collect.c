/* SPDX-License-Identifier: MIT */
/*
 * cmd_collect.c - `squall collect`: what is left of a run that died.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "report.h"
#include "run.h"

static const char help[] =
	"Usage: squall collect RUN [--json]\n"
	"\n"
	"Take into the record of a run on a fleet what its agents have kept of it since squall run died, seal it, and print the verdict. RUN is the\n"
	"folder that ends in .partial. The verdict is void, for the run did not come to its end, but the record has all that was measured.\n"
	"\n"
	"  --json    print verdict.json instead of text\n"
	"\n"
	"Exit status: 2 nothing can be collected of it, 3 not all agents are there (try again) or broken, 4 it is void.\n";

static int collect_and_print(const char *dir, bool as_json, struct err *err)
{
	const struct run_options options = { .json = as_json };
	json_t *verdict = NULL;
	char path[512];
	size_t bytes = strlen(dir);
	int rc;

	while (bytes > 1 && dir[bytes - 1] == '/')
		bytes--;
	if (bytes >= sizeof path)
		return err_set(err, -ENAMETOOLONG, "collect: %.60s...: the path is too long", dir);
	(void)snprintf(path, sizeof path, "%.*s", (int)bytes, dir);
	rc = run_collect(path, as_json, &verdict, err);
	if (rc == 0)
		rc = run_print(&options, path, verdict, err);
	if (rc == 0)
		rc = report_exit_status(verdict);
	json_decref(verdict);
	return rc;
}

int cmd_collect(int argc, char **argv)
{
	static const struct option long_options[] = { { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct err err = ERR_INIT;
	bool as_json = false;
	int option, rc = command_check_options("collect", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'j') {
			as_json = true;
		} else if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
	}
	if (rc == 0 && argc - optind != 1)
		rc = err_set(&err, -EINVAL, "collect: the folder of one run is wanted; see squall collect --help");
	if (rc == 0)
		rc = collect_and_print(argv[optind], as_json, &err);
	if (rc < 0) {
		fprintf(stderr, "squall: %s\n", err.text[0] ? err.text : strerror(-rc));
		return (int)err_exit_status(rc);
	}
	return rc;
}
