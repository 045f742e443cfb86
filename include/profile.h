/* SPDX-License-Identifier: MIT */
/*
 * profile.h - a profile, parsed: what everyone reads, and nobody changes after profile_load().
 *
 * The text is parsed once on the coordinator and again by every agent, from the same bytes: what is printed by --dry-run, kept in the
 * record and run is one thing. Arguments of faults and lines of signatures stay YAML here; chaos.h and report.h know what they mean.
 */
#ifndef SQUALL_PROFILE_H
#define SQUALL_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct err;
struct yaml;

#define PROFILE_BYTES_MAX (4u << 20)	/* one that was written out may hold a trace */
#define NAME_BYTES 48		/* of anything with a name: job, phase, site, host, fault, signature line; with its NUL */
#define JOBS_MAX 16
#define PHASES_MAX 16
#define FAULTS_MAX 64		/* of a profile, with those that `repeat` and `random_faults` make */
#define SIGNATURE_MAX 32
#define GUARDS_MAX 16
#define ARMS_MAX 64
#define PAGE_OPS_MAX 1024
#define SLOTS_MAX 16384		/* ops in flight of a job on a host; an engine may take fewer */
#define LINE_BYTES 256		/* of a signature line or an override */
#define DATASET_DEPTH_MAX 16
#define DATASET_SITES_MAX 10000u
#define DATASET_SITE_FILES_MAX 100000u

/* What a worker can do to a file. Names are in op_kind_names[]; docs/ops.scd has each with its calls and its success. */
enum op_kind {
	OP_READ,		/* open, pread of the whole file, close */
	OP_PREAD,		/* one pread of up to 4 KiB at a random offset of a file that is kept open */
	OP_OPEN,		/* open and close */
	OP_STAT,
	OP_STAT_MISS,		/* stat of a name that is not there: ENOENT is its success */
	OP_READDIR,		/* open, read to the end and close one directory */
	OP_APPEND_FSYNC,	/* append one line to the site's log of this host, fsync */
	OP_FIRST_BYTE,		/* open, pread of one byte, close */
	OP_ACCESS,		/* may it be read */
	OP_READDIR_STAT,	/* readdir, and stat of every entry */
	OP_STATFS,		/* of the dataset's root */
	OP_OPEN_ONLY,		/* in pages alone: open of a file for those up to its close */
	OP_READ_FIRST,		/* in pages alone: pread of the first byte of the open file */
	OP_READ_ALL,		/* in pages alone: pread of the whole open file */
	OP_CLOSE,		/* in pages alone: of the open file */
	OP_READLINK,		/* here and below: in the scratch folder of the site and this host, see scratch.h */
	OP_CHMOD,
	OP_WRITE,		/* open, overwrite one block in place, close */
	OP_WRITE_FSYNC,		/* the same with fsync before close */
	OP_LOCK,		/* open the site's lock file, lock, unlock, close; waits for other holders on all hosts */
	OP_CREATE,		/* in pages alone: an empty file that was not there */
	OP_RENAME,		/* in pages alone: the created file over one that is kept */
	OP_UNLINK,		/* in pages alone: the created file */
	OP_NR
};
extern const char *const op_kind_names[OP_NR + 1];	/* NULL-terminated */

/** @return whether it works on the file that the open_only before it in its page has opened. */
static inline bool op_needs_open(enum op_kind kind)
{
	return kind == OP_READ_FIRST || kind == OP_READ_ALL || kind == OP_CLOSE;
}

/** @return whether it is of no use by itself, but only in a page. */
static inline bool op_needs_page(enum op_kind kind)
{
	return kind == OP_OPEN_ONLY || op_needs_open(kind) || kind >= OP_CREATE;
}

/** @return whether it changes the tree, or needs something that was written there for it. */
static inline bool op_writes(enum op_kind kind)
{
	return kind == OP_APPEND_FSYNC || kind >= OP_READLINK;
}

/*
 * What a profile must know of an engine: the code itself is loadgen's, and its tests hold this table against the engines.
 */
struct engine_traits {
	const char *name;
	unsigned int ops;	/* bit k: it does op kind k */
	unsigned int direct;	/* bit k: it does op kind k with O_DIRECT */
	unsigned int slots_max;
	bool needs_server;	/* the job says which, as `nfs` */
	bool needs_queue;	/* open loop: what falls due in one turn of its loop passes through the queue */
};
extern const struct engine_traits engine_traits[];	/* ends with a NULL name */

/** @return NULL when there is none of this name. */
const struct engine_traits *engine_traits_find(const char *name);

enum rate_kind { RATE_ABSOLUTE, RATE_CAPACITY, RATE_BASELINE };

/* "500/s", "40% of capacity", "3x baseline"; over all hosts together. */
struct rate {
	enum rate_kind kind;
	double value;		/* [1/s], or a factor (0.4, 3) */
};

/* As it is written in the profile; what it comes to is a timeline of rates, of all kinds but the closed loop. docs/arrivals.scd */
enum arrival_kind {
	ARRIVAL_CONSTANT,
	ARRIVAL_POISSON,
	ARRIVAL_SPIKE,
	ARRIVAL_RAMP,
	ARRIVAL_STEP,
	ARRIVAL_BURST,
	ARRIVAL_REPLAY,
	ARRIVAL_CLOSED,
	ARRIVAL_NR
};
extern const char *const arrival_kind_names[ARRIVAL_NR + 1];	/* NULL-terminated */

/* A piece of a timeline: the rate goes from `from` to `to` in a straight line. */
struct rate_piece {
	uint64_t for_ns;	/* 0: for ever; the last piece of a timeline that does not repeat, and no other; it is level */
	struct rate from, to;
};

#define PIECES_MAX 4096

struct arrival {
	enum arrival_kind kind;
	bool random;			/* Poisson arrivals; else evenly spaced ones */
	bool repeats;			/* after the last piece the first one comes again */
	struct rate_piece *pieces;	/* owned by the profile; in the job's own time, in which gaps between its phases are left out */
	unsigned int pieces_nr;		/* closed loop: 0 */
	uint64_t think_ns;		/* closed loop: from done to the next issue of a slot */
};

/** @param capacity_per_s,baseline_per_s  what relative rates are shares and multiples of. @return [1/s] */
double rate_per_s(const struct rate *rate, double capacity_per_s, double baseline_per_s);

/**
 * What a job adds to the baseline: the rate with which it starts, of a timeline that repeats its mean; nothing when that is relative to the baseline.
 * @return [1/s]
 */
double arrival_baseline_per_s(const struct arrival *arrival, double capacity_per_s);

/** @return the highest rate of a timeline [1/s]; 0 of a closed loop. */
double arrival_peak_per_s(const struct arrival *arrival, double capacity_per_s, double baseline_per_s);

enum order { ORDER_RANDOM, ORDER_WALK, ORDER_ZIPF };

#define TRIES_MAX 10
#define TRIES_NS_MAX 86400000000000ull	/* a day: all attempts of an arrival together; what a histogram holds, too */

/* How often an arrival is tried, and how long each attempt is waited for. docs/retries.scd */
struct retry {
	unsigned int tries;		/* attempts at the most; 0: the job has no retry */
	uint64_t after_ns;		/* the first attempt is given up at that age, and the next one made */
	double backoff;			/* each further one is waited for so many times as long as the one before; at least 1 */
};

/** @param try_idx  0 is the first attempt. @return how long it is waited for [ns] */
uint64_t retry_wait_ns(const struct retry *retry, unsigned int try_idx);

struct trace_op;

/* Ops that clients have done once, to be done again as they are. trace.h */
struct trace {
	struct trace_op *op;		/* owned by the profile */
	uint32_t ops_nr;		/* 0: the job has no trace */
};

/* The NFS server of an engine that mounts nothing. */
struct nfs_target {
	char server[NAME_BYTES];	/* name or address; "" = not given */
	char path[LINE_BYTES];		/* the root of the dataset, as the server names it */
	unsigned int port, mount_port;
	unsigned int lock_port;		/* 0: not given; the ops have no lock */
	uint64_t deadline_ns;		/* of a call; 0: none */
	bool own_users;			/* client n calls as the user and the group first_uid + n */
	uint32_t first_uid;
};

struct job {
	char name[NAME_BYTES];
	char engine[NAME_BYTES];	/* "sync" */
	struct nfs_target nfs;
	bool direct;			/* past the page cache */
	bool verify;			/* what it reads is checked; default */
	bool is_page;			/* a page is a sequence of ops of one site; else one op drawn from the mix */
	unsigned int mix[OP_NR];	/* weights; of a page all 0 */
	uint8_t page[PAGE_OPS_MAX];	/* enum op_kind */
	unsigned int page_nr;
	enum order order;
	double zipf_s;			/* order zipf: the exponent */
	struct trace trace;		/* instead of mix, page, order and arrival: of these the mix has how often each op is in it, the arrival its mean rate */
	double trace_speed;		/* op i is due at its time divided by this */
	struct arrival arrival;
	uint64_t timeout_ns;		/* 0: none */
	bool logs_ops;			/* ops are in the record one by one: */
	uint64_t log_from_ns;		/* those whose response took so long, and all that failed or are unknown */
	struct retry retry;		/* not with a timeout */
	unsigned int slots;		/* on each host */
	unsigned int queue_max;		/* arrivals of a host that may wait for a slot; more are `not issued` */
	unsigned int phases;		/* bit i: runs in phase i */
	unsigned int line;
};

/** @return whether the job does ops of this kind. */
static inline bool job_has(const struct job *job, enum op_kind kind)
{
	return job->is_page ? memchr(job->page, (int)kind, job->page_nr) != NULL : job->mix[kind] > 0;
}

/** @return the age at which an arrival becomes unknown [ns]; of a job with a retry at the earliest; 0: it never does. */
uint64_t job_gives_up_ns(const struct job *job);

struct phase {
	char name[NAME_BYTES];
	uint64_t for_ns;
	bool calibrate;			/* before T0: its length is the time for measuring capacity; holds no load of its own */
};

/* When something happens: an offset from the start of a phase, or from an event ("host-reboot"). */
struct when {
	char name[NAME_BYTES];		/* of a phase or a fault; "" = not given */
	int phase_idx;			/* -1: `name` is an event */
	uint64_t offset_ns;
};

struct named_line {			/* a signature line, a guard, a condition, an override of an arm */
	char name[NAME_BYTES];
	char text[LINE_BYTES];
	unsigned int line;
};

struct fault_plan {
	char key[NAME_BYTES];		/* where the profile says it: "faults.0", "faults.0 (2 of 5)", "random_faults.of.1" */
	char fault[NAME_BYTES];
	char on[NAME_BYTES];		/* host; "" = the DRBD primary at that moment */
	struct when at;
	struct named_line condition;	/* from `at` on it waits until this is true; text "" = it does not wait */
	struct when until;		/* "" when for_ns is given or the fault is over by itself */
	uint64_t for_ns;		/* 0: until is given, or the end of the last phase */
	bool again;			/* it comes more than once: `for` must say when it is over */
	const struct yaml *args;	/* owned by profile.tree; NULL = all defaults */
	unsigned int line;
};

struct arm {				/* the same profile with something changed */
	char name[NAME_BYTES];
	struct named_line set[8];	/* text: "key=value" as of --set */
	unsigned int set_nr;
};

enum verdict { VERDICT_REPRODUCED, VERDICT_ABSENT, VERDICT_INCONCLUSIVE, VERDICT_VOID };
extern const char *const verdict_names[];	/* NULL-terminated */

struct dataset_spec {
	unsigned int sites, files_per_site, depth;
	bool lognormal;
	uint64_t size_bytes;		/* fixed size, or of lognormal the clamp */
	double mu, sigma;		/* of ln(bytes) */
};

struct lab_spec {			/* of the lab; defaults where the profile is silent */
	unsigned int clients;		/* 1 to 8, default 2 */
	unsigned int nfsd_threads;	/* default 8 */
	char filesystem[8];		/* "xfs" or "ext4" */
	char mount_options[LINE_BYTES];	/* added to those that the lab must set */
};

struct profile {
	char name[NAME_BYTES];
	char file[LINE_BYTES];
	uint64_t seed;
	struct dataset_spec dataset;
	bool cold;			/* dataset.cache: all hosts drop their caches before T0 */
	struct lab_spec lab;
	struct job jobs[JOBS_MAX];
	unsigned int jobs_nr;
	struct phase phases[PHASES_MAX];
	unsigned int phases_nr;
	struct fault_plan faults[FAULTS_MAX];
	unsigned int faults_nr;
	struct named_line signature[SIGNATURE_MAX];
	unsigned int signature_nr;
	struct named_line guards[GUARDS_MAX];
	unsigned int guards_nr;
	struct arm *arms;		/* owned; those of `arms`, then a combination of the values of `sweep` each */
	unsigned int arms_nr;
	uint64_t max_run_ns;
	bool read_only;			/* guards.read_only: no job has an op that writes, and no dataset is built where the load runs */
	enum verdict expect;		/* reproduced or absent */
	struct yaml *tree;		/* owned; the effective profile */
};

#define PROFILE_INIT { .tree = NULL }

/**
 * Read, override and check a profile.
 * @param sets      --set assignments, NULL-terminated; may be NULL.
 * Errors: -EINVAL with file:line and the nearest known key; -errno of the file.
 */
int profile_load(const char *path, const char *const sets[], struct profile *ret_profile, struct err *err);

/** The same from a text (an agent has it from the coordinator). @param file name used in sentences. */
int profile_parse(const char *text, const char *file, const char *const sets[], struct profile *ret_profile, struct err *err);

void profile_release(struct profile *profile);

/** The effective profile with every default written out, as YAML that profile_parse() reads back to the same. @param ret_text malloc'ed */
int profile_print(const struct profile *profile, char **ret_text);

/** @param idx  of a phase, or the number of phases for the end. @return when it begins, from the start of the load [ns] */
uint64_t profile_phase_start(const struct profile *profile, unsigned int idx);

/** @return whether a rate of the arrival is a share of capacity. */
bool arrival_needs_capacity(const struct arrival *arrival);

/** @return whether a rate of any job is a share of capacity, so that it must be measured first. */
bool profile_needs_calibration(const struct profile *profile);

#endif
