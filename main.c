/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command table, and nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "chaos.h"
#include "command.h"
#include "err.h"
#include "lab.h"

static const struct {
	const char *name, *what;	/* what: NULL = a process that squall starts itself */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", "run a profile once, and give its verdict", cmd_run },
	{ "reproduce", "run a profile and its arms, and compare their verdicts", cmd_reproduce },
	{ "report", "judge a run again from its record", cmd_report },
	{ "agent", "serve a coordinator on a host: load, probes, faults", cmd_agent },
	{ "lab", "boot, enter and end the VM lab", cmd_lab },
	{ "chaos", "list, check, inject and heal faults on this host", cmd_chaos },
	{ "dataset", "build, verify or remove the files that a load works on", cmd_dataset },
	{ "holder", NULL, chaos_holder_main },
	{ "lab-switch", NULL, lab_switch_main },
	{ "lab-control", NULL, lab_control_main },
};

static void help(FILE *out)
{
	fputs("Usage: squall COMMAND ...; squall COMMAND --help\n\n", out);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].what)
			fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("squall " SQUALL_VERSION " " SQUALL_COMMIT);
		return EXIT_AS_EXPECTED;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		help(stdout);
		return EXIT_AS_EXPECTED;
	}
	if (argc > 1)
		fprintf(stderr, "squall: there is no command '%s'\n", argv[1]);
	help(stderr);
	return EXIT_USAGE;
}
