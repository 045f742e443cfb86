/* SPDX-License-Identifier: MIT */
/*
 * main.c - the test program is also what couriers run as: they are started by way of /proc/self/exe.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../../common/courier.h"
#include "bus.h"

/* One that somebody else has taken over: it says what courier_test.c has put into its identity. @return when it is ended, or 0: this is none of those */
static int say_frames(const char *identity)
{
	char path[256], text[4096];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "%s/frames", identity);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while ((n = read(fd, text, sizeof text)) > 0)
		if (write(COURIER_FD, text, (size_t)n) != n)
			break;
	while (read(COURIER_FD, text, sizeof text) > 0)
		;
	return 1;
}

int main(int argc, char **argv)
{
	struct criterion_test_set *tests;
	int status = 0;

	if (argc > 3 && strcmp(argv[1], "courier") == 0 && (status = say_frames(argv[3])) != 0)
		return status;
	if (argc > 1 && strcmp(argv[1], "courier") == 0)
		return bus_courier_main(argc - 1, argv + 1);
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true))
		status = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return status;
}
