/* SPDX-License-Identifier: MIT */
/*
 * holder.h - inside of chaos/: what holder, guard and chaos_hold_start() share.
 */
#ifndef SQUALL_CHAOS_HOLDER_H
#define SQUALL_CHAOS_HOLDER_H

#include <jansson.h>
#include <sys/types.h>

#include "faults.h"

/* Descriptors of a holder and of a guard, by number, set up by who starts them. */
enum { HOLDER_FD_CONTROL = 3, HOLDER_FD_EVENTS = 4, GUARD_FD_HOLDER = 3, GUARD_FD_EVENTS = 4, GUARD_FD_READY = 5 };

/** Write one event with the time; never waits longer than a second for a reader. The fields of `more` (may be NULL) are added; stolen. */
void holder_event(int fd, const char *event, const char *evidence, json_t *more);

/** Sleepless waits, no swapping, no death by OOM if that can be had. */
void holder_harden(void);

/** Program of this process, with all descriptors in place: run it as `holder` with these words. Never returns. */
void holder_exec(const char *const argv[], const int *fds, size_t fds_nr);

/** fork + holder_exec in a process group of its own. @return pid or -errno */
pid_t holder_spawn(const char *const argv[], const int *fds, size_t fds_nr);

int guard_main(const char *id);

#endif
