/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the process that does the I/O: one thread per slot, or one per shard of an asynchronous engine; killed whenever that is wanted.
 */
#ifndef SQUALL_LOADGEN_WORKER_H
#define SQUALL_LOADGEN_WORKER_H

#include "dataset.h"
#include "shared.h"

/**
 * What every child of the agent does first: die with it, leave its descriptors and its signals alone.
 * @param keep_fd  stays open; -1 for none.
 */
void worker_detach(pid_t parent, int keep_fd);

/* What the threads read; outlives them. */
struct worker {
	struct manifest manifest;
	struct engine_env env;
};

/**
 * Read the dataset's manifest, open the engines, start a thread per slot; they wait for T0.
 * @param w  the caller's; lives as long as the threads.
 * Errors: as load_ready(). Context: the worker process; tests/race calls it in a process of its own, so that ThreadSanitizer sees all threads.
 */
int worker_start(struct worker *w, struct shared *shared, const struct load_plan *plan, struct err *err);

/** The process. Says one byte on ready_fd when its threads wait for T0, or has put its reason into control. Does not return. */
_Noreturn void worker_main(struct shared *shared, const struct load_plan *plan, pid_t parent, int ready_fd);

#endif
