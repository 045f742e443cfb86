/* SPDX-License-Identifier: MIT */
/*
 * judge.h - the parts of a verdict: private to report/.
 */
#ifndef SQUALL_REPORT_JUDGE_H
#define SQUALL_REPORT_JUDGE_H

#include <jansson.h>
#include <sqlite3.h>

#include "metrics.h"
#include "profile.h"

struct err;
struct record;

/* jobs.c */
/** "jobs": totals, percentiles, phases and ops of each job; new reference. */
int judge_jobs(struct record *record, json_t **ret, struct err *err);

/* gates.c */
/** Reasons for which the run cannot be trusted go to `reasons`; what leaves it open to `doubts`. */
int judge_gates(struct record *record, const struct profile *profile, const json_t *verdict, json_t *reasons, json_t *doubts, struct err *err);
/** Add a sentence to one of these lists. */
void judge_because(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* whole.c */
/** The record against itself and its profile; only what no reason so far explains. @param verdict  its jobs are filled in */
int judge_whole(struct record *record, const json_t *verdict, const struct profile *profile, json_t *reasons, struct err *err);

/* course.c */
/** "recovery", "herd", "ratios", "layers", "failed_while_others_ok": how it went, into the verdict. */
int judge_course(struct record *record, struct metrics *metrics, json_t *verdict, struct err *err);

/* A row of "layers": {key: {"baseline", "under_fault"}}, each the extreme of a metric. */
struct layer {
	const char *key, *metric;
	bool least;		/* the extreme is the least value, else the greatest */
	const char *what;	/* for people; NULL = in verdict.json alone */
	double scale;		/* from the metric's unit to that of people */
	const char *unit;
};

extern const struct layer layer_rows[];	/* ends with key NULL */

/* clients.c */
/**
 * "clients": [{"host", "back_ns", "mounted_anew", "reconnects"}], an entry a load host; null = not measured. Empty without a fault.
 * @param act_ns  what ended the last fault [ns since T0]; -1 = none. back_ns counts from it to the end of the first page that was due after it.
 */
int judge_clients(struct record *record, int64_t act_ns, json_t *verdict, struct err *err);

/* judge.c */
/** @param ret  of meta WHAT.HOST the sum of `count`, and in "first" what each host names, with its "host"; new reference, on errors too */
int judge_firsts(struct record *record, const char *what, const char *count, json_t **ret, struct err *err);

/* rpcs.c */
/** "rpcs": {"nr", "first": [{"host", ...}]}, the RPCs in flight at the end as load_final() tells them; only when a host told of any. */
int judge_rpcs(struct record *record, json_t *verdict, struct err *err);
/** @return of the verdict's first RPCs those that are alike as one line for people, {"client-1: nfsv3 READ to 10.0.1.11, ...": how many} */
json_t *rpcs_lines(const json_t *verdict);

/* text.c */
/** ", second 0 at 2026-11-27 17:28:01 UTC", for who reads the logs of the hosts beside it; "" when that is not known. */
const char *judge_start_text(const json_t *verdict, char *ret, size_t bytes);
/** ", as expected", or what was instead of the verdict; "" of a run that says neither. */
const char *judge_expected_text(const json_t *verdict);

/* wire.c */
/**
 * "wire": [{"host", "ops", "reads", "rpcs", "read_rpcs", "by_rpc": {RPC: calls}, "mount": its options, last}], an entry a host whose kernel counted
 * calls on the mount: ops that were done, those of them that read, and the calls from the first second of the load to the last.
 */
int judge_wire(struct record *record, json_t *verdict, struct err *err);

#endif
