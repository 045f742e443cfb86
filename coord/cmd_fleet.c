/* SPDX-License-Identifier: MIT */
/*
 * cmd_fleet.c - `squall fleet`: who belongs to a fleet.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "command.h"
#include "deploy.h"
#include "err.h"
#include "fleet.h"
#include "fleet_file.h"

#define STATUS_NS (8 * NS_PER_S)	/* an agent that waits for the broker looks for it every 3 s */

static const char help[] =
	"Usage: squall fleet init DIR [--bus mqtts://ADDRESS:PORT]\n"
	"       squall fleet add DIR NAME\n"
	"       squall fleet revoke DIR NAME\n"
	"       squall fleet status DIR [--json]\n"
	"       squall fleet deploy --on FLEET.yaml\n"
	"       squall fleet upgrade --on FLEET.yaml\n"
	"       squall fleet remove --on FLEET.yaml\n"
	"\n"
	"The hosts of a run on fleet:DIR, and the certificates by which they and the broker between them know each other.\n"
	"\n"
	"  init     make a fleet without hosts in DIR: an authority, the identities of broker and coordinator, the configuration of the broker\n"
	"  add      make the identity of an agent, a folder to be copied to its host\n"
	"  revoke   withdraw it: the agent's connection is ended, and it is not let in again\n"
	"  status   which agents are there, with their roles and versions; exit status 1 when one is not\n"
	"  deploy   put squall, the certificate and a systemd unit onto every host over your ssh; what is there already is left alone\n"
	"  upgrade  the same where the version is another, and nowhere else\n"
	"  remove   stop the agents, heal their faults, leave nothing of deploy behind, and withdraw the certificates\n"
	"\n"
	"  --bus URL    of init: where the broker is reached by all (default: mqtts://127.0.0.1:8883)\n"
	"  --json       of status: print JSON\n"
	"  --on FILE    of deploy, upgrade and remove: the hosts, see squall-fleet(7)\n"
	"\n"
	"Exit status: 0 done, 1 status: an agent is not there, 2 usage or fleet file error, 3 broken, or a host has failed, 77 a package is missing.\n";

static int do_init(const char *dir, const char *url, struct err *err)
{
	int rc = fleet_init(dir, url, NULL, err);

	if (rc == 0)
		printf("a fleet without hosts in %s, its broker at %s; squall fleet add %s NAME adds one\n", dir, url, dir);
	return rc;
}

static int do_add(const char *dir, const char *name, struct err *err)
{
	struct fleet fleet = FLEET_INIT;
	int rc = fleet_add(dir, name, err);

	if (rc == 0)
		rc = fleet_load(dir, &fleet, err);
	if (rc == 0)
		printf("%s/agents/%s: copy it to the host, and there:\nsquall agent --bus %s --identity %s --role load,observe --dir DATASET\n", dir, name,
		       fleet.url, name);
	return rc;
}

static int do_revoke(const char *dir, const char *name, struct err *err)
{
	int rc = fleet_revoke(dir, name, err);

	if (rc == 1)
		printf("%s is out: the broker refuses it\n", name);
	else if (rc == 0)
		printf("%s is withdrawn; no broker of %s runs on this host: one elsewhere needs %s/broker/crl.pem, and SIGHUP\n", name, dir, dir);
	return rc < 0 ? rc : 0;
}

/* @return 0 all are there, 1 not all */
static int do_status(const char *dir, bool as_json, struct err *err)
{
	json_t *status = NULL, *one;
	bool all = true;
	size_t i;
	int rc = fleet_status(dir, STATUS_NS, &status, err);

	if (rc < 0)
		return rc;
	if (as_json && (json_dumpf(status, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF))
		rc = err_set(err, -EIO, "stdout could not be written");
	json_array_foreach(json_object_get(status, "agents"), i, one) {
		bool here = json_is_true(json_object_get(one, "here"));

		all &= here;
		if (!as_json && here)
			printf("%-16s %-20s squall %s, kernel %s\n", json_string_value(json_object_get(one, "name")), json_string_value(json_object_get(one, "roles")),
			       json_string_value(json_object_get(one, "version")), json_string_value(json_object_get(one, "kernel")));
		else if (!as_json)
			printf("%-16s is not there\n", json_string_value(json_object_get(one, "name")));
	}
	json_decref(status);
	return rc < 0 ? rc : !all;
}

static void tell(const char *host, const char *what, bool failed, void *arg)
{
	(void)arg;
	if (failed)
		fprintf(stderr, "squall: %s: %s\n", host, what);
	else
		printf("%-16s %s\n", host, what);
	(void)fflush(stdout);
}

static int do_deploy(const char *path, enum deploy_what what, struct err *err)
{
	struct fleet_file file;
	int rc = fleet_file_load(path, &file, err);

	return rc < 0 ? rc : deploy_do(&file, what, tell, NULL, err);
}

struct options {
	const char *url, *on;
	bool as_json;
};

enum verb { INIT, ADD, REVOKE, STATUS, DEPLOY, UPGRADE, REMOVE, VERBS_NR };

static const char *const verbs[VERBS_NR + 1] = { "init", "add", "revoke", "status", "deploy", "upgrade", "remove", NULL };

static int act(enum verb verb, char *const word[], const struct options *o, struct err *err)
{
	switch (verb) {
	case INIT:
		return do_init(word[0], o->url ? o->url : "mqtts://127.0.0.1:8883", err);
	case ADD:
		return do_add(word[0], word[1], err);
	case REVOKE:
		return do_revoke(word[0], word[1], err);
	case STATUS:
		return do_status(word[0], o->as_json, err);
	case DEPLOY:
		return do_deploy(o->on, DEPLOY_PUT, err);
	case UPGRADE:
		return do_deploy(o->on, DEPLOY_UPGRADE, err);
	case REMOVE:
		return do_deploy(o->on, DEPLOY_REMOVE, err);
	case VERBS_NR:
		break;
	}
	return -EINVAL;
}

static int run(int words, char *const word[], const struct options *o, struct err *err)
{
	static const char *const wanted[] = { "--on FLEET.yaml", "a folder", "a folder and a name" };
	enum verb verb = INIT;
	int takes;

	if (words == 0)
		return err_set(err, -EINVAL, "fleet: a verb is wanted; see squall fleet --help");
	while (verb < VERBS_NR && strcmp(word[0], verbs[verb]) != 0)
		verb++;
	if (verb == VERBS_NR)
		return command_unknown(err, "fleet: the verb", word[0], verbs);
	if (verb != INIT && o->url)
		return err_set(err, -EINVAL, "fleet: --bus is an option of squall fleet init");
	if (verb != STATUS && o->as_json)
		return err_set(err, -EINVAL, "fleet: --json is an option of squall fleet status");
	if (verb < DEPLOY && o->on)
		return err_set(err, -EINVAL, "fleet: --on is an option of squall fleet deploy, upgrade and remove");
	takes = verb >= DEPLOY ? 0 : verb == ADD || verb == REVOKE ? 2 : 1;
	if (words - 1 != takes || (verb >= DEPLOY && !o->on))
		return err_set(err, -EINVAL, "fleet %s wants %s; see squall fleet --help", word[0], wanted[takes]);
	return act(verb, word + 1, o, err);
}

int cmd_fleet(int argc, char **argv)
{
	static const struct option long_options[] = { { "bus", required_argument, NULL, 'b' }, { "json", no_argument, NULL, 'j' },
						      { "on", required_argument, NULL, 'o' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct options o = { .url = NULL };
	struct err err = ERR_INIT;
	int option, rc = command_check_options("fleet", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
		if (option == 'j')
			o.as_json = true;
		else if (option == 'o')
			o.on = optarg;
		else
			o.url = optarg;
	}
	if (rc == 0)
		rc = run(argc - optind, argv + optind, &o, &err);
	if (rc < 0)
		fprintf(stderr, "squall: %s\n", err.text);
	return rc == 1 ? EXIT_NOT_AS_EXPECTED : (int)err_exit_status(rc);
}
