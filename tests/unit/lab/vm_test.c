/* SPDX-License-Identifier: MIT */
/*
 * vm_test.c - what can be known of the lab's guests without one.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../lab/vm.h"
#include "clock.h"

TestSuite(vm, .timeout = 60);

static volatile sig_atomic_t signals;

static void on_signal(int nr)
{
	(void)nr;
	signals++;
}

/* A child that ends when the descriptor's other end is closed. */
static pid_t child_until(int fd[2])
{
	pid_t pid;
	char c;

	cr_assert_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		close(fd[1]);
		_exit(read(fd[0], &c, 1) == 0 ? 0 : 1);
	}
	cr_assert(pid > 0);
	close(fd[0]);
	return pid;
}

/* Else a lab that was to be left in its first seconds would be one without KVM until the next boot of the host. */
Test(vm, a_signal_ends_no_wait)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct itimerval every_10_ms = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } };
	uint64_t began = clock_mono_ns();
	int fd[2];
	pid_t pid = child_until(fd);

	cr_assert_eq(sigaction(SIGALRM, &act, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &every_10_ms, NULL), 0);
	cr_expect_eq(vm_await_end(pid, NS_PER_S / 5), 0);
	cr_expect(clock_mono_ns() - began >= NS_PER_S / 5);
	cr_expect(signals > 0);
	close(fd[1]);
	cr_expect_eq(vm_await_end(pid, 30 * NS_PER_S), 1);
	cr_assert_eq(setitimer(ITIMER_REAL, &off, NULL), 0);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
}
