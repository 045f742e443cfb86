/* SPDX-License-Identifier: MIT */
/*
 * pipes.h - a device that goes dead for a while, for reads that no library call of ours leads through: each file of it is a named pipe.
 *
 *	alive   a process keeps every pipe full, so that a read finds its bytes there
 *	dead    the pipes are empty, and the kernel itself holds whoever reads them
 *
 * The window begins as in device.h: so long after the first read.
 */
#ifndef SQUALL_TESTS_LOADGEN_PIPES_H
#define SQUALL_TESTS_LOADGEN_PIPES_H

#include <stdint.h>

/** Files below `dir` whose path has `match` in it become pipes. @param for_ms  -1: for ever */
void pipes_start(const char *dir, unsigned int after_ms, int for_ms, const char *match);
/** For how long at most a pipe was empty outside of the window, because this machine was busy with something else. 0 without pipes. */
uint64_t pipes_late_ns(void);
/** End the process; the pipes go with the folder. It ends by itself when the test does. */
void pipes_end(void);

#endif
