/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the two clocks, in nanoseconds.
 *
 * Durations and schedules use CLOCK_MONOTONIC; UTC is read once a run, to name it. Nothing else in squall reads a clock.
 */
#ifndef SQUALL_CLOCK_H
#define SQUALL_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/** @return CLOCK_MONOTONIC [ns]. Context: any thread, hot. */
uint64_t clock_mono_ns(void);

/** @return CLOCK_REALTIME [ns since 1970]. */
uint64_t clock_utc_ns(void);

#define CLOCK_OFFSET_ERROR_NS (2 * NS_PER_MS)	/* of the next two, on a busy host; else it is the time between two reads of a clock */

/** @return how far CLOCK_REALTIME is ahead of CLOCK_BOOTTIME [ns]. A step of the clock changes it and nothing else does: who slews one slews both. */
int64_t clock_utc_offset_ns(void);

/** Set CLOCK_REALTIME so that clock_utc_offset_ns() is this; done again it is the same. Errors: -EPERM; -EAGAIN the host is too busy to set it exactly. */
int clock_set_utc_offset(int64_t offset_ns);

/** Whether the kernel was told that CLOCK_REALTIME is kept synchronised. Source: adjtimex(2), STA_UNSYNC. */
bool clock_is_synchronised(void);

/** Sleep until an instant of clock_mono_ns(); goes on after signals. An instant in the past returns at once. */
void clock_sleep_until_ns(uint64_t at_ns);

/** Write "20260101T000000Z". @param out at least 17 bytes. */
void clock_format_utc(uint64_t utc_ns, char *out, size_t out_bytes);

#endif
