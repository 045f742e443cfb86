/* SPDX-License-Identifier: MIT */
/*
 * crc32c.c - see crc32c.h.
 */
#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "crc32c.h"

#define POLYNOMIAL 0x82f63b78u	/* 0x1edc6f41, reflected */

/* slice[k][b]: what byte b does to the checksum when k more bytes follow it. Eight bytes a step; made once. */
static uint32_t slice[8][256];
static pthread_once_t slice_once = PTHREAD_ONCE_INIT;

static void make_slices(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		slice[0][b] = crc;
	}
	for (uint32_t b = 0; b < 256; b++)
		for (int k = 1; k < 8; k++)
			slice[k][b] = slice[k - 1][b] >> 8 ^ slice[0][slice[k - 1][b] & 0xff];
}

uint32_t crc32c_portable(const void *data, size_t bytes)
{
	const unsigned char *at = data;
	uint32_t crc = UINT32_MAX;
	uint64_t eight;

	(void)pthread_once(&slice_once, make_slices);
	for (; bytes >= 8; bytes -= 8, at += 8) {
		memcpy(&eight, at, 8);
		eight = le64toh(eight) ^ crc;
		crc = 0;
		for (unsigned int k = 0; k < 8; k++)
			crc ^= slice[7 - k][eight >> 8 * k & 0xff];
	}
	for (; bytes > 0; bytes--)
		crc = crc >> 8 ^ slice[0][(crc ^ *at++) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)

bool crc32c_has_hardware(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(const void *data, size_t bytes)
{
	const unsigned char *at = data;
	uint64_t crc = UINT32_MAX, eight;

	for (; bytes >= 8; bytes -= 8, at += 8) {
		memcpy(&eight, at, 8);
		crc = __builtin_ia32_crc32di(crc, eight);
	}
	for (; bytes > 0; bytes--)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *at++);
	return ~(uint32_t)crc;
}

uint32_t crc32c(const void *data, size_t bytes)
{
	return crc32c_has_hardware() ? crc32c_hardware(data, bytes) : crc32c_portable(data, bytes);
}

#else

bool crc32c_has_hardware(void)
{
	return false;
}

uint32_t crc32c(const void *data, size_t bytes)
{
	return crc32c_portable(data, bytes);
}

#endif
