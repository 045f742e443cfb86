/* SPDX-License-Identifier: MIT */
/*
 * bus_test.c - the bus over each way to a peer: order, limits, and what a peer learns when the other has gone.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus.h"
#include "clock.h"
#include "err.h"

enum way { SOCKET_PAIR, TCP };

/* A claim is tested on each way. */
#define BUS_TEST(claim) \
	static void claim(enum way way); \
	Test(bus, claim##_on_a_socket_pair) \
	{ \
		claim(SOCKET_PAIR); \
	} \
	Test(bus, claim##_over_tcp) \
	{ \
		claim(TCP); \
	} \
	static void claim(enum way way)

static void join_by_socket_pair(struct bus *a, struct bus *b)
{
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	cr_assert_eq(bus_attach(a, "agent", fd[0], NULL), 0);
	cr_assert_eq(bus_attach(b, "coordinator", fd[1], NULL), 0);
}

static void join_by_tcp(struct bus *a, struct bus *b)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof at;
	struct err err = ERR_INIT;
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	char url[64];

	cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
	(void)snprintf(url, sizeof url, "tcp:127.0.0.1:%u", ntohs(at.sin_port));
	cr_assert_eq(bus_connect(a, "agent", url, 5 * NS_PER_S, &err), 0, "%s", err.text);
	fd = accept(listener, NULL, NULL);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bus_attach(b, "coordinator", fd, NULL), 0);
	close(listener);
}

/* a is the coordinator's bus, with the peer "agent"; b the agent's, with the peer "coordinator". */
static void make_pair(enum way way, struct bus **ret_a, struct bus **ret_b)
{
	*ret_a = bus_new();
	*ret_b = bus_new();
	if (way == TCP)
		join_by_tcp(*ret_a, *ret_b);
	else
		join_by_socket_pair(*ret_a, *ret_b);
}

static uint64_t soon(void)
{
	return clock_mono_ns() + 5 * NS_PER_S;
}

BUS_TEST(messages_arrive_whole_and_in_order)
{
	struct bus *a, *b;
	struct bus_message m;

	make_pair(way, &a, &b);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(bus_send(a, "agent", "tick", json_pack("{s:i}", "i", i)), 0);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(bus_next(b, soon(), &m), 1);
		cr_assert_str_eq(m.kind, "tick");
		cr_assert_str_eq(m.peer, "coordinator");
		cr_assert_eq(json_integer_value(json_object_get(m.body, "i")), i);
		json_decref(m.body);
		(void)bus_flush(a, clock_mono_ns());	/* the socket takes fewer than 1,000 at once: the rest waits in the queue */
	}
	bus_free(a);
	bus_free(b);
}

BUS_TEST(nothing_to_read_is_0_at_the_deadline_and_not_later)
{
	struct bus *a, *b;
	struct bus_message m;
	uint64_t before = clock_mono_ns();

	make_pair(way, &a, &b);
	cr_assert_eq(bus_next(a, before + 50 * NS_PER_MS, &m), 0);
	cr_assert_geq(clock_mono_ns() - before, 50 * NS_PER_MS);
	cr_assert_lt(clock_mono_ns() - before, 2 * NS_PER_S);
	bus_free(a);
	bus_free(b);
}

BUS_TEST(what_was_sent_before_the_end_is_delivered_before_gone)
{
	struct bus *a, *b;
	struct bus_message m;

	make_pair(way, &a, &b);
	cr_assert_eq(bus_send(a, "agent", "last", NULL), 0);
	bus_free(a);
	cr_assert_eq(bus_next(b, soon(), &m), 1);
	cr_assert_str_eq(m.kind, "last");
	json_decref(m.body);
	cr_assert_eq(bus_next(b, soon(), &m), 1);
	cr_assert_str_eq(m.kind, "gone");
	cr_assert_eq(bus_send(b, "coordinator", "x", NULL), -ENOTCONN);
	bus_free(b);
}

Test(bus, a_line_that_is_no_message_ends_the_connection)
{
	struct bus *bus = bus_new();
	struct bus_message m;
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	cr_assert_eq(bus_attach(bus, "stranger", fd[0], NULL), 0);
	cr_assert_eq(write(fd[1], "[1, 2]\n", 7), 7);
	cr_assert_eq(bus_next(bus, soon(), &m), 1);
	cr_assert_str_eq(m.kind, "gone");
	close(fd[1]);
	bus_free(bus);
}

BUS_TEST(a_peer_that_reads_nothing_is_gone_at_the_limit_and_blocks_nobody)
{
	struct bus *a, *b;
	char *big = malloc((1u << 20) + 1);
	int rc = 0, sent = 0;

	make_pair(way, &a, &b);
	memset(big, 'x', 1u << 20);
	big[1u << 20] = '\0';
	for (; sent < 200 && rc == 0; sent++)
		rc = bus_send(a, "agent", "big", json_pack("{s:s}", "text", big));
	cr_assert_eq(rc, -ENOBUFS);
	cr_assert_gt(sent, 32);
	free(big);
	bus_free(a);
	bus_free(b);
}

Test(bus, an_address_is_checked)
{
	struct bus *bus = bus_new();
	struct err err = ERR_INIT;

	cr_assert_eq(bus_connect(bus, "x", "tcp:localhost:0", NS_PER_S, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "tcp:localhost:0"));
	bus_free(bus);
}
