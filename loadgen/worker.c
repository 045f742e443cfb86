/* SPDX-License-Identifier: MIT */
/*
 * worker.c - threads that take an arrival, wait until it is due, and do it; of an asynchronous engine see async.c.
 *
 *	open loop     take (under the queue's lock) ─ sleep until due ─ run ─ count (under the shard's lock) ─ again
 *	retry         wait until something is due (the same lock) ─ run ─ count, or put it back to be tried again ─ again
 *	closed loop   run ─ count ─ think ─ again; no lock but the shard's, which nobody else wants
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "async.h"
#include "clock.h"
#include "hot.h"
#include "worker.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (512u << 10)
#else
#define STACK_BYTES (64u << 10)
#endif
#define WORKER_NAME "squall-worker"
#define WORKER_NICE (-10)	/* an op is issued when it is due, whatever else this host does for the storage; the hiccup meter shares it */

/* A process that cannot die must not keep a reader of our output waiting. A sanitizer's report is worth that, though. */
static void drop_output(void)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0)
		return;
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	(void)dup2(fd, STDERR_FILENO);
#endif
	if (fd > STDERR_FILENO)
		close(fd);
}

void worker_detach(pid_t parent, int keep_fd)
{
	sigset_t all;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	(void)setpriority(PRIO_PROCESS, 0, WORKER_NICE);	/* where we may */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	drop_output();
	if (keep_fd < 0) {
		(void)close_range(3, ~0U, 0);
		return;
	}
	if (keep_fd > 3)
		(void)close_range(3, (unsigned int)keep_fd - 1, 0);
	(void)close_range((unsigned int)keep_fd + 1, ~0U, 0);
}

static void wait_until(const struct thread *t, uint64_t at_ns)
{
	if (at_ns > hot_now(t) + SPIN_NS)
		clock_sleep_until_ns(t->t0_ns + at_ns);
	while (hot_now(t) < at_ns)
		;
}

static bool stopped_before(const struct thread *t, uint64_t due_ns)
{
	return due_ns > atomic_load_explicit(&t->run->queue->stop_ns, memory_order_acquire);
}

static uint64_t run_arrival(struct thread *t, uint64_t i, uint32_t phase, uint64_t due_ns, uint64_t issued_ns, uint64_t lag_ns)
{
	if (t->run->job->is_page)
		return hot_whole_page(t, i, phase, due_ns, issued_ns, lag_ns);
	return hot_single(t, i, phase, due_ns, issued_ns, lag_ns);
}

static bool take(struct thread *t, struct arrival_due *ret, bool *ret_waited)
{
	struct queue *q = t->run->queue;
	bool got;

	spin_lock(&q->lock, t->tid);
	got = queue_take(q, hot_now(t), ret, ret_waited);
	if (got)
		hot_assign(t->slot, ret);
	spin_unlock(&q->lock);
	return got;
}

static void open_loop(struct thread *t)
{
	struct arrival_due d;
	uint64_t issued, done;
	bool waited;

	do {
		if (!take(t, &d, &waited))
			return;
		if (!waited)
			wait_until(t, d.due_ns);
		if (stopped_before(t, d.due_ns))
			return;		/* it stays in the slot: the stop may yet be put off until after it, see load_stop() */
		issued = hot_now(t);
		done = run_arrival(t, d.index, d.phase, d.due_ns, issued, waited ? NO_LAG : issued - d.due_ns);
	} while (done > 0);
}

/* Of a job that tries again. */
static void retry_loop(struct thread *t)
{
	struct arrival_due d;
	uint64_t at, issued, done;
	bool waited;

	do {
		if (!retry_wait(t, &d, &at, &waited))
			return;
		issued = hot_now(t);
		done = run_arrival(t, d.index, d.phase, d.due_ns, issued, waited ? NO_LAG : issued - at);
	} while (done > 0);
}

/* Go on to the span that holds `now`, and wait for it. @return false after the last one. */
static bool in_span(struct thread *t, uint32_t *span_idx, uint64_t *now)
{
	const struct job_run *r = t->run;

	while (*span_idx < r->spans_nr && *now >= r->span[*span_idx].end_ns)
		(*span_idx)++;
	if (*span_idx == r->spans_nr)
		return false;
	if (*now < r->span[*span_idx].start_ns) {
		wait_until(t, r->span[*span_idx].start_ns);
		*now = hot_now(t);
	}
	return true;
}

static void closed_loop(struct thread *t)
{
	const struct job_run *r = t->run;
	uint64_t now = hot_now(t), step = (uint64_t)r->slots_nr * r->hosts_nr, i;
	uint32_t span_idx = 0;

	i = (uint64_t)t->slot_idx * r->hosts_nr + r->host_idx;
	for (;; i += step) {
		uint64_t done;

		if (!in_span(t, &span_idx, &now) || stopped_before(t, now))
			return;
		done = run_arrival(t, i, r->span[span_idx].phase, now, now, NO_LAG);
		if (done == 0)
			return;
		now = done;
		if (r->think_ns) {
			wait_until(t, done + r->think_ns);
			now = hot_now(t);
		}
	}
}

static void wait_for_start(struct thread *t)
{
	struct control *c = (struct control *)(uintptr_t)t->control;

	t->tid = (uint32_t)gettid();
	while (atomic_load_explicit(&c->go, memory_order_acquire) == 0)
		(void)syscall(SYS_futex, &c->go, FUTEX_WAIT, 0, NULL, NULL, 0);
	t->t0_ns = atomic_load_explicit(&c->t0_ns, memory_order_acquire);
	if (t->run->closed) {
		clock_sleep_until_ns(t->t0_ns);
		wait_until(t, 1);
	}
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	atomic_store_explicit(&t->slot->tid, (uint32_t)gettid(), memory_order_release);
	wait_for_start(t);
	if (t->run->closed)
		closed_loop(t);
	else if (t->run->tries > 0)
		retry_loop(t);
	else
		open_loop(t);
	return NULL;
}

static void *loop_main(void *arg)
{
	struct async *a = arg;

	wait_for_start(&a->t);
	async_run(a);
	return NULL;
}

static int read_dataset(struct shared *shared, const struct load_plan *plan, struct manifest *ret, bool *ret_has, struct err *err)
{
	bool needed = false;
	int rc;

	for (unsigned int i = 0; i < shared->jobs_nr; i++)
		needed = needed || shared->run[i].engine->needs_dataset;
	if (!needed) {
		shared->control->spec = plan->profile->dataset;
		if (shared->control->spec.sites == 0 || shared->control->spec.files_per_site == 0)
			shared->control->spec = (struct dataset_spec){ .sites = 1, .files_per_site = 1 };
		return 0;
	}
	rc = manifest_read(plan->dir, ret, err);
	if (rc < 0)
		return rc;
	*ret_has = true;
	if (!ret->complete)
		return err_set(err, -ENOENT, "%s: the dataset was not built to its end; build or remove it", plan->dir);
	shared->control->spec = ret->spec;
	for (size_t i = 0; i < (size_t)ret->spec.sites * ret->spec.files_per_site; i++)
		shared->control->dataset_bytes += ret->size_bytes[i];
	return 0;
}

static uint64_t chunk_bytes(const struct manifest *m, bool has)
{
	uint64_t max = 65536;	/* readdir and pread want that much */

	for (size_t i = 0; has && i < (size_t)m->spec.sites * m->spec.files_per_site; i++)
		if (m->size_bytes[i] > max)
			max = m->size_bytes[i];
	return max < ENGINE_CHUNK_MAX ? max : ENGINE_CHUNK_MAX;
}

static int start_detached(void *(*run)(void *), void *arg, const struct job_run *r, uint32_t n, struct err *err)
{
	pthread_attr_t attr;
	pthread_t id;
	int rc;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&id, &attr, run, arg);
	(void)pthread_attr_destroy(&attr);
	if (rc != 0)
		return err_set(err, -rc, "job %s: cannot start thread %u: %s", r->job->name, n, strerror(rc));
	return 0;
}

/* A thread for each slot. What is taken here lives as long as the process. */
static int start_threads(struct job_run *r, const struct thread *template, struct err *err)
{
	struct thread *threads = calloc(r->slots_nr, sizeof *threads);
	int rc = 0;

	if (!threads)
		return err_set(err, -ENOMEM, "job %s: no memory for %u threads", r->job->name, r->slots_nr);
	for (uint32_t i = 0; i < r->slots_nr && rc == 0; i++) {
		struct thread *t = &threads[i];

		*t = *template;
		t->slot = &r->slot[i];
		t->shard = shard_of(r, i);
		t->slot_idx = i;
		t->buffer = mmap(NULL, t->buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (t->buffer == MAP_FAILED)
			return err_set(err, -ENOMEM, "job %s: no memory for the buffer of slot %u", r->job->name, i);
		rc = start_detached(thread_main, t, r, i, err);
	}
	return rc;
}

/* A loop for each shard. As start_threads(). */
static int start_loops(struct job_run *r, const struct thread *template, struct err *err)
{
	struct async *loops = calloc(r->shards_nr, sizeof *loops);
	int rc = 0;

	if (!loops)
		return err_set(err, -ENOMEM, "job %s: no memory for %u loops", r->job->name, r->shards_nr);
	for (uint32_t i = 0; i < r->shards_nr && rc == 0; i++) {
		rc = async_init(&loops[i], template, i, err);
		if (rc == 0)
			rc = start_detached(loop_main, &loops[i], r, i, err);
	}
	return rc;
}

static int start_job(struct shared *shared, struct job_run *r, const struct engine_env *env, struct err *err)
{
	struct thread template = { .run = r, .control = shared->control, .engine = r->engine, .buffer_bytes = shared->control->chunk_bytes };
	struct engine_env own = *env;
	int rc;

	own.job = r->job;
	rc = r->engine->open(&own, &template.engine_ctx, err);
	if (rc < 0)
		return rc;
	return engine_is_async(r->engine) ? start_loops(r, &template, err) : start_threads(r, &template, err);
}

int worker_start(struct worker *w, struct shared *shared, const struct load_plan *plan, struct err *err)
{
	struct control *c = shared->control;
	bool has = false;
	int rc;

	*w = (struct worker){ .manifest = MANIFEST_INIT, .env = { .dir = plan->dir, .host = plan->host, .damage = &c->damage } };
	rc = read_dataset(shared, plan, &w->manifest, &has, err);
	w->env.manifest = has ? &w->manifest : NULL;
	if (rc == 0) {
		c->chunk_bytes = chunk_bytes(&w->manifest, has);
		shared_know_dataset(shared);
	}
	for (unsigned int i = 0; i < shared->jobs_nr && rc == 0; i++)
		rc = start_job(shared, &shared->run[i], &w->env, err);
	return rc;
}

_Noreturn void worker_main(struct shared *shared, const struct load_plan *plan, pid_t parent, int ready_fd)
{
	struct control *c = shared->control;
	struct worker w;
	int rc;

	worker_detach(parent, ready_fd);
	(void)prctl(PR_SET_NAME, WORKER_NAME);
	rc = worker_start(&w, shared, plan, &c->ready_err);
	c->ready_rc = rc;
	if (write(ready_fd, "r", 1) != 1 || rc < 0)
		_exit(1);
	close(ready_fd);
	for (;;)
		pause();
}
