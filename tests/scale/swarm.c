/* SPDX-License-Identifier: MIT */
/*
 * swarm.c - the agents of a fleet, all of them on this host: each a thread of coord/agent.c with a connection, a certificate and a session of its own.
 *
 *	swarm FLEET		serves until SIGTERM, or until its parent ends
 *
 * Real are the bus, TLS, the agent and what it says; the load is that of sim_load.c. In some processes, for memory that is shared by a thousand threads
 * would make them wait for each other.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../coord/agent.h"
#include "../../coord/fleet.h"
#include "bus.h"
#include "clock.h"
#include "err.h"

#define PROCESSES 8
#define STACK_BYTES (4u << 20)

static struct fleet fleet = FLEET_INIT;

struct one {
	const char *name;
	struct bus *bus;
};

static void end(const char *name, const char *why)
{
	fprintf(stderr, "swarm: %s: %s\n", name, why);
	exit(1);
}

static void *serve(void *arg)
{
	struct one *one = arg;
	struct agent_options options = { .name = one->name, .roles = "load", .dir = "/" };
	struct err err = ERR_INIT;
	int rc;

	do {
		rc = bus_accept(one->bus, clock_mono_ns() + 60 * NS_PER_S, &err);
		if (rc == 1) {
			rc = agent_serve(&options, one->bus, &err);
			bus_detach(one->bus, BUS_COORDINATOR);
		}
	} while (rc >= 0);
	end(options.name, err.text);
	return NULL;
}

/* Every PROCESSES-th agent from this one on, one after the other: two processors cannot shake a thousand hands at once. */
static void serve_share(int first)
{
	pthread_attr_t small;
	pthread_t thread;

	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, STACK_BYTES);
	for (int i = first; i < fleet.agents_nr; i += PROCESSES) {
		struct one *one = calloc(1, sizeof *one);
		struct err err = ERR_INIT;
		char identity[512];

		if (!one || !(one->bus = bus_new()))
			end(fleet.agent[i], "no memory");
		one->name = fleet.agent[i];
		(void)snprintf(identity, sizeof identity, "%s/agents/%s", fleet.dir, one->name);
		if (bus_open(one->bus, fleet.url, identity, 60 * NS_PER_S, &err) < 0)
			end(one->name, err.text);
		if (pthread_create(&thread, &small, serve, one) != 0)
			end(one->name, "no thread");
	}
}

int main(int argc, char **argv)
{
	pid_t parent = getpid(), child[PROCESSES] = { 0 };
	struct err err = ERR_INIT;
	sigset_t end;
	int signal;

	if (argc != 2 || fleet_load(argv[1], &fleet, &err) < 0) {
		fprintf(stderr, "swarm: %s\n", argc == 2 ? err.text : "a fleet is wanted");
		return 2;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&end);
	(void)sigaddset(&end, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &end, NULL);
	for (int i = 1; i < PROCESSES; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			serve_share(i);
			for (;;)
				(void)pause();
		}
	}
	serve_share(0);
	(void)sigwait(&end, &signal);
	for (int i = 1; i < PROCESSES; i++)
		if (child[i] > 0 && kill(child[i], SIGKILL) == 0)
			(void)waitpid(child[i], NULL, 0);
	_exit(0);
}
