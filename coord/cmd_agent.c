/* SPDX-License-Identifier: MIT */
/*
 * cmd_agent.c - `squall agent`: serve a coordinator on this host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "bus.h"
#include "certificate.h"
#include "clock.h"
#include "command.h"
#include "err.h"

#define LOOK_NS (5 * NS_PER_S)	/* at a broker that is not there */

static const char help[] =
	"Usage: squall agent --bus URL --role LIST [--identity DIR] [--name NAME] [--dir DIR]\n"
	"\n"
	"Serve a coordinator on this host: load, chaos and observe, as the roles say.\n"
	"\n"
	"  --bus mqtts://ADDRESS:PORT\n"
	"                      wait for a coordinator on a broker, for ever\n"
	"  --identity DIR      of a broker: key.pem, cert.pem and ca.pem, as squall fleet add makes them; the name is the certificate's\n"
	"  --bus listen:PORT   wait for a coordinator on a TCP port; for the lab alone: nothing asks who it is\n"
	"  --bus fd:N          a connected socket that was inherited (squall run uses this on its own host)\n"
	"  --role LIST         load,chaos,observe or some of them\n"
	"  --name NAME         what the record calls this host (default: local); not with --identity\n"
	"  --dir DIR           the dataset as this host sees it; needed by the role load\n"
	"  --help              this text\n";

static int listen_on(const char *port_text, struct err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
	char *end;
	long port = strtol(port_text, &end, 10);
	int fd, on = 1;

	if (*port_text < '0' || *port_text > '9' || *end != '\0' || port < 1 || port > 65535)
		return err_set(err, -EINVAL, "agent: --bus listen:%s is no port; write a number from 1 to 65535", port_text);
	at.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "agent: socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4) < 0) {
		int rc = -errno;

		close(fd);
		return err_set(err, rc, "agent: port %ld: %s%s", port, strerror(-rc), rc == -EADDRINUSE ? "; another agent may be there, or take another port" : "");
	}
	return fd;
}

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

/* One coordinator at a time; when it goes, everything is ended and healed, and the next may come. */
static int serve_port(const struct agent_options *options, const char *port, struct err *err)
{
	int listener = listen_on(port, err);

	if (listener < 0)
		return listener;
	for (;;) {
		struct err said = ERR_INIT;
		int on = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return err_set(err, -errno, "agent: accept: %s", strerror(errno));
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (serve_socket(options, fd, &said) < 0)
			fprintf(stderr, "squall: %s\n", said.text);
	}
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

/* Somebody tries to command this host who may not, or the coordinator is very late: its owner should know. */
static void say_refused(const struct bus *bus, struct bus_refused *told)
{
	struct bus_refused now = bus_refused(bus);

	if (now.forged != told->forged || now.misaddressed != told->misaddressed || now.expired != told->expired)
		fprintf(stderr, "squall: commands refused since the start: %" PRIu64 " forged, %" PRIu64 " for another agent, %" PRIu64 " too late\n", now.forged,
			now.misaddressed, now.expired);
	*told = now;
}

/* A broker may come later than we do, and go and come back: that is said, and waited for. */
static int serve_broker(struct agent_options *options, const char *url, const char *identity, struct err *err)
{
	char name[CERTIFICATE_NAME_BYTES], spool[PATH_MAX];
	struct bus_refused told = { 0 };
	struct err said = ERR_INIT;
	struct bus *bus = NULL;
	int rc;

	if (!identity || options->name)
		return err_set(err, -EINVAL, "agent: with a broker, --identity DIR says who this is, and --name is not given");
	rc = certificate_name(identity, name, err);
	if (rc < 0)
		return rc;
	options->name = name;
	(void)snprintf(spool, sizeof spool, "%s/spool", identity);
	if (!options->spool)
		options->spool = spool;
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
		say_refused(bus, &told);
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
	if (strncmp(bus, "listen:", 7) == 0)
		return serve_port(options, bus + 7, err);
	return err_set(err, -EINVAL, "agent: --bus %s; write mqtts://ADDRESS:PORT", *bus ? "is none of mqtts://ADDRESS:PORT, listen:PORT and fd:N" : "is missing");
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
