/* SPDX-License-Identifier: MIT */
/*
 * options.c - the command line that `squall run` and `squall reproduce` share.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "run.h"

static int add_set(struct run_options *o, const char *text, struct err *err)
{
	int nr = 0;

	while (o->sets[nr])
		nr++;
	if (nr == RUN_SETS_MAX)
		return err_set(err, -EINVAL, "more than %d of --set", RUN_SETS_MAX);
	o->sets[nr] = text;
	return 0;
}

static int take_trials(struct run_options *o, const char *text, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n < 1 || n > 1000)
		return err_set(err, -EINVAL, "--trials %s: write a number from 1 to 1000", text);
	o->trials = (unsigned int)n;
	return 0;
}

static int take(struct run_options *o, int option, const char *arg, struct err *err)
{
	switch (option) {
	case 'o':
		o->on = arg;
		return 0;
	case 's':
		if (*arg == '\0' || arg[strspn(arg, "0123456789")] != '\0')
			return err_set(err, -EINVAL, "--seed %s: write a whole number", arg);
		(void)snprintf(o->seed, sizeof o->seed, "seed=%s", arg);
		return add_set(o, o->seed, err);
	case 'S':
		return add_set(o, arg, err);
	case 'O':
		o->out = arg;
		return 0;
	case 'n':
		o->dry_run = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'r':
		o->allow_reboot = true;
		return 0;
	case 't':
		return take_trials(o, arg, err);
	case 'a':
		o->arms = arg;
		return 0;
	case 'R':
		o->resume = arg;
		return 0;
	default:
		return err_set(err, -EINVAL, "see squall %s --help", o->command);
	}
}

void run_options_add_arm(struct run_options *options, const struct arm *arm)
{
	unsigned int nr = 0;

	while (options->sets[nr])
		nr++;
	for (unsigned int i = 0; i < arm->set_nr; i++)
		options->sets[nr++] = arm->set[i].text;
	options->arm = arm->name;
}

int run_options_parse(int argc, char **argv, const char *help, struct run_options *o, struct err *err)
{
	static const struct option long_options[] = {
		{ "on", required_argument, NULL, 'o' },	    { "seed", required_argument, NULL, 's' },	{ "set", required_argument, NULL, 'S' },
		{ "out", required_argument, NULL, 'O' },    { "dry-run", no_argument, NULL, 'n' },	{ "json", no_argument, NULL, 'j' },
		{ "allow-reboot", no_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },		{ "trials", required_argument, NULL, 't' },
		{ "arms", required_argument, NULL, 'a' },   { "resume", required_argument, NULL, 'R' }, { 0 } };
	bool reproduce = strcmp(argv[0], "reproduce") == 0;
	unsigned int others = 0;
	int option, rc;

	*o = (struct run_options){ .command = argv[0], .on = "lab", .out = "results", .trials = 1 };
	rc = command_check_options(o->command, argc, argv, long_options, false, err);
	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return 1;
		}
		others += option != 'R' && option != 'j';
		if (reproduce ? option == 'R' : option == 't' || option == 'a')
			rc = err_set(err, -EINVAL, reproduce ? "reproduce: --resume is an option of squall run" : "run: --trials and --arms are options of squall reproduce");
		else
			rc = take(o, option, optarg, err);
	}
	if (rc == 0 && o->resume)
		return others == 0 && optind == argc ? 0 : err_set(err, -EINVAL, "run: --resume RUN takes no other option than --json, and no profile: the record has them");
	if (rc == 0 && optind != argc - 1)
		rc = err_set(err, -EINVAL, "%s: one profile is wanted; see squall %s --help", o->command, o->command);
	if (rc == 0)
		o->profile = argv[optind];
	return rc;
}
