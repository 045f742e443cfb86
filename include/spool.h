/* SPDX-License-Identifier: MIT */
/*
 * spool.h - what an agent has said in a run and its coordinator has not kept yet, on its disk: whichever of the two dies, it is said again.
 *
 *	DIR/RUN.0.spool, DIR/RUN.1.spool	"squallS1", first number, CRC
 *						records: CRC, bytes, number, then the text of a message
 *
 * Numbers go up by one from 1; one that is missing was lost here, because the spool was full. What a crash has left at the end, torn or damaged, is cut off
 * when the spool is opened, and nothing behind it is believed.
 *
 * One process at a time, one thread. Nothing here waits for the disk to keep what is written: it goes there in the background. Before it has, it survives
 * the end of the process, and not that of the host.
 */
#ifndef SQUALL_SPOOL_H
#define SQUALL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct spool;

#define SPOOL_BYTES_MAX (64u << 20)	/* of a run */
#define SPOOL_RUNS_MAX 16		/* in a folder, the new one too: the oldest are removed when a run begins */

/**
 * Open the spool of a run, or make one.
 * @param dir  is made when it is not there; its parent must be. @param run  the name of the run, of letters, digits and "-._"
 * Errors: -EINVAL the name; -EBUSY another process has it; -errno with the path
 */
int spool_open(const char *dir, const char *run, struct spool **ret, struct err *err);

/** As spool_open(), but only when it is there. Errors: also -ENOENT */
int spool_find(const char *dir, const char *run, struct spool **ret, struct err *err);

/**
 * Number a message and put it in.
 * Errors: -ENOSPC there is no room, -errno of the disk: the number is spent all the same, so that others notice
 * @param ret_number  also when it failed
 */
int spool_put(struct spool *spool, const char *text, size_t bytes, uint64_t *ret_number);

/** Numbers up to this one are spent: others know messages that a crash has taken from the disk. */
void spool_skip(struct spool *spool, uint64_t number);

/** Everything up to this number is with the coordinator for good. */
void spool_forget(struct spool *spool, uint64_t number);

/**
 * The messages after a number that are not forgotten, in order.
 * @param take  false: no more. The text is NUL-terminated and the spool's. Errors: -EBADMSG one is damaged; -errno
 */
int spool_walk(const struct spool *spool, uint64_t after, bool (*take)(uint64_t number, const char *text, void *arg), void *arg);

/** How many bytes at its end were cut off when it was opened. */
uint64_t spool_cut_bytes(const struct spool *spool);

/** When nothing is left to be said, its files are removed. What is on its way to the disk is waited for 100 ms at most. NULL is fine. */
void spool_close(struct spool *spool);

#endif
