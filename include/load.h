/* SPDX-License-Identifier: MIT */
/*
 * load.h - the load side of an agent: a supervisor that never touches the storage, and worker processes that do.
 *
 *	load_begin memory taken, worker processes forked; they read the manifest and touch nothing else
 *	load_ready whether they have
 *	load_start op i is due at T0 + offset(i); no traffic needed from here on
 *	load_interval   once a second: what was done, from shared memory; never waits for a worker
 *	load_stop  no more arrivals; up to a grace for ops in flight
 *	load_final what is in flight, its age, pid, tid, path, wchan, stack
 *	load_free  workers get SIGKILL; a worker that cannot die is left behind and listed by load_final()
 *
 * All of it is called by one thread of the agent and never blocks on the storage under test.
 */
#ifndef SQUALL_LOAD_H
#define SQUALL_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

struct err;
struct load;

/* One job of a plan: the job of the profile, and what its relative rates refer to. */
struct load_job {
	unsigned int job_idx;		/* in profile.jobs */
	bool closed;			/* calibration: closed loop on `slots` slots, whatever the profile says */
	unsigned int slots;		/* 0: the profile's */
	double capacity_per_s, baseline_per_s;	/* of all hosts together; 0 when no rate of the job is relative to it */
	unsigned int phases;		/* bit i: runs in load_plan.phases[i] */
};

struct load_phase {
	char name[NAME_BYTES];
	uint64_t start_ns, end_ns;	/* from T0 */
};

struct load_plan {
	const struct profile *profile;	/* borrowed; outlives the load */
	const char *host;		/* name of this host */
	const char *dir;		/* root of the dataset as seen from this host */
	unsigned int host_idx, hosts_nr;	/* this host does op i of a job when i % hosts_nr == host_idx */
	uint64_t seed;
	struct load_job jobs[JOBS_MAX];
	unsigned int jobs_nr;
	struct load_phase phases[PHASES_MAX];
	unsigned int phases_nr;
};

/* A plan to and from JSON, as it goes over the bus (without profile, host and dir). */
json_t *load_plan_to_json(const struct load_plan *plan);
int load_plan_from_json(const json_t *json, struct load_plan *ret, struct err *err);

/** Take the memory and fork the workers; returns at once, however the storage is. Errors: -EINVAL plan; -ENOMEM. */
int load_begin(const struct load_plan *plan, struct load **ret_load, struct err *err);

/** Readable when load_ready() has something to say; -1 once it is ready. Stays the load's. */
int load_ready_fd(const struct load *load);

/**
 * Whether the manifest is read and all threads wait for T0. Never waits; to be called again until it returns another value than 0, at least once a second.
 * Errors: -ENOENT no dataset or no mount there; -ETIMEDOUT the manifest could not be read within 30 s (a hung mount); -ECHILD the worker died; those
 * of the engines. @return 1 it is, 0 not yet
 */
int load_ready(struct load *load, struct err *err);

/** What a user should read before the start: jobs that this host does on another engine than they name. @return a new array of sentences, or NULL without memory. */
json_t *load_notes(const struct load *load);

/** Fix T0 [clock_mono_ns] and let the workers go. May lie in the future; should. */
int load_start(struct load *load, uint64_t t0_ns, struct err *err);

/**
 * What was done since the last call, in the shape below; second = whole seconds since T0 of the interval's start.
 *
 * {"second": 12, "end_ns": 13000120033,                  ns since T0
 *  "jobs": [{"job": "visitors", "due": 0, "issued": 0, "ok": 0, "errors": {"EIO": 1}, "unknown": 0,   all cumulative since T0
 *            "in_flight": 3, "waiting": 0, "not_issued": 0, "oldest_ns": 81000000,                      at this moment
 *            "hists": [{"op": "" | "read", "phase": "storm", "ok": 9, "errors": {"EIO": 1}, "unknown": 0,   of this interval
 *                       "response": "base64 of hist_encode()", "service": "..."}]}],
 *  "pages": [[job_idx, site, due_ns, done_ns, "ok" | "unknown" | "EIO"], ...],      finished in this interval
 *  "open":  [[job_idx, site, due_ns], ...],                                         oldest open page of each site that has one
 *  "ops":   [[job_idx, op, path, due_ns, issued_ns, done_ns, outcome], ...]}        those of this interval that a job logs one by one
 *
 * op "" is the job itself: the page of a page job, any op else. Response and service count ok and errors; unknown is censored and not in them.
 * An arrival between two attempts is in flight.
 * @return a new reference, or NULL without memory.
 */
json_t *load_interval(struct load *load);

/** No more arrivals after this; in-flight ops may finish. Idempotent. */
void load_stop(struct load *load);

/** @return ops in flight now. */
unsigned int load_in_flight(const struct load *load);

/**
 * The end of it; call after load_stop() and a grace.
 *
 * {"jobs": [{"job", "due", "ok", "errors": {}, "unknown", "in_flight", "not_issued", "engine"}],        conservation asserted
 *           "engine_why": a sentence, when "engine" is not the one that the job names
 *           of a job with a retry also "retry": [{"phase", "attempts", "failed", "abandoned", "in_flight", "late_ok", "late_errors"}]: how many
 *           attempts the arrivals of each phase had; attempts = ok of the job + failed + abandoned + in_flight; late: of the abandoned, came back later
 *           of an asynchronous engine also "submit_blocked", "submit_blocked_max_ns"                how often handing ops to the kernel blocked
 *  "censored": [{"job": "visitors", "op": "", "phase": "storm", "kind": "in_flight" | "unknown" | "not_issued", "ages": "base64 of hist_encode()"}],
 *  "hung": [{"pid", "tid", "op", "path", "age_ns", "wchan", "stack": ["..."]}],          every op in flight at the cut-off, oldest first
 *  "rpcs": {"nr", "first": [{"server", "rpc", "xid", "action", "queue", "status"}]},      only when there are hung ops, and debugfs can be read: what the
 *                                                                                         kernel's RPC clients had in flight then, see loadgen/rpcs.h
 *  "lag": [{"phase": "storm", "count", "p99_ns", "max_ns", "hiccup_p99_ns", "hiccup_max_ns"}],
 *  "dropped_pages": 0, "worker_died": false,                                              whether it ended without being told to
 *  "logged_ops": {"kept", "dropped"},                                                     only when a job logs its ops; dropped: an interval had no room
 *  "left": [pid, ...],                                                                    processes that could not be ended
 *  "interval": {},                                                                        what was done since the last load_interval(), in its shape
 *  "damage": {"ops": 3, "first": [{"job", "path", "offset", "kind", "found": "in words"}]}}   only when reads gave what was never written there: how
 *                                                                                         many ops, and the first 16 of them
 */
json_t *load_final(struct load *load);

/** End the workers and free everything. A worker in D state stays behind, orphaned and named by load_final(). */
void load_free(struct load *load);

/* The dataset: sites with a tree each, a manifest with a digest at its root, and a log folder for appends. */
#define DATASET_MANIFEST "squall-manifest.json"

/* Of `of` hosts that build a dataset at once, the one with the number `nr`, from 1 on, and what it makes. */
struct dataset_part {
	unsigned int nr, of;
};

#define DATASET_WHOLE ((struct dataset_part){ 1, 1 })
#define DATASET_PARTS_MAX 1024

/**
 * Build it, unless a manifest of the same spec and seed is there; go on with one that was killed on the way.
 * @param part        DATASET_WHOLE, or one of several that are built at once: the last that is whole says that the dataset is.
 * @param threads_nr  0: 8. @param progress  called once a second, from the second second on; may be NULL.
 * The folder DIR is made, its parent must be there. @return 0 the dataset is whole; 1 this part is, and others are not yet.
 * Errors: -ENOPKG when it is not, -ENOSPC and others with the path; what was made is removed again, but of a part, among which others write.
 */
int dataset_build(const char *dir, const struct dataset_spec *spec, uint64_t seed, struct dataset_part part, unsigned int threads_nr,
		  void (*progress)(uint64_t done, uint64_t total), struct err *err);
/** Every file is there with its size and content. @param ret_bad how many are not. @param ret_first what is wrong with the first of them; may be NULL. */
int dataset_verify(const char *dir, unsigned int threads_nr, void (*progress)(uint64_t done, uint64_t total), uint64_t *ret_bad,
		   struct err *ret_first, struct err *err);
/** Remove what a manifest names, and nothing else. */
int dataset_remove(const char *dir, struct err *err);

/* What a tree looks like; not what it is called or holds. */
struct dataset_shape {
	uint64_t files_nr, folders_nr;		/* regular files; folders with the root */
	uint64_t sites_nr;			/* folders in the root */
	uint64_t bytes, largest_bytes;
	uint64_t not_followed_nr;		/* symbolic links, other file systems, and what is neither file nor folder */
	uint64_t unreadable_nr;			/* could not be opened or looked at, or lie more than 256 deep */
	unsigned int deepest;			/* folders below the root on the longest way */
	struct dataset_spec spec;		/* a dataset of about this shape */
	bool scaled_down;			/* it has fewer files than the tree, for the limits of a dataset */
};

/** Measure a tree. Reads names and sizes, opens no file. Errors: -ENODATA no file in it; -errno of DIR. */
int dataset_scan(const char *dir, struct dataset_shape *ret, struct err *err);

#endif
