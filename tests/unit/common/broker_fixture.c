/* SPDX-License-Identifier: MIT */
/*
 * broker_fixture.c - see broker_fixture.h.
 */
#include "broker_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"

struct broker broker = BROKER_INIT;
static struct broker other = BROKER_INIT;
char url[64];
static char other_url[64], folder[64];

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

static void append(const char *path, const char *text)
{
	FILE *f = fopen(path, "a");

	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
}

/* @param also  lines for its configuration */
static void start(const char *name, const char *also, struct broker *ret, char ret_url[64])
{
	struct err err = ERR_INIT;
	char config[64];
	int rc = -EADDRINUSE;

	issue(name, CERTIFICATE_SERVER, "127.0.0.1");
	cr_assert_eq(broker_revoked(in(name), in("ca"), NULL), 0);
	(void)snprintf(config, sizeof config, "%s/mosquitto.conf", name);
	for (int attempt = 0; attempt < 5 && rc == -EADDRINUSE; attempt++) {
		uint16_t port = free_port();

		err.text[0] = '\0';
		cr_assert_eq(broker_configure(in(name), "127.0.0.1", port, &err), 0, "%s", err.text);
		append(in(config), also);
		(void)snprintf(ret_url, 64, "mqtts://127.0.0.1:%u", port);
		rc = broker_start(in(name), 10 * NS_PER_S, ret, &err);
	}
	cr_assert_eq(rc, 0, "%s", err.text);
}

void fixture_identities(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/squall-bus-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(certificate_authority(in("ca"), NULL), 0);
	issue(BUS_COORDINATOR, CERTIFICATE_CLIENT, NULL);
	fixture_agent("agent");
}

void fixture_begin(void)
{
	fixture_identities();
	start("broker", "", &broker, url);
}

void fixture_begin_bridged(void)
{
	char bridge[2048];

	fixture_identities();
	issue("bridge", CERTIFICATE_CLIENT, NULL);
	cr_assert_eq(chmod(folder, 0711), 0);	/* the broker is another user when this is root, and the bridge's identity lies beside its folder */
	cr_assert_eq(chmod(in("bridge"), 0755), 0);
	cr_assert_eq(chmod(in("bridge/key.pem"), 0644), 0);
	start("other", "", &other, other_url);
	append(in("other/acl"), "user bridge\ntopic readwrite squall/#\n");
	cr_assert_eq(broker_reload(in("other"), NULL), 1);
	(void)snprintf(bridge, sizeof bridge,
		       "connection other\naddress %s\nbridge_protocol_version mqttv50\nbridge_tls_version tlsv1.3\n"
		       "bridge_cafile %s\nbridge_certfile %s\nbridge_keyfile %s\n"
		       "topic squall/# both 1\nnotifications false\nrestart_timeout 1\n",
		       other_url + strlen("mqtts://"), in("bridge/ca.pem"), in("bridge/cert.pem"), in("bridge/key.pem"));
	start("broker", bridge, &broker, url);
}

const char *url_of(const char *identity)
{
	return other.pid > 0 && strcmp(identity, BUS_COORDINATOR) != 0 ? other_url : url;
}

void fixture_set_acl(const char *acl)
{
	struct err err = ERR_INIT;

	cr_assert_eq(file_write(in("broker/acl"), acl, strlen(acl), 0644, &err), 0, "%s", err.text);
	cr_assert_eq(broker_reload(in("broker"), &err), 1, "%s", err.text);
	if (other.pid <= 0)
		return;
	cr_assert_eq(file_write(in("other/acl"), acl, strlen(acl), 0644, &err), 0, "%s", err.text);
	cr_assert_eq(broker_reload(in("other"), &err), 1, "%s", err.text);
}

void fixture_end(void)
{
	broker_stop(&broker);
	broker_stop(&other);
	if (folder[0] != '\0')
		(void)file_remove_tree(folder, NULL);
}

void open_bus(struct bus **ret, const char *identity)
{
	struct err err = ERR_INIT;

	*ret = bus_new();
	cr_assert_eq(bus_open(*ret, url_of(identity), in(identity), 5 * NS_PER_S, &err), 0, "%s", err.text);
}
