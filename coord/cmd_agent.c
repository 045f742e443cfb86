/* SPDX-License-Identifier: MIT */
/*
 * cmd_agent.c - `squall agent`: serve a coordinator on this host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "command.h"
#include "err.h"

static const char help[] =
	"Usage: squall agent --bus URL --role LIST [--name NAME] [--dir DIR]\n"
	"\n"
	"Serve a coordinator on this host: load, chaos and observe, as the roles say.\n"
	"\n"
	"  --bus listen:PORT   wait for a coordinator on a TCP port; for the lab alone: nothing asks who it is\n"
	"  --bus fd:N          a connected socket that was inherited (squall run uses this on its own host)\n"
	"  --role LIST         load,chaos,observe or some of them\n"
	"  --name NAME         what the record calls this host (default: local)\n"
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
		if (agent_serve(options, fd, &said) < 0)
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
	return agent_serve(options, (int)fd, err);
}

int cmd_agent(int argc, char **argv)
{
	static const struct option long_options[] = { { "bus", required_argument, NULL, 'b' }, { "role", required_argument, NULL, 'r' },
						      { "name", required_argument, NULL, 'n' }, { "dir", required_argument, NULL, 'd' },
						      { "help", no_argument, NULL, 'h' }, { 0 } };
	struct agent_options options = { .name = "local", .roles = "" };
	struct err err = ERR_INIT;
	const char *bus = "";
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
	if (rc < 0)
		;
	else if (strncmp(bus, "fd:", 3) == 0)
		rc = serve_descriptor(&options, bus + 3, &err);
	else if (strncmp(bus, "listen:", 7) == 0)
		rc = serve_port(&options, bus + 7, &err);
	else
		rc = err_set(&err, -EINVAL, "agent: --bus %s; write listen:PORT", *bus ? "is neither listen:PORT nor fd:N" : "is missing");
	if (rc < 0)
		fprintf(stderr, "squall: %s\n", err.text);
	return (int)err_exit_status(rc);
}
