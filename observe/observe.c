/* SPDX-License-Identifier: MIT */
/*
 * observe.c - the agent's side of the probes: take the lines, kill what is silent, start it again, and say so.
 *
 *	          line                    deadline or end of file
 *	running ---------> running      running --------------> idle: probe.gap, SIGKILL, into left[]
 *	idle ----------------------------> running, RESTART_NS after the last start, unless LEFT_MAX of its children cannot die
 *	                                   (then a probe.gap at each deadline)
 *
 * A child that does not die of SIGKILL hangs in the kernel. It is kept in left[] and reaped when the kernel lets it go; nothing waits for it.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "observe.h"
#include "probe.h"

#define LEFT_MAX 4			/* children of one probe that cannot die; more would only pile up */
#define RESTART_NS NS_PER_S		/* between two starts of a probe: one that ends at once does not spin */
#define STOP_NS (2 * NS_PER_S)		/* to die of SIGKILL */
#define LINE_BYTES_MAX 65536u		/* label and text of a sample, each character two bytes at the most */
#define TAKE_BYTES_MAX (1u << 20)	/* of one probe in one observe_take() */

struct runner {
	const struct probe *probe;
	pid_t pid;			/* 0: idle */
	int fd;				/* -1: idle */
	uint64_t started_ns, heard_ns;	/* heard: when its last byte was taken */
	uint64_t gap_ns;		/* when the last probe.gap was said of it while idle */
	pid_t left[LEFT_MAX];		/* killed and not yet gone; 0 = free */
	char *line;			/* LINE_BYTES_MAX, the beginning of a line */
	size_t line_bytes;
};

struct observe {
	struct probe_env env;
	char *root, *path;		/* what env points to */
	struct runner runners[OBSERVE_FDS_MAX];
	unsigned int runners_nr;
};

static uint64_t deadline_ns(const struct probe *probe)
{
	uint64_t d = 3 * probe->period_ns;

	return d < PROBE_DEADLINE_MIN_NS ? PROBE_DEADLINE_MIN_NS : d;
}

static void runner_start(struct runner *r, const struct probe_env *env, uint64_t now_ns)
{
	pid_t pid = probe_child_start(r->probe, env, &r->fd);

	r->started_ns = now_ns;
	r->line_bytes = 0;
	if (pid < 0) {			/* no process, no memory: the next try is RESTART_NS away */
		r->fd = -1;
		return;
	}
	r->pid = pid;
	r->heard_ns = now_ns;
}

/* @return the free place in left[], or -1 */
static int left_free(const struct runner *r)
{
	for (int i = 0; i < LEFT_MAX; i++) {
		if (r->left[i] == 0)
			return i;
	}
	return -1;
}

static unsigned int runner_reap(struct runner *r)
{
	unsigned int nr = 0;

	for (int i = 0; i < LEFT_MAX; i++) {
		if (r->left[i] != 0 && waitpid(r->left[i], NULL, WNOHANG) != 0)
			r->left[i] = 0;
		nr += r->left[i] != 0;
	}
	return nr;
}

static void runner_kill(struct runner *r)
{
	int place;

	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
	if (r->pid == 0)
		return;
	(void)kill(r->pid, SIGKILL);	/* by its pid as well: it may not have reached its setpgid() */
	(void)kill(-r->pid, SIGKILL);
	place = left_free(r);
	assert(place >= 0);		/* take_runner() starts none without a place for it */
	r->left[place] = r->pid;
	r->pid = 0;
	(void)runner_reap(r);
}

static void gap_add(json_t *samples, struct runner *r, uint64_t now_ns, const char *why)
{
	double seconds = (double)(now_ns - r->heard_ns) / (double)NS_PER_S;

	r->gap_ns = now_ns;
	(void)json_array_append_new(samples, json_pack("{s:I, s:s, s:f, s:s, s:s}", "t_ns", (json_int_t)now_ns, "metric", "probe.gap", "value",
						       seconds, "label", r->probe->name, "text", why));
}

static bool line_take(json_t *samples, const char *line, size_t bytes)
{
	json_t *sample;

	if (bytes == 0)
		return true;		/* alive */
	sample = json_loadb(line, bytes, 0, NULL);
	if (!json_is_object(sample) || !json_is_string(json_object_get(sample, "metric"))) {
		json_decref(sample);
		return false;
	}
	(void)json_array_append_new(samples, sample);
	return true;
}

/* Cut what has come into lines. @return false: this is not what a probe writes */
static bool runner_feed(struct runner *r, json_t *samples)
{
	char *at = r->line, *end;

	while ((end = memchr(at, '\n', r->line_bytes - (size_t)(at - r->line))) != NULL) {
		if (!line_take(samples, at, (size_t)(end - at)))
			return false;
		at = end + 1;
	}
	r->line_bytes -= (size_t)(at - r->line);
	memmove(r->line, at, r->line_bytes);
	return r->line_bytes < LINE_BYTES_MAX;
}

/* @return NULL, or why the child is of no more use */
static const char *runner_read(struct runner *r, json_t *samples, uint64_t now_ns)
{
	size_t taken = 0;
	ssize_t n;

	while (taken < TAKE_BYTES_MAX) {
		n = read(r->fd, r->line + r->line_bytes, LINE_BYTES_MAX - r->line_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? NULL : "its pipe broke";
		if (n == 0)
			return "it ended";
		r->heard_ns = now_ns;
		taken += (size_t)n;
		r->line_bytes += (size_t)n;
		if (!runner_feed(r, samples))
			return "what it wrote is not a sample";
	}
	return NULL;
}

static void take_runner(struct observe *o, struct runner *r, json_t *samples)
{
	uint64_t now_ns = clock_mono_ns();
	unsigned int left_nr = runner_reap(r);
	const char *why;

	if (r->pid != 0) {
		why = runner_read(r, samples, now_ns);
		if (!why && now_ns - r->heard_ns > deadline_ns(r->probe))
			why = "silent for its deadline";
		if (!why)
			return;
		gap_add(samples, r, now_ns, why);
		runner_kill(r);
		left_nr = runner_reap(r);
	}
	if (left_nr == LEFT_MAX) {
		if (now_ns - r->gap_ns > deadline_ns(r->probe))
			gap_add(samples, r, now_ns, "its children hang in the kernel and cannot die");
	} else if (now_ns - r->started_ns >= RESTART_NS) {
		runner_start(r, &o->env, now_ns);
	}
}

static int runner_init(struct runner *r, const struct probe *probe)
{
	*r = (struct runner){ .probe = probe, .fd = -1 };
	r->line = malloc(LINE_BYTES_MAX);
	return r->line ? 0 : -ENOMEM;
}

int observe_start_table(const struct probe *const table[], unsigned int table_nr, const struct probe_env *env, struct observe **ret_observe,
			struct err *err)
{
	struct observe *o = calloc(1, sizeof *o);
	char reason[256];
	int rc = -ENOMEM;

	assert(table_nr <= OBSERVE_FDS_MAX);
	if (!o)
		goto out;
	o->root = strdup(env->root);
	o->path = env->path ? strdup(env->path) : NULL;
	if (!o->root || (env->path && !o->path))
		goto out;
	o->env = (struct probe_env){ .root = o->root, .path = o->path };
	for (unsigned int i = 0; i < table_nr; i++) {
		if ((table[i]->needs_path && !o->path) || !table[i]->available(&o->env, reason, sizeof reason))
			continue;
		if (runner_init(&o->runners[o->runners_nr], table[i]) < 0)
			goto out;
		runner_start(&o->runners[o->runners_nr++], &o->env, clock_mono_ns());
	}
	*ret_observe = o;
	o = NULL;
	rc = 0;
out:
	observe_stop(o);
	return rc < 0 ? err_set(err, rc, "probes: no memory to start them") : 0;
}

int observe_start(const char *path, struct observe **ret_observe, struct err *err)
{
	struct probe_env env = { .root = "", .path = path };

	return observe_start_table(probes, probes_nr, &env, ret_observe, err);
}

int observe_fds(const struct observe *o, int fds[OBSERVE_FDS_MAX])
{
	int nr = 0;

	for (unsigned int i = 0; i < o->runners_nr; i++) {
		if (o->runners[i].fd >= 0)
			fds[nr++] = o->runners[i].fd;
	}
	return nr;
}

json_t *observe_take(struct observe *o)
{
	json_t *samples = json_array();

	if (!samples)
		return NULL;
	for (unsigned int i = 0; i < o->runners_nr; i++)
		take_runner(o, &o->runners[i], samples);
	return samples;
}

/* Wait for the death of what was killed, by its event and not by the clock. */
static void runner_bury(struct runner *r, uint64_t until_ns)
{
	for (int i = 0; i < LEFT_MAX; i++)
		if (r->left[i] != 0)
			(void)exec_kill(r->left[i], until_ns);
}

void observe_stop(struct observe *o)
{
	uint64_t until_ns = clock_mono_ns() + STOP_NS;

	if (!o)
		return;
	for (unsigned int i = 0; i < o->runners_nr; i++)
		runner_kill(&o->runners[i]);
	for (unsigned int i = 0; i < o->runners_nr; i++) {
		runner_bury(&o->runners[i], until_ns);
		free(o->runners[i].line);
	}
	free(o->root);
	free(o->path);
	free(o);
}

json_t *observe_list(void)
{
	struct probe_env env = { .root = "" };
	json_t *list = json_array();
	char reason[256], page[128];

	for (unsigned int i = 0; i < probes_nr; i++) {
		bool available;

		reason[0] = '\0';
		available = probes[i]->available(&env, reason, sizeof reason);
		(void)snprintf(page, sizeof page, "docs/probes/%s.scd", probes[i]->name);
		(void)json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:s}", "probe", probes[i]->name, "available", available, "reason",
							    reason, "page", page));
	}
	return list;
}

int observe_pid(const struct observe *o, const char *probe)
{
	for (unsigned int i = 0; i < o->runners_nr; i++) {
		if (strcmp(o->runners[i].probe->name, probe) == 0)
			return o->runners[i].pid;
	}
	return 0;
}
