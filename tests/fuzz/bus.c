/* SPDX-License-Identifier: MIT */
/*
 * bus.c - what a peer writes, in two pieces that meet anywhere: whole messages, then that the peer is gone, then nothing more.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "bus.h"
#include "err.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX (64u << 10)	/* fits the buffer of a socket */

static int take_all(struct bus *bus)
{
	struct bus_message m;
	int gone = 0;

	while (bus_next(bus, 0, &m) == 1) {
		CHECK(!gone);
		gone = m.body == NULL;
		CHECK(gone == (strcmp(m.kind, "gone") == 0) && (gone || json_is_object(m.body)));
		json_decref(m.body);
	}
	return gone;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bus *bus = bus_new();
	struct err err = ERR_INIT;
	size_t first;
	int pair[2], gone;

	if (size == 0 || size > INPUT_BYTES_MAX) {
		bus_free(bus);
		return 0;
	}
	first = data[0] * size / 256;
	CHECK(bus && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && bus_attach(bus, "p", pair[0], &err) == 0);
	CHECK(write(pair[1], data, first) == (ssize_t)first);
	gone = take_all(bus);
	if (!gone) {
		CHECK(write(pair[1], data + first, size - first) == (ssize_t)(size - first));
		close(pair[1]);
		CHECK(take_all(bus));
	} else {
		close(pair[1]);
	}
	bus_free(bus);
	return 0;
}
