/* SPDX-License-Identifier: MIT */
/*
 * session.c - what a broker lets through to an agent, whoever sent it: only what the coordinator has signed for this agent, in time, begins a session or is
 * a message of one.
 *
 * A text is a byte that says how it comes, two of its length, and itself. The session of a parcel may be replaced by the one that the agent has offered.
 */
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../common/bus_mqtt.h"
#include "../../common/bus_seal.h"
#include "../../common/bus_window.h"
#include "../../common/courier.h"
#include "file.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX (16u << 10)	/* fits the buffer of a socket */

enum { TO_ALL = 1, SEALED = 2, FOR_ANOTHER = 4, TOO_LATE = 8, OF_SESSION = 16 };

static struct mqtt *q;
static uint64_t offered;

static void to_agent(int fd, enum frame_kind kind, uint32_t id, const void *text, size_t bytes)
{
	const struct frame frame = { .kind = kind, .id = id, .bytes = (uint32_t)bytes };

	CHECK(file_write_all(fd, &frame, sizeof frame) == 0 && file_write_all(fd, text, bytes) == 0);
	mqtt_turn(q, POLLIN);
}

/* What the agent publishes: of that, the session that it offers. */
static void look_for_offer(int fd)
{
	static char text[1 << 20];
	struct parcel_head head;
	struct frame frame;

	while (recv(fd, &frame, sizeof frame, MSG_DONTWAIT) == sizeof frame) {
		CHECK(frame.kind == FRAME_PUBLISH && frame.bytes <= sizeof text && recv(fd, text, frame.bytes, MSG_DONTWAIT) == (ssize_t)frame.bytes);
		if (parcel_parse(text, frame.bytes, &head) == 0 && parcel_is(&head, "take"))
			offered = head.session;
		if (frame.id != 0)
			to_agent(fd, FRAME_ANSWER, frame.id, "", 0);
	}
}

/* @return how many messages came */
static int take_all(struct bus *bus)
{
	struct bus_message m;
	int nr = 0;

	while (bus_next(bus, 0, &m) == 1) {
		CHECK(strcmp(m.peer, BUS_COORDINATOR) == 0);
		nr += m.body != NULL;
		json_decref(m.body);
	}
	return nr;
}

static void feed(struct bus *bus, int fd, EVP_PKEY *key, unsigned int how, const uint8_t *data, size_t bytes)
{
	bool had = bus_accept(bus, 0, NULL) == 1, may = (how & SEALED) && !(how & (FOR_ANOTHER | TOO_LATE));
	char *text = fuzz_text(data, bytes), *sealed = NULL, session[17];

	(void)snprintf(session, sizeof session, "%016llx", (unsigned long long)offered);
	if ((how & OF_SESSION) && bytes >= 16)
		memcpy(text, session, 16);
	if (how & SEALED)
		CHECK(seal_make(key, how & FOR_ANOTHER ? "other" : "agent", how & TOO_LATE ? 0 : UINT64_MAX, text, bytes, &sealed, &bytes) == 0);
	to_agent(fd, FRAME_MESSAGE, how & TO_ALL, sealed ? sealed : text, bytes);
	CHECK(may || had || bus_accept(bus, 0, NULL) == 0);
	CHECK(take_all(bus) == 0 || may);
	look_for_offer(fd);
	free(sealed);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct courier_state ready = { .ready = 1, .connected = 1 };
	static EVP_PKEY *key;
	struct bus *bus = bus_new();
	int fd[2];

	if (!key)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	CHECK(bus && key && EVP_PKEY_up_ref(key) == 1 && size <= INPUT_BYTES_MAX);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0 && mqtt_attach(bus, "agent", key, fd[0], &q, NULL) == 0);
	offered = 0;
	to_agent(fd[1], FRAME_STATE, 0, &ready, sizeof ready);
	while (size > 3) {
		size_t bytes = data[1] * 256u + data[2] < size - 3 ? data[1] * 256u + data[2] : size - 3;

		feed(bus, fd[1], key, data[0], data + 3, bytes);
		data += 3 + bytes;
		size -= 3 + bytes;
	}
	close(fd[1]);		/* else a goodbye is waited for */
	bus_free(bus);
	mqtt_free(q);
	return 0;
}
