/* SPDX-License-Identifier: MIT */
/*
 * courier.h - the connection of an agent to its broker, in a process that can do nothing else: private to common/.
 *
 *	agent, root <── frames, over a socket pair ──> courier, nobody <── TLS, MQTT ──> broker
 *
 * What comes over the network is taken apart by the courier, which has no capabilities, opens no file and starts no program. It has the key of the
 * connection, and none with which a command is signed: a courier that somebody else has taken over can keep commands from the agent, as the broker can, and
 * make none (bus_seal.h). The agent takes nothing from it but the frames below, and looks at no byte of a command before its signature.
 *
 * A courier that dies, or sends what is no frame, ends the session with it: the load ends, and the faults heal.
 */
#ifndef SQUALL_COURIER_H
#define SQUALL_COURIER_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "mqtt_client.h"

#define COURIER_FD 3			/* its end of the socket pair */
#define COURIER_NAME "squall-courier"	/* in /proc/PID/comm */

enum frame_kind {
	FRAME_PUBLISH = 1,		/* to the courier: under the one topic of the agent, with the id of a flight, or 0 */
	FRAME_BYE,			/* to the courier: say goodbye */
	FRAME_MESSAGE,			/* from here on to the agent: the text of a message, with the index of its topic as `id` */
	FRAME_ANSWER,			/* the broker's to a flight, with the reason */
	FRAME_STATE,			/* struct courier_state, when it has changed */
};

/* Before `bytes` of text. Both ends are one program. */
struct frame {
	uint32_t kind, id, reason, bytes;
};

struct courier_state {
	uint32_t ready, connected;
	uint32_t ends;			/* it has said why, and is about to end */
	int32_t rc;			/* of client_problem() */
	char text[ERR_TEXT_BYTES];
};

/** As client_new(), in a courier. Context: waits until it has begun, ten seconds at the most. Errors: those of client_new(), -errno */
int courier_new(const struct client_options *options, struct client **ret, struct err *err);

/**
 * The same with one that is there already.
 * @param fd  the agent's end, which becomes the client's, also when this fails; it does not block
 * @param pid  of a child, which is killed in the end; 0: it is none
 * Errors: -ENOMEM
 */
int courier_attach(const struct client_options *options, int fd, pid_t pid, struct client **ret, struct err *err);

/**
 * What the courier does, with COURIER_FD, until the agent ends.
 * @param options  no callback but `subscribed` is called
 * @return exit status, when it could not begin
 */
int courier_run(const struct client_options *options, pid_t agent);

#endif
