/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - a plan of one job in one phase, to be changed by the test; and what a run of it says.
 *
 *	struct fixture f;
 *	fixture_init(&f);  change f.profile.jobs[0], f.plan;  fixture_run(&f, grace)  ask f.job;  fixture_release(&f)
 *
 * The folder of a fixture is made by fixture_build() and removed by fixture_release(); workers die with the test that forked them.
 */
#ifndef SQUALL_TESTS_LOADGEN_FIXTURE_H
#define SQUALL_TESTS_LOADGEN_FIXTURE_H

#include <jansson.h>

#include "clock.h"
#include "err.h"
#include "hist.h"
#include "load.h"
#include "profile.h"

#include "../../load_json.h"
#include "../../load_new.h"

struct fixture {
	struct profile profile;
	struct rate_piece pieces[4];	/* the timeline of the job */
	struct load_plan plan;
	struct load *load;
	char dir[64];
	uint64_t t0_ns;
	struct err err;
	json_t *final;		/* of load_final() */
	json_t *ops;		/* "op/phase" -> {ok, errors, unknown}, summed over the intervals */
	struct hist *response, *service;	/* of the job, merged over the intervals */
	unsigned int intervals_nr;
	uint64_t pages_nr[3];	/* ok, unknown, errors */
	json_t *logged;		/* ops that are logged one by one, of all intervals */
};

/** Job "job": engine null, read, 1,000/s constant, 8 slots, queue 1,000; phase "all" of 200 ms; seed 1; host 0 of 1. */
void fixture_init(struct fixture *f);
/** A dataset of 2 sites of 5 files of 4 KiB in a folder of its own; the engine is sync from now on. */
void fixture_build(struct fixture *f);
/** One rate for ever; of a closed loop none. */
void fixture_rate(struct fixture *f, enum arrival_kind kind, double rate);
/** f->pieces are the timeline; from 1 to 4 of them. */
void fixture_timeline(struct fixture *f, bool random, unsigned int pieces_nr);
/** An absolute rate. */
struct rate per_s(double value);
void fixture_phase(struct fixture *f, unsigned int idx, const char *name, uint64_t start_ns, uint64_t end_ns);

/** load_new() and load_start(), T0 being 20 ms ahead. Fails the test when it cannot. */
void fixture_start(struct fixture *f);
/** load_interval() into the sums; conservation is checked. @return borrowed until the next one */
const json_t *fixture_interval(struct fixture *f);
/** Intervals of 50 ms until `until_ns` from T0. */
void fixture_watch(struct fixture *f, uint64_t until_ns);
/** load_stop(), intervals until nothing waits or is in flight, which a busy machine may need a moment for, or `grace_ns` are over, load_final() into f->final. */
void fixture_finish(struct fixture *f, uint64_t grace_ns);
/** All of it until the end of the last phase. */
void fixture_run(struct fixture *f, uint64_t grace_ns);
void fixture_release(struct fixture *f);

/** Of the job in f->final: "due", "ok", "unknown", "in_flight", "not_issued", "errors" (their sum). */
uint64_t fixture_count(const struct fixture *f, const char *what);
/** Of the attempts of the job in f->final, all phases together: "attempts", "failed", "abandoned", "in_flight", "late_ok", "late_errors". */
uint64_t fixture_attempts(const struct fixture *f, const char *what);
/** Of one op in one phase, in the intervals. */
uint64_t fixture_op(const struct fixture *f, const char *op, const char *phase, const char *what);
/** The ages of one kind of censoring of the job; a new histogram, owned by the caller. */
struct hist *fixture_ages(const struct fixture *f, const char *kind);
/** A figure of the phase's lag. */
uint64_t fixture_lag(const struct fixture *f, const char *phase, const char *what);
/** Wait until an instant of clock_mono_ns(): the passing of time is the event. */
void fixture_wait(uint64_t at_ns);

#endif
