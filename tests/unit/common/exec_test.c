/* SPDX-License-Identifier: MIT */
/*
 * exec_test.c - a child gives back what it said, and none outlives its deadline.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "parallel.h"

#include "../tracer.h"

Test(exec, what_a_program_prints_and_its_status_come_back)
{
	static const char *const argv[] = { "/bin/sh", "-c", "cat; echo wrong >&2; exit 3", NULL };
	struct exec_result r = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(exec_run(argv, "hello", 10 * NS_PER_S, &r, &err), 0, "%s", err.text);
	cr_assert_eq(r.status, 3);
	cr_assert_str_eq(r.out, "hello");
	cr_assert_str_eq(r.err_out, "wrong\n");
	exec_result_release(&r);
	cr_assert_eq(exec_check(argv, NULL, 10 * NS_PER_S, &err), -EIO);
	cr_assert_str_eq(err.text, "/bin/sh: exit status 3: wrong");
}

Test(exec, a_program_and_its_children_end_at_the_deadline)
{
	static const char *const argv[] = { "/bin/sh", "-c", "sleep 60 & sleep 60", NULL };
	struct exec_result r = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;
	uint64_t before = clock_mono_ns();

	cr_assert_eq(exec_run(argv, NULL, 100 * NS_PER_MS, &r, &err), -ETIMEDOUT);
	cr_assert_lt(clock_mono_ns() - before, 5 * NS_PER_S);
	cr_assert_not(r.left_behind);
	cr_assert_eq(r.status, 128 + SIGKILL);
	for (int i = 0; i < 500 && kill(-r.pid, 0) == 0; i++)	/* the sleeps are init's to reap */
		clock_sleep_until_ns(clock_mono_ns() + 10 * NS_PER_MS);
	cr_assert_not_null(strstr(err.text, "/bin/sh: it did not end within 0.1 s"));
	exec_result_release(&r);
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

Test(exec, a_child_that_was_left_is_reaped_when_the_next_is_left)
{
	int hold[2];
	pid_t late, done;
	char none;

	exec_leave(0);
	exec_leave(-1);
	cr_assert_eq(pipe(hold), 0);
	late = fork();
	if (late == 0) {
		close(hold[1]);
		_exit((int)read(hold[0], &none, 1));
	}
	exec_leave(late);
	cr_expect_not(is_gone(late));
	close(hold[1]);
	cr_assert_eq(waitid(P_PID, (id_t)late, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	done = fork();
	if (done == 0)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)done, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	exec_leave(done);
	cr_expect(is_gone(done));
	cr_expect(is_gone(late));
}

static pid_t fork_idle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		for (;;)
			(void)pause();
	}
	cr_assert_gt(pid, 0);
	return pid;
}

Test(exec, a_child_that_is_killed_is_reaped)
{
	pid_t pid = fork_idle();

	cr_assert(exec_kill(pid, clock_mono_ns() + 10 * NS_PER_S));
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), -1);
}

/* SIGKILL is there, and the parent cannot have the child. */
Test(exec, a_child_that_does_not_die_is_not_waited_for, .timeout = 20)
{
	pid_t pid = fork_idle(), tracer = tracer_start(pid);

	cr_assert_not(exec_kill(pid, clock_mono_ns() + 100 * NS_PER_MS));
	cr_assert(exec_kill(tracer, clock_mono_ns() + 10 * NS_PER_S));
	cr_assert(exec_kill(pid, clock_mono_ns() + 10 * NS_PER_S));
}

Test(exec, a_missing_program_is_named)
{
	static const char *const argv[] = { "/no/such/program", NULL };
	struct exec_result r = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(exec_run(argv, NULL, NS_PER_S, &r, &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, "/no/such/program"));
}

static int say(int fd, void *arg)
{
	return write(fd, arg, strlen(arg)) < 0;
}

static int hang(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	while (pause() < 0)
		;
	return 0;
}

Test(exec, a_function_runs_in_a_child_that_may_hang)
{
	struct exec_result r = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;
	char text[] = "from the child";

	cr_assert_eq(exec_child(say, text, 5 * NS_PER_S, &r, &err), 0, "%s", err.text);
	cr_assert_str_eq(r.out, text);
	exec_result_release(&r);
	cr_assert_eq(exec_child(hang, NULL, 50 * NS_PER_MS, &r, &err), -ETIMEDOUT);
	exec_result_release(&r);
}

struct parts {
	_Atomic unsigned int done[PARALLEL_MAX], there_nr;
	unsigned int nr;
};

/* Each waits for all the others: done one after the other, none would ever be through. */
static int meet(unsigned int idx, void *arg, struct err *err)
{
	struct parts *p = arg;
	uint64_t until = clock_mono_ns() + 5 * NS_PER_S;

	atomic_fetch_add(&p->there_nr, 1);
	while (atomic_load(&p->there_nr) < p->nr)
		if (clock_mono_ns() > until)
			return err_set(err, -ETIMEDOUT, "part %u is alone", idx);
	atomic_fetch_add(&p->done[idx], 1);
	return idx == 2 || idx == 5 ? err_set(err, -EIO, "part %u fails", idx) : 0;
}

Test(parallel, all_are_done_at_the_same_time_and_the_first_failure_is_told)
{
	struct parts parts = { .nr = PARALLEL_MAX };
	struct err err = ERR_INIT;

	cr_assert_eq(parallel_each(PARALLEL_MAX, meet, &parts, &err), -EIO);
	cr_assert_str_eq(err.text, "part 2 fails");
	for (unsigned int i = 0; i < PARALLEL_MAX; i++)
		cr_assert_eq(atomic_load(&parts.done[i]), 1);
	cr_assert_eq(parallel_each(0, meet, &parts, NULL), 0);
}
