/* SPDX-License-Identifier: MIT */
/*
 * bus.h - messages between the coordinator and its agents.
 *
 * A message is {"kind": "...", ...}, sent from one named peer to another, in order, with bounded queues. Nothing blocks: sending puts into a queue,
 * and a peer whose queue is full or whose connection ends is gone, which its counterpart learns as a message of kind "gone".
 * Implementations: a socket pair to a forked agent (one host), and a broker. No module but common/bus*.c knows which.
 */
#ifndef SQUALL_BUS_H
#define SQUALL_BUS_H

#include <jansson.h>
#include <stdint.h>

struct err;
struct bus;

#define BUS_PEERS_MAX 1024
#define BUS_MESSAGE_BYTES_MAX (16u << 20)
#define BUS_COORDINATOR "coordinator"	/* on a broker: the name of its certificate, and of the peer of an agent */

struct bus_message {
	char peer[48];		/* who it is from */
	char kind[32];		/* "gone" when the connection has ended */
	json_t *body;		/* the whole object; NULL of "gone". Owned by the receiver. */
	uint64_t at_ns;		/* clock_mono_ns when its last byte arrived */
};

/** What an agent on a broker has not obeyed. */
struct bus_refused {
	uint64_t forged;		/* not signed by the coordinator */
	uint64_t misaddressed;		/* signed for another agent */
	uint64_t of_no_session;		/* of a session that has ended, or of before a restart */
	uint64_t expired;		/* too late */
	uint64_t repeated, reordered;	/* also what was sent again after a connection broke */
};

struct bus *bus_new(void);
void bus_free(struct bus *bus);

/** Add a peer on a connected stream socket, whose ownership passes. Errors: -EMFILE too many peers, -EEXIST the name is taken. */
int bus_attach(struct bus *bus, const char *peer, int fd, struct err *err);

/**
 * Connect to a broker, "mqtts://ADDRESS:PORT", and stay so: a connection that ends is made again. Once a bus.
 * @param identity    folder of certificate_issue(); the name of its certificate is ours, one process at a time
 * @param timeout_ns  0: the connection is made while the bus is used, and bus_problem() says how it stands
 * Errors: -EINVAL the address, -EACCES refused, -ECONNREFUSED no answer until the timeout; the identity's
 */
int bus_open(struct bus *bus, const char *url, const char *identity, uint64_t timeout_ns, struct err *err);

/**
 * The parts of "mqtts://ADDRESS:PORT". Names are not looked up, for that has no deadline.
 * @param ret_address 16 bytes. Errors: -EINVAL
 */
int bus_parse_url(const char *url, char *ret_address, uint16_t *ret_port);

/** Why there is no connection to the broker now. @return 0 there is, else as of bus_open() */
int bus_problem(const struct bus *bus, struct err *err);

/** As the coordinator: begin a session with an agent, which is a peer from now on, and gone when the broker knows nobody of that name. Errors: as of bus_attach() */
int bus_join(struct bus *bus, const char *peer, struct err *err);

/** As an agent: wait until the coordinator begins a session, which makes it the peer BUS_COORDINATOR. @return 1 it did, 0 at the deadline, -errno */
int bus_accept(struct bus *bus, uint64_t deadline_ns, struct err *err);

struct bus_refused bus_refused(const struct bus *bus);

void bus_detach(struct bus *bus, const char *peer);

/** Queue a message; the reference to body is stolen. Errors: -ENOTCONN unknown or gone, -ENOBUFS queue full. */
int bus_send(struct bus *bus, const char *peer, const char *kind, json_t *body);

/** Descriptors and events to poll, for a loop of the caller's own. @return how many */
struct pollfd;
int bus_pollfds(const struct bus *bus, struct pollfd *ret, int max);
/** How long such a loop may wait before it calls bus_next() all the same [ms]. */
int bus_patience_ms(const struct bus *bus);

/**
 * Send what can be sent, and take the next message.
 * @param deadline_ns  clock_mono_ns; 0 = do not wait.
 * @return 1 with a message, 0 at the deadline, -errno.
 */
int bus_next(struct bus *bus, uint64_t deadline_ns, struct bus_message *ret_message);

/* The hidden command that an agent's connection to a broker runs as (re-exec of the program itself), without privileges. */
int bus_courier_main(int argc, char **argv);

/** Wait until all queues are written out, at most until the deadline. */
int bus_flush(struct bus *bus, uint64_t deadline_ns);

#endif
