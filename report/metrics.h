/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - what signatures and guards may name, second by second, from the record alone.
 *
 * Each metric has a value at an instant t, which speaks of the 10 s before it, or none: what was not measured is not 0.
 */
#ifndef SQUALL_REPORT_METRICS_H
#define SQUALL_REPORT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND 1000000000ll	/* [ns], signed as instants of a record are */
#define METRICS_WINDOW_NS (10 * 1000000000ll)

struct err;
struct metrics;
struct record;

struct metric {
	const char *name, *unit;	/* unit: "ns", "" (a number or a share), "1/s" */
	const char *source, *meaning;
};

extern const struct metric metric_table[];	/* ends with a NULL name */

/** Index in metric_table, or -1. */
int metric_find(const char *name);

/** The nearest known name, or NULL. */
const char *metric_nearest(const char *name);

/**
 * Look at a record. Samples are read when they are first asked for, and kept.
 * @param from_ns  nothing before this instant (since T0) is asked for, but for the baseline of pages.
 */
int metrics_open(struct record *record, int64_t from_ns, struct metrics **ret_metrics, struct err *err);
void metrics_close(struct metrics *metrics);

/** End of the baseline phase and of the run [ns since T0]; 0 when not known. */
int64_t metrics_baseline_end(const struct metrics *metrics);
int64_t metrics_end(const struct metrics *metrics);

/** @return whether there is a value at t. */
bool metrics_value(struct metrics *metrics, int metric, int64_t t_ns, double *ret_value);

/** @return whether anything of the metric was measured in its window before t; a share of nothing (no RPC was done) has no value, but was measured. */
bool metrics_measured(struct metrics *metrics, int metric, int64_t t_ns);

/* How the sites were over the whole run after the baseline; failed wins over slow. */
struct site_totals {
	unsigned int total, slow, failed, ok;
	uint64_t pages;
};
void metrics_sites(struct metrics *metrics, struct site_totals *ret);

#endif
