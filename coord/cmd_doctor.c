/* SPDX-License-Identifier: MIT */
/*
 * cmd_doctor.c - `squall doctor`: what this host can do, and what is missing.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "doctor.h"
#include "err.h"

static const char help[] =
	"Usage: squall doctor [--role LIST] [--json]\n"
	"\n"
	"What this host can do and what is missing, with the next step for each. Changes nothing, and hangs on nothing.\n"
	"\n"
	"  --role LIST   what is wanted of this host: load, chaos, lab or some of them (default: load,lab)\n"
	"  --json        print JSON\n"
	"  --help        this text\n"
	"\n"
	"Exit status: 0 all that is wanted can be had, 2 usage, 77 something is missing.\n";

#define FAULT_PREFIX "fault "
#define NOT_HERE "not here: "

/* Why a fault cannot be injected here, without its name; NULL of any other check. */
static const char *reason_of(const json_t *check)
{
	const char *name = json_string_value(json_object_get(check, "check")), *reason = json_string_value(json_object_get(check, "found"));
	size_t bytes;

	if (strncmp(name, FAULT_PREFIX, strlen(FAULT_PREFIX)) != 0 || strncmp(reason, NOT_HERE, strlen(NOT_HERE)) != 0)
		return NULL;
	name += strlen(FAULT_PREFIX);
	reason += strlen(NOT_HERE);
	bytes = strlen(name);
	return strncmp(reason, name, bytes) == 0 ? reason + bytes + strspn(reason + bytes, ": ") : reason;
}

/* Faults that lack the same are one line, where the first of them stands. */
static void print_reason(const json_t *checks, size_t idx, const char *reason)
{
	char names[2048] = "";
	const json_t *check;
	size_t i;

	json_array_foreach(checks, i, check) {
		const char *other = reason_of(check);

		if (!other || strcmp(other, reason) != 0)
			continue;
		if (i < idx)
			return;
		err_list(names, sizeof names, "%s", json_string_value(json_object_get(check, "check")) + strlen(FAULT_PREFIX));
	}
	printf("%-8s %-14s %s: %s -> NEEDS of squall-FAULT(7)\n", "note", "not here", names, reason);
}

static void print(const json_t *all)
{
	const json_t *checks = json_object_get(all, "checks"), *check;
	size_t i;

	json_array_foreach(checks, i, check) {
		const char *state = json_string_value(json_object_get(check, "state")), *next = json_string_value(json_object_get(check, "next"));
		const char *reason = reason_of(check);

		if (reason) {
			print_reason(checks, i, reason);
			continue;
		}
		printf("%-8s %-14s %s%s%s\n", strcmp(state, "missing") == 0 ? "MISSING" : state, json_string_value(json_object_get(check, "check")),
		       json_string_value(json_object_get(check, "found")), *next ? " -> " : "", next);
	}
	for (unsigned int role = 0; role < DOCTOR_ROLES; role++)
		printf("%s%s: %s", role ? "; " : "", doctor_role_names[role],
		       json_is_true(json_object_get(json_object_get(all, "possible"), doctor_role_names[role])) ? "possible" : "not on this host");
	putchar('\n');
}

static int doctor(unsigned int roles, bool json, struct err *err)
{
	json_t *all = doctor_look();
	int rc = all ? 0 : err_set(err, -ENOMEM, "doctor: no memory");

	if (rc == 0 && json)
		rc = json_dumpf(all, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF ? err_set(err, -EIO, "stdout could not be written") : 0;
	else if (rc == 0)
		print(all);
	for (unsigned int i = 0; rc == 0 && i < DOCTOR_ROLES; i++)
		if (roles & 1u << i && !json_is_true(json_object_get(json_object_get(all, "possible"), doctor_role_names[i])))
			rc = err_set(err, -ENOPKG, "doctor: the role %s is not possible on this host; the lines with MISSING say why", doctor_role_names[i]);
	json_decref(all);
	return rc;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option long_options[] = { { "role", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
						      { "help", no_argument, NULL, 'h' }, { 0 } };
	unsigned int roles = DOCTOR_LOAD | DOCTOR_LAB;
	struct err err = ERR_INIT;
	bool json = false;
	int option, rc = command_check_options("doctor", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
		if (option == 'j')
			json = true;
		else
			rc = command_choose(&err, "doctor: the role", optarg, doctor_role_names, &roles);
	}
	if (rc == 0 && optind < argc)
		rc = err_set(&err, -EINVAL, "doctor: '%s' is one word too many; see squall doctor --help", argv[optind]);
	if (rc == 0)
		rc = doctor(roles, json, &err);
	if (rc < 0)
		fprintf(stderr, "squall: %s\n", err.text);
	return (int)err_exit_status(rc);
}
