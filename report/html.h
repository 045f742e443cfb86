/* SPDX-License-Identifier: MIT */
/*
 * html.h - the parts of report.html: private to report/.
 *
 * The page is also well-formed XML, holds everything that it shows, and asks nobody for anything: its content policy forbids it to.
 */
#ifndef SQUALL_REPORT_HTML_H
#define SQUALL_REPORT_HTML_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "metrics.h"
#include "profile.h"
#include "series.h"

struct err;
struct hist;
struct record;

/* The plots share one geometry, so that an instant is above itself in all of them [units of the view box]. */
#define PLOT_LEFT 92.0
#define PLOT_WIDTH 960.0
#define PLOT_RIGHT (PLOT_LEFT + PLOT_WIDTH)
#define VIEW_WIDTH 1064.0

struct page {
	FILE *out;
	struct record *record;
	const json_t *verdict;
	const struct profile *profile;
	struct metrics *metrics;
	struct series_list list;
	int64_t end_s;			/* right edge of the clock */
	struct err *err;
};

/* A scale from values to heights. */
struct scale {
	double top, height, lo, hi;
	bool is_log, is_share;		/* powers of ten in ns; 0 to 1, in per cent */
};

/* html.c */
void html_text(FILE *out, const char *text);	/* escaped, in text and in attributes */
const char *html_string(const json_t *object, const char *key);
long long html_number(const json_t *object, const char *key);
const char *html_duration(double ns, char *ret, size_t bytes);	/* "4.80 s" */
/** A quantile of a response object as a cell: its value, or ">= " and its lower bound, or "-"; `of` names it for programs. */
void html_quantile(FILE *out, const char *tag, const char *of, const json_t *response, const char *name);
/** The series of a job or, with an op, of that. @return NULL when it has none */
const struct series *html_series(const struct page *page, const char *job, const char *op);

/* html_plot.c */
double plot_x(const struct page *page, double s);
double plot_y(const struct scale *scale, double value);
/** A scale of whole powers of ten around the values, in ns; one of 0 to 1 needs none of this. */
struct scale plot_log_scale(double top, double height, double least_ns, double greatest_ns);
/** A scale from 0 to a short number a little above the greatest value, which is above 0. */
struct scale plot_linear_scale(double top, double height, double greatest);
/** Frame, lines and labels of the values. */
void plot_axis(FILE *out, const struct scale *scale);
/** Seconds along the bottom. */
void plot_time_axis(const struct page *page, double y);
/** Where a fault was in force. @return false of one that never was, and of `none` */
bool plot_fault(const struct page *page, const json_t *fault, double *ret_x, double *ret_end);
/** Faults as shades behind a plot. */
void plot_shades(const struct page *page, double top, double height);

/* html_time.c */
void html_timeline(const struct page *page);
void html_seconds(const struct page *page);	/* the same as a table */

/* html_charts.c */
void html_heat_maps(const struct page *page);
int html_curves(const struct page *page);

/* html_tables.c */
void html_head(const struct page *page);
void html_evidence(const struct page *page);
int html_events(const struct page *page);
void html_jobs(const struct page *page);
void html_layers(const struct page *page);
void html_wire(const struct page *page);
void html_hung(const struct page *page);
void html_hosts(const struct page *page);

#endif
