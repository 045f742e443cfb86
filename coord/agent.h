/* SPDX-License-Identifier: MIT */
/*
 * agent.h - what one host does for a coordinator: load, faults and probes, over a bus.
 *
 *	connected ──profile──> ready ──load, start──> running ──stop──> final ──> ready
 *	    any state ──silence for the lease, or another run──> load ended, faults healed
 *
 * A connection that ends in a run leaves it alone until then: who takes the run up is told what it has missed. Without a spool it ends the run.
 *
 * One thread; it never opens anything on the storage under test.
 */
#ifndef SQUALL_COORD_AGENT_H
#define SQUALL_COORD_AGENT_H

#include <stdint.h>

struct bus;
struct err;

#define AGENT_LEASE_NS (10 * 1000000000ULL)	/* silence of the coordinator after which load stops and faults heal */

struct agent_options {
	const char *name;
	const char *roles;	/* "load,chaos,observe" in any choice */
	const char *dir;	/* the dataset as this host sees it; may be NULL */
	const char *spool;	/* a folder for what the coordinator has not kept yet, see told.h; NULL: it is lost with the agent */
};

/** What this program is, version and commit: coordinator and agents must be the same, because nothing says that another understands the same words. */
const char *agent_version(void);

/**
 * Serve the peer BUS_COORDINATOR of a bus until it goes.
 * Errors: -errno; that it goes is none.
 */
int agent_serve(const struct agent_options *options, struct bus *bus, struct err *err);

#endif
