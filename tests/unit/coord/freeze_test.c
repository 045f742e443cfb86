/* SPDX-License-Identifier: MIT */
/*
 * freeze_test.c - a host that is frozen for so long that the broker gives its connection up.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>

#include "../../../coord/agent.h"
#include "bus.h"
#include "clock.h"
#include "err.h"

#include "fixture.h"

static struct run *run;
static struct host *host;
static struct bus *agent;

static void begin(void)
{
	struct err err = ERR_INIT;
	int fd[2];

	run = fixture_begin();
	host = &run->host[0];
	run->t0_ns = clock_mono_ns();
	run->began = true;
	snprintf(run->run_name, sizeof run->run_name, "r");
	agent = bus_new();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	cr_assert_eq(bus_attach(run->bus, "local", fd[0], &err), 0);
	cr_assert_eq(bus_attach(agent, BUS_COORDINATOR, fd[1], &err), 0);
	host->connected = true;
	run->fault[0].host = 0;
}

static void end(void)
{
	bus_free(agent);
	fixture_end(run);
}

TestSuite(freeze, .init = begin, .fini = end, .timeout = 60);

static void take_hello(const char *of_run)
{
	struct bus_message m = { .kind = "hello", .peer = "local", .at_ns = clock_mono_ns(), .body = json_pack("{s:s, s:s}", "boot", "b", "run", of_run) };

	run_take(run, &m);
	json_decref(m.body);
}

/* What the agent is sent next. */
static void expect_sent(const char *kind, const char *of_run)
{
	struct bus_message m = { .kind = "" };
	const char *name;

	cr_assert_eq(bus_flush(run->bus, clock_mono_ns() + 10 * NS_PER_S), 0);
	cr_assert_eq(bus_next(agent, clock_mono_ns() + 10 * NS_PER_S, &m), 1);
	cr_expect_str_eq(m.kind, kind);
	name = json_string_value(json_object_get(m.body, "run"));
	cr_expect_str_eq(name ? name : "", of_run);
	json_decref(m.body);
}

static void freeze(void)
{
	host_frozen(run, host, clock_mono_ns());
	host_gone(run, host);
	cr_expect(!host->connected && !host->lost);
}

/* Its agent is called in vain first, for it connects to the broker again. */
static void thaw(void)
{
	host_thawed(host, clock_mono_ns());
	host_gone(run, host);
	cr_expect(!host->lost);
	hosts_greet(run);
	expect_sent("hello", "r");
}

Test(freeze, the_run_goes_on_with_a_host_whose_connection_ended_meanwhile)
{
	run->fault[0].state = FAULT_HEALING;
	freeze();
	thaw();
	take_hello("r");
	cr_expect(!host->lost);
	expect_sent("heal", "");
	host_gone(run, host);
	cr_expect(host->lost, "once it has been met, its connection is like any other");
	hosts_greet(run);
	expect_sent("hello", "");
}

Test(freeze, what_was_ordered_of_a_frozen_host_is_ordered_again)
{
	run->fault[0].state = FAULT_ASKED;
	run->fault[0].ripe = true;
	freeze();
	thaw();
	take_hello("r");
	cr_expect(run->fault[0].state == FAULT_WAITING && run->fault[0].ripe);
}

Test(freeze, a_host_whose_agent_was_started_again_is_lost)
{
	freeze();
	thaw();
	take_hello("");
	cr_expect(host->lost);
}

Test(freeze, a_host_that_does_not_come_back_within_the_lease_is_lost)
{
	freeze();
	thaw();
	host->thawed_ns -= AGENT_LEASE_NS;
	host_gone(run, host);
	cr_expect(host->lost);
}
