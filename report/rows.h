/* SPDX-License-Identifier: MIT */
/*
 * rows.h - the samples of one metric of the record, in memory and in order of time.
 */
#ifndef SQUALL_REPORT_ROWS_H
#define SQUALL_REPORT_ROWS_H

#include <stddef.h>
#include <stdint.h>

struct record;

struct row {
	int64_t t_ns;
	unsigned int series;	/* host and label: a series of its own, numbered from 0 */
	double value;
};

struct rows {
	struct row *row;
	size_t nr, series_nr;
};

/** @param label  NULL = all labels. @return 0 or -errno; no samples is 0 */
int rows_read(struct record *record, const char *metric, const char *label, int64_t from_ns, struct rows *ret);
void rows_release(struct rows *rows);

/** The first row later than t. */
size_t rows_after(const struct rows *rows, int64_t t_ns);

/* By how much a cumulative value grew. */
struct growth {
	double all;	/* all series together */
	double most;	/* the series that grew most */
	size_t steps;	/* that were seen; 0: nothing is known */
};

/** In (from, to]. A series that begins again at 0 counts from 0. */
struct growth rows_growth(const struct rows *rows, int64_t from_ns, int64_t to_ns);

#endif
