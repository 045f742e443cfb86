/* SPDX-License-Identifier: MIT */
/*
 * one_process.c - see race.h. The linker's --wrap sends what the loadgen layer calls here (RACE_WRAP in the Makefile).
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../loadgen/hot.h"
#include "../../loadgen/supervisor.h"
#include "../../loadgen/worker.h"
#include "../load_new.h"
#include "race.h"

#define THREADS_MAX 256

static struct {
	bool on;			/* else every wrapper is the function itself */
	struct shared *shared;
	const struct load_plan *plan;
	struct worker worker;
	int ready_fd;
	unsigned int forks_nr;
	enum dying dying;
	bool died;
	struct {
		pthread_t id;
		_Atomic pid_t tid;	/* of one that dies; 0: none */
		bool joined;
	} thread[THREADS_MAX];
	unsigned int threads_nr;
} one;

int __real_shared_init(struct shared *s, const struct load_plan *plan, struct err *err);
int __wrap_shared_init(struct shared *s, const struct load_plan *plan, struct err *err);
int __real_pipe2(int fd[2], int flags);
int __wrap_pipe2(int fd[2], int flags);
pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_tgkill(pid_t tgid, pid_t tid, int sig);
int __wrap_tgkill(pid_t tgid, pid_t tid, int sig);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg);

int __wrap_shared_init(struct shared *s, const struct load_plan *plan, struct err *err)
{
	one.shared = s;
	one.plan = plan;
	return __real_shared_init(s, plan, err);
}

int __wrap_pipe2(int fd[2], int flags)
{
	int rc = __real_pipe2(fd, flags);

	one.ready_fd = fd[1];
	return rc;
}

/* The first child of a load is the worker, the second one the hiccup meter, which is a process here too. */
pid_t __wrap_fork(void)
{
	pid_t pid = __real_fork();

	if (!one.on || pid < 0 || one.forks_nr++ > 0)
		return pid;
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	one.shared->control->ready_rc = worker_start(&one.worker, one.shared, one.plan, &one.shared->control->ready_err);
	CHECK(write(one.ready_fd, "r", 1) == 1, "%m");
	return pid;
}

/*
 * Asked by the supervisor of a thread of the worker, which is one of ours. The kernel's answer that a thread is gone comes after all that
 * the thread has done; ThreadSanitizer learns that from the join.
 */
int __wrap_tgkill(pid_t tgid, pid_t tid, int sig)
{
	int rc = __real_tgkill(one.on ? getpid() : tgid, tid, sig);

	if (!one.on || rc == 0)
		return rc;
	for (unsigned int i = 0; i < one.threads_nr; i++) {
		if (one.thread[i].joined || atomic_load_explicit(&one.thread[i].tid, memory_order_relaxed) != tid)
			continue;
		pthread_join(one.thread[i].id, NULL);
		one.thread[i].joined = true;
	}
	errno = ESRCH;
	return -1;
}

static void wait_for_start(struct thread *t)
{
	struct control *c = (struct control *)(uintptr_t)t->control;

	t->tid = (uint32_t)gettid();
	atomic_store(&t->slot->tid, t->tid);
	while (atomic_load(&c->go) == 0)
		(void)syscall(SYS_futex, &c->go, FUTEX_WAIT, 0, NULL, NULL, 0);
	t->t0_ns = atomic_load(&c->t0_ns);
	clock_sleep_until_ns(t->t0_ns + NS_PER_MS);
}

/* The heap is torn, too: that is what is made again. */
static void die_in_move(struct thread *t, const struct arrival_due *d)
{
	struct queue *q = t->run->queue;
	struct again_cell *cell = again_empty_cell(&q->again);

	cell->arrival = *d;
	cell->arrival.tries = 1;
	q->attempts[d->phase]++;
	t->shard->attempts[d->phase].failed++;
	t->shard->redo = (struct redo){ .word = &t->slot->state, .word_value = SLOT_IDLE, .counter = &cell->at_ns, .value = hot_now(t), .active = 1 };
	q->again.nr = 0;
}

/* What a thread of the worker does, up to the moment of its death. */
static void *die(void *arg)
{
	struct thread *t = arg;
	struct queue *q = t->run->queue;
	struct shard *s = t->shard;
	struct arrival_due d;
	struct op op;
	uint32_t cell;
	bool waited;

	atomic_store_explicit(&one.thread[t->slot_idx].tid, gettid(), memory_order_relaxed);
	wait_for_start(t);
	spin_lock(&q->lock, t->tid);
	if (!queue_take(q, hot_now(t), &d, &waited)) {	/* the others had them all */
		spin_unlock(&q->lock);
		return NULL;
	}
	if (!waited)
		clock_sleep_until_ns(t->t0_ns + d.due_ns);
	one.died = true;
	if (one.dying == DIES_WITH_QUEUE)
		return NULL;
	op = hot_pick(t->run, &t->control->spec, d.index);
	hot_show_op(t->slot, &op);
	hot_issue(t->slot, d.index, d.phase, d.due_ns, hot_now(t), NO_LAG);
	if (one.dying == DIES_IN_MOVE) {
		spin_lock(&s->lock, t->tid);
		die_in_move(t, &d);
		return NULL;
	}
	spin_unlock(&q->lock);
	spin_lock(&s->lock, t->tid);
	cell = cell_of(t->run, t->run->op_idx[op.kind], d.phase);
	if (one.dying == DIES_IN_REDO) {
		hot_add(s, cell, 1000, 1000);
		s->redo = (struct redo){ .word = &t->slot->state, .word_value = SLOT_IDLE, .counter = &s->tally[cell].ok, .value = s->tally[cell].ok + 1, .active = 1 };
	}
	return NULL;
}

/* Joinable, unlike the worker's: it must be known that they are gone before the memory is. */
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	const struct thread *t = arg;
	int rc;

	if (!one.on)
		return __real_pthread_create(id, attr, run, arg);
	CHECK(one.threads_nr < THREADS_MAX, "too many threads");
	if (one.dying != DIES_NOT && t->slot_idx + 1 == t->run->slots_nr)
		run = die;
	rc = __real_pthread_create(id, NULL, run, arg);
	one.thread[one.threads_nr++].id = *id;
	return rc;
}

struct load *race_load(const struct load_plan *plan, enum dying dying)
{
	struct err err = ERR_INIT;
	struct load *load = NULL;
	int rc;

	one.on = true;
	one.dying = dying;
	one.died = false;
	one.forks_nr = one.threads_nr = 0;
	for (unsigned int i = 0; i < THREADS_MAX; i++) {
		one.thread[i].joined = false;
		atomic_store(&one.thread[i].tid, 0);
	}
	rc = load_new(plan, &load, &err);
	CHECK(rc == 0, "%s", err.text);
	return load;
}

bool race_join(void)
{
	for (unsigned int i = 0; i < one.threads_nr; i++)
		if (!one.thread[i].joined)
			pthread_join(one.thread[i].id, NULL);
	one.on = false;
	manifest_release(&one.worker.manifest);
	return one.died;
}
