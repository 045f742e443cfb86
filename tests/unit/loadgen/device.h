/* SPDX-License-Identifier: MIT */
/*
 * device.h - the device of tests/device/outage_device.c, linked into the test: it stands in for pread and libaio of this program.
 */
#ifndef SQUALL_TESTS_LOADGEN_DEVICE_H
#define SQUALL_TESTS_LOADGEN_DEVICE_H

#include <stddef.h>
#include <stdint.h>

/** From `after_ms` after the first read that matches it is dead for `for_ms` (-1: for ever). Context: before the worker is forked. */
void device_set(unsigned int after_ms, int for_ms, const char *match);

/**
 * A read gives at most `piece` bytes, and none from `bad_from` on: one that begins there fails with EIO, through io_uring with EBADF. 0: no such limit.
 * Of io_uring, too.
 */
void device_part(size_t piece, uint64_t bad_from);

#endif
