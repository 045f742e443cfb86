/* SPDX-License-Identifier: MIT */
/*
 * bus_mqtt.c - links over a broker: MQTT 5 over TLS 1.3, mutually authenticated.
 *
 *	squall/down/AGENT	the coordinator to an agent
 *	squall/up/AGENT		an agent to the coordinator; also its last will
 *	squall/all		the last will of the coordinator
 *
 * The broker lets an agent write and read under its own name alone (common/broker.c), and the name is that of its certificate, so the topic says who
 * sent a message. What a message says of its sender, and response topics, are never looked at. What goes down is sealed (bus_seal.h): a broker, or who
 * deceives it, can keep a command from an agent, but not make one, nor send one again or later.
 *
 *	coordinator		agent
 *	open TOKEN ------------>
 *	<------------ take TOKEN, the session, drawn by the agent
 *	parcels, sealed ------->	the first makes it the session; one of before is over then
 *	<---------------- parcels
 *
 * What reaches the peer, once and in order, is the matter of bus_window.c; the connection that of mqtt_client.c, which an agent
 * has in a process of its own (courier.h).
 */
#include "bus_mqtt.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bus_link.h"
#include "bus_seal.h"
#include "bus_window.h"
#include "certificate.h"
#include "clock.h"
#include "courier.h"
#include "err.h"
#include "mqtt_client.h"

#define UP "squall/up/"
#define DOWN "squall/down/"
#define ALL "squall/all"
#define TOPIC_BYTES 64

#define BUSY_MS 50
#define REST_MS 500			/* the library wants to be called once a second */
#define WILL_NS (3 * NS_PER_S)		/* a last will is a hint: who is heard of within this is there */
#define OPEN_NS (1 * NS_PER_S)		/* an agent that does not offer a session is asked again */
#define STRAYS_MAX 256			/* parcels of an agent that are of no session: more than are under way when one ends */
#define NOBODY_THERE 16			/* reasons of MQTT 5 */
#define REFUSED 128
#define COMMAND_NS (20 * NS_PER_S)	/* how long a command may be on its way; clocks that drift apart by 0.01 % use up half of it in a day */

struct mqtt_link {
	struct bus_link link;
	struct mqtt *mqtt;
	struct window window;
	bool heard;			/* the peer is in this session */
	uint64_t token, open_ns;	/* of the coordinator, while the window has no session: what it asked with, and when */
	uint64_t born_ns;		/* when the session was offered: expiry counts from here */
	uint64_t doubt_ns;		/* 0, or when it is gone unless it is heard of */
	unsigned int strays;		/* of its own messages, those of no session since the last of this one */
};

struct mqtt {
	struct bus *bus;
	struct client *client;
	/* Who we are, where our last will goes, and where an agent listens. */
	char name[CERTIFICATE_NAME_BYTES], own[TOPIC_BYTES], down[TOPIC_BYTES], up[TOPIC_BYTES], will[WINDOW_HEADER_BYTES + 5];
	bool is_coordinator;
	EVP_PKEY *key;			/* the coordinator's own, or what an agent has of it */
	uint64_t offer, offer_token, offer_ns;	/* of an agent: a session, and to whom and when it was offered; 0 = none */
	struct bus_refused refused;
	struct mqtt_link *link[BUS_PEERS_MAX];
	int links_nr;
};

static struct mqtt_link *find(const struct mqtt *q, const char *peer)
{
	for (int i = 0; i < q->links_nr; i++)
		if (strcmp(q->link[i]->link.peer, peer) == 0)
			return q->link[i];
	return NULL;
}

static void topic_to(const struct mqtt *q, const char *peer, char ret[TOPIC_BYTES])
{
	(void)snprintf(ret, TOPIC_BYTES, "%s%s", q->is_coordinator ? DOWN : UP, q->is_coordinator ? peer : q->name);
}

/* As the coordinator: one agent at a time is heard, so that who floods the broker takes nobody else's place in what it keeps for us. */
static void hear(struct mqtt *q, const char *peer, void (*how)(struct client *client, const char *topic))
{
	char topic[TOPIC_BYTES];

	(void)snprintf(topic, sizeof topic, UP "%s", peer);
	if (q->is_coordinator)
		how(q->client, topic);
}

static bool draw(uint64_t *ret)
{
	if (getrandom(ret, sizeof *ret, 0) != sizeof *ret)
		return false;
	*ret |= 1;		/* 0 is no session */
	return true;
}

/* Sealed when it goes down in a session. @param tag  as of client_publish() */
static void publish(struct mqtt_link *l, const char *text, size_t bytes, void *tag)
{
	struct mqtt *q = l->mqtt;
	char topic[TOPIC_BYTES], *sealed = NULL;
	uint64_t expiry = clock_mono_ns() - l->born_ns + COMMAND_NS;
	int rc = 0;

	topic_to(q, l->link.peer, topic);
	if (q->is_coordinator && l->window.session != 0)
		rc = seal_make(q->key, l->link.peer, expiry, text, bytes, &sealed, &bytes);
	if (rc == 0)
		rc = client_publish(q->client, topic, sealed ? sealed : text, bytes, tag);
	l->link.gone |= rc < 0;
	free(sealed);
}

/* What the client has room for; the rest waits for the broker's answers. */
static void pump(struct mqtt_link *l, uint64_t now)
{
	struct client *client = l->mqtt->client;
	const struct parcel *parcel;

	while (client_is_ready(client) && client_has_room(client) && !l->link.gone && l->window.session != 0 && (parcel = window_send(&l->window, now)))
		publish(l, parcel->text, parcel->bytes, l);
}

/* As the coordinator: ask for a session. */
static void ask(struct mqtt_link *l, uint64_t now)
{
	struct client *client = l->mqtt->client;
	char text[WINDOW_HEADER_BYTES + 5];
	size_t bytes = parcel_print(0, l->token, 0, "open", text);

	if (!client_is_ready(client) || !client_has_room(client) || (l->open_ns != 0 && now < l->open_ns + OPEN_NS))
		return;
	l->open_ns = now;
	publish(l, text, bytes, l);
}

/* Of an agent: a parcel of a session that is not the link's. */
static void answer(struct mqtt *q, uint64_t session, uint64_t seq, const char *body)
{
	char topic[TOPIC_BYTES], text[WINDOW_HEADER_BYTES + 5];
	size_t bytes = parcel_print(session, seq, 0, body, text);

	topic_to(q, BUS_COORDINATOR, topic);
	(void)client_publish(q->client, topic, text, bytes, NULL);
}

static int link_send(struct bus_link *link, const char *text, size_t bytes)
{
	struct mqtt_link *l = (struct mqtt_link *)link;
	uint64_t now = clock_mono_ns();
	int rc = window_put(&l->window, text, bytes, now);

	if (rc < 0)
		link->gone = true;
	else
		pump(l, now);
	return rc;
}

static int link_take(struct bus_link *link, struct bus_message *ret)
{
	struct mqtt_link *l = (struct mqtt_link *)link;
	struct parcel *parcel = window_take(&l->window);
	int rc;

	if (!parcel)
		return 0;
	rc = bus_message_parse(parcel->text + WINDOW_HEADER_BYTES, parcel->bytes - WINDOW_HEADER_BYTES, ret);
	ret->at_ns = parcel->at_ns;
	free(parcel);
	if (rc == 0)
		return 1;
	link->gone = true;
	while ((parcel = window_take(&l->window)))
		free(parcel);
	return 0;
}

static bool link_is_written(const struct bus_link *link)
{
	return window_is_empty(&((const struct mqtt_link *)link)->window);
}

static bool link_pollfd(const struct bus_link *link, struct pollfd *ret)
{
	(void)link;
	(void)ret;
	return false;		/* all links share that of the connection */
}

static void link_free(struct bus_link *link)
{
	struct mqtt_link *l = (struct mqtt_link *)link;
	struct mqtt *q = l->mqtt;
	char text[WINDOW_HEADER_BYTES + 5];

	if (l->window.session != 0) {
		size_t bytes = window_ack(&l->window, "gone", text);

		publish(l, text, bytes, client_has_room(q->client) ? l : NULL);
	}
	hear(q, link->peer, client_unsubscribe);
	client_forget(q->client, l);	/* also of the last word: nobody is there to hear of it */
	for (int i = 0; i < q->links_nr; i++)
		if (q->link[i] == l) {
			q->link[i] = q->link[--q->links_nr];
			break;
		}
	window_release(&l->window);
	free(l);
}

static const struct bus_link_ops link_ops = { .send = link_send, .take = link_take, .is_written = link_is_written, .pollfd = link_pollfd, .free = link_free };

static int link_new(struct mqtt *q, const char *peer, uint64_t session, struct mqtt_link **ret, struct err *err)
{
	struct mqtt_link *l = calloc(1, sizeof *l);
	int rc;

	if (!l)
		return err_set(err, -ENOMEM, "bus: no memory for '%s'", peer);
	l->link.ops = &link_ops;
	l->mqtt = q;
	window_init(&l->window, session);
	rc = bus_add(q->bus, peer, &l->link, err);
	if (rc < 0) {
		free(l);
		return rc;
	}
	q->link[q->links_nr++] = l;
	*ret = l;
	return 0;
}

int mqtt_join(struct mqtt *q, const char *peer, struct err *err)
{
	struct mqtt_link *l;
	uint64_t token;
	int rc;

	if (!certificate_name_is_fine(peer))
		return err_set(err, -EINVAL, "bus: '%s' is not the name of an agent", peer);
	if (!draw(&token))
		return err_set(err, -EIO, "bus: getrandom: %s", strerror(errno));
	rc = link_new(q, peer, 0, &l, err);
	if (rc < 0)
		return rc;
	l->token = token;
	hear(q, peer, client_subscribe);
	ask(l, clock_mono_ns());
	return 0;
}

static void receive(struct mqtt_link *l, const struct parcel_head *head, uint64_t now)
{
	l->heard = true;
	l->doubt_ns = 0;
	l->strays = 0;
	if (parcel_is(head, "gone") || window_receive(&l->window, head, now) < 0)
		l->link.gone = true;
}

/* A last will: of whom it is, its topic says. It is nobody's word, so it is believed only when nothing else is heard. */
static void take_will(struct mqtt_link *l, uint64_t now)
{
	if (l && l->doubt_ns == 0)
		l->doubt_ns = now + WILL_NS;
}

/* As the coordinator, of an agent. */
static void take_up(struct mqtt *q, const char *peer, const struct parcel_head *head, uint64_t now)
{
	struct mqtt_link *l = find(q, peer);

	if (!l || l->link.gone)
		return;
	if (head->session == 0 && parcel_is(head, "gone")) {
		take_will(l, now);
	} else if (l->window.session == 0 && parcel_is(head, "take") && head->seq == l->token && head->session != 0) {
		l->window.session = head->session;
		l->born_ns = now;
		l->heard = true;
		pump(l, now);
	} else if (l->window.session != 0 && l->window.session == head->session) {
		receive(l, head, now);
	} else {
		l->link.gone |= ++l->strays > STRAYS_MAX;
	}
}

/* Asked again with the same token, a session is offered again, and as old as it is. */
static void offer(struct mqtt *q, uint64_t token, uint64_t now)
{
	if (q->offer == 0 || q->offer_token != token) {
		if (!draw(&q->offer))
			return;
		q->offer_token = token;
		q->offer_ns = now;
	}
	answer(q, q->offer, token, "take");
}

/* As an agent, of who has the key of the coordinator. */
static void take_sealed(struct mqtt *q, const struct sealed *sealed, uint64_t now)
{
	struct mqtt_link *l = find(q, BUS_COORDINATOR);
	struct parcel_head head;
	uint64_t born;

	if (strcmp(sealed->target, q->name) != 0) {
		q->refused.misaddressed++;
		return;
	}
	if (parcel_parse(sealed->parcel, sealed->parcel_bytes, &head) < 0) {
		q->refused.forged++;
		return;
	}
	if (head.session == 0 || (head.session != q->offer && (!l || head.session != l->window.session))) {
		q->refused.of_no_session++;
		if (head.body_bytes > 0 && !parcel_is(&head, "gone"))
			answer(q, head.session, 0, "gone");	/* we were started again, or have left it */
		return;
	}
	born = head.session == q->offer ? q->offer_ns : l->born_ns;
	if (now - born > sealed->expiry_ns) {
		q->refused.expired++;
		return;
	}
	if (head.session == q->offer) {
		if (l) {
			l->link.gone = true;	/* the coordinator has begun anew, and sends this again */
			return;
		}
		if (link_new(q, BUS_COORDINATOR, head.session, &l, NULL) < 0)
			return;
		l->born_ns = q->offer_ns;
		q->offer = 0;
	}
	if (l->link.gone)
		return;
	q->refused.repeated += head.body_bytes > 0 && head.seq < l->window.in_end;
	q->refused.reordered += head.body_bytes > 0 && head.seq > l->window.in_end;
	receive(l, &head, now);
}

/* As an agent. All that counts without a signature is a request for a session, which is worth nothing without one, and a last will. */
static void take_down(struct mqtt *q, const char *topic, const char *text, size_t bytes, uint64_t now)
{
	struct parcel_head head;
	struct sealed sealed;

	if (parcel_parse(text, bytes, &head) == 0) {
		if (head.session == 0 && parcel_is(&head, "gone") && strcmp(topic, ALL) == 0)
			take_will(find(q, BUS_COORDINATOR), now);
		else if (head.session == 0 && parcel_is(&head, "open"))
			offer(q, head.seq, now);
		else
			q->refused.forged++;
	} else if (seal_open(q->key, text, bytes, &sealed) < 0) {
		q->refused.forged++;
	} else {
		take_sealed(q, &sealed, now);
	}
}

static void on_message(void *arg, const char *topic, const char *text, size_t bytes)
{
	static const struct parcel_head no_parcel = { .session = 0 };
	struct mqtt *q = arg;
	struct parcel_head head;
	uint64_t now = clock_mono_ns();

	if (!q->is_coordinator)
		take_down(q, topic, text, bytes, now);
	else if (strncmp(topic, UP, strlen(UP)) == 0)
		take_up(q, topic + strlen(UP), parcel_parse(text, bytes, &head) == 0 ? &head : &no_parcel, now);
}

/* That nobody is there to take it says something only before the peer was heard of: later it may be connecting again. */
static void on_answer(void *arg, void *tag, int reason)
{
	struct mqtt_link *l = tag;

	(void)arg;
	l->link.gone |= reason >= REFUSED || (reason == NOBODY_THERE && !l->heard);
}

static const char *subscribed(void *arg, int i)
{
	struct mqtt *q = arg;

	if (!q->is_coordinator)
		return i == 0 ? q->down : i == 1 ? ALL : NULL;
	if (i >= q->links_nr)
		return NULL;
	(void)snprintf(q->up, sizeof q->up, UP "%s", q->link[i]->link.peer);
	return q->up;
}

/* @return what the client is told; of its texts, those that are made here live in q, which has a name */
static struct client_options options_of(struct mqtt *q, const char *url, const char *identity)
{
	(void)parcel_print(0, 0, 0, "gone", q->will);
	(void)snprintf(q->own, sizeof q->own, "%s%s", q->is_coordinator ? ALL : UP, q->is_coordinator ? "" : q->name);
	(void)snprintf(q->down, sizeof q->down, "%s%s", DOWN, q->name);
	return (struct client_options){ .url = url, .identity = identity, .name = q->name, .will_topic = q->own, .will = q->will, .subscribed = subscribed,
					.on_message = on_message, .on_answer = on_answer, .arg = q };
}

/* An agent does things as root, and the coordinator writes a record. */
static int connect_as(struct mqtt *q, const char *url, const char *identity, struct err *err)
{
	struct client_options options = options_of(q, url, identity);
	int rc = q->is_coordinator ? certificate_key(identity, &q->key, err) : certificate_pinned(identity, &q->key, err);

	if (rc < 0)
		return rc;
	return q->is_coordinator ? client_new(&options, &q->client, err) : courier_new(&options, &q->client, err);
}

int bus_courier_main(int argc, char **argv)
{
	struct client_options options;
	struct mqtt q = { 0 };

	if (argc != 4 || certificate_name(argv[2], q.name, NULL) < 0)
		return 2;
	options = options_of(&q, argv[1], argv[2]);
	return courier_run(&options, (pid_t)strtol(argv[3], NULL, 10));
}

int mqtt_new(struct bus *bus, const char *url, const char *identity, struct mqtt **ret, struct err *err)
{
	struct mqtt *q = calloc(1, sizeof *q);
	int rc;

	if (!q)
		return err_set(err, -ENOMEM, "bus: no memory");
	q->bus = bus;
	rc = certificate_name(identity, q->name, err);
	q->is_coordinator = strcmp(q->name, BUS_COORDINATOR) == 0;
	if (rc == 0)
		rc = connect_as(q, url, identity, err);
	if (rc < 0)
		mqtt_free(q);
	else
		*ret = q;
	return rc;
}

int mqtt_attach(struct bus *bus, const char *name, EVP_PKEY *key, int fd, struct mqtt **ret, struct err *err)
{
	struct mqtt *q = calloc(1, sizeof *q);
	struct client_options options;
	int rc;

	if (!q) {
		EVP_PKEY_free(key);
		close(fd);
		return err_set(err, -ENOMEM, "bus: no memory");
	}
	q->bus = bus;
	q->key = key;
	(void)snprintf(q->name, sizeof q->name, "%s", name);
	options = options_of(q, "", "");
	rc = courier_attach(&options, fd, 0, &q->client, err);
	if (rc < 0)
		mqtt_free(q);
	else
		*ret = q;
	return rc;
}

void mqtt_free(struct mqtt *q)
{
	if (!q)
		return;
	client_free(q->client);
	EVP_PKEY_free(q->key);
	free(q);
}

static void look_after(struct mqtt_link *l, uint64_t now)
{
	struct client *client = l->mqtt->client;
	char text[WINDOW_HEADER_BYTES + 5];

	l->link.gone |= client_away_ns(client, now) > WINDOW_PATIENCE_NS || window_is_silent(&l->window, now) || (l->doubt_ns != 0 && now > l->doubt_ns);
	if (l->link.gone)
		return;
	if (l->mqtt->is_coordinator && l->window.session == 0)
		ask(l, now);
	if (!client_is_in_flight(client, l))
		window_look(&l->window, now);
	pump(l, now);
	if (client_is_ready(client) && window_owes_ack(&l->window)) {
		size_t bytes = window_ack(&l->window, "", text);

		publish(l, text, bytes, NULL);
	}
}

void mqtt_turn(struct mqtt *q, short revents)
{
	client_turn(q->client, revents);
	for (int i = 0; i < q->links_nr; i++)
		look_after(q->link[i], clock_mono_ns());
}

/* Whether something is under way, of which a time may run out. */
static bool is_busy(const struct mqtt_link *l)
{
	return l->window.session == 0 || l->doubt_ns != 0 || l->link.gone || !window_is_empty(&l->window) || window_owes_ack(&l->window);
}

int mqtt_turn_ms(const struct mqtt *q)
{
	bool busy = !client_is_ready(q->client);

	for (int i = 0; i < q->links_nr && !busy; i++)
		busy = is_busy(q->link[i]);
	return busy ? BUSY_MS : REST_MS;
}

bool mqtt_pollfd(const struct mqtt *q, struct pollfd *ret)
{
	return client_pollfd(q->client, ret);
}

struct bus_refused mqtt_refused(const struct mqtt *q)
{
	return q->refused;
}

int mqtt_problem(const struct mqtt *q, struct err *err)
{
	return client_problem(q->client, err);
}
