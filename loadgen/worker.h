/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the process that does the I/O: one thread per slot, or one per shard of an asynchronous engine; killed whenever that is wanted.
 */
#ifndef SQUALL_LOADGEN_WORKER_H
#define SQUALL_LOADGEN_WORKER_H

#include "shared.h"

/**
 * What every child of the agent does first: die with it, leave its descriptors and its signals alone.
 * @param keep_fd  stays open; -1 for none.
 */
void worker_detach(pid_t parent, int keep_fd);

/** The process. Says one byte on ready_fd when its threads wait for T0, or has put its reason into control. Does not return. */
_Noreturn void worker_main(struct shared *shared, const struct load_plan *plan, pid_t parent, int ready_fd);

#endif
