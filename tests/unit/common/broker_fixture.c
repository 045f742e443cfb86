/* SPDX-License-Identifier: MIT */
/*
 * broker_fixture.c - see broker_fixture.h.
 */
#include "broker_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"

struct broker broker = BROKER_INIT;
char url[64];
static char folder[64];

const char *in(const char *name)
{
	static char path[8][128];
	static int turn;

	turn = (turn + 1) % 8;
	(void)snprintf(path[turn], sizeof path[0], "%s/%s", folder, name);
	return path[turn];
}

static void issue(const char *name, enum certificate_use use, const char *address)
{
	struct err err = ERR_INIT;

	cr_assert_eq(certificate_issue(in("ca"), name, use, address, in(name), &err), 0, "%s", err.text);
}

void fixture_agent(const char *name)
{
	struct err err = ERR_INIT;

	issue(name, CERTIFICATE_CLIENT, NULL);
	cr_assert_eq(certificate_pin(in(BUS_COORDINATOR), in(name), &err), 0, "%s", err.text);
}

/* Free now; the broker says so when somebody is quicker. */
static uint16_t free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
	close(fd);
	return ntohs(at.sin_port);
}

void fixture_begin(void)
{
	struct err err = ERR_INIT;
	int rc = -EADDRINUSE;

	(void)snprintf(folder, sizeof folder, "/tmp/squall-bus-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chmod(folder, 0711), 0);	/* the broker is another user when this is root */
	cr_assert_eq(certificate_authority(in("ca"), NULL), 0);
	issue("broker", CERTIFICATE_SERVER, "127.0.0.1");
	issue(BUS_COORDINATOR, CERTIFICATE_CLIENT, NULL);
	fixture_agent("agent");
	cr_assert_eq(broker_revoked(in("broker"), in("ca"), NULL), 0);
	for (int attempt = 0; attempt < 5 && rc == -EADDRINUSE; attempt++) {
		uint16_t port = free_port();

		err.text[0] = '\0';
		cr_assert_eq(broker_configure(in("broker"), "127.0.0.1", port, &err), 0, "%s", err.text);
		(void)snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", port);
		rc = broker_start(in("broker"), 10 * NS_PER_S, &broker, &err);
	}
	cr_assert_eq(rc, 0, "%s", err.text);
}

void fixture_end(void)
{
	broker_stop(&broker);
	if (folder[0] != '\0')
		(void)file_remove_tree(folder, NULL);
}

void open_bus(struct bus **ret, const char *identity)
{
	struct err err = ERR_INIT;

	*ret = bus_new();
	cr_assert_eq(bus_open(*ret, url, in(identity), 5 * NS_PER_S, &err), 0, "%s", err.text);
}
