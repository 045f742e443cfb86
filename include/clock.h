/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the two clocks, in nanoseconds.
 *
 * Durations and schedules use CLOCK_MONOTONIC; UTC is read once a run, to name it. Nothing else in squall reads a clock.
 */
#ifndef SQUALL_CLOCK_H
#define SQUALL_CLOCK_H

#include <stdint.h>
#include <stddef.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/** @return CLOCK_MONOTONIC [ns]. Context: any thread, hot. */
uint64_t clock_mono_ns(void);

/** @return CLOCK_REALTIME [ns since 1970]. */
uint64_t clock_utc_ns(void);

/** Sleep until an instant of clock_mono_ns(); goes on after signals. An instant in the past returns at once. */
void clock_sleep_until_ns(uint64_t at_ns);

/** Write "20260101T000000Z". @param out at least 17 bytes. */
void clock_format_utc(uint64_t utc_ns, char *out, size_t out_bytes);

#endif
