/* SPDX-License-Identifier: MIT */
/*
 * probe_nfsd.c - how many nfsd threads hang, and for how long.
 *
 * The share of threads in D says nothing: a healthy server under writes has all of them in D, for milliseconds each. What tells the outage is
 * the thread-time of single waits of half a second and more. Ten times a second every thread is looked at; one that is blocked, and was blocked
 * a sample ago, and has not run in between (both context-switch counters stand still) is in the same wait:
 *
 *	sample   D c=7   D c=7   D c=7   D c=7   R c=8
 *	         |<- since       500 ms ->|                hung_ns += everything from `since`, then what each further sample adds
 *
 * Threads are found by their name in /proc, never through /proc/fs/nfsd/threads, which takes nfsd_mutex and hangs with the server. wchan is read
 * once a wait: as long as the counters stand still it cannot change.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

#define THREADS_MAX 1024		/* two descriptors each */
#define SCAN_NS NS_PER_S
#define EMIT_NS NS_PER_S
#define STATUS_BYTES 4096

struct thread {
	int pid, status_fd, wchan_fd;
	bool known, seen;		/* known: wait is started; seen: by the scan that runs */
	bool waiting;			/* wait.blocked was found out with the counters that it holds, in this state: */
	char state;
	struct nfsd_wait wait;
};

struct state {
	char root[PATH_MAX];
	struct thread threads[THREADS_MAX];
	unsigned int nr, blocked_nr;
	uint64_t scan_ns, emit_ns;	/* when the next is due */
	uint64_t hung_ns, total_ns;
	bool ever;			/* there were threads: a pool of 0 is a sample too */
};

/* No sscanf() here: it measures the whole text at each call, and this runs eighty times a second on a slow guest. */
static const char *after(const char *line, const char *name)
{
	size_t bytes = strlen(name);

	return strncmp(line, name, bytes) == 0 ? line + bytes : NULL;
}

bool nfsd_status_parse(const char *text, struct nfsd_thread_state *ret)
{
	bool state = false, voluntary = false, nonvoluntary = false;
	const char *value;

	ret->switches = 0;
	for (const char *line = text; line; line = line_next(line)) {
		if ((value = after(line, "State:\t")) != NULL) {
			ret->state = *value;
			state = *value != '\0';
		} else if ((value = after(line, "voluntary_ctxt_switches:")) != NULL) {
			ret->switches += strtoull(value, NULL, 10);
			voluntary = true;
		} else if ((value = after(line, "nonvoluntary_ctxt_switches:")) != NULL) {
			ret->switches += strtoull(value, NULL, 10);
			nonvoluntary = true;
		}
	}
	return state && voluntary && nonvoluntary;
}

/* The kernel may add a suffix to the name of a function (".isra.0", "_rcu"): beginnings are compared. */
bool nfsd_is_blocked(char state, const char *wchan)
{
	if (state == 'D')
		return !after(wchan, "svc_tcp_sendto") && !after(wchan, "svc_recv");
	return state == 'S' && after(wchan, "cache_check") != NULL;
}

void nfsd_wait_init(struct nfsd_wait *wait, bool blocked, uint64_t switches, uint64_t now_ns)
{
	*wait = (struct nfsd_wait){ .blocked = blocked, .switches = switches, .since_ns = now_ns, .last_ns = now_ns };
}

void nfsd_wait_step(struct nfsd_wait *wait, bool blocked, uint64_t switches, uint64_t now_ns, uint64_t *total_ns, uint64_t *hung_ns)
{
	uint64_t step_ns = now_ns - wait->last_ns, length_ns = now_ns - wait->since_ns;

	*total_ns += step_ns;
	if (!wait->blocked || !blocked || switches != wait->switches)
		wait->since_ns = now_ns;
	else if (length_ns >= NFSD_HUNG_NS)
		*hung_ns += length_ns - step_ns < NFSD_HUNG_NS ? length_ns : step_ns;	/* all of it when it has just become one */
	wait->blocked = blocked;
	wait->switches = switches;
	wait->last_ns = now_ns;
}

static bool read_at(int fd, char *text, size_t bytes)
{
	ssize_t n = pread(fd, text, bytes - 1, 0);

	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

static void thread_drop(struct state *s, unsigned int i)
{
	(void)close(s->threads[i].status_fd);
	if (s->threads[i].wchan_fd >= 0)
		(void)close(s->threads[i].wchan_fd);
	s->threads[i] = s->threads[--s->nr];
}

static int open_in(int proc, int pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof path, "%d/%s", pid, name);
	return openat(proc, path, O_RDONLY | O_CLOEXEC);
}

static bool is_nfsd(int proc, int pid)
{
	char comm[32] = "";
	int fd = open_in(proc, pid, "comm");

	if (fd < 0)
		return false;
	(void)read_at(fd, comm, sizeof comm);
	(void)close(fd);
	return strcmp(comm, "nfsd\n") == 0;
}

static void thread_add(struct state *s, int proc, int pid)
{
	struct thread *t = &s->threads[s->nr];

	if (s->nr == THREADS_MAX)
		return;
	*t = (struct thread){ .pid = pid, .seen = true };
	t->status_fd = open_in(proc, pid, "status");
	if (t->status_fd < 0)
		return;
	t->wchan_fd = open_in(proc, pid, "wchan");	/* without it every D counts */
	s->nr++;
	s->ever = true;
}

static struct thread *thread_find(struct state *s, int pid)
{
	for (unsigned int i = 0; i < s->nr; i++) {
		if (s->threads[i].pid == pid)
			return &s->threads[i];
	}
	return NULL;
}

static void scan(struct state *s)
{
	char path[PATH_MAX + 8];
	struct thread *t;
	struct dirent *e;
	DIR *dir;
	long pid;

	(void)snprintf(path, sizeof path, "%s/proc", s->root);
	dir = opendir(path);
	if (!dir)
		return;
	for (unsigned int i = 0; i < s->nr; i++)
		s->threads[i].seen = false;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		pid = strtol(e->d_name, NULL, 10);
		t = thread_find(s, (int)pid);
		if (t)
			t->seen = true;
		else if (is_nfsd(dirfd(dir), (int)pid))
			thread_add(s, dirfd(dir), (int)pid);
	}
	(void)closedir(dir);
	for (unsigned int i = s->nr; i-- > 0;) {
		if (!s->threads[i].seen)
			thread_drop(s, i);
	}
}

/* @return false: the thread is gone */
static bool thread_look(struct state *s, struct thread *t)
{
	char text[STATUS_BYTES], wchan[64] = "";
	struct nfsd_thread_state now;
	bool blocked, same;
	uint64_t now_ns;

	if (!read_at(t->status_fd, text, sizeof text) || !nfsd_status_parse(text, &now))
		return false;
	now_ns = clock_mono_ns();
	same = t->known && t->waiting && now.switches == t->wait.switches && now.state == t->state;
	if (same) {
		blocked = t->wait.blocked;
	} else {
		if (t->wchan_fd >= 0 && (now.state == 'D' || now.state == 'S'))
			(void)read_at(t->wchan_fd, wchan, sizeof wchan);
		blocked = nfsd_is_blocked(now.state, wchan);
	}
	t->waiting = now.state == 'D' || now.state == 'S';
	t->state = now.state;
	if (t->known)
		nfsd_wait_step(&t->wait, blocked, now.switches, now_ns, &s->total_ns, &s->hung_ns);
	else
		nfsd_wait_init(&t->wait, blocked, now.switches, now_ns);
	t->known = true;
	s->blocked_nr += blocked;
	return true;
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/proc/net/rpc/nfsd", env->root);
	(void)snprintf(reason, reason_bytes, "%s", access(path, F_OK) == 0 ? "" : "nfsd is not loaded: reports once its threads come");
	return true;
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	struct state *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	(void)snprintf(s->root, sizeof s->root, "%s", env->root);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	struct state *s = state;

	if (out->now_ns >= s->scan_ns) {
		scan(s);
		s->scan_ns = out->now_ns + SCAN_NS;
	}
	s->blocked_nr = 0;
	for (unsigned int i = s->nr; i-- > 0;) {
		if (!thread_look(s, &s->threads[i]))
			thread_drop(s, i);
	}
	if (!s->ever || out->now_ns < s->emit_ns)
		return 0;
	s->emit_ns = out->now_ns + EMIT_NS - EMIT_NS / 20;	/* a little early: the raster of looks decides, not its jitter */
	probe_emit(out, "nfsd.threads", NULL, (double)s->nr, NULL);
	probe_emit(out, "nfsd.blocked", NULL, (double)s->blocked_nr, NULL);
	probe_emit(out, "nfsd.hung_ns", NULL, (double)s->hung_ns, NULL);
	probe_emit(out, "nfsd.total_ns", NULL, (double)s->total_ns, NULL);
	return 0;
}

const struct probe probe_nfsd = {
	.name = "nfsd",
	.period_ns = 100 * NS_PER_MS,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
