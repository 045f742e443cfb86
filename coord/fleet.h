/* SPDX-License-Identifier: MIT */
/*
 * fleet.h - the hosts whose agents wait on a broker: a folder, made by `squall fleet`.
 *
 *	DIR/fleet.json		the address of the broker
 *	DIR/ca/			the authority; its key never leaves this folder
 *	DIR/broker/		the broker's identity, configuration and log
 *	DIR/coordinator/	the identity of `squall run`; what is signed with its key the agents obey
 *	DIR/agents/NAME/	an agent's identity, to be copied to its host
 */
#ifndef SQUALL_COORD_FLEET_H
#define SQUALL_COORD_FLEET_H

#include "certificate.h"
#include "run.h"

struct broker;

struct fleet_pair {
	char name[2][CERTIFICATE_NAME_BYTES];
};

struct fleet {
	char dir[256], url[64];
	char agent[HOSTS_MAX][CERTIFICATE_NAME_BYTES];
	int agents_nr;
	struct fleet_pair pair[HOSTS_MAX / 2];	/* peers of DRBD */
	int pairs_nr;		/* 0: they are not known */
	int lock;		/* descriptor; -1 = not taken */
	bool is_taken;		/* something listened at the broker's address already: a broker, it is hoped */
};

#define FLEET_INIT { .lock = -1 }

/**
 * Make a fleet without agents.
 * @param url     "mqtts://ADDRESS:PORT", where the broker is
 * @param beside  another address under which agents reach it, or NULL. Errors: -EINVAL, -EEXIST the folder is there
 */
int fleet_init(const char *dir, const char *url, const char *beside, struct err *err);
/** Make the identity of an agent. Errors: -EINVAL the name, -EEXIST */
int fleet_add(const char *dir, const char *name, struct err *err);

/**
 * Withdraw the identity of an agent. A broker of this folder that runs here learns it, and ends the agent's connection.
 * @return 1 such a broker runs, 0 none does, -ENOENT no such agent, -errno
 */
int fleet_revoke(const char *dir, const char *name, struct err *err);

/** Who is in it. Errors: -ENOENT no fleet, -E2BIG more than HOSTS_MAX */
int fleet_load(const char *dir, struct fleet *ret, struct err *err);
bool fleet_has(const struct fleet *fleet, const char *name);
/** Whether two hosts may hold copies of the same data: not when each is known to be the peer of another. @param fleet  NULL: nothing is known */
bool fleet_may_be_peers(const struct fleet *fleet, const char *a, const char *b);
/** Whether two hosts are known to. @param fleet  as before */
bool fleet_are_peers(const struct fleet *fleet, const char *a, const char *b);

/** Take it for a run, or to change what is on its hosts. Errors: -EBUSY somebody has it; -errno */
int fleet_lock(struct fleet *fleet, struct err *err);
/** Lock it, and start the broker, unless there is one at the address. Errors: those of fleet_lock() and broker_start() */
int fleet_serve(struct fleet *fleet, struct broker *ret_broker, struct err *err);
/** Connect to its broker as the coordinator. Errors: those of bus_open() */
int fleet_connect(const struct fleet *fleet, struct bus *bus, struct err *err);
/** A broker of ours that has ended is started again; the sessions over it go on. @return 1 it was, 0 there was no need, -errno */
int fleet_look_after(const struct fleet *fleet, struct broker *broker, struct err *err);
/**
 * Who is there, asked as a run asks, within a time.
 * @param ret  {"schema", "bus", "version", "agents": [{"name", "here", and of who is there "roles", "version", "kernel"}]}. Errors: as of fleet_serve() and fleet_connect()
 */
int fleet_status(const char *dir, uint64_t wait_ns, json_t **ret, struct err *err);
/** What a status says of one agent. @param hello  what it has answered; NULL: nothing */
json_t *fleet_status_of(const char *name, const json_t *hello);
void fleet_release(struct fleet *fleet);

#endif
