/* SPDX-License-Identifier: MIT */
/*
 * cmd_agent.c - `squall agent`: serve a coordinator on this host.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent.h"
#include "bus.h"
#include "certificate.h"
#include "chaos.h"
#include "clock.h"
#include "command.h"
#include "err.h"
#include "exec.h"

#define LOOK_NS (5 * NS_PER_S)	/* at a broker that is not there */

static const char help[] =
	"Usage: squall agent --bus URL --role LIST [--identity DIR] [--name NAME] [--dir DIR]\n"
	"\n"
	"Serve a coordinator on this host: load, chaos and observe, as the roles say.\n"
	"\n"
	"  --bus mqtts://ADDRESS:PORT\n"
	"                      wait for a coordinator on a broker, for ever\n"
	"  --identity DIR      of a broker: key.pem, cert.pem, ca.pem and coordinator.pem, as squall fleet add makes them; the name is the certificate's\n"
	"  --bus fd:N          a connected socket that was inherited (squall run uses this on its own host)\n"
	"  --role LIST         load,chaos,observe or some of them\n"
	"  --name NAME         what the record calls this host (default: local); not with --identity\n"
	"  --dir DIR           the dataset as this host sees it; needed by the role load\n"
	"  --help              this text\n"
	"\n"
	"Exit status: 0 its coordinator on fd:N is done with it, or SIGTERM, 2 usage, 3 broken, 77 needs missing.\n";

static int serve_socket(const struct agent_options *options, int fd, struct err *err)
{
	struct bus *bus = bus_new();
	int rc = bus ? bus_attach(bus, BUS_COORDINATOR, fd, err) : err_set(err, -ENOMEM, "agent: no memory");

	if (rc < 0)
		close(fd);
	else
		rc = agent_serve(options, bus, err);
	bus_free(bus);
	return rc;
}

static int check_roles(const char *list, struct err *err)
{
	static const char *const roles[] = { "load", "chaos", "observe", NULL };
	unsigned int ignored;

	if (*list == '\0')
		return err_set(err, -EINVAL, "agent: --role is missing; write load,chaos,observe or some of them");
	return command_choose(err, "agent: the role", list, roles, &ignored);
}

/* A descriptor that was inherited. */
static int serve_descriptor(const struct agent_options *options, const char *text, struct err *err)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || fd > INT_MAX)
		return err_set(err, -EINVAL, "agent: --bus fd:%s is no descriptor", text);
	return serve_socket(options, (int)fd, err);
}

struct refusals {
	struct bus_refused told;
	uint64_t recorded;
};

/* On record where faults are injected. Each time that there are twice as many: who sends them is not to fill the disk. */
static void record_refused(struct refusals *r, const char *text)
{
	uint64_t nr = r->told.forged + r->told.misaddressed + r->told.expired;
	struct err err = ERR_INIT;

	if (nr < 2 * r->recorded)
		return;
	r->recorded = nr;
	if (chaos_audit_refused(text, &err) < 0)
		fprintf(stderr, "squall: that is not on record: %s\n", err.text);
}

/* Somebody tries to command this host who may not, or the coordinator is very late: its owner should know. */
static void say_refused(const struct agent_options *options, const struct bus *bus, struct refusals *r)
{
	struct bus_refused now = bus_refused(bus);
	char text[160];

	if (now.forged == r->told.forged && now.misaddressed == r->told.misaddressed && now.expired == r->told.expired)
		return;
	r->told = now;
	(void)snprintf(text, sizeof text, "commands refused since the start: %" PRIu64 " forged, %" PRIu64 " for another agent, %" PRIu64 " too late", now.forged, now.misaddressed,
		       now.expired);
	fprintf(stderr, "squall: %s\n", text);
	if (strstr(options->roles, "chaos"))
		record_refused(r, text);
}

/* What the agent before us has left, when holder and guard were killed with it. A child does it: what is to be healed may hang. */
static void heal_orphans(const struct agent_options *options)
{
	struct err err = ERR_INIT;
	pid_t parent = getpid(), pid;

	if (!strstr(options->roles, "chaos"))
		return;
	pid = fork();
	if (pid != 0) {
		exec_leave(pid);
		return;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && chaos_heal_orphans("agent", &err) < 0)
		fprintf(stderr, "squall: %s; squall chaos heal tries again\n", err.text);
	_exit(0);
}

/* Under systemd in the folder that it gives the unit, the first of them: the identity may be read-only there (systemd.exec(5), STATE_DIRECTORY). */
static void choose_spool(const char *identity, char *ret, size_t bytes)
{
	const char *state = getenv("STATE_DIRECTORY");
	size_t nr = state ? strcspn(state, ":") : 0;

	(void)snprintf(ret, bytes, "%.*s/spool", nr > 0 ? (int)nr : INT_MAX, nr > 0 ? state : identity);
}

/* A broker may come later than we do, and go and come back: that is said, and waited for. */
static int serve_broker(struct agent_options *options, const char *url, const char *identity, struct err *err)
{
	char name[CERTIFICATE_NAME_BYTES], spool[PATH_MAX];
	struct refusals refusals = { .recorded = 0 };
	struct err said = ERR_INIT;
	struct bus *bus = NULL;
	int rc;

	if (!identity || options->name)
		return err_set(err, -EINVAL, "agent: with a broker, --identity DIR says who this is, and --name is not given");
	rc = certificate_name(identity, name, err);
	if (rc < 0)
		return rc;
	options->name = name;
	choose_spool(identity, spool, sizeof spool);
	options->spool = spool;
	heal_orphans(options);
	bus = bus_new();
	rc = bus ? bus_open(bus, url, identity, 0, err) : err_set(err, -ENOMEM, "agent: no memory");
	while (rc >= 0) {
		struct err now = ERR_INIT;

		rc = bus_accept(bus, clock_mono_ns() + LOOK_NS, err);
		if (rc == 1) {
			rc = agent_serve(options, bus, err);
			bus_detach(bus, BUS_COORDINATOR);
		} else if (rc == 0) {
			(void)bus_problem(bus, &now);
			if (now.text[0] != '\0' && strcmp(now.text, said.text) != 0)
				fprintf(stderr, "squall: %s\n", now.text);
			said = now;
		}
		say_refused(options, bus, &refusals);
	}
	bus_free(bus);
	return rc;
}

static int serve(struct agent_options *options, const char *bus, const char *identity, struct err *err)
{
	if (strncmp(bus, "mqtts:", 6) == 0)
		return serve_broker(options, bus, identity, err);
	if (identity)
		return err_set(err, -EINVAL, "agent: --identity is for a broker: --bus mqtts://ADDRESS:PORT");
	if (!options->name)
		options->name = "local";
	if (strncmp(bus, "fd:", 3) == 0)
		return serve_descriptor(options, bus + 3, err);
	return err_set(err, -EINVAL, "agent: --bus %s; write mqtts://ADDRESS:PORT", *bus ? "is neither mqtts://ADDRESS:PORT nor fd:N" : "is missing");
}

int cmd_agent(int argc, char **argv)
{
	static const struct option long_options[] = { { "bus", required_argument, NULL, 'b' }, { "role", required_argument, NULL, 'r' },
						      { "name", required_argument, NULL, 'n' }, { "dir", required_argument, NULL, 'd' },
						      { "identity", required_argument, NULL, 'i' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct agent_options options = { .roles = "" };
	struct err err = ERR_INIT;
	const char *bus = "", *identity = NULL;
	int option, rc = command_check_options("agent", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'b')
			bus = optarg;
		else if (option == 'r')
			options.roles = optarg;
		else if (option == 'n')
			options.name = optarg;
		else if (option == 'd')
			options.dir = optarg;
		else if (option == 'i')
			identity = optarg;
		else {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);		/* the coordinator decides, and its end is ours */
	if (rc == 0 && optind < argc)
		rc = err_set(&err, -EINVAL, "agent: '%s' is one word too many; see squall agent --help", argv[optind]);
	if (rc == 0)
		rc = check_roles(options.roles, &err);
	if (rc == 0)
		rc = serve(&options, bus, identity, &err);
	if (rc < 0)
		fprintf(stderr, "squall: %s\n", err.text);
	return (int)err_exit_status(rc);
}
