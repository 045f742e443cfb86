/* SPDX-License-Identifier: MIT */
/*
 * parallel.h - a few things that wait, done at the same time.
 */
#ifndef SQUALL_PARALLEL_H
#define SQUALL_PARALLEL_H

struct err;

#define PARALLEL_MAX 16

/**
 * one(0, arg) to one(nr - 1, arg), a thread each, and wait for all of them.
 * @param nr  at most PARALLEL_MAX
 * @param one  what it shares with the others it must not change. Its @return is 0 or -errno with a sentence
 * @return 0, or that of the first idx that failed. The others are done as well.
 */
int parallel_each(unsigned int nr, int (*one)(unsigned int idx, void *arg, struct err *err), void *arg, struct err *err);

#endif
