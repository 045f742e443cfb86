/* SPDX-License-Identifier: MIT */
/*
 * bus_test.c - the bus over each way to a peer: order, limits, and what a peer learns when the other has gone.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker_fixture.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

enum way { SOCKET_PAIR, MQTT };

/* A claim is tested on each way. */
#define BUS_TEST(claim) \
	static void claim(enum way way); \
	Test(bus, claim##_on_a_socket_pair) \
	{ \
		claim(SOCKET_PAIR); \
	} \
	Test(bus, claim##_over_mqtt) \
	{ \
		claim(MQTT); \
	} \
	static void claim(enum way way)

static void join_by_socket_pair(struct bus *a, struct bus *b)
{
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	cr_assert_eq(bus_attach(a, "agent", fd[0], NULL), 0);
	cr_assert_eq(bus_attach(b, "coordinator", fd[1], NULL), 0);
}

TestSuite(bus, .fini = fixture_end);

static uint64_t soon(void)
{
	return clock_mono_ns() + 10 * NS_PER_S;
}

/* The coordinator has sent something; both sides do their part until the agent has it. */
static void expect_at_agent(struct bus *a, struct bus *b, const char *kind)
{
	struct bus_message m;
	uint64_t deadline = soon();
	int rc = 0;

	while (rc == 0 && clock_mono_ns() < deadline) {
		(void)bus_flush(a, clock_mono_ns());
		rc = bus_accept(b, clock_mono_ns() + NS_PER_MS, NULL);
	}
	cr_assert_eq(rc, 1);
	cr_assert_eq(bus_next(b, deadline, &m), 1);
	cr_assert_str_eq(m.kind, kind);
	json_decref(m.body);
}

static void begin_session(struct bus *a, struct bus *b, const char *kind)
{
	struct err err = ERR_INIT;

	cr_assert_eq(bus_join(a, "agent", &err), 0, "%s", err.text);
	cr_assert_eq(bus_send(a, "agent", kind, NULL), 0);
	expect_at_agent(a, b, kind);
}

static void join_by_mqtt(struct bus **ret_a, struct bus **ret_b)
{
	fixture_begin();
	open_bus(ret_a, BUS_COORDINATOR);
	open_bus(ret_b, "agent");
	begin_session(*ret_a, *ret_b, "hello");
}

/* a is the coordinator's bus, with the peer "agent"; b the agent's, with the peer "coordinator". */
static void make_pair(enum way way, struct bus **ret_a, struct bus **ret_b)
{
	if (way == MQTT) {
		join_by_mqtt(ret_a, ret_b);
		return;
	}
	*ret_a = bus_new();
	*ret_b = bus_new();
	join_by_socket_pair(*ret_a, *ret_b);
}

/* The next message of one bus, while the other, which is served by nobody else, does its part. */
static int next_of(struct bus *bus, struct bus *other, struct bus_message *ret)
{
	uint64_t deadline = soon();
	int rc = 0;

	while (rc == 0 && clock_mono_ns() < deadline) {
		(void)bus_flush(other, clock_mono_ns());
		rc = bus_next(bus, clock_mono_ns() + NS_PER_MS, ret);
	}
	return rc;
}

BUS_TEST(messages_arrive_whole_and_in_order)
{
	struct bus *a, *b;
	struct bus_message m;

	make_pair(way, &a, &b);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(bus_send(a, "agent", "tick", json_pack("{s:i}", "i", i)), 0);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(next_of(b, a, &m), 1);	/* the socket takes fewer than 1,000 at once: the rest waits in the queue */
		cr_assert_str_eq(m.kind, "tick");
		cr_assert_str_eq(m.peer, "coordinator");
		cr_assert_eq(json_integer_value(json_object_get(m.body, "i")), i);
		json_decref(m.body);
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

Test(bus, an_address_is_whole_or_refused)
{
	static const char *const wrong[] = { "", "mqtts:", "mqtts://", "mqtts://127.0.0.1", "mqtts://127.0.0.1:", "mqtts://127.0.0.1:0", "mqtts://127.0.0.1:65536",
					     "mqtts://127.0.0.1:-1", "mqtts://127.0.0.1: 1", "mqtts://127.0.0.1:1x", "mqtts://1.2.3:1", "mqtts://1.2.3.4.5.6.7.8.9:1",
					     "mqtts://localhost:1", "mqtts://[::1]:1", "mqtt://127.0.0.1:1" };
	char address[16];
	uint16_t port;

	cr_assert_eq(bus_parse_url("mqtts://192.168.100.200:65535", address, &port), 0);
	cr_expect_str_eq(address, "192.168.100.200");
	cr_expect_eq(port, 65535);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		cr_expect_eq(bus_parse_url(wrong[i], address, &port), -EINVAL, "%s", wrong[i]);
}

static void expect_gone(struct bus *bus, const char *peer, uint64_t within_ns)
{
	struct bus_message m;
	uint64_t begin = clock_mono_ns();

	cr_assert_eq(bus_next(bus, begin + within_ns, &m), 1, "nothing within %.1f s", (double)within_ns / 1e9);
	cr_assert_str_eq(m.kind, "gone");
	cr_assert_str_eq(m.peer, peer);
}

Test(bus, over_mqtt_an_agent_that_is_not_there_is_gone_at_once)
{
	struct bus *a;

	fixture_begin();
	open_bus(&a, BUS_COORDINATOR);
	cr_assert_eq(bus_join(a, "agent", NULL), 0);
	cr_assert_eq(bus_send(a, "agent", "hello", NULL), 0);
	expect_gone(a, "agent", 8 * NS_PER_S);
	bus_free(a);
}

Test(bus, over_mqtt_an_agent_that_is_killed_is_gone_within_its_doubt)
{
	struct bus *a;
	struct bus_message m;
	struct err err = ERR_INIT;
	pid_t agent;

	fixture_begin();
	open_bus(&a, BUS_COORDINATOR);
	agent = fork();
	if (agent == 0) {
		struct bus *b;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);		/* a test that fails leaves nothing behind */
		open_bus(&b, "agent");
		(void)bus_accept(b, soon(), &err);
		(void)bus_next(b, soon(), &m);
		(void)bus_send(b, BUS_COORDINATOR, "here", NULL);
		(void)bus_next(b, clock_mono_ns() + 60 * NS_PER_S, &m);
		_exit(0);
	}
	for (int rc = 0; rc != 1 || strcmp(m.kind, "here") != 0;) {
		cr_assert_eq(bus_join(a, "agent", &err), 0, "%s", err.text);
		cr_assert_eq(bus_send(a, "agent", "hello", NULL), 0);
		rc = bus_next(a, soon(), &m);
		cr_assert_eq(rc, 1);
		json_decref(m.body);
	}
	cr_assert_eq(kill(agent, SIGKILL), 0);
	cr_assert_eq(waitpid(agent, NULL, 0), agent);
	expect_gone(a, "agent", 8 * NS_PER_S);
	bus_free(a);
}

/* Sends i = *next ... while the broker is as it is, and takes what comes. */
static void send_and_take(struct bus *a, struct bus *b, int *sent, int *taken, uint64_t for_ns)
{
	uint64_t end = clock_mono_ns() + for_ns;
	struct bus_message m;

	while (clock_mono_ns() < end) {
		uint64_t before = clock_mono_ns();

		cr_assert_eq(bus_send(a, "agent", "tick", json_pack("{s:i}", "i", *sent)), 0);
		cr_assert_lt(clock_mono_ns() - before, 2 * NS_PER_S, "sending took %.3f s", (double)(clock_mono_ns() - before) / 1e9);
		(*sent)++;
		(void)bus_flush(a, clock_mono_ns());
		while (bus_next(b, clock_mono_ns() + 2 * NS_PER_MS, &m) == 1) {
			cr_assert_str_eq(m.kind, "tick", "%s after %d", m.kind, *taken);
			cr_assert_eq(json_integer_value(json_object_get(m.body, "i")), *taken);
			(*taken)++;
			json_decref(m.body);
		}
	}
}

Test(bus, over_mqtt_a_broker_that_is_killed_or_stopped_and_comes_back_costs_no_message)
{
	struct bus *a, *b;
	struct err err = ERR_INIT;
	int sent = 0, taken = 0;

	make_pair(MQTT, &a, &b);
	send_and_take(a, b, &sent, &taken, NS_PER_S / 2);
	cr_assert_gt(taken, 10);
	cr_assert_eq(kill(broker.pid, SIGSTOP), 0);
	send_and_take(a, b, &sent, &taken, NS_PER_S);
	cr_assert_eq(kill(broker.pid, SIGCONT), 0);
	send_and_take(a, b, &sent, &taken, NS_PER_S);
	cr_assert_eq(kill(broker.pid, SIGKILL), 0);
	broker_stop(&broker);
	send_and_take(a, b, &sent, &taken, NS_PER_S);
	cr_assert_eq(broker_start(in("broker"), 10 * NS_PER_S, &broker, &err), 0, "%s", err.text);
	send_and_take(a, b, &sent, &taken, 4 * NS_PER_S);
	for (int turn = 0; turn < 100 && taken < sent; turn++) {
		struct bus_message m;

		cr_assert_eq(next_of(b, a, &m), 1);
		cr_assert_eq(json_integer_value(json_object_get(m.body, "i")), taken);
		taken++;
		json_decref(m.body);
	}
	bus_free(a);
	bus_free(b);
}

Test(bus, over_mqtt_who_has_nothing_to_do_sleeps)
{
	struct bus *a, *b;
	struct bus_message m;
	int turn = 0;

	make_pair(MQTT, &a, &b);
	cr_assert_eq(bus_send(a, "agent", "hello", NULL), 0);
	cr_expect_leq(bus_patience_ms(a), 50);	/* until the agent has said that it has it */
	cr_assert_eq(next_of(b, a, &m), 1);
	json_decref(m.body);
	for (; turn < 100 && (bus_patience_ms(a) <= 50 || bus_patience_ms(b) <= 50); turn++) {
		(void)bus_next(b, clock_mono_ns() + NS_PER_S / 100, &m);
		(void)bus_next(a, clock_mono_ns() + NS_PER_S / 100, &m);
	}
	cr_expect_lt(turn, 100);
	bus_free(a);
	bus_free(b);
}

/* One that shakes hands with a whole fleet would never come to an end of it. */
Test(bus, over_mqtt_a_broker_that_is_slow_to_welcome_is_not_asked_anew)
{
	struct err err = ERR_INIT;
	struct bus *b = bus_new();
	char *log;

	fixture_begin();
	cr_assert_eq(kill(broker.pid, SIGSTOP), 0);
	cr_assert_eq(bus_open(b, url_of("agent"), in("agent"), 0, &err), 0, "%s", err.text);
	cr_expect_eq(bus_accept(b, clock_mono_ns() + 4 * NS_PER_S, &err), 0, "%s", err.text);
	cr_expect_lt(bus_problem(b, NULL), 0);
	cr_assert_eq(kill(broker.pid, SIGCONT), 0);
	for (int turn = 0; turn < 50 && bus_problem(b, NULL) < 0; turn++)
		(void)bus_accept(b, clock_mono_ns() + NS_PER_S / 10, &err);
	cr_expect_eq(bus_problem(b, &err), 0, "%s", err.text);
	cr_assert_eq(file_read(in("broker/log"), 1 << 20, &log, NULL, NULL), 0);
	cr_expect_null(strstr(log, "Client connection from 127.0.0.1 failed"), "%s", log);
	free(log);
	bus_free(b);
}

Test(bus, over_mqtt_a_broker_that_stays_away_is_the_end_of_all_sessions)
{
	struct bus *a, *b;
	uint64_t begin;

	make_pair(MQTT, &a, &b);
	begin = clock_mono_ns();
	cr_assert_eq(kill(broker.pid, SIGKILL), 0);
	expect_gone(b, BUS_COORDINATOR, 18 * NS_PER_S);
	cr_assert_geq(clock_mono_ns() - begin, 9 * NS_PER_S);
	expect_gone(a, "agent", 8 * NS_PER_S);
	bus_free(a);
	bus_free(b);
}

#define SAID_NS (5 * NS_PER_S / 2)	/* sooner than by a last will: it was said */

Test(bus, over_mqtt_an_agent_that_was_started_again_begins_a_new_session)
{
	struct bus *a, *b;

	make_pair(MQTT, &a, &b);
	bus_free(b);
	open_bus(&b, "agent");
	expect_gone(a, "agent", SAID_NS);
	begin_session(a, b, "again");
	bus_free(a);
	bus_free(b);
}

Test(bus, over_mqtt_a_coordinator_that_was_started_again_ends_the_old_session)
{
	struct bus *a, *b;

	make_pair(MQTT, &a, &b);
	bus_free(a);
	expect_gone(b, BUS_COORDINATOR, SAID_NS);
	open_bus(&a, BUS_COORDINATOR);
	begin_session(a, b, "anew");
	bus_free(a);
	bus_free(b);
}

Test(bus, over_mqtt_a_certificate_that_is_withdrawn_or_of_another_fleet_is_refused)
{
	struct bus *bus = bus_new();
	struct err err = ERR_INIT;

	fixture_begin();
	cr_assert_eq(certificate_authority(in("other"), &err), 0, "%s", err.text);
	cr_assert_eq(certificate_issue(in("other"), "agent", CERTIFICATE_CLIENT, NULL, in("stranger"), &err), 0, "%s", err.text);
	cr_assert_eq(certificate_pin(in(BUS_COORDINATOR), in("stranger"), &err), 0, "%s", err.text);
	cr_assert_lt(bus_open(bus, url, in("stranger"), NS_PER_S, &err), 0);
	cr_assert_not_null(strstr(err.text, "127.0.0.1"), "%s", err.text);
	/* A stranger who trusts our authority is not trusted by it. */
	cr_assert_eq(unlink(in("stranger/ca.pem")), 0);
	cr_assert_eq(link(in("ca/ca.pem"), in("stranger/ca.pem")), 0);
	cr_assert_lt(bus_open(bus, url, in("stranger"), NS_PER_S, NULL), 0);
	cr_assert_eq(certificate_revoke(in("ca"), in("agent"), &err), 0, "%s", err.text);
	cr_assert_eq(broker_revoked(in("broker"), in("ca"), &err), 0, "%s", err.text);
	broker_stop(&broker);
	cr_assert_eq(broker_start(in("broker"), 10 * NS_PER_S, &broker, &err), 0, "%s", err.text);
	cr_assert_lt(bus_open(bus, url, in("agent"), NS_PER_S, NULL), 0);
	cr_assert_eq(bus_open(bus, url, in(BUS_COORDINATOR), 5 * NS_PER_S, &err), 0, "%s", err.text);
	bus_free(bus);
}

Test(bus, over_mqtt_a_broker_whose_certificate_is_of_another_address_is_refused)
{
	struct bus *bus = bus_new();
	struct err err = ERR_INIT;

	fixture_begin();
	broker_stop(&broker);
	cr_assert_eq(file_remove_tree(in("broker"), NULL), 0);
	cr_assert_eq(certificate_issue(in("ca"), "broker", CERTIFICATE_SERVER, "127.0.0.2", in("broker"), &err), 0, "%s", err.text);
	cr_assert_eq(broker_revoked(in("broker"), in("ca"), &err), 0, "%s", err.text);
	cr_assert_eq(broker_configure(in("broker"), "127.0.0.1", (uint16_t)strtol(strrchr(url, ':') + 1, NULL, 10), &err), 0, "%s", err.text);
	cr_assert_eq(broker_start(in("broker"), 10 * NS_PER_S, &broker, &err), 0, "%s", err.text);
	cr_expect_lt(bus_open(bus, url, in("agent"), NS_PER_S, &err), 0);
	cr_expect(strstr(err.text, "certificate verify failed"), "%s", err.text);
	bus_free(bus);
}

Test(bus, over_mqtt_nothing_older_than_tls_1_3_is_spoken)
{
	static const char *const versions[] = { "-tls1_3", "-tls1_2" };

	fixture_begin();
	for (int i = 0; i < 2; i++) {
		const char *const argv[] = { "/usr/bin/openssl", "s_client", versions[i], "-verify_return_error", "-connect", url + strlen("mqtts://"), "-CAfile",
					     in("agent/ca.pem"), "-cert", in("agent/cert.pem"), "-key", in("agent/key.pem"), NULL };

		cr_assert_eq(exec_check(argv, NULL, 10 * NS_PER_S, NULL) == 0, i == 0, "%s", versions[i]);
	}
}

Test(bus, over_mqtt_two_of_one_name_end_each_other_ever_more_rarely)
{
	struct bus *a, *b, *second;
	struct bus_message m;
	char *log = NULL, *at;
	uint64_t end;
	int nr = 0;

	make_pair(MQTT, &a, &b);
	open_bus(&second, BUS_COORDINATOR);
	end = clock_mono_ns() + 8 * NS_PER_S;
	while (clock_mono_ns() < end) {
		(void)bus_next(a, clock_mono_ns() + 10 * NS_PER_MS, &m);
		(void)bus_next(second, clock_mono_ns() + 10 * NS_PER_MS, &m);
	}
	cr_assert_eq(file_read(in("broker/log"), 1u << 20, &log, NULL, NULL), 0);
	for (at = log; (at = strstr(at, " as coordinator ")); at++)
		nr++;
	free(log);
	cr_assert_geq(nr, 3);
	cr_assert_lt(nr, 16, "%d connections in 8 s", nr);	/* each waits 0.2 s, then 0.4 s, up to 3.2 s */
	bus_free(second);
	bus_free(a);
	bus_free(b);
}

Test(bus, over_mqtt_brokers_that_are_short_lived_do_not_make_an_agent_give_up)
{
	struct bus *a, *b;
	struct err err = ERR_INIT;

	fixture_begin();
	open_bus(&b, "agent");
	for (int turn = 0; turn < 5; turn++) {
		broker_stop(&broker);
		cr_assert_eq(broker_start(in("broker"), 10 * NS_PER_S, &broker, &err), 0, "%s", err.text);
		(void)bus_accept(b, clock_mono_ns() + NS_PER_S / 5, NULL);	/* it notices */
		for (uint64_t end = soon(); bus_problem(b, NULL) < 0 && clock_mono_ns() < end;)
			(void)bus_accept(b, clock_mono_ns() + 10 * NS_PER_MS, NULL);
		cr_assert_eq(bus_problem(b, &err), 0, "%s", err.text);
	}
	open_bus(&a, BUS_COORDINATOR);
	begin_session(a, b, "hello");
	bus_free(a);
	bus_free(b);
}

Test(bus, over_mqtt_a_broker_ends_with_who_started_it)
{
	pid_t starter, started = 0;
	int pipe_fd[2];

	fixture_begin();
	broker_stop(&broker);
	cr_assert_eq(pipe(pipe_fd), 0);
	starter = fork();
	if (starter == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)broker_start(in("broker"), 10 * NS_PER_S, &broker, NULL);
		(void)!write(pipe_fd[1], &broker.pid, sizeof broker.pid);
		for (;;)
			(void)pause();
	}
	cr_assert_eq(read(pipe_fd[0], &started, sizeof started), (ssize_t)sizeof started);
	cr_assert_gt(started, 0);
	cr_assert_eq(kill(started, 0), 0);
	cr_assert_eq(kill(starter, SIGKILL), 0);
	cr_assert_eq(waitpid(starter, NULL, 0), starter);
	for (int turn = 0; turn < 50; turn++) {
		char path[64], *text = NULL;

		(void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)started);
		if (file_read(path, 4096, &text, NULL, NULL) < 0 || *text == '\0') {
			free(text);
			return;
		}
		free(text);
		clock_sleep_until_ns(clock_mono_ns() + 100 * NS_PER_MS);
	}
	cr_assert_fail("the broker %d lives on", (int)started);
}
