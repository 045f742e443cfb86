/* SPDX-License-Identifier: MIT */
/*
 * mqtt_client.h - a connection to a broker that is made again whenever it ends: private to common/.
 *
 * MQTT 5 over TLS 1.3, a certificate on both sides. libmosquitto's own loops and its blocking connect hang or die when a broker does, so it is driven by
 * client_turn() alone; and it is given at most CLIENT_FLIGHT_NR messages that the broker has not acknowledged, because its queue has no limit, and costs
 * a walk through all of it for each message. No call waits.
 */
#ifndef SQUALL_MQTT_CLIENT_H
#define SQUALL_MQTT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus.h"

struct client;
struct err;
struct pollfd;

#define CLIENT_FLIGHT_NR 64
#define CLIENT_TEXT_BYTES_MAX (BUS_MESSAGE_BYTES_MAX + 4096)	/* with the heads of parcel and seal; the brokers that squall starts take no more (broker.c) */

/* What the broker is told when it takes us in, each time anew: it keeps nothing of us. The texts live as long as the client. */
struct client_options {
	const char *url;		/* "mqtts://ADDRESS:PORT" */
	const char *identity;		/* folder of certificate_issue() */
	const char *name;		/* of its certificate */
	/** What we hear, asked for with each welcome. @return the i-th topic, which lives until the next call; NULL: there are no more */
	const char *(*subscribed)(void *arg, int i);
	const char *will_topic, *will;	/* what the broker says when we have vanished */
	void (*on_message)(void *arg, const char *topic, const char *text, size_t bytes);
	/** The broker's answer to what was published with a tag; `reason` is of MQTT 5: 0 it has it, 16 nobody is there to take it, 128 and more it refuses. */
	void (*on_answer)(void *arg, void *tag, int reason);
	void *arg;
};

/* What is published and not answered yet. */
struct flight {
	int id;				/* of the implementation; 0 = free */
	void *tag;			/* NULL: nobody wants to know */
};

/* How the broker is spoken to: in this process (mqtt_client.c), or in one that can do nothing else (courier.c). As the functions below. */
struct client_ops {
	bool (*pollfd)(const struct client *client, struct pollfd *ret);
	void (*turn)(struct client *client, short revents);
	bool (*is_ready)(const struct client *client);
	uint64_t (*away_ns)(const struct client *client, uint64_t now);
	int (*problem)(const struct client *client, struct err *err);
	/** @param flight  a free one, whose id is set when it is taken; NULL: of no tag */
	int (*publish)(struct client *client, const char *topic, const char *text, size_t bytes, struct flight *flight);
	void (*free)(struct client *client);
};

/* The first field of each. */
struct client {
	const struct client_ops *ops;
	struct client_options options;
	struct flight flight[CLIENT_FLIGHT_NR];
};

/** The broker has answered to what was published with this id; for implementations. */
void client_answered(struct client *client, int id, int reason);

/** In this process. Errors: -EINVAL the address, or the identity is not complete; -ENOMEM */
int client_new(const struct client_options *options, struct client **ret, struct err *err);
/** Says goodbye, within 200 ms. */
void client_free(struct client *client);

/** @return false: there is no descriptor now */
bool client_pollfd(const struct client *client, struct pollfd *ret);
/** Everything that is to be done now: read, write, connect again. Call it at least every CLIENT_TURN_MS. */
void client_turn(struct client *client, short revents);
#define CLIENT_TURN_MS 50

/** Whether the broker has taken us in, and our subscriptions. */
bool client_is_ready(const struct client *client);
/** How long there has been no connection [ns]; 0 = there is one. */
uint64_t client_away_ns(const struct client *client, uint64_t now);
/** Why it is not ready. @return 0 it is; -ECONNRESET it does not last, -EACCES, -ECONNREFUSED */
int client_problem(const struct client *client, struct err *err);

/** One topic more, or one less, beside those that `subscribed` tells with the next welcome. Nothing while there is no connection. Of client_new() alone. */
void client_subscribe(struct client *client, const char *topic);
void client_unsubscribe(struct client *client, const char *topic);

/** Whether one more may be published with a tag. */
bool client_has_room(const struct client *client);
/**
 * @param tag  NULL: it is forgotten when it cannot be sent now. Else it is sent until the broker answers, over another connection if need be.
 * Errors: -EMSGSIZE, -ENOMEM; never that the connection has failed.
 */
int client_publish(struct client *client, const char *topic, const char *text, size_t bytes, void *tag);
/** Whether something with this tag has no answer yet. */
bool client_is_in_flight(const struct client *client, const void *tag);
/** Answers to this tag are not told any more. */
void client_forget(struct client *client, const void *tag);

#endif
