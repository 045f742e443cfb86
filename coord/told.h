/* SPDX-License-Identifier: MIT */
/*
 * told.h - what an agent tells its coordinator to keep, until it is kept: numbered, and in a spool (common/spool.h).
 *
 *	agent					coordinator
 *	<---------------------- keep {run}	the spool of that run is opened
 *	interval {n: 7, ...} ------------->	goes into the record
 *	<------------------ lease {kept: 7}	what is committed is forgotten here
 *	<------- collect {run, after: 7} ---	from a coordinator that was away, or another one; so does hello {run, after: 7}, of a run under way
 *	collected {messages: [...], more} -->
 *	<-------------------- bye {kept: 9}	the run is over; all is kept when its record is sealed
 *
 * Whose process or host has crashed opens the spool of before. What was cut off at its end is told in a message of its own behind all that is whole, torn
 * {bytes}; and numbers go on behind the `after` of a collect, for the coordinator may have heard more than is on the disk.
 */
#ifndef SQUALL_COORD_TOLD_H
#define SQUALL_COORD_TOLD_H

#include <jansson.h>
#include <stdint.h>

struct err;
struct spool;

struct told {
	const char *dir;	/* of the spools; NULL: nothing is kept, and nothing numbered */
	struct spool *spool;	/* NULL: no run yet */
	char run[128];
};

/** From here on, what is told is of this run. Errors: as spool_open() */
int told_begin(struct told *told, const char *run, struct err *err);
/** Number a message and keep it. @param body  gets "kind" and "n" */
void told_number(struct told *told, const char *kind, json_t *body);
/** The coordinator has it for good, up to this number. */
void told_kept(struct told *told, uint64_t number);
/**
 * Some messages of a run after a number, of this process or of one before it.
 * @return a new {"messages": [...], "more": bool, "error": "" or why there is nothing}, or NULL without memory
 */
json_t *told_again(struct told *told, const char *run, uint64_t after);
/** Until the next told_begin(); what is not kept stays. */
void told_end(struct told *told);

#endif
