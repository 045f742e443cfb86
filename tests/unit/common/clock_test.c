/* SPDX-License-Identifier: MIT */
/*
 * clock_test.c - the distance of the two clocks is one number, and only who may set the clock changes it. No test here sets it to another time.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

Test(clock, the_offset_of_the_time_of_day_does_not_change_by_itself)
{
	int64_t offset_ns = clock_utc_offset_ns();
	struct timespec boot;

	cr_assert_eq(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
	cr_assert_lt(llabs((int64_t)clock_utc_ns() - boot.tv_sec * (int64_t)NS_PER_S - boot.tv_nsec - offset_ns), (int64_t)NS_PER_S);
	for (int i = 0; i < 100; i++)
		cr_assert_lt(llabs(clock_utc_offset_ns() - offset_ns), (int64_t)CLOCK_OFFSET_ERROR_NS);
}

Test(clock, who_may_not_set_it_is_told)
{
	if (geteuid() == 0)
		cr_assert_eq(setuid(65534), 0);
	cr_assert_eq(clock_set_utc_offset(clock_utc_offset_ns()), -EPERM);
}
