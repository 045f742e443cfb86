/* SPDX-License-Identifier: MIT */
/*
 * shared.h - what the supervisor and the worker process share: all state of a load lies in memory that survives either of them.
 *
 *	control   T0, stop, what the worker said at its start
 *	queue     of each open-loop job: who is due and has no slot, and who is to be tried again
 *	slot      of each op in flight: a thread's, or one of the many of a loop
 *	shard     of each few threads: counts and histograms, double-buffered
 *
 * The memory is mapped before the fork, so that pointers into it hold in both processes. Lock order: queue, then shards by number.
 *
 * An arrival is at any moment in one place: sequence, ring, slot, cell of those to be tried again, or counted. What moves it out of a slot is
 * done under the lock of the slot's shard, and is written down in `redo` first: a worker may be killed between any two instructions and no
 * arrival is lost.
 */
#ifndef SQUALL_LOADGEN_SHARED_H
#define SQUALL_LOADGEN_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "content.h"
#include "engine.h"
#include "err.h"
#include "hist.h"
#include "load.h"
#include "queue.h"
#include "spin.h"
#include "zipf.h"

#define SHARDS_MAX 8
#define ERRNOS_NR 134		/* asm-generic/errno.h ends at 133; index 0 is anything beyond */
#define PAGES_SHARD_MAX 65536u	/* pages of a shard in an interval; more are counted as dropped */
#define LOGGED_SHARD_MAX 1024u	/* ops that are logged, likewise; of 8 shards they are 1 MB of a spool that has 64 for a run */
#define NO_LAG UINT64_MAX	/* it had waited for a slot: that is not lag */
#define FLUSH_BLOCKED_NS NS_PER_MS	/* of an asynchronous engine: a flush that takes longer has blocked */
#define PAGE_UNKNOWN INT32_MIN

enum slot_state {
	SLOT_IDLE,
	SLOT_ASSIGNED,		/* holds an arrival, not issued yet */
	SLOT_BUSY,		/* issued; may never return */
};

/*
 * One writer, its thread or loop; except `unknown` and `op_active`, which are written under the shard's lock. The supervisor reads at any time.
 */
struct slot {
	_Alignas(128) _Atomic uint32_t state;
	_Atomic uint32_t unknown;	/* the arrival is here no more, counted as unknown or to be tried again, while the slot is still taken */
	_Atomic uint32_t op_active;	/* of a page: an op is running, not counted yet */
	_Atomic uint32_t tid, phase;
	_Atomic uint32_t kind, site, file;	/* of the op */
	_Atomic uint64_t draw;
	_Atomic uint64_t index, due_ns, issued_ns, lag_ns;	/* of the arrival */
	_Atomic uint64_t op_due_ns;	/* of a page */
	_Atomic uint64_t op_issued_ns;
	_Atomic uint32_t tries;		/* attempts of the arrival before this one; of a job without retry always 0 */
	_Atomic uint64_t at_ns;		/* when this attempt was due; only of a job with a retry */
};

struct tally {
	uint64_t ok, unknown;
	uint64_t error[ERRNOS_NR];
};

struct page {
	uint32_t site;
	int32_t outcome;	/* 0, -errno or PAGE_UNKNOWN */
	uint64_t due_ns, done_ns;
};

/* An op that is in the record by itself. */
struct logged {
	struct op op;
	int32_t outcome;	/* as of a page */
	uint64_t due_ns, issued_ns, done_ns;	/* an unknown one is done when it was given up */
};

/* The attempts of a phase, of a job with a retry. A shard counts how they end; how many begin is in the queue, in flight is who is left. */
struct attempts {
	uint64_t begun, failed, abandoned, in_flight;
	uint64_t late_ok, late_errors;	/* of the given up: came back later */
};

/* What a holder of the shard's lock is about to do, so that it can be done for a dead one: an arrival leaves a slot and arrives elsewhere. */
struct redo {
	uint64_t active;
	_Atomic uint32_t *word;	/* of the slot; becomes `word_value` */
	uint32_t word_value;
	uint64_t *counter;	/* becomes `value` */
	uint64_t value;
};

struct shard {
	_Alignas(64) struct spin lock;	/* protects all below */
	uint32_t epoch;			/* which of the two buffers is written */
	bool frozen;			/* nothing is counted any more */
	struct redo redo;
	struct tally *tally;		/* per cell, since T0 */
	struct hist *live[2];		/* per epoch and cell: response, then service */
	struct hist *unknown_ages;	/* per cell */
	struct hist *lag;		/* per phase */
	struct attempts *attempts;	/* per phase; NULL of a job without retry */
	struct page *pages[2];		/* page jobs */
	uint32_t pages_nr[2];
	uint64_t pages_dropped;
	struct logged *logged[2];	/* of a job that logs its ops */
	uint32_t logged_nr[2];
	uint64_t logged_kept, logged_dropped;
	/* Asynchronous engines; one writer, the loop, and outside of the lock: how often handing ops to the kernel blocked the loop. */
	_Atomic uint64_t blocked_nr, blocked_ns_max;
	_Atomic uint64_t flush_since_ns;	/* from T0; 0: it is not in there */
};

/* A job on this host. Fixed before the fork; each process has its own copy. A cell is (op, phase). */
struct job_run {
	const struct job *job;
	const struct engine *engine;	/* the one that does it, which the job need not name */
	struct err why;			/* a sentence when it does not */
	uint32_t job_idx, slots_nr, shards_nr, phases_nr, cells_nr;
	uint32_t host_idx, hosts_nr;
	bool closed;
	bool limited;			/* an arrival may become too late: it has a timeout or a retry */
	uint32_t tries;			/* attempts of an arrival at the most; 0: it has no retry */
	uint64_t timeout_ns, think_ns, seed;
	uint32_t ops_nr;		/* of cells; of a page job op 0 is the page */
	int op_kind[OP_NR + 1];		/* of each op; -1 = the page */
	uint32_t op_idx[OP_NR];		/* the reverse */
	uint32_t weight_sum, weight_end[OP_NR];	/* cumulated, by op */
	struct span span[PHASES_MAX];
	uint32_t spans_nr;
	struct zipf zipf_site, zipf_file;	/* order zipf: of the dataset, see shared_know_dataset() */
	struct slot *slot;
	struct shard *shard;
	struct queue *queue;		/* open loop; of a closed one only stop_ns is used */
	struct arrivals fresh;		/* open loop: as it was at the start */
	uint64_t try_ns[TRIES_MAX];	/* of a retry: how long each attempt is waited for */
};

struct control {
	_Atomic uint32_t go;		/* futex: T0 is set */
	_Atomic uint64_t t0_ns;		/* clock_mono_ns */
	int ready_rc;			/* of the worker's start; read after its pipe has spoken */
	struct err ready_err;
	struct dataset_spec spec;	/* of the manifest, so that the supervisor can name files */
	uint64_t dataset_bytes;		/* all its files */
	uint64_t chunk_bytes;		/* buffer of a thread */
	struct damage_log damage;	/* what checks of reads have found */
	struct hist *hiccup;		/* per phase; one writer, the hiccup process */
};

struct shared {
	struct control *control;
	struct job_run run[JOBS_MAX];
	unsigned int jobs_nr;
	void *map;
	size_t map_bytes;
};

static inline uint32_t cell_of(const struct job_run *r, uint32_t op, uint32_t phase)
{
	return op * r->phases_nr + phase;
}

static inline struct hist *live_hist(const struct shard *s, uint32_t epoch, uint32_t cell, bool service)
{
	return &s->live[epoch][2 * (size_t)cell + service];
}

static inline struct shard *shard_of(const struct job_run *r, uint32_t slot)
{
	return &r->shard[slot % r->shards_nr];
}

/** Check the plan and take the memory for it. Errors: -EINVAL, -ENOMEM. */
int shared_init(struct shared *s, const struct load_plan *plan, struct err *err);
void shared_release(struct shared *s);

/** What of the jobs follows from the dataset, once control->spec is known: by each process, for its own copy. */
void shared_know_dataset(struct shared *s);

#endif
