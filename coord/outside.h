/* SPDX-License-Identifier: MIT */
/*
 * outside.h - the faults that nothing on a host can do: the hypervisor of the lab does them. For coord/ alone.
 *
 * A process of its own for each, as on a host the holder is: it does it, looks every second, and takes it back when it is asked, when its time is over and when
 * the coordinator ends, whatever ended that. It tells of it in the events of a holder (chaos.h). When that process dies instead, another takes the fault
 * back. When both are killed at once, `squall lab down` ends what is left.
 */
#ifndef SQUALL_COORD_OUTSIDE_H
#define SQUALL_COORD_OUTSIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct outside {
	pid_t pid;		/* 0: none */
	int control_fd, event_fd;
	bool told_end;		/* "healed" or "failed" came */
	bool is_second;		/* it was started to take back what another one left */
	char line[1024];	/* of an event, unfinished */
	size_t line_bytes;
};

/**
 * Do it.
 * @param fault   one that chaos_is_outside() and does not take the host.
 * @param args    as chaos_check() returned them.
 * @param max_ns  taken back after this in any case.
 */
int outside_start(struct outside *outside, const char *fault, const char *node, const json_t *args, uint64_t max_ns, struct err *err);

/** Ask to take it back; the events say when it is done. */
void outside_heal(struct outside *outside);

/**
 * The next event, whose "t_ns" is of the clock of this host.
 * @param ret_event  new reference.
 * @return 1, 0 none now, -EPIPE the process has ended after its last event, -ECHILD it died before
 */
int outside_event(struct outside *outside, json_t **ret_event);

/** Take it back, whatever became of the process that held it. */
int outside_restart(struct outside *outside, const char *fault, const char *node, struct err *err);

/** Close the descriptors: the process takes back what it holds, and ends. */
void outside_close(struct outside *outside);

#endif
