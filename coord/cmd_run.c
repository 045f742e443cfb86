/* SPDX-License-Identifier: MIT */
/*
 * cmd_run.c - `squall run`: one run of a profile, and its verdict.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "profile.h"
#include "record.h"
#include "report.h"
#include "run.h"

#define SETS_MAX 64

static const char help[] =
	"Usage: squall run PROFILE [--on lab|local:DIR] [--seed N] [--set KEY=VALUE]... [--out DIR] [--dry-run] [--json]\n"
	"\n"
	"Run a profile once, print the verdict, and leave the record in DIR/PROFILE/TIME-SEED.\n"
	"\n"
	"  --on lab            in the VM lab, which is booted when it is not up (default)\n"
	"  --on local:DIR      on this host, on a dataset in DIR, which is built when it is not there\n"
	"  --seed N            instead of the profile's\n"
	"  --set KEY=VALUE     change the profile: faults.0.args.delay=1s, faults=[]\n"
	"  --out DIR           instead of results\n"
	"  --allow-reboot      faults that only a reboot heals; implied in the lab\n"
	"  --dry-run           print the effective profile and what would be done\n"
	"  --json              print verdict.json instead of text\n"
	"\n"
	"Exit status: 0 as expected, 1 not as expected, 2 usage or profile error, 3 broken, 4 inconclusive or void, 77 needs missing.\n";

static int dry_run(const struct run_options *options, struct err *err)
{
	struct profile profile = PROFILE_INIT;
	char *text = NULL;
	int rc = profile_load(options->profile, options->sets, &profile, err);

	if (rc == 0)
		rc = profile_print(&profile, &text);
	if (rc == 0)
		fputs(text, stdout);
	free(text);
	profile_release(&profile);
	return rc;
}

/* Ask the record again, sealed as it is, for the text that `squall report` would print. */
static int print_text(const char *dir, const json_t *verdict, struct err *err)
{
	struct record *record = NULL;
	int rc = record_open(dir, false, &record, err);

	if (rc == 0)
		rc = report_text(record, verdict, stdout);
	record_close(record);
	return rc;
}

static int run_and_print(const struct run_options *options, struct err *err)
{
	json_t *verdict = NULL;
	char dir[512] = "";
	int rc = run_profile(options, &verdict, dir, sizeof dir, err);
	int status = (int)err_exit_status(rc);

	if (rc == 0 && options->json)
		rc = json_dumpf(verdict, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF ? -EIO : 0;
	else if (rc == 0)
		rc = print_text(dir, verdict, err);
	if (rc == 0)
		status = report_exit_status(verdict);
	if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		rc = err_set(err, -EIO, "stdout: it could not be written");
	json_decref(verdict);
	return rc < 0 ? rc : status;
}

int cmd_run(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "on", required_argument, NULL, 'o' },	     { "seed", required_argument, NULL, 's' }, { "set", required_argument, NULL, 'S' },
		{ "out", required_argument, NULL, 'O' },     { "dry-run", no_argument, NULL, 'n' },    { "json", no_argument, NULL, 'j' },
		{ "allow-reboot", no_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },       { 0 } };
	const char *sets[SETS_MAX + 1] = { NULL };
	struct run_options options = { .on = "lab", .out = "results", .sets = sets };
	struct err err = ERR_INIT;
	bool dry = false;
	char seed[64];
	int nr = 0, option, rc;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'o')
			options.on = optarg;
		else if ((option == 'S' || option == 's') && nr == SETS_MAX) {
			fprintf(stderr, "squall: more than %d of --set\n", SETS_MAX);
			return EXIT_USAGE;
		} else if (option == 'S')
			sets[nr++] = optarg;
		else if (option == 's') {
			(void)snprintf(seed, sizeof seed, "seed=%s", optarg);
			sets[nr++] = seed;
		} else if (option == 'O')
			options.out = optarg;
		else if (option == 'n')
			dry = true;
		else if (option == 'j')
			options.json = true;
		else if (option == 'r')
			options.allow_reboot = true;
		else {
			fputs(help, option == 'h' ? stdout : stderr);
			return option == 'h' ? EXIT_AS_EXPECTED : EXIT_USAGE;
		}
	}
	if (optind != argc - 1) {
		fprintf(stderr, "squall: run wants one profile; see squall run --help\n");
		return EXIT_USAGE;
	}
	options.profile = argv[optind];
	rc = dry ? dry_run(&options, &err) : run_and_print(&options, &err);
	if (rc < 0) {
		fprintf(stderr, "squall: %s\n", err.text[0] ? err.text : strerror(-rc));
		return (int)err_exit_status(rc);
	}
	return rc;
}
