/* SPDX-License-Identifier: MIT */
/*
 * cmd_run.c - `squall run`: one run of a profile, and its verdict.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "report.h"
#include "run.h"

static const char help[] =
	"Usage: squall run PROFILE [--on lab|local:DIR|fleet:DIR|FLEET.yaml] [--seed N] [--set KEY=VALUE]... [--out DIR] [--allow-reboot] [--dry-run]\n"
	"                  [--json]\n"
	"       squall run --resume RUN [--json]\n"
	"\n"
	"Run a profile once, print the verdict, and leave the record in DIR/PROFILE/TIME-SEED.\n"
	"\n"
	"  --on lab            in the VM lab, which is booted when it is not up (default)\n"
	"  --on local:DIR      on this host, on a dataset in DIR, which is built when it is not there\n"
	"  --on fleet:DIR      on the hosts of a fleet, see squall fleet --help\n"
	"  --on FLEET.yaml     on those that a file names\n"
	"  --seed N            instead of the profile's\n"
	"  --set KEY=VALUE     change the profile: faults.0.args.delay=1s, faults=[]\n"
	"  --out DIR           instead of results\n"
	"  --allow-reboot      faults that only a reboot heals; implied in the lab\n"
	"  --dry-run           print what would be done, as comments before the effective profile, and do nothing\n"
	"  --resume RUN        resume a run on a fleet whose squall run died less than 10 s ago; RUN is the folder that ends in .partial\n"
	"  --json              print verdict.json instead of text; of --dry-run the plan\n"
	"\n"
	"Exit status: 0 as expected, 1 not as expected, 2 usage or profile error, 3 broken, 4 inconclusive or void, 77 needs missing.\n";

int run_print(const struct run_options *options, const char *dir, const json_t *verdict, struct err *err)
{
	int rc;

	if (options->json) {
		rc = json_dumpf(verdict, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF ? err_set(err, -EIO, "stdout could not be written") : 0;
	} else {
		rc = report_text(verdict, stdout);
		if (rc == 0)
			printf("\n%s/report.html\n", dir);
		(void)fflush(stdout);	/* before the progress of the next run */
	}
	return rc;
}

static int run_and_print(const struct run_options *options, struct err *err)
{
	json_t *verdict = NULL;
	char dir[512] = "";
	int rc = run_profile(options, &verdict, dir, sizeof dir, err);

	if (rc == 0)
		rc = run_print(options, dir, verdict, err);
	if (rc == 0)
		rc = report_exit_status(verdict);
	json_decref(verdict);
	return rc;
}

int cmd_run(int argc, char **argv)
{
	struct run_options options;
	struct err err = ERR_INIT;
	int rc = run_options_parse(argc, argv, help, &options, &err);

	if (rc == 1)
		return EXIT_AS_EXPECTED;
	if (rc == 0)
		rc = options.dry_run ? run_dry(&options, &err) : run_and_print(&options, &err);
	if (rc < 0) {
		fprintf(stderr, "squall: %s\n", err.text[0] ? err.text : strerror(-rc));
		return (int)err_exit_status(rc);
	}
	return rc;
}
