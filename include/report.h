/* SPDX-License-Identifier: MIT */
/*
 * report.h - what a record says: metrics, signature, verdict. Reads the record and nothing else, so that any old run can be judged again.
 */
#ifndef SQUALL_REPORT_H
#define SQUALL_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "profile.h"

struct err;
struct record;

/**
 * Judge a record: metrics second by second, signature, gates (lag, hiccup, unconfirmed or vanished faults, lost hosts, conservation, incomplete).
 * @param ret_verdict  verdict.json as DESIGN fixes it (docs/architecture.md); new reference.
 */
int report_judge(struct record *record, json_t **ret_verdict, struct err *err);

/** Write DIR/verdict.json: the old file or the new, never half. */
int report_write(const char *dir, const json_t *verdict, struct err *err);

/** The exit status that a verdict stands for (void and inconclusive 4, as expected 0, else 1). */
int report_exit_status(const json_t *verdict);

/** The verdict for people: sites affected first, then jobs per phase, faults, signature, hung ops, hosts, void reasons. */
int report_text(const json_t *verdict, FILE *out);

/* Formats of a run. All are called alike; some need no verdict. */

/**
 * The response times as an interval log of HdrHistogram (V2): a tag JOB or JOB.OP, a line a second; the ages of what never ended under JOB:KIND.
 * Errors: -EIO out could not be written (no sentence), or the record not read; -EBADMSG, -ENOMEM.
 */
int report_hlog(struct record *record, const json_t *verdict, FILE *out, struct err *err);

/** Print the percentiles of each tag of such a log, by squall or by another. Errors: -EBADMSG, -ENOTSUP with file and line; -errno of reading; -EIO as above. */
int report_hlog_file(const char *path, bool json, FILE *out, struct err *err);

/** The run as one table: a row a second, job and op, with the metrics of that second beside it (docs/formats.scd). Errors: as report_hlog(). */
int report_csv(struct record *record, const json_t *verdict, FILE *out, struct err *err);

/** The run as OpenMetrics text with instants, "# EOF" at its end. Errors: as report_hlog(). */
int report_openmetrics(struct record *record, const json_t *verdict, FILE *out, struct err *err);

/** The run as one page for people: well-formed, all of it in the file, nothing asked of anybody. Errors: as report_hlog(). */
int report_html(struct record *record, const json_t *verdict, FILE *out, struct err *err);

/** Leave latency.hlog and report.html beside the record: each the old file or the new, never half. */
int report_leave(const char *dir, struct record *record, const json_t *verdict, struct err *err);

/**
 * A signature line or guard must parse and name known metrics: -EINVAL "file:line: ..." with the nearest. Its event must be a phase of the profile, or one that
 * is_event() knows: a fault, whether this profile injects it or not, so that an arm without it is a profile too. NULL: it may have none, because it is asked
 * of one instant (report_guard_holds).
 */
int report_check_line(const struct profile *profile, const struct named_line *line, bool (*is_event)(const char *name), struct err *err);

/** [{"metric", "unit", "source", "meaning"}]; new reference. */
json_t *report_metrics(void);

/** Whether a guard ("sites.down_ratio > 0.9 for 120s") is true at an instant. @return 1, 0 or -errno */
int report_guard_holds(struct record *record, const char *text, int64_t t_ns, struct err *err);

#endif
