/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h - what the agent's side of a load keeps for itself.
 *
 *	supervisor.c  processes: fork, start, stop, end
 *	collect.c     one job, at one moment, from shared memory
 *	interval.c    load_interval()
 *	final.c       load_final()
 */
#ifndef SQUALL_LOADGEN_SUPERVISOR_H
#define SQUALL_LOADGEN_SUPERVISOR_H

#include <jansson.h>

#include "shared.h"

/* What a slot held at the cut-off. */
struct held {
	const struct job_run *run;
	pid_t tid;
	struct op op;
	uint64_t op_age_ns;
};

/* A job at the moment of the last collection; counts since T0. */
struct job_state {
	struct tally *now, *last;	/* per cell, summed over the shards; `last` is the interval's start */
	struct arrivals due_walk;	/* our own walk through the sequence: what is due is computed, not asked for */
	uint64_t due, ok, errors, unknown, in_flight, waiting, not_issued;
	uint64_t oldest_ns;
	uint32_t epoch;			/* the buffer that was closed by the last collection */
	bool stale;			/* the last collection could not be made */
	uint64_t *open_due;		/* page jobs: per site the oldest open page, UINT64_MAX = none */
	struct attempts *attempts;	/* per phase; NULL of a job without retry */
	struct hist **in_flight_ages;	/* at the cut-off: per cell, NULL = none */
};

struct load {
	struct load_plan plan;
	struct shared shared;
	struct job_state state[JOBS_MAX];
	int ready_fd;			/* what the worker says when it is ready, or has died; -1: it is ready */
	uint64_t begun_ns;		/* clock_mono_ns */
	pid_t worker, hiccup;		/* 0: ended and waited for */
	bool died;			/* the worker ended without being told to */
	pid_t worker_pid;		/* kept when it is gone */
	unsigned int buried_nr;		/* locks that were taken over from dead threads */
	uint64_t t0_ns, last_end_ns;	/* clock_mono_ns; from T0 */
	bool started, stopped, finished;
	struct hist *scratch, *total;
	struct held *held;		/* at the cut-off, oldest first */
	size_t held_nr, held_max;
	pid_t left[2];
	unsigned int left_nr;
};

/** SIGKILL for worker and hiccup meter; who does not die is put into left[]. Waits at most 500 ms for each. */
void load_end_children(struct load *load);

/** @return ns from T0, 0 before. */
uint64_t load_now_ns(const struct load *load);
/** @return whether the worker and all its threads are gone. */
bool load_worker_gone(struct load *load);

/**
 * Bring state[idx] up to date.
 * @param freeze  nothing is counted after this; what is in flight is put into held[].
 * @return whether it could be done; not when a stopped worker holds a lock.
 */
bool collect_job(struct load *load, unsigned int idx, bool freeze);

/** The JSON of an interval, of jobs that have been collected. Moves on: `last` becomes `now`, buffers are emptied. */
json_t *interval_json(struct load *load, uint64_t end_ns);

#endif
