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
extern char url[64];

/** A path in the folder of the test, good until the eighth call after it. */
const char *in(const char *name);

/** A broker, and the identities coordinator and agent. */
void fixture_begin(void);
/** For .fini; also when nothing was begun. */
void fixture_end(void);

/** Make the identity of another agent. */
void fixture_agent(const char *name);
void open_bus(struct bus **ret, const char *identity);

#endif
