/* SPDX-License-Identifier: MIT */
/*
 * tracer.h - a process that does not die of SIGKILL, as one in state D does not: another one, which traces it, has to let it go first.
 */
#ifndef SQUALL_TESTS_TRACER_H
#define SQUALL_TESTS_TRACER_H

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

/** From now on. Skips the test where nothing may be traced. @return the tracer, a child, which lets it go when it is killed */
static inline pid_t tracer_start(pid_t pid)
{
	pid_t tracer;
	char byte = 'n';
	int said[2];

	cr_assert_eq(pipe(said), 0);
	tracer = fork();
	if (tracer == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
			byte = 'y';
		(void)!write(said[1], &byte, 1);
		for (;;)
			(void)pause();
	}
	cr_assert_eq(read(said[0], &byte, 1), 1);
	if (byte != 'y')
		cr_skip_test("nothing may be traced here");
	return tracer;
}

#endif
