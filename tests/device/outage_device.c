/* SPDX-License-Identifier: MIT */
/*
 * outage_device.c - a device that goes dead for a while, as an LD_PRELOAD library: the truth about its stall is known exactly.
 *
 *	first matching pread of the process ── AFTER_MS ──> dead for FOR_MS (a call waits until the end) ──> alive again
 *
 *	SQUALL_TEST_AFTER_MS  from the first matching call to the beginning of the window
 *	SQUALL_TEST_FOR_MS    length of the window; -1: a call in it never returns
 *	SQUALL_TEST_MATCH     part of the path of the files that are on the device; not set: all are
 *
 * Build: cc -O2 -shared -fPIC -o outage_device.so outage_device.c -ldl
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct device {
	bool ready, on, forever;
	uint64_t after_ns, for_ns;
	char match[256];
	ssize_t (*pread)(int, void *, size_t, off_t);
	ssize_t (*pread64)(int, void *, size_t, off64_t);
	ssize_t (*preadv)(int, const struct iovec *, int, off_t);
};

static struct device device;
static _Atomic uint64_t first_ns;

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Runs before main() and thus before there are threads. */
static __attribute__((constructor)) void device_init(void)
{
	const char *after = getenv("SQUALL_TEST_AFTER_MS"), *length = getenv("SQUALL_TEST_FOR_MS"), *match = getenv("SQUALL_TEST_MATCH");

	*(void **)&device.pread = dlsym(RTLD_NEXT, "pread");
	*(void **)&device.pread64 = dlsym(RTLD_NEXT, "pread64");
	*(void **)&device.preadv = dlsym(RTLD_NEXT, "preadv");
	device.on = after && length;
	if (device.on) {
		long for_ms = strtol(length, NULL, 10);

		device.after_ns = (uint64_t)strtoul(after, NULL, 10) * 1000000u;
		device.forever = for_ms < 0;
		device.for_ns = for_ms < 0 ? 0 : (uint64_t)for_ms * 1000000u;
	}
	if (match)
		(void)snprintf(device.match, sizeof device.match, "%s", match);
	device.ready = true;
}

static bool is_on_device(int fd)
{
	char name[40], path[1024];
	ssize_t n;

	if (device.match[0] == '\0')
		return true;
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof path - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return strstr(path, device.match) != NULL;
}

static void wait_for_device(int fd)
{
	uint64_t now, none = 0, begin, end;
	struct timespec until;
	int saved = errno;

	if (!device.on || !is_on_device(fd))
		return;
	now = now_ns();
	(void)atomic_compare_exchange_strong(&first_ns, &none, now);
	begin = atomic_load(&first_ns) + device.after_ns;
	end = begin + device.for_ns;
	if (now >= begin && device.forever)
		for (;;)
			pause();
	if (now >= begin && now < end) {
		until = (struct timespec){ .tv_sec = (time_t)(end / 1000000000u), .tv_nsec = (long)(end % 1000000000u) };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
	}
	errno = saved;
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	if (!device.ready)
		device_init();
	wait_for_device(fd);
	return device.pread(fd, buffer, bytes, offset);
}

ssize_t pread64(int fd, void *buffer, size_t bytes, off64_t offset)
{
	if (!device.ready)
		device_init();
	wait_for_device(fd);
	return device.pread64(fd, buffer, bytes, offset);
}

ssize_t preadv(int fd, const struct iovec *vectors, int vectors_nr, off_t offset)
{
	if (!device.ready)
		device_init();
	wait_for_device(fd);
	return device.preadv(fd, vectors, vectors_nr, offset);
}
