/* SPDX-License-Identifier: MIT */
/*
 * main.c - the test program is also what holder and guard run as: they are started by way of /proc/self/exe.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "chaos.h"
#include "command.h"

int main(int argc, char **argv)
{
	struct criterion_test_set *tests;
	int status = 0;

	if (argc > 1 && strcmp(argv[1], "holder") == 0)
		return chaos_holder_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "chaos") == 0)
		return cmd_chaos(argc - 1, argv + 1);
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true))
		status = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return status;
}
