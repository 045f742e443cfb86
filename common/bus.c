/* SPDX-License-Identifier: MIT */
/*
 * bus.c - the peers of a bus, whatever leads to them.
 *
 * The rule that holds it together: no call waits for a peer. What is sent and what is received waits in the queues of a link, both of which have a
 * limit; a peer that exceeds one, or whose connection ends, is marked gone, its messages are still delivered, and then one of kind "gone".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bus_link.h"
#include "bus_mqtt.h"
#include "clock.h"
#include "err.h"
#include "json_text.h"

struct bus {
	struct bus_link *link[BUS_PEERS_MAX];
	int nr;
	int turn;			/* whose messages are looked at first: nobody starves */
	struct mqtt *mqtt;		/* NULL: no broker */
};

struct bus *bus_new(void)
{
	return calloc(1, sizeof(struct bus));
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	for (int i = 0; i < bus->nr; i++)
		bus->link[i]->ops->free(bus->link[i]);
	mqtt_free(bus->mqtt);
	free(bus);
}

static struct bus_link *find(const struct bus *bus, const char *peer)
{
	for (int i = 0; i < bus->nr; i++)
		if (strcmp(bus->link[i]->peer, peer) == 0)
			return bus->link[i];
	return NULL;
}

static void drop(struct bus *bus, struct bus_link *link)
{
	for (int i = 0; i < bus->nr; i++)
		if (bus->link[i] == link) {
			bus->link[i] = bus->link[--bus->nr];
			link->ops->free(link);
			return;
		}
}

int bus_add(struct bus *bus, const char *peer, struct bus_link *link, struct err *err)
{
	if (find(bus, peer))
		return err_set(err, -EEXIST, "bus: there is a peer '%s' already", peer);
	if (bus->nr == BUS_PEERS_MAX)
		return err_set(err, -EMFILE, "bus: more than %d peers", BUS_PEERS_MAX);
	if (strlen(peer) >= sizeof link->peer)
		return err_set(err, -EINVAL, "bus: the name '%s' is too long", peer);
	memcpy(link->peer, peer, strlen(peer) + 1);
	bus->link[bus->nr++] = link;
	return 0;
}

void bus_detach(struct bus *bus, const char *peer)
{
	struct bus_link *link = find(bus, peer);

	if (link)
		drop(bus, link);
}

int bus_message_parse(const char *text, size_t bytes, struct bus_message *ret)
{
	json_t *body = json_loadb(text, bytes, 0, NULL);
	const char *kind = json_string_value(json_object_get(body, "kind"));

	if (!kind || strlen(kind) >= sizeof ret->kind || strcmp(kind, "gone") == 0) {
		json_decref(body);
		return -EBADMSG;
	}
	memcpy(ret->kind, kind, strlen(kind) + 1);
	ret->body = body;
	return 0;
}

int bus_send(struct bus *bus, const char *peer, const char *kind, json_t *body)
{
	struct bus_link *link = find(bus, peer);
	char *text = NULL;
	int rc = -ENOTCONN;

	if (!link || link->gone)
		goto out;
	rc = -ENOMEM;
	if (!body)
		body = json_object();
	if (json_object_set_new(body, "kind", json_string(kind)) < 0)
		goto out;
	text = json_text(body, JSON_COMPACT);
	if (text)
		rc = link->ops->send(link, text, strlen(text));
out:
	free(text);
	json_decref(body);
	return rc;
}

int bus_pollfds(const struct bus *bus, struct pollfd *ret, int max)
{
	int nr = bus->mqtt && max > 0 && mqtt_pollfd(bus->mqtt, ret);

	for (int i = 0; i < bus->nr && nr < max; i++)
		nr += !bus->link[i]->gone && bus->link[i]->ops->pollfd(bus->link[i], &ret[nr]);
	return nr;
}

int bus_patience_ms(const struct bus *bus)
{
	return bus->mqtt ? mqtt_turn_ms(bus->mqtt) : INT_MAX;
}

static int take(struct bus *bus, struct bus_message *ret)
{
	for (int i = 0; i < bus->nr; i++) {
		struct bus_link *link = bus->link[(bus->turn + i) % bus->nr];

		memcpy(ret->peer, link->peer, sizeof ret->peer);
		if (link->ops->take(link, ret) == 1) {
			bus->turn = (bus->turn + i + 1) % bus->nr;
			return 1;
		}
		if (!link->gone)
			continue;
		*ret = (struct bus_message){ .kind = "gone", .at_ns = clock_mono_ns() };
		memcpy(ret->peer, link->peer, sizeof ret->peer);
		drop(bus, link);
		return 1;
	}
	return 0;
}

static int serve(struct bus *bus, int timeout_ms)
{
	struct pollfd fds[BUS_PEERS_MAX + 1];
	struct bus_link *of[BUS_PEERS_MAX + 1];
	int patience_ms = bus_patience_ms(bus);
	nfds_t nr = 0;

	for (int i = 0; i < bus->nr; i++)
		if (!bus->link[i]->gone && bus->link[i]->ops->pollfd(bus->link[i], &fds[nr]))
			of[nr++] = bus->link[i];
	if (bus->mqtt && !mqtt_pollfd(bus->mqtt, &fds[nr]))
		fds[nr].fd = -1;
	if (timeout_ms > patience_ms)
		timeout_ms = patience_ms;
	if (poll(fds, nr + (bus->mqtt != NULL), timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	for (nfds_t i = 0; i < nr; i++)
		if (fds[i].revents)
			of[i]->ops->ready(of[i], fds[i].revents);
	if (bus->mqtt)
		mqtt_turn(bus->mqtt, fds[nr].revents);
	return 0;
}

static int ms_until(uint64_t deadline_ns)
{
	uint64_t now = clock_mono_ns();

	if (deadline_ns <= now)
		return 0;
	return (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

int bus_next(struct bus *bus, uint64_t deadline_ns, struct bus_message *ret_message)
{
	for (;;) {
		int wait_ms, rc;

		if (take(bus, ret_message) == 1)
			return 1;
		wait_ms = ms_until(deadline_ns);
		rc = serve(bus, wait_ms);
		if (rc < 0)
			return rc;
		if (take(bus, ret_message) == 1)
			return 1;
		if (wait_ms == 0)
			return 0;
	}
}

static bool is_written(const struct bus *bus)
{
	for (int i = 0; i < bus->nr; i++)
		if (!bus->link[i]->gone && !bus->link[i]->ops->is_written(bus->link[i]))
			return false;
	return true;
}

int bus_flush(struct bus *bus, uint64_t deadline_ns)
{
	for (bool tried = false; !is_written(bus); tried = true) {
		if (tried && ms_until(deadline_ns) == 0)
			return -ETIMEDOUT;
		(void)serve(bus, ms_until(deadline_ns));
	}
	return 0;
}

int bus_parse_url(const char *url, char *ret_address, uint16_t *ret_port)
{
	static const char scheme[] = "mqtts://";
	const char *from, *colon;
	struct in_addr ignored;
	char *end;
	long port;

	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return -EINVAL;
	from = url + strlen(scheme);
	colon = strchr(from, ':');
	if (!colon || colon - from >= INET_ADDRSTRLEN || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(ret_address, from, (size_t)(colon - from));
	ret_address[colon - from] = '\0';
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > UINT16_MAX || inet_pton(AF_INET, ret_address, &ignored) != 1)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

int bus_open(struct bus *bus, const char *url, const char *identity, uint64_t timeout_ns, struct err *err)
{
	uint64_t deadline = clock_mono_ns() + timeout_ns;
	int rc = mqtt_new(bus, url, identity, &bus->mqtt, err);

	while (rc == 0 && mqtt_problem(bus->mqtt, NULL) < 0 && ms_until(deadline) > 0)
		rc = serve(bus, ms_until(deadline));
	if (rc < 0 || timeout_ns == 0)
		return rc;
	rc = mqtt_problem(bus->mqtt, err);
	if (rc == 0)
		return 0;
	mqtt_free(bus->mqtt);
	bus->mqtt = NULL;
	return rc;
}

int bus_problem(const struct bus *bus, struct err *err)
{
	return mqtt_problem(bus->mqtt, err);
}

struct bus_refused bus_refused(const struct bus *bus)
{
	return bus->mqtt ? mqtt_refused(bus->mqtt) : (struct bus_refused){ 0 };
}

int bus_join(struct bus *bus, const char *peer, struct err *err)
{
	return bus->mqtt ? mqtt_join(bus->mqtt, peer, err) : err_set(err, -ENOTCONN, "bus: no broker leads to '%s'", peer);
}

int bus_accept(struct bus *bus, uint64_t deadline_ns, struct err *err)
{
	while (!find(bus, BUS_COORDINATOR)) {
		int wait_ms = ms_until(deadline_ns), rc = serve(bus, wait_ms);

		if (rc < 0)
			return err_set(err, rc, "bus: %s", strerror(-rc));
		if (wait_ms == 0)
			return find(bus, BUS_COORDINATOR) != NULL;
	}
	return 1;
}
