/* SPDX-License-Identifier: MIT */
/*
 * engine.h - how ops are done: one file per engine, which ends in its struct; engines.c lists them.
 *
 *	synchronous	open ─ run, run, ... by a thread for each slot
 *	asynchronous	open ─ loop_open for each loop ─ submit, ..., flush ─ reap ─ again, by one thread a loop that serves many slots
 *
 * All of it but probe() is called in a worker process alone. run() may block for ever; whoever calls it is ready for that. Of an asynchronous engine
 * submit() must not wait for the storage, and flush() should not: how long it takes is measured and told. An engine does only the ops
 * that it can do like this; which ones is in engine_traits[], because a profile is checked against it.
 */
#ifndef SQUALL_LOADGEN_ENGINE_H
#define SQUALL_LOADGEN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"

struct damage_log;
struct err;
struct manifest;

#define PREAD_BYTES 4096u
#define ENGINE_CHUNK_MAX (1u << 20)	/* a buffer of a thread; longer files are read in pieces of it */

/* One op. What it draws (an offset, a missing name) comes from `draw`, so that a run can be repeated. */
struct op {
	enum op_kind kind;
	uint32_t site;
	uint32_t file;		/* of the site */
	uint32_t bytes;		/* of a pread, on an engine that can read other lengths than PREAD_BYTES; 0: that */
	uint64_t draw;
	uint64_t key;		/* of the arrival: the same for all ops of a page, another for every other arrival of a job */
};

struct engine_env {
	const char *dir;			/* root of the dataset */
	const char *host;
	const struct manifest *manifest;	/* NULL for an engine that needs no dataset */
	const struct job *job;			/* whose ops are to be done */
	struct damage_log *damage;		/* what checks find; may be NULL */
};

/* An op of a loop is done. */
struct completion {
	uint32_t slot;		/* as given to submit() */
	int64_t result;		/* as of run() */
};

struct engine {
	const char *name;
	const char *summary;
	bool needs_dataset;

	/** Can this host do it? NULL: every host can. Errors: with a sentence that says why not. Context: the supervisor; touches no storage. */
	int (*probe)(struct err *err);

	/** @param ret_ctx  shared by all threads of a job. Errors: with a sentence. */
	int (*open)(const struct engine_env *env, void **ret_ctx, struct err *err);

	/** Synchronous: do one op. @param buffer the thread's own. @return bytes or -errno; an expected ENOENT (stat_miss) is 0; what is read goes through files_check(). Context: hot, may block for ever. */
	int64_t (*run)(void *ctx, char *buffer, size_t buffer_bytes, const struct op *op);

	/**
	 * Asynchronous, and NULL of a synchronous engine, as run is NULL of an asynchronous one: take all memory that a loop needs.
	 * @param slots_nr  at most so many ops are in flight, with the numbers from 0 on. Errors: with a sentence.
	 */
	int (*loop_open)(void *ctx, uint32_t slots_nr, void **ret_loop, struct err *err);

	/** Put down one op of a free slot; `op` is not needed afterwards. @return 0, or -errno: the op has failed and will not be reaped. */
	int (*submit)(void *loop, uint32_t slot, const struct op *op);

	/** Hand what was put down to the kernel, by submit() and by reap(). Context: hot, once a turn; one system call a batch, none when there is nothing. */
	void (*flush)(void *loop);

	/**
	 * Wait for completions until `wait_ns` are over [ns; UINT64_MAX: for ever]. A signal or a spurious wake-up may end it early, and so may
	 * an op of several calls, of which it puts down the next one: flush() comes after every reap().
	 * @param done  at least `done_max` entries. @return how many are done; 0 to done_max.
	 */
	uint32_t (*reap)(void *loop, uint64_t wait_ns, struct completion *done, uint32_t done_max);

	void (*loop_close)(void *loop);

	void (*close)(void *ctx);
};

static inline bool engine_is_async(const struct engine *e)
{
	return e->submit != NULL;
}

extern const struct engine *const engines[];	/* NULL-terminated */

/** @return NULL when there is none of this name. */
const struct engine *engine_find(const char *name);

/**
 * The engine that does a job on this host: the job's own, or, when this host cannot do that, the first of sync and libaio that can do all that
 * the job asks of it.
 * @param slots  of the job on this host
 * @param ret_why  not empty when it is another one than the job names: a sentence. Errors: -EINVAL no such engine; -errno of probe() when none can.
 */
int engine_choose(const struct job *job, unsigned int slots, const struct engine **ret, struct err *ret_why, struct err *err);

#endif
