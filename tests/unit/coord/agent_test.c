/* SPDX-License-Identifier: MIT */
/*
 * agent_test.c - what an agent looks at, by its roles: on a socket pair, in a process of its own.
 */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "clock.h"
#include "err.h"

#include "../../../coord/agent.h"

#define PATIENCE_NS (10 * NS_PER_S)

static struct bus *bus;
static pid_t agent;

static void begin_agent(const char *roles)
{
	const struct agent_options options = { .name = "agent", .roles = roles };
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	bus = bus_new();
	agent = fork();
	if (agent == 0) {
		close(fd[0]);
		_exit(bus_attach(bus, BUS_COORDINATOR, fd[1], NULL) < 0 || agent_serve(&options, bus, NULL) < 0);
	}
	close(fd[1]);
	cr_assert(agent > 0 && bus_attach(bus, "agent", fd[0], NULL) == 0);
}

static void end_agent(void)
{
	int status = -1;

	bus_free(bus);	/* its end of the connection, at which it goes */
	cr_expect(waitpid(agent, &status, 0) == agent && status == 0, "the agent ended with status %d", status);
}

/* @return the code of the answer */
static int ask(const char *kind, json_t *body)
{
	struct bus_message m;
	const char *to = NULL;
	int rc = 0;

	cr_assert_eq(bus_send(bus, "agent", kind, body), 0);
	cr_assert_eq(bus_next(bus, clock_mono_ns() + PATIENCE_NS, &m), 1);
	cr_assert_eq(json_unpack(m.body, "{s:s, s:i}", "to", &to, "rc", &rc), 0);
	cr_assert_str_eq(to, kind);
	json_decref(m.body);
	return rc;
}

static int ask_profile(const char *text)
{
	return ask("profile", json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "text", text, "file", "p.yaml", "host", "agent", "host_idx", 0, "hosts_nr", 1, "seed", 1));
}

Test(agent, takes_a_profile_apart_for_its_load_alone, .timeout = 60)
{
	begin_agent("chaos,observe");
	cr_expect_eq(ask_profile("}"), 0, "without the role load it was parsed");
	cr_expect_lt(ask("load", json_object()), 0);
	end_agent();
	begin_agent("load,chaos");
	cr_expect_lt(ask_profile("}"), 0, "with the role load it was not parsed");
	end_agent();
}
