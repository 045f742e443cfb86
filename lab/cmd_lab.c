/* SPDX-License-Identifier: MIT */
/*
 * cmd_lab.c - `squall lab`: boot, look at, enter, reset and end the VM lab.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "command.h"
#include "err.h"
#include "lab.h"
#include "units.h"

static const char help[] =
	"Usage: squall lab up [--profile FILE] [--json]    boot two DRBD storage nodes and NFS clients, or find those that run\n"
	"       squall lab status [--json]                 what runs; exit status 1 when nothing does\n"
	"       squall lab exec [--timeout TIME] NODE -- COMMAND [ARGUMENT]...\n"
	"       squall lab reset NODE                      as its power button would\n"
	"       squall lab down                            end it; only the cache stays\n"
	"\n"
	"  --profile FILE   clients, nfsd threads, file system and mount options of this profile (default: 2, 8, xfs, none)\n"
	"  --timeout TIME   of exec (default: 60s)\n"
	"  --json           print the result as JSON\n"
	"\n"
	"The lab needs qemu-system-x86 and no root. What the guests run is fetched from Debian and unpacked into the cache: SQUALL_CACHE, else\n"
	"XDG_CACHE_HOME/squall, else ~/.cache/squall. Whoever has a login on this host can reach the guests while the lab is up.\n"
	"\n"
	"Exit status: 0 done (exec: that of the command), 1 not up, 2 usage, 3 the lab broke, 77 a package is missing.\n";

struct options {
	const char *profile, *node;
	uint64_t timeout_ns;
	bool json;
	char **rest;
};

static void say(const char *what, void *arg)
{
	const uint64_t *begin = arg;

	fprintf(stderr, "%5.1f s  %s\n", (double)(clock_mono_ns() - *begin) / 1e9, what);
}

static int print_info(const struct lab_info *info, bool json)
{
	json_t *nodes = json_array(), *all;
	int rc = 0;

	for (unsigned int i = 0; i < info->nodes_nr; i++)
		json_array_append_new(nodes, json_pack("{s:s, s:s, s:s}", "name", info->nodes[i].name, "roles", info->nodes[i].roles, "dir",
						       info->nodes[i].dir));
	all = json_pack("{s:b, s:b, s:o}", "running", info->running, "kvm", info->kvm, "nodes", nodes);
	if (json)
		rc = json_dumpf(all, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF ? -EIO : 0;
	else if (!info->running)
		puts(info->nodes_nr > 0 ? "the lab is not up (what an earlier one left is there; squall lab down removes it)" : "the lab is not up");
	else
		for (unsigned int i = 0; i < info->nodes_nr; i++)
			printf("%-10s %-18s %s\n", info->nodes[i].name, info->nodes[i].roles, info->nodes[i].dir);
	json_decref(all);
	return rc;
}

static int run_up(const struct options *o, struct err *err)
{
	struct profile profile = PROFILE_INIT;
	struct lab_spec spec = { .clients = 2, .nfsd_threads = 8, .filesystem = "xfs" };
	struct lab_info info = { 0 };
	uint64_t begin = clock_mono_ns();
	int rc = 0;

	if (o->profile) {
		rc = profile_load(o->profile, (const char *const[]){ NULL }, &profile, err);
		spec = profile.lab;
	}
	if (rc == 0)
		rc = lab_up(&spec, say, &begin, &info, err);
	profile_release(&profile);
	if (rc == 0)
		fprintf(stderr, "%5.1f s  the lab is up\n", (double)info.up_ns / 1e9);
	return rc == 0 ? print_info(&info, o->json) : rc;
}

static int run_status(const struct options *o, struct err *err)
{
	struct lab_info info;
	int rc = lab_status(&info, err);

	if (rc == 0)
		rc = print_info(&info, o->json);
	return rc < 0 ? rc : info.running ? 0 : EXIT_NOT_AS_EXPECTED;
}

static int run_exec(const struct options *o, struct err *err)
{
	return lab_exec(o->rest[0], o->rest + 1, o->timeout_ns, err);
}

static int run_reset(const struct options *o, struct err *err)
{
	return lab_reset(o->rest[0], err);
}

static int run_down(const struct options *o, struct err *err)
{
	(void)o;
	return lab_down(err);
}

enum { OPT_HELP = 1, OPT_JSON, OPT_PROFILE, OPT_TIMEOUT };

#define HELP { "help", no_argument, NULL, OPT_HELP }
#define JSON { "json", no_argument, NULL, OPT_JSON }
#define END { NULL, 0, NULL, 0 }

static const struct verb {
	const char *name;
	int (*run)(const struct options *o, struct err *err);
	int words_min, words_max;	/* after the options */
	struct option options[4];
} verbs[] = {
	{ "up", run_up, 0, 0, { { "profile", required_argument, NULL, OPT_PROFILE }, JSON, HELP, END } },
	{ "status", run_status, 0, 0, { JSON, HELP, END } },
	{ "exec", run_exec, 2, INT_MAX, { { "timeout", required_argument, NULL, OPT_TIMEOUT }, HELP, END } },
	{ "reset", run_reset, 1, 1, { HELP, END } },
	{ "down", run_down, 0, 0, { HELP, END } },
};

#define VERBS_NR (sizeof verbs / sizeof verbs[0])

/* @return 1 when it is help that is wanted */
static int parse(const struct verb *verb, int argc, char **argv, struct options *o, struct err *err)
{
	char command[24];
	int option, rc;

	*o = (struct options){ .timeout_ns = 60 * NS_PER_S };
	(void)snprintf(command, sizeof command, "lab %s", verb->name);
	rc = command_check_options(command, argc, argv, verb->options, true, err);
	if (rc < 0)
		return rc;
	while ((option = getopt_long(argc, argv, "+", verb->options, NULL)) != -1) {
		if (option == OPT_HELP)
			return 1;
		o->json |= option == OPT_JSON;
		if (option == OPT_PROFILE)
			o->profile = optarg;
		if (option == OPT_TIMEOUT && units_parse_duration(optarg, &o->timeout_ns) < 0)
			return err_set(err, -EINVAL, "lab: --timeout %s is no duration such as 60s", optarg);
	}
	o->rest = argv + optind;
	/* exec NODE -- COMMAND: the node comes before the two dashes */
	if (o->rest[0] && o->rest[1] && strcmp(o->rest[1], "--") == 0) {
		o->rest[1] = o->rest[0];
		o->rest++;
	}
	return 0;
}

static int run_verb(const struct verb *verb, const struct options *o, struct err *err)
{
	int words = 0;

	while (o->rest[words])
		words++;
	if (words < verb->words_min || words > verb->words_max)
		return err_set(err, -EINVAL, "lab %s: %s", verb->name,
			       verb->words_max == 0 ? "it takes no arguments" :
			       verb->words_max == 1 ? "one node is wanted" :
			       "a node and a command are wanted: squall lab exec NODE -- COMMAND");
	return verb->run(o, err);
}

int cmd_lab(int argc, char **argv)
{
	const struct verb *verb = NULL;
	struct err err = ERR_INIT;
	struct options o;
	int rc = 1;

	if (argc < 2) {
		rc = err_set(&err, -EINVAL, "lab: one of up, status, exec, reset, down is wanted; see squall lab --help");
	} else if (strcmp(argv[1], "--help") != 0) {
		verb = command_find(&err, "lab: the verb", argv[1], verbs, VERBS_NR, sizeof verbs[0]);
		rc = verb ? 0 : -EINVAL;
	}
	if (rc == 0)
		rc = parse(verb, argc - 1, argv + 1, &o, &err);
	if (rc == 1) {
		fputs(help, stdout);
		return EXIT_AS_EXPECTED;
	}
	if (rc == 0)
		rc = run_verb(verb, &o, &err);
	if (rc >= 0)
		return rc;
	fprintf(stderr, "squall: %s\n", err.text[0] != '\0' ? err.text : strerror(-rc));
	return (int)err_exit_status(rc);
}
