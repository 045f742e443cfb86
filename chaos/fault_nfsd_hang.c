/* SPDX-License-Identifier: MIT */
/*
 * fault_nfsd_hang.c - hangs exactly K threads of nfsd in state D, by not answering the fanotify permission events of their reads.
 *
 * Every access below the export waits for an answer of ours, so a thread of the holder does nothing else: the first K accesses of distinct
 * nfsd threads get none, of their other ones a share gets "deny", which is EPERM, and all others get "allow" at once. Whoever closes the descriptor, the kernel on our death included, lets all of them go.
 * Source: fanotify(7); fs/notify/fanotify/fanotify_user.c, fanotify_release().
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "confine.h"
#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"

#include "faults.h"

#define HOLD_MAX 1024
#define KNOWN_NR 512		/* cache of "is this tid an nfsd thread?" */

struct hang {
	int fan_fd, stop_fd;
	bool started;
	pthread_t thread;
	unsigned int wanted;
	unsigned int deny_pct, deny_due;	/* a denial is due at 100 */
	int held_fd[HOLD_MAX];		/* the thread's own until it is joined */
	struct { pid_t tid; bool is_nfsd; } known[KNOWN_NR];
	_Atomic unsigned int held;	/* one writer, the thread */
	_Atomic unsigned long long events, denied;
};

static int probe(const struct allow *allow, struct err *err)
{
	int fd, rc = nfsd_check_file(UNDO_NFSD_THREADS, F_OK, err);

	(void)allow;
	if (rc < 0)
		return rc;
	fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -ENOPKG, "fanotify permission events are not to be had: %m");
	close(fd);
	return 0;
}

/* A mark lies on a whole mount: of an export that is none, it would lie on the filesystem that we live on ourselves. */
static int check_is_mount(const char *path, struct err *err)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct tool_mount mount;
	bool found = false;

	if (!f)
		return err_set(err, -errno, "cannot read /proc/self/mountinfo: %m");
	while (tool_next_mount(f, &mount))
		found |= strcmp(mount.where, path) == 0 && strcmp(path, "/") != 0;
	fclose(f);
	return found ? 0 : err_set(err, -EINVAL, "the export %s is not the root of a mount of its own", path);
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	struct hang *hang = calloc(1, sizeof *hang);
	char text[ALLOW_NAME_BYTES + 192], deny[48] = "";
	int rc;

	if (!hang)
		return -ENOMEM;
	hang->fan_fd = hang->stop_fd = -1;
	hang->wanted = (unsigned int)fault_arg_u64(run, "threads");
	hang->deny_pct = (unsigned int)fault_arg_u64(run, "deny");
	run->state = hang;
	if (hang->wanted == 0 && hang->deny_pct == 0)
		return err_set(err, -EINVAL, "nfsd-hang with threads=0 and deny=0 does nothing");
	if (hang->deny_pct > 0)
		(void)snprintf(deny, sizeof deny, "deny %u%% of their other ones, ", hang->deny_pct);
	rc = run->dry ? 0 : check_is_mount(fault_export(run), err);
	if (rc < 0)
		return rc;
	(void)snprintf(text, sizeof text, "fanotify_mark FAN_MARK_MOUNT FAN_ACCESS_PERM %s\nleave %u accesses of nfsd threads without an answer, %sallow all others\n",
		       fault_export(run), hang->wanted, deny);
	rc = plan_add_hold(plan, "fanotify, held open: the kernel lets all go when the holder dies", text, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s}", "op", "HELD_GONE"), err);
}

static bool is_nfsd(struct hang *hang, pid_t tid)
{
	size_t slot = (size_t)tid % KNOWN_NR;
	char path[64], text[64];

	if (hang->known[slot].tid == tid)
		return hang->known[slot].is_nfsd;
	(void)snprintf(path, sizeof path, "/proc/%d/comm", (int)tid);
	hang->known[slot].is_nfsd = tool_peek(path, text, sizeof text) > 0 && strcmp(text, "nfsd") == 0;
	hang->known[slot].tid = tid;
	return hang->known[slot].is_nfsd;
}

/* Evenly, so that a few reads are as good as many. */
static bool is_denied(struct hang *hang)
{
	hang->deny_due += hang->deny_pct;
	if (hang->deny_due < 100)
		return false;
	hang->deny_due -= 100;
	atomic_store_explicit(&hang->denied, atomic_load_explicit(&hang->denied, memory_order_relaxed) + 1, memory_order_relaxed);
	return true;
}

static void answer(struct hang *hang, const struct fanotify_event_metadata *m)
{
	struct fanotify_response response = { .fd = m->fd, .response = FAN_ALLOW };
	unsigned int held = atomic_load_explicit(&hang->held, memory_order_relaxed);

	if (m->fd < 0)
		return;
	atomic_store_explicit(&hang->events, atomic_load_explicit(&hang->events, memory_order_relaxed) + 1, memory_order_relaxed);
	if (held < hang->wanted && is_nfsd(hang, m->pid)) {
		hang->held_fd[held] = m->fd;
		atomic_store_explicit(&hang->held, held + 1, memory_order_relaxed);
		return;
	}
	if (hang->deny_pct > 0 && is_nfsd(hang, m->pid) && is_denied(hang))
		response.response = FAN_DENY;
	/* An answer that fails means that the asker was killed. */
	if (write(hang->fan_fd, &response, sizeof response) < 0)
		(void)errno;
	close(m->fd);
}

static void *hold_loop(void *arg)
{
	struct hang *hang = arg;
	_Alignas(struct fanotify_event_metadata) char buf[16384];

	for (;;) {
		struct pollfd p[2] = { { hang->fan_fd, POLLIN, 0 }, { hang->stop_fd, POLLIN, 0 } };
		const struct fanotify_event_metadata *m = (const void *)buf;
		ssize_t n;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[1].revents)
			return NULL;
		n = read(hang->fan_fd, buf, sizeof buf);
		for (; n > 0 && FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n))
			answer(hang, m);
	}
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	struct hang *hang = run->state;
	int rc;

	(void)plan;
	hang->stop_fd = eventfd(0, EFD_CLOEXEC);
	hang->fan_fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE,
				     O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME);
	if (hang->stop_fd < 0 || hang->fan_fd < 0)
		return err_set(err, -errno, "cannot make a fanotify group: %m");
	rc = pthread_create(&hang->thread, NULL, hold_loop, hang);
	if (rc != 0)
		return err_set(err, -rc, "cannot start the thread that answers: %s", strerror(rc));
	hang->started = true;
	if (fanotify_mark(hang->fan_fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_ACCESS_PERM, AT_FDCWD, fault_export(run)) < 0)
		return err_set(err, -errno, "cannot watch the mount of %s: %m", fault_export(run));
	return 0;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct hang *hang = run->state;
	unsigned int held = atomic_load_explicit(&hang->held, memory_order_relaxed);
	unsigned long long events = atomic_load_explicit(&hang->events, memory_order_relaxed);
	unsigned long long denied = atomic_load_explicit(&hang->denied, memory_order_relaxed);
	int nr = tool_processes("nfsd", "fanotify_handle_event");

	(void)snprintf(evidence, bytes, "%d of %u nfsd threads hang in fanotify_handle_event, %llu accesses seen, %llu denied%s", nr, hang->wanted, events, denied,
		       held < hang->wanted ? "; too few reads of clients came so far" : "");
	if (nr < 0 || held < hang->wanted || (hang->deny_pct > 0 && denied == 0))
		return FAULT_INCONCLUSIVE;
	return (unsigned int)nr == hang->wanted ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static void heal(struct fault_run *run)
{
	struct hang *hang = run->state;

	if (!hang)
		return;
	if (hang->started) {
		(void)eventfd_write(hang->stop_fd, 1);
		pthread_join(hang->thread, NULL);
		hang->started = false;
	}
	if (hang->fan_fd >= 0)
		close(hang->fan_fd);	/* answers "allow" to all that wait */
	for (unsigned int i = 0; i < atomic_load(&hang->held); i++)
		close(hang->held_fd[i]);
	atomic_store(&hang->held, 0);
	if (hang->stop_fd >= 0)
		close(hang->stop_fd);
	hang->fan_fd = hang->stop_fd = -1;
}

/* Seen in the lab, 40 s of all 8 threads: v3 soft gives EIO after timeo x retrans, hard mounts and v4 wait and go on at the heal. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	const unsigned int threads = (unsigned int)fault_arg_u64(run, "threads"), deny_pct = (unsigned int)fault_arg_u64(run, "deny");
	char hung[224] = "", denied[96] = "";

	if (threads > 0)
		(void)snprintf(hung, sizeof hung, ". %u nfsd threads wait in state D, once so many reads have come; the others serve. When all are held nothing is"
			       " served: hard mounts wait and go on at the heal, soft NFSv3 mounts fail with EIO", threads);
	if (deny_pct > 0)
		(void)snprintf(denied, sizeof denied, ". %u%% of the %sreads fail with EPERM, on every mount", deny_pct, threads > 0 ? "other " : "");
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected%s%s", hung, denied);
}

static const struct fault_arg args[] = {
	{ "threads", ARG_COUNT, 0, HOLD_MAX, "4", NULL, NULL, "how many hang" },	/* half of those of a server for which nobody set it: nfs.conf(5) */
	{ "deny", ARG_COUNT, 0, 100, "0", NULL, NULL, "percent of the other reads that fail with EPERM" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_nfsd_hang = {
	.name = "nfsd-hang",
	.breaks = "hangs exactly so many nfsd threads, in the middle of a read",
	.where = "an NFS server",
	.page = "docs/faults/nfsd-hang.scd",
	.heal_class = HEAL_H0,
	.capabilities = CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
	.heal = heal,
};
