/* SPDX-License-Identifier: MIT */
/*
 * tsc.c - the counter against the kernel's clock, 20 ms apart.
 */
#include "tsc.h"

#include <stdint.h>

#include "clock.h"

#if defined(__x86_64__)
#include <x86intrin.h>

#define APART_NS (20 * NS_PER_MS)
#define TRIES 32

struct instant {
	uint64_t ns, ticks;
};

/* Of some tries the one with the least time between its two looks at the counter: the one that was not interrupted. */
static struct instant now(void)
{
	struct instant best = { 0 };
	uint64_t best_gap = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = clock_mono_ns(), gap = __rdtsc() - before;

		if (gap < best_gap) {
			best_gap = gap;
			best = (struct instant){ .ns = ns, .ticks = before + gap / 2 };
		}
	}
	return best;
}

unsigned int tsc_khz(void)
{
	static unsigned int khz;

	if (khz == 0) {
		struct instant begin = now(), end;

		clock_sleep_until_ns(begin.ns + APART_NS);
		end = now();
		khz = (unsigned int)((end.ticks - begin.ticks) * 1000000 / (end.ns - begin.ns));
	}
	return khz;
}
#else
unsigned int tsc_khz(void)
{
	return 0;
}
#endif
