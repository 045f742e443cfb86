/* SPDX-License-Identifier: MIT */
/*
 * other_clock.c - a host with a clock of another rate, for LD_PRELOAD: from SQUALL_TEST_AFTER_MS on, CLOCK_MONOTONIC of `squall agent` and its children
 * goes SQUALL_TEST_PERCENT faster than it should.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t from_ns, percent;

static int64_t to_ns(const struct timespec *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

static int64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoll(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
	char line[256] = "";
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	struct timespec now;

	if (fd < 0 || read(fd, line, sizeof line - 1) <= 0 || strcmp(line + strlen(line) + 1, "agent") != 0)
		return;
	close(fd);
	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	from_ns = to_ns(&now) + number("SQUALL_TEST_AFTER_MS") * 1000000;
	percent = number("SQUALL_TEST_PERCENT");
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ret);
	int64_t ns = rc < 0 ? 0 : to_ns(ret);

	if (rc < 0 || id != CLOCK_MONOTONIC || percent == 0 || ns <= from_ns)
		return rc;
	ns += (ns - from_ns) / 100 * percent;
	*ret = (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	return 0;
}
