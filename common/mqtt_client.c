/* SPDX-License-Identifier: MIT */
/*
 * mqtt_client.c - libmosquitto in our own loop.
 *
 *	down ──attempt──> connecting ──CONNACK──> connected ──SUBACK──> ready
 *	  ^── refused, no CONNACK in CONNECT_NS, ended: again, ever more rarely ──┘
 */
#include "mqtt_client.h"

#include <assert.h>
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "bus.h"
#include "clock.h"
#include "err.h"

#define KEEPALIVE_S 10			/* brokers allow no less; our own deadlines are shorter */
#define USER_TIMEOUT_MS 3000		/* data that nobody acknowledges ends the connection */
#define CONNECT_NS (2 * NS_PER_S)	/* from an attempt to a connection */
#define WELCOME_NS (8 * NS_PER_S)	/* to the broker's welcome: it may have a whole fleet to shake hands with, and who gives up makes it begin anew */
#define RETRY_NS (200 * NS_PER_MS)	/* the first time; doubled each time, and drawn between this and twice this: a fleet does not come back at once */
#define RETRY_MAX_NS (1600 * NS_PER_MS)
#define STABLE_NS (5 * NS_PER_S)
#define CUTS_MANY 3
#define MISC_NS (200 * NS_PER_MS)
#define GOODBYE_NS (200 * NS_PER_MS)

struct connection {
	struct client client;
	struct mosquitto *mosquitto;
	char address[INET_ADDRSTRLEN];
	uint16_t port;
	bool attempted;			/* the library knows the address */
	bool connected, ready;
	int awaited_nr;			/* subscriptions of the welcome that the broker has not answered */
	bool dead;			/* the descriptor is of no use until the next attempt */
	int reason;			/* of the broker, when it refused */
	char said[256];			/* the library's first complaint of this attempt: the others follow from it */
	uint64_t attempt_ns, retry_ns, backoff_ns, misc_ns;
	uint64_t up_ns, down_ns;	/* since when there is a connection; since when there is none, or 0 */
	unsigned int cuts;		/* connections in a row that were cut before they were STABLE_NS old */
};

static const struct client_ops connection_ops;

static struct flight *free_flight(const struct client *c)
{
	for (int i = 0; i < CLIENT_FLIGHT_NR; i++)
		if (c->flight[i].id == 0)
			return (struct flight *)&c->flight[i];
	return NULL;
}

bool client_has_room(const struct client *c)
{
	return free_flight(c) != NULL;
}

bool client_is_in_flight(const struct client *c, const void *tag)
{
	for (int i = 0; i < CLIENT_FLIGHT_NR; i++)
		if (c->flight[i].id != 0 && c->flight[i].tag == tag)
			return true;
	return false;
}

void client_forget(struct client *c, const void *tag)
{
	for (int i = 0; i < CLIENT_FLIGHT_NR; i++)
		if (c->flight[i].tag == tag)
			c->flight[i].tag = NULL;
}

int client_publish(struct client *c, const char *topic, const char *text, size_t bytes, void *tag)
{
	struct flight *flight = tag ? free_flight(c) : NULL;
	int rc;

	if (tag && !flight)
		return -EMSGSIZE;
	rc = c->ops->publish(c, topic, text, bytes, flight);
	if (rc == 0 && flight)
		flight->tag = tag;
	return rc;
}

void client_answered(struct client *c, int id, int reason)
{
	for (int i = 0; i < CLIENT_FLIGHT_NR; i++) {
		void *tag = c->flight[i].tag;

		if (c->flight[i].id != id)
			continue;
		c->flight[i] = (struct flight){ .id = 0 };
		if (tag)
			c->options.on_answer(c->options.arg, tag, reason);
		return;
	}
}

void client_free(struct client *c)
{
	if (c)
		c->ops->free(c);
}

bool client_pollfd(const struct client *c, struct pollfd *ret)
{
	return c->ops->pollfd(c, ret);
}

void client_turn(struct client *c, short revents)
{
	c->ops->turn(c, revents);
}

bool client_is_ready(const struct client *c)
{
	return c->ops->is_ready(c);
}

uint64_t client_away_ns(const struct client *c, uint64_t now)
{
	return c->ops->away_ns(c, now);
}

int client_problem(const struct client *c, struct err *err)
{
	return c->ops->problem(c, err);
}

static int connection_publish(struct client *client, const char *topic, const char *text, size_t bytes, struct flight *flight)
{
	struct connection *c = (struct connection *)client;
	int id = 0, rc;

	if (!flight) {
		if (c->connected)
			(void)mosquitto_publish_v5(c->mosquitto, NULL, topic, (int)bytes, text, 0, false, NULL);
		return 0;
	}
	/* With an id it is kept, whatever is said of the connection. */
	rc = mosquitto_publish_v5(c->mosquitto, &id, topic, (int)bytes, text, 1, false, NULL);
	if (id == 0)
		return rc == MOSQ_ERR_NOMEM ? -ENOMEM : -EMSGSIZE;
	flight->id = id;
	return 0;
}

static void on_publish(struct mosquitto *mosquitto, void *arg, int id, int reason, const mosquitto_property *properties)
{
	(void)mosquitto;
	(void)properties;
	client_answered(arg, id, reason);
}

static void on_message(struct mosquitto *mosquitto, void *arg, const struct mosquitto_message *m, const mosquitto_property *properties)
{
	struct connection *c = arg;

	(void)mosquitto;
	(void)properties;
	if (m->payloadlen > 0 && c->client.options.on_message)
		c->client.options.on_message(c->client.options.arg, m->topic, m->payload, (size_t)m->payloadlen);
}

void client_subscribe(struct client *client, const char *topic)
{
	struct connection *c = (struct connection *)client;

	assert(client->ops == &connection_ops);
	if (c->connected)
		(void)mosquitto_subscribe_v5(c->mosquitto, NULL, topic, 1, 0, NULL);
}

void client_unsubscribe(struct client *client, const char *topic)
{
	struct connection *c = (struct connection *)client;

	assert(client->ops == &connection_ops);
	if (c->connected)
		(void)mosquitto_unsubscribe_v5(c->mosquitto, NULL, topic, NULL);
}

static void on_connect(struct mosquitto *mosquitto, void *arg, int reason, int flags, const mosquitto_property *properties)
{
	struct connection *c = arg;
	const char *topic;

	(void)mosquitto;
	(void)flags;
	(void)properties;
	c->reason = reason;
	if (reason != 0)
		return;
	c->connected = true;
	c->up_ns = clock_mono_ns();
	c->down_ns = 0;
	c->said[0] = '\0';
	for (c->awaited_nr = 0; (topic = c->client.options.subscribed(c->client.options.arg, c->awaited_nr)) != NULL; c->awaited_nr++)
		client_subscribe(&c->client, topic);
	c->ready = c->awaited_nr == 0;
}

/* Answers come in the order of the questions: those of the welcome are the first. */
static void on_subscribe(struct mosquitto *mosquitto, void *arg, int id, int nr, const int *granted, const mosquitto_property *properties)
{
	struct connection *c = arg;

	(void)mosquitto;
	(void)id;
	(void)nr;
	(void)granted;		/* everything is; the broker looks at what it delivers */
	(void)properties;
	if (c->awaited_nr > 0 && --c->awaited_nr == 0)
		c->ready = true;
}

/*
 * Who connects with our name ends our connection, and we would end his with the next, and so on: after a connection that was short the next attempt is
 * made later. Not every mosquitto says that this was the reason, and a broker may have been stopped twice in a row.
 */
static void went_down(struct connection *c)
{
	uint64_t now = clock_mono_ns();

	if (c->connected) {
		c->down_ns = now;
		c->cuts = now < c->up_ns + STABLE_NS ? c->cuts + 1 : 0;
		if (c->cuts == 0)
			c->backoff_ns = RETRY_NS;
	}
	c->connected = false;
	c->ready = false;
	c->dead = true;
}

static void on_disconnect(struct mosquitto *mosquitto, void *arg, int reason, const mosquitto_property *properties)
{
	(void)mosquitto;
	(void)reason;
	(void)properties;
	went_down(arg);
}

static void on_log(struct mosquitto *mosquitto, void *arg, int level, const char *text)
{
	struct connection *c = arg;

	(void)mosquitto;
	if (level == MOSQ_LOG_ERR && c->said[0] == '\0')
		(void)snprintf(c->said, sizeof c->said, "%s", text);
}

/*
 * The identity is read now and not again: who connects may by then be allowed to open no file (courier_run.c). The broker must have a certificate of our
 * authority for the address that it is reached by.
 */
static int set_up_tls(struct connection *c)
{
	const char *identity = c->client.options.identity;
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	char ca[512], cert[512], key[512];
	bool fine;

	(void)snprintf(ca, sizeof ca, "%s/ca.pem", identity);
	(void)snprintf(cert, sizeof cert, "%s/cert.pem", identity);
	(void)snprintf(key, sizeof key, "%s/key.pem", identity);
	fine = tls && SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 && SSL_CTX_load_verify_file(tls, ca) == 1 &&
	       SSL_CTX_use_certificate_chain_file(tls, cert) == 1 && SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1 &&
	       X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(tls), c->address) == 1;
	if (fine)
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	fine = fine && mosquitto_int_option(c->mosquitto, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) == MOSQ_ERR_SUCCESS &&
	       mosquitto_void_option(c->mosquitto, MOSQ_OPT_SSL_CTX, tls) == MOSQ_ERR_SUCCESS;
	SSL_CTX_free(tls);
	return fine ? MOSQ_ERR_SUCCESS : MOSQ_ERR_TLS;
}

static int set_up(struct connection *c)
{
	const struct client_options *o = &c->client.options;
	int rc;

	mosquitto_connect_v5_callback_set(c->mosquitto, on_connect);
	mosquitto_disconnect_v5_callback_set(c->mosquitto, on_disconnect);
	mosquitto_subscribe_v5_callback_set(c->mosquitto, on_subscribe);
	mosquitto_publish_v5_callback_set(c->mosquitto, on_publish);
	mosquitto_message_v5_callback_set(c->mosquitto, on_message);
	mosquitto_log_callback_set(c->mosquitto, on_log);
	rc = mosquitto_int_option(c->mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_int_option(c->mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_int_option(c->mosquitto, MOSQ_OPT_SEND_MAXIMUM, CLIENT_FLIGHT_NR);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = set_up_tls(c);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_will_set_v5(c->mosquitto, o->will_topic, (int)strlen(o->will), o->will, 1, false, NULL);
	return rc;
}

/* A port that refuses makes the descriptor ready for ever: it is left alone until the next attempt. */
static void give_up_attempt(struct connection *c, uint64_t now)
{
	uint32_t jitter = 0;

	went_down(c);
	c->attempt_ns = 0;
	(void)getrandom(&jitter, sizeof jitter, 0);
	c->retry_ns = now + c->backoff_ns + c->backoff_ns * jitter / UINT32_MAX;
	if (c->backoff_ns < RETRY_MAX_NS)
		c->backoff_ns *= 2;
}

static void attempt(struct connection *c, uint64_t now)
{
	unsigned int timeout_ms = USER_TIMEOUT_MS;
	int rc;

	c->attempt_ns = now;
	c->retry_ns = now + CONNECT_NS;
	c->dead = false;
	if (!c->attempted)
		rc = mosquitto_connect_async(c->mosquitto, c->address, c->port, KEEPALIVE_S);
	else
		rc = mosquitto_reconnect_async(c->mosquitto);
	c->attempted = true;
	if (rc != MOSQ_ERR_SUCCESS)
		give_up_attempt(c, now);
	else
		(void)setsockopt(mosquitto_socket(c->mosquitto), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* Whether there is a connection on which the broker has still to answer. */
static bool waits_for_welcome(const struct connection *c, uint64_t now)
{
	struct tcp_info info;
	socklen_t bytes = sizeof info;

	return c->attempt_ns != 0 && now < c->attempt_ns + WELCOME_NS &&
	       getsockopt(mosquitto_socket(c->mosquitto), IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0 && info.tcpi_state == TCP_ESTABLISHED;
}

static void connection_turn(struct client *client, short revents)
{
	struct connection *c = (struct connection *)client;
	uint64_t now = clock_mono_ns();
	int rc = MOSQ_ERR_SUCCESS;

	if (!c->dead && mosquitto_socket(c->mosquitto) >= 0) {
		/* The handshake of TLS goes on in loop_read() alone, also when it is the connection that it has waited for, which makes it writable. */
		if ((revents & (POLLIN | POLLHUP | POLLERR)) || (!c->connected && (revents & POLLOUT)))
			rc = mosquitto_loop_read(c->mosquitto, 1);
		if (rc == MOSQ_ERR_SUCCESS && !c->dead && ((revents & POLLOUT) || mosquitto_want_write(c->mosquitto)))
			rc = mosquitto_loop_write(c->mosquitto, 1);
		if (rc == MOSQ_ERR_SUCCESS && !c->dead && now >= c->misc_ns + MISC_NS) {
			c->misc_ns = now;
			rc = mosquitto_loop_misc(c->mosquitto);
		}
		if (rc != MOSQ_ERR_SUCCESS || c->dead || (!c->connected && (revents & (POLLHUP | POLLERR))))
			give_up_attempt(c, now);
	}
	if (!c->connected && now >= c->retry_ns && !waits_for_welcome(c, now))
		attempt(c, now);
}

static bool has_flights(const struct connection *c)
{
	for (int i = 0; i < CLIENT_FLIGHT_NR; i++)
		if (c->client.flight[i].id != 0)
			return true;
	return false;
}

/* A descriptor that is closed with something unread makes the kernel take back what was written last: the last answers are waited for. */
static void say_goodbye(struct connection *c)
{
	uint64_t now = clock_mono_ns(), deadline = now + GOODBYE_NS;

	c->client.options.on_message = NULL;
	for (; c->connected && has_flights(c) && now < deadline; now = clock_mono_ns()) {
		struct pollfd wait;

		if (client_pollfd(&c->client, &wait) && poll(&wait, 1, (int)((deadline - now) / NS_PER_MS) + 1) > 0)
			client_turn(&c->client, wait.revents);
	}
	if (c->connected)
		(void)mosquitto_disconnect(c->mosquitto);
}

static void connection_free(struct client *client)
{
	struct connection *c = (struct connection *)client;

	say_goodbye(c);
	mosquitto_destroy(c->mosquitto);
	(void)mosquitto_lib_cleanup();
	free(c);
}

static bool connection_pollfd(const struct client *client, struct pollfd *ret)
{
	const struct connection *c = (const struct connection *)client;
	int fd = c->dead ? -1 : mosquitto_socket(c->mosquitto);

	*ret = (struct pollfd){ .fd = fd, .events = (short)(POLLIN | (mosquitto_want_write(c->mosquitto) ? POLLOUT : 0)) };
	return fd >= 0;
}

static bool connection_is_ready(const struct client *client)
{
	return ((const struct connection *)client)->ready;
}

static uint64_t connection_away_ns(const struct client *client, uint64_t now)
{
	const struct connection *c = (const struct connection *)client;

	return c->down_ns != 0 ? now - c->down_ns : 0;
}

static int connection_problem(const struct client *client, struct err *err)
{
	const struct connection *c = (const struct connection *)client;
	const char *name = client->options.name;

	if (c->ready)
		return 0;
	if (c->cuts >= CUTS_MANY)
		return err_set(err, -ECONNRESET, "the broker %s:%d ends our connections soon after it has taken them; another process may be '%s' too", c->address,
			       c->port, name);
	if (c->reason != 0)
		return err_set(err, -EACCES, "the broker %s:%d refuses '%s': %s", c->address, c->port, name, mosquitto_reason_string(c->reason));
	if (c->said[0] != '\0')
		return err_set(err, -EACCES, "the broker %s:%d: %s", c->address, c->port, c->said);
	return err_set(err, -ECONNREFUSED, "the broker %s:%d does not answer '%s'; it may be down, or refuse the certificate: its log says which", c->address,
		       c->port, name);
}

static const struct client_ops connection_ops = { .pollfd = connection_pollfd, .turn = connection_turn, .is_ready = connection_is_ready, .away_ns = connection_away_ns,
						  .problem = connection_problem, .publish = connection_publish, .free = connection_free };

int client_new(const struct client_options *options, struct client **ret, struct err *err)
{
	struct connection *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return err_set(err, -ENOMEM, "bus: no memory");
	(void)mosquitto_lib_init();
	c->client.ops = &connection_ops;
	c->client.options = *options;
	c->down_ns = clock_mono_ns();
	c->backoff_ns = RETRY_NS;
	rc = bus_parse_url(options->url, c->address, &c->port);
	if (rc < 0)
		(void)err_set(err, rc, "bus: '%s' is no address of a broker; write mqtts://ADDRESS:PORT, with an IPv4 address", options->url);
	if (rc == 0) {
		c->mosquitto = mosquitto_new(options->name, true, c);
		rc = !c->mosquitto ? err_set(err, -ENOMEM, "bus: no memory") : 0;
	}
	if (rc == 0 && set_up(c) != MOSQ_ERR_SUCCESS)
		rc = err_set(err, -EINVAL, "bus: the identity in %s is not complete: key.pem, cert.pem and ca.pem belong there", options->identity);
	if (rc < 0)
		connection_free(&c->client);
	else
		*ret = &c->client;
	return rc;
}
