/* SPDX-License-Identifier: MIT */
/*
 * crew.c - see crew.h.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "crew.h"
#include "err.h"

#define TAKE_NR 32u	/* items that a thread takes at a time: they lie in few folders */

struct crew {
	const struct crew_work *work;
	_Atomic uint64_t next, done;
	_Atomic bool failed;
	pthread_mutex_t lock;		/* protects all below */
	pthread_cond_t ended;
	unsigned int running_nr;
	int rc;				/* of the first that failed */
	struct err err;
};

static void fail(struct crew *c, int rc, const struct err *err)
{
	atomic_store(&c->failed, true);
	pthread_mutex_lock(&c->lock);
	if (c->rc == 0) {
		c->rc = rc;
		c->err = *err;
	}
	pthread_mutex_unlock(&c->lock);
}

static void work_on(struct crew *c, char *buffer)
{
	struct err err = ERR_INIT;
	uint64_t from;
	int rc = 0;

	while (rc == 0 && (from = atomic_fetch_add(&c->next, TAKE_NR)) < c->work->items_nr)
		for (uint64_t i = from; i < from + TAKE_NR && i < c->work->items_nr && rc == 0; i++) {
			if (atomic_load_explicit(&c->failed, memory_order_relaxed))
				return;
			rc = c->work->item(c->work->arg, i, buffer, &err);
			atomic_fetch_add_explicit(&c->done, rc == 0, memory_order_relaxed);
		}
	if (rc < 0)
		fail(c, rc, &err);
}

static void *thread_main(void *arg)
{
	struct crew *c = arg;
	char *buffer = malloc(CREW_BUFFER_BYTES);
	struct err err = ERR_INIT;

	if (buffer)
		work_on(c, buffer);
	else
		fail(c, err_set(&err, -ENOMEM, "dataset: no memory for the buffer of a thread"), &err);
	free(buffer);
	pthread_mutex_lock(&c->lock);
	c->running_nr--;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void wait_for_all(struct crew *c)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	pthread_mutex_lock(&c->lock);
	at.tv_sec++;
	while (c->running_nr > 0) {
		if (pthread_cond_timedwait(&c->ended, &c->lock, &at) != ETIMEDOUT)
			continue;
		at.tv_sec++;
		if (c->work->progress)
			c->work->progress(atomic_load(&c->done), c->work->items_nr);
	}
	pthread_mutex_unlock(&c->lock);
}

int crew_run(const struct crew_work *work, unsigned int threads_nr, struct err *err)
{
	unsigned int nr = threads_nr == 0 ? CREW_THREADS_DEFAULT : threads_nr < CREW_THREADS_MAX ? threads_nr : CREW_THREADS_MAX, started = 0;
	struct crew c = { .work = work, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t thread[CREW_THREADS_MAX];
	pthread_condattr_t attr;
	struct err own = ERR_INIT;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c.ended, &attr);
	(void)pthread_condattr_destroy(&attr);
	while (started < nr && (started == 0 || (uint64_t)started * TAKE_NR < work->items_nr)) {
		int rc;

		pthread_mutex_lock(&c.lock);
		c.running_nr++;
		pthread_mutex_unlock(&c.lock);
		rc = pthread_create(&thread[started], NULL, thread_main, &c);
		if (rc != 0) {
			pthread_mutex_lock(&c.lock);
			c.running_nr--;
			pthread_mutex_unlock(&c.lock);
			if (started == 0)	/* with fewer it only takes longer */
				fail(&c, err_set(&own, -rc, "dataset: cannot start a thread: %s", strerror(rc)), &own);
			break;
		}
		started++;
	}
	wait_for_all(&c);
	for (unsigned int i = 0; i < started; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_cond_destroy(&c.ended);
	(void)pthread_mutex_destroy(&c.lock);
	return c.rc < 0 ? err_set(err, c.rc, "%s", c.err.text) : 0;
}
