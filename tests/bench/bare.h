/* SPDX-License-Identifier: MIT */
/*
 * bare.h - what the bare loops have in common: a clock, and a number a draw.
 */
#ifndef SQUALL_TESTS_BENCH_BARE_H
#define SQUALL_TESTS_BENCH_BARE_H

#include <stdint.h>
#include <time.h>

/** The monotonic clock [s]. */
static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/** The next number of xorshift64, always from the same beginning. Source: Marsaglia, 2003. */
static inline uint64_t draw(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

#endif
