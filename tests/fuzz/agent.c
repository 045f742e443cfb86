/* SPDX-License-Identifier: MIT */
/*
 * agent.c - messages of a coordinator to an agent, a line each, with a goodbye in the end: what the agent answers has its fields, and what it had kept of a run
 * comes in order.
 *
 * It has the role load and no folder, so that it takes profiles apart and begins nothing. Errands are done to the whole host, so they are left out.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../../common/bus_link.h"
#include "../../coord/agent.h"
#include "err.h"
#include "file.h"
#include "fuzz.h"
#include "spool.h"

#define INPUT_BYTES_MAX (32u << 10)	/* fits the buffer of a socket */

/* A folder with the spool of a run before, and nothing of the last input. */
static void make_spool(char dir[256])
{
	struct err err = ERR_INIT;
	struct spool *s = NULL;
	uint64_t number;

	(void)snprintf(dir, 256, "%s/spool", fuzz_folder());
	(void)file_remove_tree(dir, NULL);
	CHECK(spool_open(dir, "before", &s, &err) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(spool_put(s, "{\"kind\":\"x\"}", 12, &number) == 0);
	spool_close(s);
}

/* What is no message ends the connection: that is for tests/fuzz/bus.c. */
static void pass_on(int fd, const char *line, size_t bytes)
{
	struct bus_message m;

	if (bus_message_parse(line, bytes, &m) < 0)
		return;
	if (strcmp(m.kind, "cold") != 0 && strcmp(m.kind, "journal") != 0)
		CHECK(file_write_all(fd, line, bytes) == 0 && file_write_all(fd, "\n", 1) == 0);
	json_decref(m.body);
}

static void check_answer(const struct bus_message *m)
{
	static const struct {
		const char *kind, *has;
	} answers[] = { { "hello", "mono_ns" }, { "pong", "mono_ns" }, { "answer", "rc" }, { "collected", "messages" }, { "fault-event", "event" } };
	const json_t *message;
	json_int_t last = 0;
	size_t i = 0;

	while (i < sizeof answers / sizeof answers[0] && strcmp(answers[i].kind, m->kind) != 0)
		i++;
	CHECK(i < sizeof answers / sizeof answers[0] && json_object_get(m->body, answers[i].has));
	json_array_foreach(json_object_get(m->body, "messages"), i, message) {
		CHECK(json_integer_value(json_object_get(message, "n")) > last);
		last = json_integer_value(json_object_get(message, "n"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spool[256];
	const struct agent_options options = { .name = "agent", .roles = "load", .spool = spool };
	struct bus *bus = bus_new(), *back = bus_new();
	struct err err = ERR_INIT;
	struct bus_message m;
	int fd[2];

	CHECK(bus && back && size <= INPUT_BYTES_MAX && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	make_spool(spool);
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t bytes = end ? (size_t)(end - data) - at : size - at;

		pass_on(fd[1], (const char *)data + at, bytes);
		at += bytes + 1;
	}
	CHECK(file_write_all(fd[1], "{\"kind\":\"bye\"}\n", 15) == 0);
	CHECK(bus_attach(bus, BUS_COORDINATOR, fd[0], &err) == 0 && bus_attach(back, "agent", fd[1], &err) == 0);
	CHECK(agent_serve(&options, bus, &err) == 0);
	(void)bus_flush(bus, 0);
	bus_free(bus);
	while (bus_next(back, 0, &m) == 1 && m.body) {
		check_answer(&m);
		json_decref(m.body);
	}
	bus_free(back);
	return 0;
}
