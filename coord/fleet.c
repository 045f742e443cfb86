/* SPDX-License-Identifier: MIT */
/*
 * fleet.c - a fleet's folder.
 *
 * It is there when fleet.json is, which is written last; a withdrawal that was cut off is done again.
 */
#include "fleet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker.h"
#include "bus.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "json_text.h"

#define BROKER "broker"
#define PATH_BYTES 512
#define DIR_BYTES 256
#define JSON_BYTES_MAX 4096
#define START_NS (10 * NS_PER_S)
#define CONNECT_NS (10 * NS_PER_S)
#define EVICT_NS (2 * NS_PER_S)
#define RESTART_NS (2 * NS_PER_S)	/* nothing else is done meanwhile */

/* Of a folder whose length is checked, and names that are short. */
static const char *in(char ret[PATH_BYTES], const char *dir, const char *name)
{
	(void)snprintf(ret, PATH_BYTES, "%.400s/%.100s", dir, name);
	return ret;
}

static int write_json(const char *dir, const char *url, struct err *err)
{
	json_t *json = json_pack("{s:i, s:s}", "schema", 1, "bus", url);
	char path[PATH_BYTES], *text = json_text(json, JSON_INDENT(1));
	int rc = text ? file_write(in(path, dir, "fleet.json"), text, strlen(text), 0644, err) : err_set(err, -ENOMEM, "fleet: no memory");

	free(text);
	json_decref(json);
	return rc;
}

/* Of the broker and the coordinator. */
static int make_identities(const char *dir, const char *address, const char *beside, uint16_t port, struct err *err)
{
	char ca[PATH_BYTES], broker[PATH_BYTES], coordinator[PATH_BYTES], agents[PATH_BYTES], addresses[40];
	int rc;

	(void)snprintf(addresses, sizeof addresses, "%s%s%s", address, beside ? "," : "", beside ? beside : "");
	(void)in(ca, dir, "ca");
	(void)in(broker, dir, BROKER);
	rc = certificate_authority(ca, err);
	if (rc == 0)
		rc = certificate_issue(ca, BROKER, CERTIFICATE_SERVER, addresses, broker, err);
	if (rc == 0)
		rc = certificate_issue(ca, BUS_COORDINATOR, CERTIFICATE_CLIENT, NULL, in(coordinator, dir, BUS_COORDINATOR), err);
	if (rc == 0)
		rc = broker_revoked(broker, ca, err);
	if (rc == 0)
		rc = broker_configure(broker, address, port, err);
	if (rc == 0)
		rc = file_mkdirs(in(agents, dir, "agents"), 0700, err);
	return rc;
}

int fleet_init(const char *dir, const char *url, const char *beside, struct err *err)
{
	char address[16];
	uint16_t port;
	int rc = bus_parse_url(url, address, &port);

	if (rc < 0)
		return err_set(err, rc, "fleet init: '%s' is no address of a broker; write mqtts://ADDRESS:PORT, with an IPv4 address", url);
	if (strlen(dir) >= DIR_BYTES)
		return err_set(err, -ENAMETOOLONG, "fleet init: %.40s...: more than %d bytes", dir, DIR_BYTES - 1);
	if (mkdir(dir, 0700) < 0)
		return err_set(err, -errno, "fleet init: %s: %s%s", dir, strerror(errno), errno == EEXIST ? "; a fleet wants a folder of its own" : "");
	rc = make_identities(dir, address, beside, port, err);
	return rc < 0 ? rc : write_json(dir, url, err);
}

static int load_url(const char *dir, char *ret, size_t bytes, struct err *err)
{
	char path[PATH_BYTES], *text = NULL;
	json_t *json = NULL;
	const char *url;
	int rc = strlen(dir) < DIR_BYTES ? file_read(in(path, dir, "fleet.json"), JSON_BYTES_MAX, &text, NULL, NULL) : -ENAMETOOLONG;

	if (rc == -ENOENT)
		return err_set(err, -EINVAL, "%s: there is no fleet; squall fleet init %s makes one", dir, dir);
	if (rc < 0)
		return err_set(err, rc, "%s: the fleet cannot be read: %s", dir, strerror(-rc));
	json = json_loads(text, 0, NULL);
	url = json_string_value(json_object_get(json, "bus"));
	if (!url || strlen(url) >= bytes)
		rc = err_set(err, -EBADMSG, "%s: it does not name the address of the broker", path);
	else
		(void)snprintf(ret, bytes, "%s", url);
	json_decref(json);
	free(text);
	return rc;
}

int fleet_add(const char *dir, const char *name, struct err *err)
{
	char url[64], ca[PATH_BYTES], coordinator[PATH_BYTES], agents[PATH_BYTES], identity[PATH_BYTES];
	struct stat st;
	int rc = load_url(dir, url, sizeof url, err);

	if (rc < 0)
		return rc;
	if (strcmp(name, BROKER) == 0 || strcmp(name, BUS_COORDINATOR) == 0)
		return err_set(err, -EINVAL, "fleet add: '%s' has that name itself; take another", name);
	if (!certificate_name_is_fine(name))
		return err_set(err, -EINVAL, "fleet add: the name '%s' is not fit for a certificate; take 1 to 32 of a to z, 0 to 9 and -", name);
	(void)in(identity, in(agents, dir, "agents"), name);
	(void)strncat(identity, "/cert.pem", sizeof identity - strlen(identity) - 1);
	if (lstat(identity, &st) == 0)
		return err_set(err, -EEXIST, "fleet add: there is a '%s' already; squall fleet revoke %s %s withdraws it", name, dir, name);
	rc = file_mkdirs(in(identity, agents, name), 0700, err);
	if (rc == 0)
		rc = certificate_pin(in(coordinator, dir, BUS_COORDINATOR), identity, err);
	return rc < 0 ? rc : certificate_issue(in(ca, dir, "ca"), name, CERTIFICATE_CLIENT, NULL, identity, err);
}

/* Withdraw a certificate, and let the broker know. @return as of broker_reload() */
static int withdraw(const char *dir, const char *identity, struct err *err)
{
	char ca[PATH_BYTES], broker[PATH_BYTES];
	int rc = certificate_revoke(in(ca, dir, "ca"), identity, err);

	if (rc == 0)
		rc = broker_revoked(in(broker, dir, BROKER), ca, err);
	return rc < 0 ? rc : broker_reload(broker, err);
}

/*
 * A broker asks for a certificate once, at the beginning, and lets a connection be that it has taken. But it lets nobody be connected twice: who
 * comes with a new certificate of the same name ends the old connection, which is then refused.
 */
static int evict(const char *dir, const char *url, const char *name, struct err *err)
{
	char ca[PATH_BYTES], coordinator[PATH_BYTES], identity[PATH_BYTES];
	struct bus *bus = bus_new();
	int rc;

	(void)in(identity, dir, "evict");
	rc = bus ? certificate_issue(in(ca, dir, "ca"), name, CERTIFICATE_CLIENT, NULL, identity, err) : err_set(err, -ENOMEM, "fleet: no memory");
	if (rc == 0)
		rc = certificate_pin(in(coordinator, dir, BUS_COORDINATOR), identity, err);
	if (rc == 0)
		rc = bus_open(bus, url, identity, EVICT_NS, err);
	bus_free(bus);
	if (withdraw(dir, identity, rc < 0 ? NULL : err) < 0 && rc == 0)
		rc = -EIO;
	(void)file_remove_tree(identity, NULL);
	return rc;
}

int fleet_revoke(const char *dir, const char *name, struct err *err)
{
	char url[64], agents[PATH_BYTES], identity[PATH_BYTES];
	struct stat st;
	int rc = load_url(dir, url, sizeof url, err), runs;

	if (rc < 0)
		return rc;
	(void)in(identity, in(agents, dir, "agents"), name);
	if (!certificate_name_is_fine(name) || lstat(identity, &st) < 0)
		return err_set(err, -EINVAL, "fleet revoke: there is no agent '%s' in %s", name, dir);
	runs = withdraw(dir, identity, err);
	if (runs == 1)
		rc = evict(dir, url, name, err);
	if (runs < 0 || rc < 0)
		return runs < 0 ? runs : rc;
	rc = file_remove_tree(identity, err);
	return rc < 0 ? rc : runs;
}

static int is_agent(const struct dirent *e)
{
	return certificate_name_is_fine(e->d_name);
}

int fleet_load(const char *dir, struct fleet *ret, struct err *err)
{
	struct fleet f = FLEET_INIT;
	struct dirent **list = NULL;
	char agents[PATH_BYTES];
	int nr, rc = load_url(dir, f.url, sizeof f.url, err);

	if (rc < 0)
		return rc;
	(void)snprintf(f.dir, sizeof f.dir, "%s", dir);
	nr = scandir(in(agents, dir, "agents"), &list, is_agent, alphasort);
	if (nr < 0)
		return err_set(err, -errno, "%s: %s", agents, strerror(errno));
	if (nr > HOSTS_MAX)
		rc = err_set(err, -E2BIG, "%s: %d agents; a run has at most %d", dir, nr, HOSTS_MAX);
	for (int i = 0; i < nr; i++) {
		if (rc == 0)
			memcpy(f.agent[f.agents_nr++], list[i]->d_name, strlen(list[i]->d_name) + 1);
		free(list[i]);
	}
	free(list);
	if (rc == 0)
		*ret = f;
	return rc;
}

bool fleet_has(const struct fleet *f, const char *name)
{
	for (int i = 0; i < f->agents_nr; i++)
		if (strcmp(f->agent[i], name) == 0)
			return true;
	return false;
}

static const char *peer_of(const struct fleet *f, const char *name)
{
	for (int i = 0; i < f->pairs_nr; i++)
		for (int k = 0; k < 2; k++)
			if (strcmp(f->pair[i].name[k], name) == 0)
				return f->pair[i].name[!k];
	return NULL;
}

bool fleet_may_be_peers(const struct fleet *f, const char *a, const char *b)
{
	const char *peer = f ? peer_of(f, a) : NULL;

	return !peer || strcmp(peer, b) == 0 || !peer_of(f, b);
}

bool fleet_are_peers(const struct fleet *f, const char *a, const char *b)
{
	const char *peer = f ? peer_of(f, a) : NULL;

	return peer && strcmp(peer, b) == 0;
}

int fleet_lock(struct fleet *f, struct err *err)
{
	char path[PATH_BYTES];

	f->lock = open(in(path, f->dir, BUS_COORDINATOR), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->lock < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(f->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY, "another run uses the fleet in %s", f->dir);
	return 0;
}

int fleet_serve(struct fleet *f, struct broker *ret_broker, struct err *err)
{
	struct err said = ERR_INIT;
	char path[PATH_BYTES];
	int rc = fleet_lock(f, err);

	if (rc < 0)
		return rc;
	rc = broker_start(in(path, f->dir, BROKER), START_NS, ret_broker, &said);
	f->is_taken = rc == -EADDRINUSE;
	return rc < 0 && rc != -EADDRINUSE && rc != -EADDRNOTAVAIL ? err_set(err, rc, "%s", said.text) : 0;
}

int fleet_connect(const struct fleet *f, struct bus *bus, struct err *err)
{
	char path[PATH_BYTES];
	struct err said = ERR_INIT;
	int rc = bus_open(bus, f->url, in(path, f->dir, BUS_COORDINATOR), CONNECT_NS, &said);

	return rc < 0 ? err_set(err, rc, "%s%s", said.text, f->is_taken ? "; something listens there already: is it a broker of this fleet? ss -ltnp names it" : "") : 0;
}

int fleet_look_after(const struct fleet *f, struct broker *broker, struct err *err)
{
	char path[PATH_BYTES];
	int rc;

	if (!broker_has_ended(broker))
		return 0;
	broker_stop(broker);
	rc = broker_start(in(path, f->dir, BROKER), RESTART_NS, broker, err);
	return rc < 0 ? rc : 1;
}

void fleet_release(struct fleet *f)
{
	if (f->lock >= 0)
		close(f->lock);
	f->lock = -1;
}
