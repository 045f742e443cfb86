/* SPDX-License-Identifier: MIT */
/*
 * intervals.h - the record second by second: what each job, and each op of it, had done, over all hosts and phases together.
 */
#ifndef SQUALL_REPORT_INTERVALS_H
#define SQUALL_REPORT_INTERVALS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct hist;
struct record;

struct interval {
	int64_t second;			/* [second, second + 1) since T0 */
	const char *job, *op;		/* op "" is the job itself */
	uint64_t ok, errors, unknown;	/* that ended in this second */
	const struct hist *response;	/* of ok and errors; empty when nothing ended */
	bool has_gauges;		/* what follows is there: of the job itself, when a host told of this second */
	uint64_t due_total, not_issued_total;		/* since T0 */
	uint64_t in_flight, waiting, oldest_ns;		/* at its end */
	bool has_due;			/* what follows is there: of hosts that told of the second before as well, so that it is of this one alone */
	uint64_t due, not_issued;	/* in this second */
};

enum interval_order { BY_SECOND, BY_SERIES };	/* second, job, op; or job, op, second */

/**
 * Call back with each second of each job and op, in order. A second in which a job was watched and nothing ended comes with an empty histogram; one of
 * which no host told anything does not come at all: it is a gap.
 * @param take  what it is given lives until it returns; below 0 ends the walk with that.
 * Errors: -EIO, -ENOMEM, -EBADMSG a histogram is damaged; what take() returned.
 */
int intervals_walk(struct record *record, enum interval_order order, int (*take)(const struct interval *interval, void *arg), void *arg, struct err *err);

#endif
