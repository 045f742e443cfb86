/* SPDX-License-Identifier: MIT */
/*
 * final.c - the cut-off: what is in flight and where it hangs, and the end of the processes.
 *
 * Slots are frozen first, then /proc is read (never anything that waits for the storage), then the worker is killed.
 */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "as_json.h"
#include "clock.h"
#include "dataset.h"
#include "exec.h"
#include "rpcs.h"
#include "scratch.h"
#include "supervisor.h"

#define KILL_GRACE_NS (500 * NS_PER_MS)
#define LOCK_GRACE_NS (5 * NS_PER_S)	/* who has a lock needs it for a microsecond, or dies of SIGKILL */
#define DEBUGFS "/sys/kernel/debug"
#define STACKS_MAX 256		/* of this many the stack is read: a read is some 20 us */

/** @return bytes read, 0 when it cannot be read. */
static size_t read_proc(pid_t pid, pid_t tid, const char *what, char *out, size_t out_bytes)
{
	char path[96];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, out_bytes - 1);
	if (fd >= 0)
		close(fd);
	out[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

static json_t *stack_json(pid_t pid, pid_t tid)
{
	json_t *lines = json_array();
	char text[4096], *save = NULL;

	(void)read_proc(pid, tid, "stack", text, sizeof text);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *symbol = strstr(line, "] ");	/* "[<0>] nfs_wait_bit_killable+0x1a/0x90" */

		json_array_append_new(lines, json_string(symbol ? symbol + 2 : line));
	}
	return lines;
}

static json_t *held_json(const struct load *load, const struct held *h, bool with_stack)
{
	char path[DATASET_PATH_BYTES], wchan[128] = "";

	op_path(&load->shared.control->spec, load->plan.host, &h->op, path);
	(void)read_proc(load->worker_pid, h->tid, "wchan", wchan, sizeof wchan);
	if (strcmp(wchan, "0") == 0)
		wchan[0] = '\0';
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:s, s:o}", "job", h->run->job->name, "pid", (int)load->worker_pid, "tid", (int)h->tid,
			 "op", op_kind_names[h->op.kind], "path", path, "age_ns", (json_int_t)h->op_age_ns, "wchan", wchan, "stack",
			 with_stack ? stack_json(load->worker_pid, h->tid) : json_array());
}

static int older_first(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	return x->op_age_ns > y->op_age_ns ? -1 : x->op_age_ns < y->op_age_ns;
}

static json_t *hung_json(struct load *load)
{
	json_t *list = json_array();

	if (load->held_nr > 1)
		qsort(load->held, load->held_nr, sizeof *load->held, older_first);
	for (size_t i = 0; i < load->held_nr; i++)
		json_array_append_new(list, held_json(load, &load->held[i], i < STACKS_MAX));
	return list;
}

static void add_censored(json_t *list, const struct load *load, const struct job_run *r, int kind, uint32_t phase, const char *why,
			 const struct hist *ages)
{
	if (!ages || ages->count == 0)
		return;
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "job", r->job->name, "op", kind < 0 ? "" : op_kind_names[kind],
					      "phase", load->plan.phases[phase].name, "kind", why, "ages", hist_to_json(ages)));
}

/* Ages of one phase: per op, and of a mix their sum as the job itself. `total` is what the caller has; op by op it is in `scratch`. */
static void censored_phase(struct load *load, unsigned int idx, uint32_t phase, bool unknown, json_t *list)
{
	const char *why = unknown ? "unknown" : "in_flight";
	const struct job_run *r = &load->shared.run[idx];

	hist_clear(load->total);
	for (uint32_t op = 0; op < r->ops_nr; op++) {
		uint32_t cell = cell_of(r, op, phase);

		hist_clear(load->scratch);
		for (uint32_t i = 0; i < r->shards_nr && unknown; i++)
			if (r->shard[i].unknown_ages[cell].count > 0)
				hist_merge(load->scratch, &r->shard[i].unknown_ages[cell]);
		if (!unknown && load->state[idx].in_flight_ages[cell])
			hist_merge(load->scratch, load->state[idx].in_flight_ages[cell]);
		add_censored(list, load, r, r->op_kind[op], phase, why, load->scratch);
		if (!r->job->is_page && load->scratch->count > 0)
			hist_merge(load->total, load->scratch);
	}
	add_censored(list, load, r, -1, phase, why, load->total);
}

static json_t *censored_json(struct load *load)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < load->shared.jobs_nr; i++) {
		const struct job_run *r = &load->shared.run[i];

		for (uint32_t p = 0; p < r->phases_nr; p++) {
			censored_phase(load, i, p, false, list);
			censored_phase(load, i, p, true, list);
			if (!r->closed)
				add_censored(list, load, r, -1, p, "not_issued", &r->queue->ages[p]);
		}
	}
	return list;
}

static json_t *lag_json(struct load *load)
{
	json_t *list = json_array();

	for (uint32_t p = 0; p < load->plan.phases_nr; p++) {
		const struct hist *hiccup = &load->shared.control->hiccup[p];

		hist_clear(load->total);
		for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
			for (uint32_t s = 0; s < load->shared.run[i].shards_nr; s++)
				if (load->shared.run[i].shard[s].lag[p].count > 0)
					hist_merge(load->total, &load->shared.run[i].shard[s].lag[p]);
		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "phase", load->plan.phases[p].name, "count",
						      (json_int_t)load->total->count, "p99_ns", (json_int_t)hist_quantile(load->total, 0.99),
						      "max_ns", (json_int_t)load->total->max_ns, "hiccup_p99_ns",
						      (json_int_t)hist_quantile(hiccup, 0.99), "hiccup_max_ns", (json_int_t)hiccup->max_ns));
	}
	return list;
}

/* How often handing ops to the kernel blocked, and how long at most; one that blocks at this moment is among them. */
static void add_blocked(json_t *job, const struct load *load, const struct job_run *r)
{
	uint64_t nr = 0, max_ns = 0, now = load_now_ns(load);

	if (!engine_is_async(r->engine))
		return;
	for (uint32_t i = 0; i < r->shards_nr; i++) {
		const struct shard *s = &r->shard[i];
		uint64_t ns = atomic_load(&s->blocked_ns_max), since = atomic_load(&s->flush_since_ns);

		nr += atomic_load(&s->blocked_nr);
		if (since > 0 && now > since + FLUSH_BLOCKED_NS) {
			nr++;
			ns = now - since > ns ? now - since : ns;
		}
		max_ns = ns > max_ns ? ns : max_ns;
	}
	json_object_set_new(job, "submit_blocked", json_integer((json_int_t)nr));
	json_object_set_new(job, "submit_blocked_max_ns", json_integer((json_int_t)max_ns));
}

/* The attempts of a job with a retry, phase by phase. */
static json_t *retry_json(const struct load *load, const struct job_state *st)
{
	json_t *list = json_array();

	for (uint32_t p = 0; p < load->plan.phases_nr; p++) {
		const struct attempts *a = &st->attempts[p];

		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "phase", load->plan.phases[p].name, "attempts",
						      (json_int_t)a->begun, "failed", (json_int_t)a->failed, "abandoned", (json_int_t)a->abandoned,
						      "in_flight", (json_int_t)a->in_flight, "late_ok", (json_int_t)a->late_ok, "late_errors",
						      (json_int_t)a->late_errors));
	}
	return list;
}

static json_t *jobs_json(const struct load *load)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < load->shared.jobs_nr; i++) {
		const struct job_run *r = &load->shared.run[i];
		const struct job_state *st = &load->state[i];
		uint64_t error[ERRNOS_NR] = { 0 };

		for (uint32_t c = 0; c < (r->job->is_page ? 1 : r->ops_nr) * r->phases_nr; c++)
			for (int e = 0; e < ERRNOS_NR; e++)
				error[e] += st->now[c].error[e];
		assert(st->due == st->ok + st->errors + st->unknown + st->in_flight + st->waiting + st->not_issued);
		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:o, s:I, s:I, s:I}", "job", r->job->name, "due", (json_int_t)st->due,
						      "ok", (json_int_t)st->ok, "errors", errors_to_json(error, NULL), "unknown",
						      (json_int_t)st->unknown, "in_flight", (json_int_t)st->in_flight, "not_issued",
						      (json_int_t)(st->waiting + st->not_issued)));
		json_object_set_new(json_array_get(list, i), "engine", json_string(r->engine->name));
		if (r->why.text[0])
			json_object_set_new(json_array_get(list, i), "engine_why", json_string(r->why.text));
		if (st->attempts)
			json_object_set_new(json_array_get(list, i), "retry", retry_json(load, st));
		add_blocked(json_array_get(list, i), load, r);
	}
	return list;
}

/* What checks of reads have found: how many ops, and the first of them. NULL when all was right. */
static json_t *damage_json(const struct load *load)
{
	const struct damage_log *log = &load->shared.control->damage;
	uint64_t ops_nr = atomic_load(&log->ops_nr);
	json_t *first;

	if (ops_nr == 0)
		return NULL;
	first = json_array();
	for (unsigned int i = 0; i < DAMAGE_NOTES_MAX; i++) {
		const struct damage_note *n = &log->note[i];
		char path[DATASET_PATH_BYTES], text[DAMAGE_TEXT_BYTES];

		if (!atomic_load_explicit(&n->ready, memory_order_acquire))
			continue;
		dataset_file_path(&load->shared.control->spec, n->site, n->file, path);
		damage_format(&n->damage, text);
		json_array_append_new(first, json_pack("{s:s, s:s, s:I, s:s, s:s}", "job", n->job, "path", path, "offset", (json_int_t)n->damage.offset,
						       "kind", damage_kind_names[n->damage.kind], "found", text));
	}
	return json_pack("{s:I, s:o}", "ops", (json_int_t)ops_nr, "first", first);
}

static void end_child(struct load *load, pid_t *pid)
{
	if (*pid == 0)
		return;
	if (!exec_kill(*pid, clock_mono_ns() + KILL_GRACE_NS))
		load->left[load->left_nr++] = *pid;
	*pid = 0;
}

void load_end_children(struct load *load)
{
	end_child(load, &load->hiccup);
	end_child(load, &load->worker);
}

json_t *load_notes(const struct load *load)
{
	json_t *notes = json_array();

	for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
		if (load->shared.run[i].why.text[0])
			json_array_append_new(notes, json_string(load->shared.run[i].why.text));
	return notes;
}

/* @return NULL when no job logs its ops */
static json_t *logged_json(const struct load *load)
{
	uint64_t kept = 0, dropped = 0;
	bool any = false;

	for (unsigned int i = 0; i < load->shared.jobs_nr; i++) {
		const struct job_run *r = &load->shared.run[i];

		any |= r->job->logs_ops;
		for (uint32_t s = 0; s < r->shards_nr; s++) {
			kept += r->shard[s].logged_kept;
			dropped += r->shard[s].logged_dropped;
		}
	}
	return any ? json_pack("{s:I, s:I}", "kept", (json_int_t)kept, "dropped", (json_int_t)dropped) : NULL;
}

/* A job whose lock is held by one that neither runs nor dies stays as it was known last: its intervals and ages are missing, which voids the run. */
static void freeze_jobs(struct load *load)
{
	uint64_t until_ns = clock_mono_ns() + LOCK_GRACE_NS;

	for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
		while (!collect_job(load, i, true) && clock_mono_ns() < until_ns)
			if (load->worker > 0)
				(void)kill(load->worker, SIGKILL);	/* it was stopped while it held a lock */
}

json_t *load_final(struct load *load)
{
	json_t *jobs, *hung, *rpcs, *interval, *left = json_array();
	uint64_t dropped = 0;

	load_stop(load);
	if (!load->finished)
		freeze_jobs(load);
	load->finished = true;
	interval = interval_json(load, load_now_ns(load));
	jobs = jobs_json(load);
	hung = hung_json(load);
	rpcs = load->held_nr > 0 ? rpcs_in_flight(DEBUGFS) : NULL;
	load_end_children(load);
	for (unsigned int i = 0; i < load->left_nr; i++)
		json_array_append_new(left, json_integer(load->left[i]));
	for (unsigned int i = 0; i < load->shared.jobs_nr; i++)
		for (uint32_t s = 0; s < load->shared.run[i].shards_nr; s++)
			dropped += load->shared.run[i].shard[s].pages_dropped;
	return json_pack("{s:o, s:o, s:o, s:o*, s:o, s:I, s:o*, s:o, s:b, s:o, s:o*, s:I}", "jobs", jobs, "censored", censored_json(load), "hung", hung, "rpcs", rpcs, "lag",
			 lag_json(load), "dropped_pages", (json_int_t)dropped, "logged_ops", logged_json(load), "left", left, "worker_died", load->died, "interval", interval,
			 "damage", damage_json(load), "dataset_bytes", (json_int_t)load->shared.control->dataset_bytes);
}
