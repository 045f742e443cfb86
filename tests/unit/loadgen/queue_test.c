/* SPDX-License-Identifier: MIT */
/*
 * queue_test.c - whoever has the queue's lock may be killed between any two instructions: a process is taken through what it does with the queue
 * one instruction at a time, and after each of them the queue is looked at as it would be found.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../loadgen/queue.h"
#include "fixture.h"

#define RING_MAX 4
#define STEPS_MAX 10000000

struct shown {
	struct queue q;
	struct arrival_due ring[RING_MAX];
	uint64_t not_issued;
	struct hist ages;
	uint64_t taken;		/* given by queue_take() */
	uint64_t turned;	/* away at the end of the sequence, with nothing after them */
};

static struct curve_piece room[8];

static void point(struct shown *s)
{
	s->q.ring = s->ring;
	s->q.not_issued = &s->not_issued;
	s->q.ages = &s->ages;
}

/* 40 arrivals in 40 ms: some are taken, some wait too long, some are turned away, the last one too. */
static void work(struct shown *s)
{
	struct arrival_due d;
	bool waited;

	for (uint64_t at = 1; at <= 10; at++) {
		queue_advance(&s->q, at * 4 * NS_PER_MS);
		if (at % 3 == 0)
			s->taken += queue_take(&s->q, at * 4 * NS_PER_MS, &d, &waited);
	}
	s->turned = s->q.turned_nr;
	queue_settle(&s->q, 50 * NS_PER_MS);
}

/* One of those that have left the sequence may be nowhere, and none in two places. */
static void check_found(const struct shown *found, const struct arrivals *fresh, unsigned long step)
{
	static struct shown s;
	uint64_t known;

	s = *found;
	point(&s);
	queue_rebuild(&s.q, fresh);
	known = queue_waiting(&s.q) + s.not_issued + s.taken;
	cr_assert(known == s.q.arrivals.taken_nr || known + 1 == s.q.arrivals.taken_nr, "step %lu: %lu of %lu are known", step, known, s.q.arrivals.taken_nr);
	queue_settle(&s.q, NS_PER_S);
	cr_assert(s.ages.count + 1 >= s.not_issued && s.ages.count <= s.not_issued + 1, "step %lu: %lu ages of %lu", step, s.ages.count, s.not_issued);
}

Test(queue, who_is_killed_at_any_instruction_loses_one_arrival_at_the_most, .timeout = 120)
{
	struct shown *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long step = 0;
	struct arrivals fresh;
	struct fixture f;
	int status;
	pid_t pid;

	cr_assert_neq(s, MAP_FAILED);
	fixture_init(&f);
	fixture_phase(&f, 0, "all", 0, 40 * NS_PER_MS);
	arrivals_init(&fresh, &f.plan, &f.plan.jobs[0], room);
	*s = (struct shown){ .q = { .arrivals = fresh, .max = RING_MAX, .timeout_ns = 8 * NS_PER_MS, .stop_ns = UINT64_MAX } };
	point(s);
	pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		(void)raise(SIGSTOP);
		work(s);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		check_found(s, &fresh, step);
		cr_assert_lt(++step, STEPS_MAX);
		cr_assert_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		cr_skip_test("nothing may be traced here");
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect_gt(s->taken, 0u);
	cr_expect_gt(s->turned, 0u);
	cr_expect_eq(s->taken + s->not_issued + queue_waiting(&s->q), 40u);
	cr_expect_eq(munmap(s, sizeof *s), 0);
	fixture_release(&f);
}
