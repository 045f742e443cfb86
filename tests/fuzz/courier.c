/* SPDX-License-Identifier: MIT */
/*
 * courier.c - what a courier that somebody else has taken over says to an agent: nothing reaches the agent but whole texts of its two topics, within their
 * bounds, answers to what it has published, and a state that is a line of ASCII; what is no frame is the courier's end.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../../common/courier.h"
#include "fuzz.h"

#define PUBLISHED 3		/* ids 1 to 3 may be answered, each once */
#define ROOM_BYTES 65536	/* which the socket takes at once */

static const char *const topics[] = { "squall/down/agent", "squall/all" };

struct heard {
	int answers;
	unsigned int sum;
};

static const char *subscribed(void *arg, int i)
{
	(void)arg;
	return i == 0 || i == 1 ? topics[i] : NULL;
}

static void on_message(void *arg, const char *topic, const char *text, size_t bytes)
{
	struct heard *h = arg;

	CHECK((topic == topics[0] || topic == topics[1]) && bytes <= CLIENT_TEXT_BYTES_MAX);
	for (size_t i = 0; i < bytes; i++)
		h->sum += (unsigned char)text[i];
}

static void on_answer(void *arg, void *tag, int reason)
{
	struct heard *h = arg;

	CHECK(tag == h && reason >= 0 && reason <= 255 && ++h->answers <= PUBLISHED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard h = { .answers = 0 };
	struct client_options options = { .url = "", .identity = "", .name = "agent", .will_topic = "squall/up/agent", .will = "", .subscribed = subscribed, .on_message = on_message,
					  .on_answer = on_answer, .arg = &h };
	struct err err = ERR_INIT;
	struct client *client;
	int fd[2];

	if (size > ROOM_BYTES)
		return 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	CHECK(courier_attach(&options, fd[0], 0, &client, &err) == 0);
	for (int i = 0; i < PUBLISHED; i++)
		CHECK(client_publish(client, options.will_topic, "x", 1, &h) == 0);
	CHECK(write(fd[1], data, size) == (ssize_t)size);
	for (int i = 0; i < 8; i++)
		client_turn(client, 0);
	if (client_problem(client, &err) < 0)
		for (const char *c = err.text; *c; c++)
			CHECK(*c >= ' ' && *c <= '~');
	close(fd[1]);
	client_free(client);
	return 0;
}
