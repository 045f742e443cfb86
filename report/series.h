/* SPDX-License-Identifier: MIT */
/*
 * series.h - the record in memory, a series a job and op, for what needs it as a whole: charts, and formats that are ordered by series.
 */
#ifndef SQUALL_REPORT_SERIES_H
#define SQUALL_REPORT_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"

struct err;
struct record;

/* Rows of a heat map: fifths of a power of ten, from 10 us to 100 s; what lies outside is in the first or the last. */
#define HEAT_ROWS 35
#define HEAT_PER_DECADE 5
#define HEAT_FIRST_NS 10000.0

struct point {
	int64_t second;			/* the first of the step */
	uint64_t seconds;		/* of the step of which something is known */
	uint64_t ok, errors, unknown;	/* that ended in the step */
	uint64_t due_seconds, due, not_issued;		/* seconds of the step of which that is known, and what it was in them */
	bool any;			/* one had a value, so that the next line means something */
	bool p50_reached, p99_reached;	/* else what stands there is a lower bound: too many ran into their timeout */
	uint64_t p50_ns, p99_ns, max_ns;
	bool has_gauges;
	uint64_t due_total, not_issued_total, in_flight, waiting, oldest_ns;	/* as of the last second of the step; oldest: the greatest */
	uint32_t heat[HEAT_ROWS];
};

struct series {
	char job[NAME_BYTES], op[NAME_BYTES];
	struct point *point;
	size_t nr;
};

struct series_list {
	struct series *series;
	size_t nr;
	int64_t step;			/* [s] */
};

/**
 * Read all of it.
 * @param profile  of the record: a job's timeout is the age of those of its pages or ops that ended as unknown. NULL: they are left out of the quantiles.
 * @param step     seconds that become one point; their histograms are merged, never their percentiles.
 * Errors: as intervals_walk().
 */
int series_read(struct record *record, const struct profile *profile, int64_t step, struct series_list *ret, struct err *err);
/** The point of a step, `second` being its first. @return NULL when nothing is known of it */
const struct point *series_at(const struct series_list *list, size_t idx, int64_t second);
void series_release(struct series_list *list);

#endif
