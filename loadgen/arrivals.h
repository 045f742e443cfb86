/* SPDX-License-Identifier: MIT */
/*
 * arrivals.h - when op i of a job is due: a function of (plan, seed, i), the same on every host.
 *
 *	Lambda(tau) = integral of the rate over the time tau that the job has run (gaps between its phases left out), see curve.h
 *	E_i         = i for evenly spaced arrivals; the sum of i + 1 unit exponentials, drawn from (seed, 0..i), for random ones
 *	due_i       = Lambda^-1(E_i), mapped back into the job's phases; rounded down to 1 ns, and never 0, which is "before T0"
 *
 * Of a trace, due_i is the time of its op i divided by the speed, mapped back in the same way.
 *
 * A host keeps every i with i % hosts_nr == host_idx. Nobody counts what has been done, so a host that is lost takes its slice with it
 * and nothing else.
 */
#ifndef SQUALL_LOADGEN_ARRIVALS_H
#define SQUALL_LOADGEN_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "curve.h"
#include "load.h"

struct arrival_due {
	uint64_t index;		/* i of the global sequence */
	uint64_t due_ns;	/* from T0 */
	uint32_t phase;		/* in load_plan.phases */
	uint32_t tries;		/* attempts that it has had, see retry.h; 0 as it comes from the sequence */
};

struct span {			/* a phase in which the job runs */
	uint64_t start_ns, end_ns;	/* from T0 */
	uint64_t before_ns;	/* what the job has run when it starts */
	uint32_t phase;
};

/* It may be copied, and lie in shared memory when the pieces of its curve do. */
struct arrivals {
	bool random;
	struct curve curve;
	const struct trace *trace;	/* the job's, instead of the curve; NULL: it has none */
	double trace_speed;
	uint64_t seed;
	uint32_t host_idx, hosts_nr;
	struct span span[PHASES_MAX];
	uint32_t spans_nr, span_idx;
	uint64_t next_index;	/* of the global sequence, not drawn yet */
	double sum;		/* E of the last one drawn */
	bool ended;		/* `ahead` is not valid */
	struct arrival_due ahead;
	uint64_t taken_nr;	/* how often arrivals_next() gave one; written last, so that a walk can be repeated */
};

/** The spans of a job. @return how many; end_ns > start_ns in each. */
uint32_t arrivals_spans(const struct load_plan *plan, const struct load_job *job, struct span span[PHASES_MAX]);

/** At the first arrival of this host. The job is an open-loop one. @param room  for the pieces of its timeline; lives as long as `a` */
void arrivals_init(struct arrivals *a, const struct load_plan *plan, const struct load_job *job, struct curve_piece *room);

/** Give the next one and go on. Must not be called when it has ended. Context: hot, under the owner's lock. */
struct arrival_due arrivals_next(struct arrivals *a);

/** Put it where it was after `taken_nr` calls of arrivals_next(), from the start again. @param fresh as arrivals_init() left it */
void arrivals_rewalk(struct arrivals *a, const struct arrivals *fresh);

#endif
