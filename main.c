/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command table, and nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "bus.h"
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
	{ "collect", "take what agents have kept into the record of a run that died", cmd_collect },
	{ "fleet", "say which hosts belong together, and put agents onto them: certificates, a broker, ssh", cmd_fleet },
	{ "lab", "boot, enter and end the VM lab", cmd_lab },
	{ "chaos", "list, check, inject and heal faults on this host", cmd_chaos },
	{ "dataset", "build, verify, remove or scan the files that a load works on", cmd_dataset },
	{ "trace", "make a trace of what clients have done, for a job to replay", cmd_trace },
	{ "doctor", "say what this host can do, and what is missing", cmd_doctor },
	{ "holder", NULL, chaos_holder_main },
	{ "courier", NULL, bus_courier_main },
	{ "lab-switch", NULL, lab_switch_main },
	{ "lab-control", NULL, lab_control_main },
	{ "lab-relay", NULL, lab_relay_main },
};

#define COMMANDS_NR (sizeof commands / sizeof commands[0])

static void help(FILE *out)
{
	fputs("Usage: squall COMMAND ...; squall COMMAND --help; squall --version\n\n", out);
	for (size_t i = 0; i < COMMANDS_NR; i++)
		if (commands[i].what)
			fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
}

static int unknown(const char *word)
{
	const char *known[COMMANDS_NR + 3] = { "--help", "--version" };
	struct err err = ERR_INIT;
	size_t nr = 2;

	for (size_t i = 0; i < COMMANDS_NR; i++)
		if (commands[i].what)
			known[nr++] = commands[i].name;
	(void)command_unknown(&err, word[0] == '-' ? "the option" : "the command", word, known);
	fprintf(stderr, "squall: %s\n", err.text);
	return EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < COMMANDS_NR; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "--version") == 0)
		puts("squall " SQUALL_VERSION " " SQUALL_COMMIT);
	else if (strcmp(argv[1], "--help") == 0)
		help(stdout);
	else
		return unknown(argv[1]);
	return EXIT_AS_EXPECTED;
}

int main(int argc, char **argv)
{
	command_begin();
	return command_end(dispatch(argc, argv));
}
