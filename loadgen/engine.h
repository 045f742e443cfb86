/* SPDX-License-Identifier: MIT */
/*
 * engine.h - how ops are done: one file per engine, which ends in its struct; engines.c lists them.
 *
 * open() and run() are called in a worker process alone. run() may block for ever; whoever calls it is ready for that.
 */
#ifndef SQUALL_LOADGEN_ENGINE_H
#define SQUALL_LOADGEN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"

struct err;
struct manifest;

#define ENGINE_CHUNK_MAX (1u << 20)	/* a buffer of a thread; longer files are read in pieces of it */

/* One op. What it draws (an offset, a missing name) comes from `draw`, so that a run can be repeated. */
struct op {
	enum op_kind kind;
	uint32_t site;
	uint32_t file;		/* of the site */
	uint64_t draw;
	uint64_t key;		/* of the arrival: the same for all ops of a page, another for every other arrival of a job */
};

struct engine_env {
	const char *dir;			/* root of the dataset */
	const char *host;
	const struct manifest *manifest;	/* NULL for an engine that needs no dataset */
	const struct job *job;			/* whose ops are to be done */
};

struct engine {
	const char *name;
	const char *summary;
	bool needs_dataset;

	/** @param ret_ctx  shared by all threads of a job. Errors: with a sentence. */
	int (*open)(const struct engine_env *env, void **ret_ctx, struct err *err);

	/** Do one op. @param buffer the thread's own. @return bytes or -errno; an expected ENOENT (stat_miss) is 0. Context: hot, may block for ever. */
	int64_t (*run)(void *ctx, char *buffer, size_t buffer_bytes, const struct op *op);

	void (*close)(void *ctx);
};

extern const struct engine *const engines[];	/* NULL-terminated */

/** @return NULL when there is none of this name. */
const struct engine *engine_find(const char *name);

#endif
