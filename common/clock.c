/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the only place that reads a clock, or asks the kernel who sets it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

#include "clock.h"

#define OFFSET_TRIES 8	/* between two reads of a clock the host may do something else; hardly each time */

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

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
}

/* Of the read of CLOCK_REALTIME that is tightest between two of CLOCK_BOOTTIME. */
int64_t clock_utc_offset_ns(void)
{
	uint64_t tightest_ns = UINT64_MAX;
	int64_t offset_ns = 0;

	for (int i = 0; i < OFFSET_TRIES; i++) {
		uint64_t before_ns = read_clock(CLOCK_BOOTTIME), utc_ns = read_clock(CLOCK_REALTIME), after_ns = read_clock(CLOCK_BOOTTIME);

		if (after_ns - before_ns < tightest_ns) {
			tightest_ns = after_ns - before_ns;
			offset_ns = (int64_t)(utc_ns - before_ns - tightest_ns / 2);
		}
	}
	return offset_ns;
}

int clock_set_utc_offset(int64_t offset_ns)
{
	for (int i = 0; i < OFFSET_TRIES; i++) {
		struct timespec t = to_timespec(read_clock(CLOCK_BOOTTIME) + (uint64_t)offset_ns);

		if (clock_settime(CLOCK_REALTIME, &t) < 0)
			return -errno;
		if (llabs(clock_utc_offset_ns() - offset_ns) < (int64_t)CLOCK_OFFSET_ERROR_NS)
			return 0;
	}
	return -EAGAIN;
}

bool clock_is_synchronised(void)
{
	struct timex t = { .modes = 0 };

	return adjtimex(&t) >= 0 && (t.status & STA_UNSYNC) == 0;
}

void clock_sleep_until_ns(uint64_t at_ns)
{
	struct timespec t = to_timespec(at_ns);

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
