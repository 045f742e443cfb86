/* SPDX-License-Identifier: MIT */
/*
 * supervisor.c - the processes of a load: forked, let go, stopped.
 *
 *	load_begin ─ worker reads the manifest, threads wait ─ load_ready ─ load_start ─> T0 ... load_stop ─ load_final ─ load_free
 *
 * Single-threaded; never waits for the worker, which may hang in the storage from its first look at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "hiccup.h"
#include "supervisor.h"
#include "worker.h"

#define READY_WAIT_NS (30 * NS_PER_S)
#define STOP_AHEAD_NS NS_PER_MS

uint64_t load_now_ns(const struct load *load)
{
	uint64_t now = clock_mono_ns();

	return load->started && now > load->t0_ns ? now - load->t0_ns : 0;
}

bool load_worker_gone(struct load *load)
{
	if (load->worker == 0)
		return true;
	if (waitpid(load->worker, NULL, WNOHANG) == 0)
		return false;
	load->worker = 0;
	load->died = true;
	return true;
}

static int state_init(struct job_state *st, const struct job_run *r, struct err *err)
{
	st->now = calloc(r->cells_nr, sizeof *st->now);
	st->last = calloc(r->cells_nr, sizeof *st->last);
	st->in_flight_ages = calloc(r->cells_nr, sizeof *st->in_flight_ages);
	st->attempts = r->tries > 0 ? calloc(r->phases_nr, sizeof *st->attempts) : NULL;
	st->due_walk = r->fresh;
	if (!st->now || !st->last || !st->in_flight_ages || (r->tries > 0 && !st->attempts))
		return err_set(err, -ENOMEM, "job %s: no memory for its counts", r->job->name);
	return 0;
}

static void state_release(struct job_state *st, const struct job_run *r)
{
	for (uint32_t c = 0; st->in_flight_ages && c < r->cells_nr; c++)
		free(st->in_flight_ages[c]);
	free(st->in_flight_ages);
	free(st->now);
	free(st->last);
	free(st->attempts);
	free(st->open_due);
}

static int fork_worker(struct load *load, struct err *err)
{
	pid_t me = getpid();
	int fd[2], rc;

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0) {
		rc = -errno;
		return err_set(err, rc, "load: no pipe: %s", strerror(-rc));
	}
	load->ready_fd = fd[0];
	load->begun_ns = clock_mono_ns();
	load->worker = fork();
	if (load->worker == 0)
		worker_main(&load->shared, &load->plan, me, fd[1]);
	rc = load->worker < 0 ? -errno : 0;
	close(fd[1]);
	if (rc < 0) {
		load->worker = 0;
		return err_set(err, rc, "load: cannot start a process: %s", strerror(-rc));
	}
	load->worker_pid = load->worker;
	return 0;
}

static int fork_hiccup(struct load *load, struct err *err)
{
	pid_t me = getpid();

	load->hiccup = fork();
	if (load->hiccup == 0)
		hiccup_main(load->shared.control, &load->plan, me);
	if (load->hiccup < 0) {
		load->hiccup = 0;
		return err_set(err, -errno, "load: cannot start a process: %s", strerror(errno));
	}
	return 0;
}

static int take_memory(struct load *load, struct err *err)
{
	for (unsigned int i = 0; i < load->shared.jobs_nr; i++) {
		int rc = state_init(&load->state[i], &load->shared.run[i], err);

		if (rc < 0)
			return rc;
		load->held_max += load->shared.run[i].slots_nr;
	}
	load->held = calloc(load->held_max, sizeof *load->held);
	load->scratch = hist_new();
	load->total = hist_new();
	if (!load->held || !load->scratch || !load->total)
		return err_set(err, -ENOMEM, "load: no memory");
	return 0;
}

static int take_sites(struct load *load, struct err *err)
{
	for (unsigned int i = 0; i < load->shared.jobs_nr; i++) {
		struct job_state *st = &load->state[i];

		if (!load->shared.run[i].job->is_page)
			continue;
		st->open_due = calloc(load->shared.control->spec.sites, sizeof *st->open_due);
		if (!st->open_due)
			return err_set(err, -ENOMEM, "load: no memory for the sites");
	}
	return 0;
}

int load_begin(const struct load_plan *plan, struct load **ret_load, struct err *err)
{
	struct load *load = calloc(1, sizeof *load);
	int rc;

	if (!load)
		return err_set(err, -ENOMEM, "load: no memory");
	load->plan = *plan;
	load->ready_fd = -1;
	rc = shared_init(&load->shared, plan, err);
	if (rc < 0)
		goto out;
	rc = take_memory(load, err);
	if (rc < 0)
		goto out;
	rc = fork_worker(load, err);
	if (rc < 0)
		goto out;
	*ret_load = load;
	load = NULL;
out:
	load_free(load);
	return rc;
}

int load_ready_fd(const struct load *load)
{
	return load->ready_fd;
}

/* What the worker has said of its start, and the rest that hangs on the manifest which it has read. */
static int make_ready(struct load *load, struct err *err)
{
	const struct control *c = load->shared.control;
	int rc;

	if (c->ready_rc < 0)
		return err_set(err, c->ready_rc, "%s", c->ready_err.text);
	shared_know_dataset(&load->shared);
	rc = take_sites(load, err);
	return rc < 0 ? rc : fork_hiccup(load, err);
}

int load_ready(struct load *load, struct err *err)
{
	char byte;
	ssize_t n;
	int rc;

	if (load->ready_fd < 0)
		return 1;
	n = read(load->ready_fd, &byte, 1);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (clock_mono_ns() < load->begun_ns + READY_WAIT_NS)
			return 0;
		return err_set(err, -ETIMEDOUT, "%s: the manifest could not be read within %.0f s: the mount hangs", load->plan.dir, (double)READY_WAIT_NS / NS_PER_S);
	}
	if (n != 1)
		return err_set(err, -ECHILD, "%s: the worker process died at its start", load->plan.dir);
	rc = make_ready(load, err);
	if (rc < 0)
		return rc;
	close(load->ready_fd);
	load->ready_fd = -1;
	return 1;
}

int load_start(struct load *load, uint64_t t0_ns, struct err *err)
{
	struct control *c = load->shared.control;

	if (load->started || load->ready_fd >= 0)
		return err_set(err, -EINVAL, "load: it is %s", load->started ? "started already" : "not ready yet");
	if (load_worker_gone(load))
		return err_set(err, -ECHILD, "load: the worker process died before the start");
	load->t0_ns = t0_ns;
	load->started = true;
	atomic_store(&c->t0_ns, t0_ns);
	atomic_store(&c->go, 1);
	(void)syscall(SYS_futex, &c->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return 0;
}

/*
 * The instant lies a little ahead, so that every thread that sees a later due time has read it; when we were held up between reading the
 * clock and writing, it is done again. Threads that acted on the earlier one are gone by then, and have left what they held in their slots: such an
 * arrival is due and not issued, and one that is later than the last instant is none.
 */
void load_stop(struct load *load)
{
	uint64_t stop_ns;

	if (load->stopped)
		return;
	load->stopped = true;
	do {
		stop_ns = load_now_ns(load);
		if (stop_ns > 0)
			stop_ns += STOP_AHEAD_NS;
		for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
			atomic_store(&load->shared.run[i].queue->stop_ns, stop_ns);
	} while (load_now_ns(load) > stop_ns);
}

/* Arrivals of a stopped load that wait to be issued. 1 when the lock is not to be had: who holds it may be about to issue one. */
static unsigned int still_waiting(const struct load *load, const struct job_run *r)
{
	size_t nr;

	if (r->closed)
		return 0;
	if (!spin_lock_until(&r->queue->lock, (uint32_t)getpid(), clock_mono_ns() + 10 * NS_PER_MS))
		return 1;
	queue_advance(r->queue, load_now_ns(load));
	nr = load->stopped ? queue_waiting(r->queue) + r->queue->again.nr : 0;
	spin_unlock(&r->queue->lock);
	return (unsigned int)nr;
}

/* In flight, or about to be: of a stopped load an arrival that is due and already in the hands of a thread that was late to wake. */
static bool is_under_way(const struct load *load, const struct job_run *r, const struct slot *slot)
{
	uint32_t state = atomic_load(&slot->state);

	if (state == SLOT_BUSY)
		return !atomic_load(&slot->unknown);
	return load->stopped && state == SLOT_ASSIGNED && atomic_load(&slot->due_ns) <= atomic_load(&r->queue->stop_ns);
}

unsigned int load_in_flight(const struct load *load)
{
	unsigned int n = 0;

	if (!load->started || load->worker == 0)
		return 0;
	for (unsigned int j = 0; j < load->shared.jobs_nr; j++) {
		const struct job_run *r = &load->shared.run[j];

		n += still_waiting(load, r);
		for (uint32_t i = 0; i < r->slots_nr; i++)
			n += is_under_way(load, r, &r->slot[i]);
	}
	return n;
}

void load_free(struct load *load)
{
	if (!load)
		return;
	load_end_children(load);
	for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
		state_release(&load->state[i], &load->shared.run[i]);
	shared_release(&load->shared);
	if (load->ready_fd >= 0)
		close(load->ready_fd);
	free(load->scratch);
	free(load->total);
	free(load->held);
	free(load);
}
