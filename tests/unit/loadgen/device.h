/* SPDX-License-Identifier: MIT */
/*
 * device.h - the device of tests/device/outage_device.c, linked into the test: it stands in for pread and libaio of this program.
 */
#ifndef SQUALL_TESTS_LOADGEN_DEVICE_H
#define SQUALL_TESTS_LOADGEN_DEVICE_H

/** From `after_ms` after the first read that matches it is dead for `for_ms` (-1: for ever). Context: before the worker is forked. */
void device_set(unsigned int after_ms, int for_ms, const char *match);

#endif
