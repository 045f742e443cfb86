/* SPDX-License-Identifier: MIT */
/*
 * outage_device.c - a device that goes dead for a while, as an LD_PRELOAD library: the truth about its stall is known exactly.
 *
 *	first matching read of the process ── AFTER_MS ──> dead for FOR_MS (a call waits until the end) ──> alive again
 *
 *	SQUALL_TEST_AFTER_MS  from the first matching call to the beginning of the window
 *	SQUALL_TEST_FOR_MS    length of the window; -1: a call in it never returns
 *	SQUALL_TEST_MATCH     part of the path of the files that are on the device; not set: all are
 *
 * It has pread, pread64, preadv, and of libaio io_submit and io_getevents: io_submit takes what is issued in the window, and it reaches
 * the kernel at the end of the window, or never.
 *
 * Build: cc -O2 -shared -fPIC -o outage_device.so outage_device.c -ldl
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <libaio.h>
#include <pthread.h>
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
	size_t piece;		/* a read gives no more than this [bytes]; 0: all of it */
	uint64_t bad_from;	/* a read gives what is before this offset, and one that begins there fails; 0: there is no such place */
	ssize_t (*pread)(int, void *, size_t, off_t);
	ssize_t (*pread64)(int, void *, size_t, off64_t);
	ssize_t (*preadv)(int, const struct iovec *, int, off_t);
	int (*io_submit)(io_context_t, long, struct iocb **);
	int (*io_getevents)(io_context_t, long, long, struct io_event *, struct timespec *);
};

#define HELD_MAX 32768

/* Asynchronous reads that the dead device has taken. */
struct held {
	io_context_t ctx;
	struct iocb *iocb;
};

static struct held held[HELD_MAX];
static unsigned int held_nr;
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;

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
	*(void **)&device.io_submit = dlsym(RTLD_NEXT, "io_submit");
	*(void **)&device.io_getevents = dlsym(RTLD_NEXT, "io_getevents");
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

/* Of a read of the device. @return 0: it fails */
static size_t given(size_t bytes, uint64_t offset)
{
	if (device.piece > 0 && bytes > device.piece)
		bytes = device.piece;
	if (device.bad_from > 0 && offset + bytes > device.bad_from)
		bytes = offset < device.bad_from ? device.bad_from - offset : 0;
	return bytes;
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

/* @return when a read that is issued now gets on: 0 = at once, UINT64_MAX = never. */
static uint64_t dead_until_ns(int fd)
{
	uint64_t now, none = 0, begin, end;

	if (!device.on || !is_on_device(fd))
		return 0;
	(void)atomic_compare_exchange_strong(&first_ns, &none, now_ns());
	begin = atomic_load(&first_ns) + device.after_ns;
	end = begin + device.for_ns;
	now = now_ns();		/* after the first one: of two threads that begin together none is before the window */
	if (now < begin)
		return 0;
	if (device.forever)
		return UINT64_MAX;
	return now < end ? end : 0;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec until = { .tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void wait_for_device(int fd)
{
	int saved = errno;
	uint64_t until = dead_until_ns(fd);

	if (until == UINT64_MAX)
		for (;;)
			pause();
	if (until > 0)
		sleep_until(until);
	errno = saved;
}

int io_submit(io_context_t ctx, long nr, struct iocb **iocb)
{
	long n = 0;

	if (!device.ready)
		device_init();
	for (; n < nr; n++) {
		int rc;

		if (dead_until_ns(iocb[n]->aio_fildes) == 0) {
			struct iocb some = *iocb[n], *submitted = &some;	/* the caller's stays what it was */

			some.u.c.nbytes = given(some.u.c.nbytes, (uint64_t)some.u.c.offset);
			rc = some.u.c.nbytes > 0 ? device.io_submit(ctx, 1, &submitted) : -EIO;
			if (rc != 1)
				return n > 0 ? (int)n : rc;
			continue;
		}
		(void)pthread_mutex_lock(&held_lock);
		if (held_nr == HELD_MAX)
			abort();
		held[held_nr++] = (struct held){ ctx, iocb[n] };
		(void)pthread_mutex_unlock(&held_lock);
	}
	return (int)n;
}

/* What was taken in the window goes to the kernel once it is over. @return when that will be; 0: there is nothing to wait for. */
static uint64_t let_go(void)
{
	uint64_t end = atomic_load(&first_ns) + device.after_ns + device.for_ns;
	bool any;

	(void)pthread_mutex_lock(&held_lock);
	any = held_nr > 0 && !device.forever;
	for (; any && now_ns() >= end && held_nr > 0; held_nr--)
		if (device.io_submit(held[held_nr - 1].ctx, 1, &held[held_nr - 1].iocb) != 1)
			abort();
	any = any && held_nr > 0;
	(void)pthread_mutex_unlock(&held_lock);
	return any ? end : 0;
}

int io_getevents(io_context_t ctx, long min, long max, struct io_event *events, struct timespec *timeout)
{
	uint64_t end, now, upto = UINT64_MAX;
	struct timespec wait;
	int n;

	if (!device.ready)
		device_init();
	if (timeout)
		upto = now_ns() + (uint64_t)timeout->tv_sec * 1000000000u + (uint64_t)timeout->tv_nsec;
	do {
		end = let_go();
		if (end == 0 || end > upto)
			end = upto;
		now = now_ns();
		now = end > now ? end - now : 0;
		wait = (struct timespec){ .tv_sec = (time_t)(now / 1000000000u), .tv_nsec = (long)(now % 1000000000u) };
		n = device.io_getevents(ctx, min, max, events, end == UINT64_MAX ? NULL : &wait);
	} while (n == 0 && now_ns() < upto);
	return n;
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	if (!device.ready)
		device_init();
	wait_for_device(fd);
	if (bytes > 0 && given(bytes, (uint64_t)offset) == 0) {
		errno = EIO;
		return -1;
	}
	return device.pread(fd, buffer, given(bytes, (uint64_t)offset), offset);
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
