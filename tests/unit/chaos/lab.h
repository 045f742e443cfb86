/* SPDX-License-Identifier: MIT */
/*
 * lab.h - a host of one's own for a test: a state folder, an allow file, a network namespace with a loopback. For tests/unit/chaos alone.
 */
#ifndef SQUALL_TESTS_CHAOS_LAB_H
#define SQUALL_TESTS_CHAOS_LAB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "chaos.h"

/** Make the folder, set SQUALL_STATE, and go into a new network namespace. @param text  the allow file; NULL = none */
void lab_enter(const char *allow);
void lab_leave(void);

/** Connect to a port of this host. @param ret_fd  the listening socket, and both ends of the connection */
void lab_connect(unsigned int port, int ret_fd[3]);

/** Start a fault with the default arguments, lease and time of 20 s. */
void lab_start(const char *fault, uint64_t lease_ns, uint64_t max_ns, struct chaos_hold *hold);

/**
 * Read events until one has this name (and, unless NULL, this verdict or why).
 * @return the event, new reference, or NULL at the end of the events or after ten seconds.
 */
json_t *lab_event(struct chaos_hold *hold, const char *event, const char *detail);

/** The only entry of the journal. @return new reference, or NULL when there is none */
json_t *lab_entry(void);

/** Everything gone: journal empty, no mark, no process of the fault. Waits up to ten seconds. */
bool lab_is_clean(void);

#endif
