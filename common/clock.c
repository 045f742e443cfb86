/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the only place that reads a clock.
 */
#include <assert.h>
#include <errno.h>
#include <time.h>

#include "clock.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;
	int rc = clock_gettime(id, &t);

	assert(rc == 0);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_utc_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_sleep_until_ns(uint64_t at_ns)
{
	struct timespec t = { .tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

void clock_format_utc(uint64_t utc_ns, char *out, size_t out_bytes)
{
	time_t seconds = (time_t)(utc_ns / NS_PER_S);
	struct tm tm;

	assert(out_bytes >= sizeof "20260101T000000Z");
	gmtime_r(&seconds, &tm);
	(void)strftime(out, out_bytes, "%Y%m%dT%H%M%SZ", &tm);
}
