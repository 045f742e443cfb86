/* SPDX-License-Identifier: MIT */
/*
 * broker_fixture.h - a broker on loopback with certificates of its own. It ends with the process of the test, however that ends.
 */
#ifndef SQUALL_TESTS_BROKER_FIXTURE_H
#define SQUALL_TESTS_BROKER_FIXTURE_H

#include "broker.h"
#include "bus.h"
#include "certificate.h"

extern struct broker broker;
extern char url[64];		/* of that broker */

/** A path in the folder of the test, good until the eighth call after it. */
const char *in(const char *name);

/** The identities coordinator and agent, in a folder of the test. */
void fixture_identities(void);
/** The same, and a broker. */
void fixture_begin(void);
/** Two brokers with a bridge between them: the coordinator is at one, the agents are at the other. */
void fixture_begin_bridged(void);
/** Where somebody connects to. */
const char *url_of(const char *identity);
/** Replace the rules of who may say what, everywhere. */
void fixture_set_acl(const char *acl);
/** For .fini; also when nothing was begun. */
void fixture_end(void);

/** Make the identity of another agent. */
void fixture_agent(const char *name);
void open_bus(struct bus **ret, const char *identity);

#endif
