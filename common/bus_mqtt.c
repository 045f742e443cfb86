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
 * The library's own loops and its blocking connect hang or die when a broker does, so it is driven by mqtt_turn() alone, and given at most FLIGHT_NR
 * messages that the broker has not acknowledged: its queue has no limit, and a list walk for each message. What reaches the peer, once and in
 * order, is the matter of bus_window.c.
 */
#include "bus_mqtt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "bus_link.h"
#include "bus_seal.h"
#include "bus_window.h"
#include "certificate.h"
#include "clock.h"
#include "err.h"

#define UP "squall/up/"
#define DOWN "squall/down/"
#define ALL "squall/all"
#define TOPIC_BYTES 64

#define FLIGHT_NR 64
#define KEEPALIVE_S 10			/* brokers allow no less; our own deadlines are shorter */
#define USER_TIMEOUT_MS 3000		/* data that nobody acknowledges ends the connection */
#define CONNECT_NS (2 * NS_PER_S)	/* from an attempt to the broker's welcome */
#define RETRY_NS (200 * NS_PER_MS)	/* the first time; doubled each time, and drawn between this and twice this: a fleet does not come back at once */
#define RETRY_MAX_NS (1600 * NS_PER_MS)
#define STABLE_NS (5 * NS_PER_S)
#define CUTS_MAX 3
#define MISC_NS (200 * NS_PER_MS)
#define WILL_NS (3 * NS_PER_S)		/* a last will is a hint: who is heard of within this is there */
#define GOODBYE_NS (200 * NS_PER_MS)
#define OPEN_NS (1 * NS_PER_S)		/* an agent that does not offer a session is asked again */
#define COMMAND_NS (20 * NS_PER_S)	/* how long a command may be on its way; clocks that drift apart by 0.01 % use up half of it in a day */

struct mqtt_link {
	struct bus_link link;
	struct mqtt *mqtt;
	struct window window;
	bool heard;			/* the peer is in this session */
	uint64_t token, open_ns;	/* of the coordinator, while the window has no session: what it asked with, and when */
	uint64_t born_ns;		/* when the session was offered: expiry counts from here */
	uint64_t doubt_ns;		/* 0, or when it is gone unless it is heard of */
};

struct flight {
	int id;				/* the library's; 0 = free */
	struct mqtt_link *link;		/* NULL: it has been freed */
};

struct mqtt {
	struct bus *bus;
	struct mosquitto *client;
	char name[CERTIFICATE_NAME_BYTES], address[INET_ADDRSTRLEN];
	uint16_t port;
	bool is_coordinator;
	bool connected, ready;		/* welcome; our subscription is in force */
	bool dead;			/* the descriptor is of no use until the next attempt */
	bool evicted;			/* another process has our name */
	int reason;			/* of the broker, when it refused */
	char said[256];			/* the library's first complaint of this attempt: the others follow from it */
	bool attempted;
	uint64_t retry_ns, backoff_ns, misc_ns;
	uint64_t up_ns, down_ns;	/* since when there is a connection; since when there is none, or 0 */
	unsigned int cuts;		/* connections in a row that were cut before they were STABLE_NS old */
	EVP_PKEY *key;			/* the coordinator's own, or what an agent has of it */
	uint64_t offer, offer_token, offer_ns;	/* of an agent: a session, and to whom and when it was offered; 0 = none */
	struct bus_refused refused;
	struct flight flight[FLIGHT_NR];
	unsigned int flight_nr;
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

static struct flight *free_flight(struct mqtt *q)
{
	for (int i = 0; i < FLIGHT_NR; i++)
		if (q->flight[i].id == 0)
			return &q->flight[i];
	return NULL;
}

static bool draw(uint64_t *ret)
{
	if (getrandom(ret, sizeof *ret, 0) != sizeof *ret)
		return false;
	*ret |= 1;		/* 0 is no session */
	return true;
}

/*
 * Give a parcel to the library, sealed when it goes down. @param ret_id  NULL: it is forgotten when it cannot be sent now. Else 0 means that it was
 * not taken; that the connection has failed is no reason: it is kept then, and sent over the next.
 */
static void publish(struct mqtt_link *l, const char *text, size_t bytes, int *ret_id)
{
	struct mqtt *q = l->mqtt;
	char topic[TOPIC_BYTES], *sealed = NULL;
	uint64_t expiry = clock_mono_ns() - l->born_ns + COMMAND_NS;

	topic_to(q, l->link.peer, topic);
	if (!ret_id && !q->connected)
		return;
	if (q->is_coordinator && l->window.session != 0) {
		if (seal_make(q->key, l->link.peer, expiry, text, bytes, &sealed, &bytes) < 0)
			return;
		text = sealed;
	}
	(void)mosquitto_publish_v5(q->client, ret_id, topic, (int)bytes, text, ret_id ? 1 : 0, false, NULL);
	free(sealed);
}

static void publish_acknowledged(struct mqtt_link *l, struct flight *flight, const char *text, size_t bytes)
{
	int id = 0;

	publish(l, text, bytes, &id);
	if (id == 0) {
		l->link.gone = true;
		return;
	}
	*flight = (struct flight){ .id = id, .link = l };
	l->mqtt->flight_nr++;
}

/* What may be given to the library is; the rest waits for the broker's acknowledgements. */
static void pump(struct mqtt_link *l, uint64_t now)
{
	struct mqtt *q = l->mqtt;

	while (q->ready && !l->link.gone && l->window.session != 0) {
		struct flight *flight = free_flight(q);
		const struct parcel *parcel = flight ? window_send(&l->window, now) : NULL;

		if (!parcel)
			return;
		publish_acknowledged(l, flight, parcel->text, parcel->bytes);
	}
}

/* As the coordinator: ask for a session. */
static void ask(struct mqtt_link *l, uint64_t now)
{
	struct flight *flight = free_flight(l->mqtt);
	char text[WINDOW_HEADER_BYTES + 5];

	if (!l->mqtt->ready || !flight || (l->open_ns != 0 && now < l->open_ns + OPEN_NS))
		return;
	l->open_ns = now;
	publish_acknowledged(l, flight, text, parcel_print(0, l->token, 0, "open", text));
}

static bool is_in_flight(const struct mqtt_link *l)
{
	for (int i = 0; i < FLIGHT_NR; i++)
		if (l->mqtt->flight[i].id != 0 && l->mqtt->flight[i].link == l)
			return true;
	return false;
}

/* Of an agent: a parcel of a session that is not the link's. */
static void answer(struct mqtt *q, uint64_t session, uint64_t seq, const char *body)
{
	char topic[TOPIC_BYTES], text[WINDOW_HEADER_BYTES + 5];
	size_t bytes = parcel_print(session, seq, 0, body, text);

	topic_to(q, BUS_COORDINATOR, topic);
	if (q->connected)
		(void)mosquitto_publish_v5(q->client, NULL, topic, (int)bytes, text, 0, false, NULL);
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

	if (l->window.session != 0) {		/* the last word also says what has reached us */
		size_t bytes = window_ack(&l->window, "", text);

		publish(l, text, bytes, NULL);
		bytes = window_ack(&l->window, "gone", text);
		publish(l, text, bytes, NULL);
	}
	for (int i = 0; i < FLIGHT_NR; i++)
		if (q->flight[i].link == l)
			q->flight[i].link = NULL;
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
	ask(l, clock_mono_ns());
	return 0;
}

static void receive(struct mqtt_link *l, const struct parcel_head *head, uint64_t now)
{
	l->heard = true;
	l->doubt_ns = 0;
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

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *m, const mosquitto_property *properties)
{
	struct mqtt *q = arg;
	struct parcel_head head;
	uint64_t now = clock_mono_ns();
	size_t bytes = m->payloadlen > 0 ? (size_t)m->payloadlen : 0;

	(void)client;
	(void)properties;
	if (!q->is_coordinator)
		take_down(q, m->topic, m->payload, bytes, now);
	else if (strncmp(m->topic, UP, strlen(UP)) == 0 && parcel_parse(m->payload, bytes, &head) == 0)
		take_up(q, m->topic + strlen(UP), &head, now);
}

/* Subscribed anew each time: the broker keeps nothing of us. */
static void on_connect(struct mosquitto *client, void *arg, int reason, int flags, const mosquitto_property *properties)
{
	struct mqtt *q = arg;
	char own[TOPIC_BYTES], up[] = UP "+", all[] = ALL;
	char *const agent[] = { own, all }, *const coordinator[] = { up };

	(void)flags;
	(void)properties;
	q->reason = reason;
	if (reason != 0)
		return;
	(void)snprintf(own, sizeof own, "%s%s", DOWN, q->name);
	q->connected = true;
	q->up_ns = clock_mono_ns();
	q->backoff_ns = RETRY_NS;
	q->said[0] = '\0';
	q->down_ns = 0;
	(void)mosquitto_subscribe_multiple(client, NULL, q->is_coordinator ? 1 : 2, q->is_coordinator ? coordinator : agent, 1, 0, NULL);
}

static void on_subscribe(struct mosquitto *client, void *arg, int id, int nr, const int *granted, const mosquitto_property *properties)
{
	struct mqtt *q = arg;

	(void)client;
	(void)id;
	(void)nr;
	(void)granted;		/* everything is; the broker looks at what it delivers */
	(void)properties;
	q->ready = true;
}

/*
 * Who connects with our name ends our connection, and we would end his with the next, and so on. Not every mosquitto says that this was the
 * reason, so a few short connections in a row count as it.
 */
static void on_disconnect(struct mosquitto *client, void *arg, int reason, const mosquitto_property *properties)
{
	struct mqtt *q = arg;
	uint64_t now = clock_mono_ns();

	(void)client;
	(void)properties;
	if (q->connected) {
		q->cuts = now < q->up_ns + STABLE_NS ? q->cuts + 1 : 1;
		q->down_ns = now;
	}
	q->evicted |= reason == MQTT_RC_SESSION_TAKEN_OVER || q->cuts == CUTS_MAX;
	q->connected = false;
	q->ready = false;
	q->dead = true;
}

/* The broker has a message, or refuses it. That nobody is there to take it says something only before the peer was heard of: later it may be connecting again. */
static void on_publish(struct mosquitto *client, void *arg, int id, int reason, const mosquitto_property *properties)
{
	struct mqtt *q = arg;

	(void)client;
	(void)properties;
	for (int i = 0; i < FLIGHT_NR; i++) {
		struct flight *f = &q->flight[i];

		if (f->id != id)
			continue;
		if (f->link && (reason >= MQTT_RC_UNSPECIFIED || (reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS && !f->link->heard)))
			f->link->link.gone = true;
		*f = (struct flight){ .id = 0 };
		q->flight_nr--;
		return;
	}
}

static void on_log(struct mosquitto *client, void *arg, int level, const char *text)
{
	struct mqtt *q = arg;

	(void)client;
	if (level == MOSQ_LOG_ERR && q->said[0] == '\0')
		(void)snprintf(q->said, sizeof q->said, "%s", text);
}

int bus_parse_url(const char *url, char *ret_address, uint16_t *ret_port)
{
	const char *from = url + strlen("mqtts://"), *colon;
	struct in_addr ignored;
	char *end;
	long port;

	if (strncmp(url, "mqtts://", strlen("mqtts://")) != 0)
		return -EINVAL;
	colon = strchr(from, ':');
	if (!colon || colon - from >= INET_ADDRSTRLEN || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(ret_address, from, (size_t)(colon - from));
	ret_address[colon - from] = '\0';
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > 65535 || inet_pton(AF_INET, ret_address, &ignored) != 1)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

static int set_up(struct mqtt *q, const char *identity)
{
	char ca[512], cert[512], key[512], will[WINDOW_HEADER_BYTES + 5], topic[TOPIC_BYTES];
	size_t bytes = parcel_print(0, 0, 0, "gone", will);
	int rc;

	(void)snprintf(ca, sizeof ca, "%s/ca.pem", identity);
	(void)snprintf(cert, sizeof cert, "%s/cert.pem", identity);
	(void)snprintf(key, sizeof key, "%s/key.pem", identity);
	(void)snprintf(topic, sizeof topic, "%s%s", q->is_coordinator ? ALL : UP, q->is_coordinator ? "" : q->name);
	mosquitto_connect_v5_callback_set(q->client, on_connect);
	mosquitto_disconnect_v5_callback_set(q->client, on_disconnect);
	mosquitto_subscribe_v5_callback_set(q->client, on_subscribe);
	mosquitto_publish_v5_callback_set(q->client, on_publish);
	mosquitto_message_v5_callback_set(q->client, on_message);
	mosquitto_log_callback_set(q->client, on_log);
	rc = mosquitto_int_option(q->client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_int_option(q->client, MOSQ_OPT_TCP_NODELAY, 1);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_int_option(q->client, MOSQ_OPT_SEND_MAXIMUM, FLIGHT_NR);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_tls_set(q->client, ca, NULL, cert, key, NULL);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_tls_opts_set(q->client, 1, "tlsv1.3", NULL);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_will_set_v5(q->client, topic, (int)bytes, will, 1, false, NULL);
	return rc;
}

int mqtt_new(struct bus *bus, const char *url, const char *identity, struct mqtt **ret, struct err *err)
{
	struct mqtt *q = calloc(1, sizeof *q);
	int rc;

	if (!q)
		return err_set(err, -ENOMEM, "bus: no memory");
	(void)mosquitto_lib_init();
	q->bus = bus;
	q->down_ns = clock_mono_ns();
	q->backoff_ns = RETRY_NS;
	rc = bus_parse_url(url, q->address, &q->port);
	if (rc < 0)
		(void)err_set(err, rc, "bus: '%s' is no address of a broker; write mqtts://ADDRESS:PORT, with an IPv4 address", url);
	else
		rc = certificate_name(identity, q->name, err);
	q->is_coordinator = strcmp(q->name, BUS_COORDINATOR) == 0;
	if (rc == 0)
		rc = q->is_coordinator ? certificate_key(identity, &q->key, err) : certificate_pinned(identity, &q->key, err);
	if (rc == 0) {
		q->client = mosquitto_new(q->name, true, q);
		rc = !q->client ? err_set(err, -ENOMEM, "bus: no memory") : 0;
	}
	if (rc == 0 && set_up(q, identity) != MOSQ_ERR_SUCCESS)
		rc = err_set(err, -EINVAL, "bus: the identity in %s is not complete: key.pem, cert.pem and ca.pem belong there", identity);
	if (rc < 0)
		mqtt_free(q);
	else
		*ret = q;
	return rc;
}

void mqtt_free(struct mqtt *q)
{
	uint64_t deadline = clock_mono_ns() + GOODBYE_NS;

	if (!q)
		return;
	if (q->connected) {
		(void)mosquitto_disconnect(q->client);
		while (mosquitto_want_write(q->client) && clock_mono_ns() < deadline) {
			struct pollfd wait = { .fd = mosquitto_socket(q->client), .events = POLLOUT };

			if (poll(&wait, 1, (int)(GOODBYE_NS / NS_PER_MS)) <= 0 || mosquitto_loop_write(q->client, 1) != MOSQ_ERR_SUCCESS)
				break;
		}
	}
	mosquitto_destroy(q->client);
	EVP_PKEY_free(q->key);
	(void)mosquitto_lib_cleanup();
	free(q);
}

/* A port that refuses makes the descriptor ready for ever: it is left alone until the next attempt. */
static void give_up_attempt(struct mqtt *q, uint64_t now)
{
	uint32_t jitter = 0;

	(void)getrandom(&jitter, sizeof jitter, 0);
	q->dead = true;
	q->connected = false;
	q->ready = false;
	q->retry_ns = now + q->backoff_ns + q->backoff_ns * jitter / UINT32_MAX;
	if (q->backoff_ns < RETRY_MAX_NS)
		q->backoff_ns *= 2;
}

static void attempt(struct mqtt *q, uint64_t now)
{
	unsigned int timeout_ms = USER_TIMEOUT_MS;
	int rc;

	q->retry_ns = now + CONNECT_NS;
	q->dead = false;
	if (!q->attempted)
		rc = mosquitto_connect_async(q->client, q->address, q->port, KEEPALIVE_S);
	else
		rc = mosquitto_reconnect_async(q->client);
	q->attempted = true;
	if (rc != MOSQ_ERR_SUCCESS)
		give_up_attempt(q, now);
	else
		(void)setsockopt(mosquitto_socket(q->client), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static void do_io(struct mqtt *q, short revents, uint64_t now)
{
	int rc = MOSQ_ERR_SUCCESS;

	if (q->dead || mosquitto_socket(q->client) < 0)
		return;
	if (revents & (POLLIN | POLLHUP | POLLERR))
		rc = mosquitto_loop_read(q->client, 1);
	if (rc == MOSQ_ERR_SUCCESS && !q->dead && ((revents & POLLOUT) || mosquitto_want_write(q->client)))
		rc = mosquitto_loop_write(q->client, 1);
	if (rc == MOSQ_ERR_SUCCESS && !q->dead && now >= q->misc_ns + MISC_NS) {
		q->misc_ns = now;
		rc = mosquitto_loop_misc(q->client);
	}
	if (rc != MOSQ_ERR_SUCCESS || q->dead || (!q->connected && (revents & (POLLHUP | POLLERR))))
		give_up_attempt(q, now);
}

static void look_after(struct mqtt_link *l, uint64_t now)
{
	char text[WINDOW_HEADER_BYTES + 5];

	if (l->link.gone)
		return;
	if (l->mqtt->is_coordinator && l->window.session == 0)
		ask(l, now);
	if (window_is_silent(&l->window, now) || (l->doubt_ns != 0 && now > l->doubt_ns))
		l->link.gone = true;
	if (!is_in_flight(l))
		window_look(&l->window, now);
	pump(l, now);
	if (l->mqtt->ready && window_owes_ack(&l->window)) {
		size_t bytes = window_ack(&l->window, "", text);

		publish(l, text, bytes, NULL);
	}
}

void mqtt_turn(struct mqtt *q, short revents)
{
	uint64_t now = clock_mono_ns();
	bool lost;

	do_io(q, revents, now);
	if (!q->evicted && !q->connected && now >= q->retry_ns)
		attempt(q, now);
	lost = q->evicted || (q->down_ns != 0 && now > q->down_ns + WINDOW_PATIENCE_NS);
	for (int i = 0; i < q->links_nr; i++) {
		q->link[i]->link.gone |= lost;
		look_after(q->link[i], now);
	}
}

bool mqtt_pollfd(const struct mqtt *q, struct pollfd *ret)
{
	int fd = q->dead ? -1 : mosquitto_socket(q->client);

	*ret = (struct pollfd){ .fd = fd, .events = (short)(POLLIN | (mosquitto_want_write(q->client) ? POLLOUT : 0)) };
	return fd >= 0;
}

struct bus_refused mqtt_refused(const struct mqtt *q)
{
	return q->refused;
}

bool mqtt_is_ready(const struct mqtt *q)
{
	return q->ready;
}

bool mqtt_is_evicted(const struct mqtt *q)
{
	return q->evicted;
}

int mqtt_problem(const struct mqtt *q, struct err *err)
{
	if (q->ready)
		return 0;
	if (q->evicted)
		return err_set(err, -EBUSY, "the broker %s:%d: another process may have connected as '%s', which ends our connection again and again", q->address, q->port, q->name);
	if (q->reason != 0)
		return err_set(err, -EACCES, "the broker %s:%d refuses '%s': %s", q->address, q->port, q->name, mosquitto_reason_string(q->reason));
	if (q->said[0] != '\0')
		return err_set(err, -EACCES, "the broker %s:%d: %s", q->address, q->port, q->said);
	return err_set(err, -ECONNREFUSED, "the broker %s:%d does not answer '%s'; it may be down, or refuse the certificate: its log says which", q->address,
		       q->port, q->name);
}
