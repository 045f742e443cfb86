/* SPDX-License-Identifier: MIT */
/*
 * signature.h - lines over metrics: "nfsd.hung_ratio >= 0.5 for 10s", and whether a record holds them.
 *
 *	line       = condition { "for" TIME | "while" condition | "within" TIME "of" EVENT | "before" EVENT }
 *	condition  = conjunction { "or" conjunction }
 *	conjunction = comparison { "and" comparison }
 *	comparison = METRIC [ (">=" | "<=" | ">" | "<" | "==" | "!=") VALUE ]      METRIC alone: is not 0
 *
 * A value of a metric in ns is written with its unit (1s, 200ms); a share may be written as 50%. A comparison with a metric that has no value is not true.
 * Looked at once a second from the end of the baseline on. `A while B for T` holds when both are true for T without a break. `within T of EVENT` looks at
 * the time from the injection of a fault, or the start of a phase, to T after it; a line whose event never happened is not held. `before EVENT` looks no
 * further than that instant, so that what a cure breaks itself is not taken for what it cured; an event that never came ends nothing.
 */
#ifndef SQUALL_REPORT_SIGNATURE_H
#define SQUALL_REPORT_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"
#include "profile.h"

struct err;
struct record;

struct signature_result {
	bool held;
	int64_t at_ns;		/* when it came to be held; -1 never */
	char evidence[256];
	char gap[160];		/* of one that is not held: a metric of it that was not measured all the time, so that it may have held; else "" */
};

#define COMPARISONS_MAX 16

struct comparison {
	int metric;		/* index in metric_table */
	char op[3];		/* "" = is not 0 */
	double value;
	bool begins_or;		/* an "or" stands before it */
};

struct condition {
	struct comparison term[COMPARISONS_MAX];
	unsigned int nr;
};

struct signature_line {
	struct condition main, during;	/* during.nr 0 = no `while` */
	uint64_t for_ns, within_ns;
	char event[NAME_BYTES];		/* "" = no `within` */
	char before[NAME_BYTES];	/* "" = up to the end */
};

/** Parse. Errors: -EINVAL with a sentence that the caller puts file:line before. */
int signature_parse(const char *text, struct signature_line *ret, struct err *err);

/** @return whether the condition is true at t. */
bool condition_holds(const struct condition *condition, struct metrics *metrics, int64_t t_ns);

/* For SQL: with its host there is nobody to measure anything. Those whose row in chaos/ has takes_host, which tests/unit/coord/layers_test.c looks at. */
#define FAULTS_THAT_TAKE_HOSTS "'host-reboot', 'host-crash', 'power-cut'"

/**
 * gaps.c: the first metric of a line that was silent for more than its window while the load ran, on all hosts or on one that had told of it. A host that is
 * being rebooted has nothing to measure.
 * @param ret  a sentence; "" when there is none. Errors: -EIO.
 */
int gap_find(struct record *record, struct metrics *metrics, const struct signature_line *line, int64_t from_ns, int64_t to_ns, char *ret, size_t bytes,
	     struct err *err);

/** Evaluate a line over a whole record. */
int signature_evaluate(struct record *record, struct metrics *metrics, const struct named_line *line, struct signature_result *ret, struct err *err);

#endif
