/* SPDX-License-Identifier: MIT */
/*
 * load_race.c - the live counts, histograms and queue of a load, collected as fast as possible while all slots count into them: threads of
 * synchronous engines and loops of an asynchronous one; with all alive, and with a thread that dies at a bad moment; and a worker process
 * killed at a random one.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../../loadgen/supervisor.h"
#include "clock.h"
#include "file.h"
#include "../load_json.h"
#include "../load_new.h"
#include "race.h"

#define LENGTH_NS (150 * NS_PER_MS)
#define GRACE_NS NS_PER_S
#define KILLS_NR 20
#define TRIES_MAX 10

struct race_case {
	const char *name;
	const char *engine;
	enum arrival_kind kind;
	bool page;
	uint64_t timeout_ns;	/* with tries of each attempt */
	unsigned int slots, queue_max;
	double per_s;
	unsigned int tries;
	enum dying dying;
};

static const struct race_case cases[] = {
	{ "closed loop, null", "null", ARRIVAL_CLOSED, false, 0, 8, 0, 0, 0, DIES_NOT },
	{ "open loop, null", "null", ARRIVAL_POISSON, false, 0, 8, 1000, 4000, 0, DIES_NOT },
	{ "a queue that overflows", "sync", ARRIVAL_CONSTANT, false, 5 * NS_PER_MS, 2, 8, 50000, 0, DIES_NOT },
	{ "pages, sync", "sync", ARRIVAL_POISSON, true, 0, 8, 1000, 500, 0, DIES_NOT },
	{ "pages that become unknown", "sync", ARRIVAL_POISSON, true, 2 * NS_PER_MS, 8, 100, 1000, 0, DIES_NOT },
	{ "ops that become unknown", "sync", ARRIVAL_CLOSED, false, 200 * NS_PER_US, 8, 0, 0, 0, DIES_NOT },
	{ "closed loop, libaio", "libaio", ARRIVAL_CLOSED, false, 0, 8, 0, 0, 0, DIES_NOT },
	{ "open loop, libaio", "libaio", ARRIVAL_POISSON, false, 0, 8, 1000, 4000, 0, DIES_NOT },
	{ "a queue that overflows, libaio", "libaio", ARRIVAL_CONSTANT, false, 5 * NS_PER_MS, 3, 8, 50000, 0, DIES_NOT },
	{ "pages that become unknown, libaio", "libaio", ARRIVAL_POISSON, true, 200 * NS_PER_US, 8, 100, 2000, 0, DIES_NOT },
	{ "ops that become unknown, libaio", "libaio", ARRIVAL_CLOSED, false, 50 * NS_PER_US, 8, 0, 0, 0, DIES_NOT },
	{ "attempts that are given up at once", "null", ARRIVAL_POISSON, false, 1, 8, 1000, 2000, 4, DIES_NOT },
	{ "attempts that are given up", "sync", ARRIVAL_POISSON, false, 100 * NS_PER_US, 8, 1000, 2000, 3, DIES_NOT },
	{ "pages that are given up", "sync", ARRIVAL_POISSON, true, 150 * NS_PER_US, 8, 1000, 500, 3, DIES_NOT },
	{ "attempts that are given up, libaio", "libaio", ARRIVAL_POISSON, false, 100 * NS_PER_US, 8, 1000, 2000, 3, DIES_NOT },
	{ "pages that are given up, libaio", "libaio", ARRIVAL_POISSON, true, 150 * NS_PER_US, 8, 1000, 500, 3, DIES_NOT },
	{ "dead with the queue's lock", "null", ARRIVAL_CONSTANT, false, 0, 4, 1000, 1000, 0, DIES_WITH_QUEUE },
	{ "dead with the shard's lock", "null", ARRIVAL_CONSTANT, false, 0, 4, 1000, 1000, 0, DIES_WITH_SHARD },
	{ "dead before the count", "null", ARRIVAL_CONSTANT, false, 0, 4, 1000, 1000, 0, DIES_IN_REDO },
	{ "dead before the next attempt", "null", ARRIVAL_CONSTANT, false, NS_PER_S, 4, 1000, 1000, 3, DIES_IN_MOVE },
};

static const struct race_case killed[] = {
	{ "workers killed", "null", ARRIVAL_CLOSED, false, 0, 8, 0, 0, 0, DIES_NOT },
	{ "workers killed while they try again", "null", ARRIVAL_POISSON, false, 1, 8, 1000, 20000, 4, DIES_NOT },
	{ "workers killed while arrivals give up", "sync", ARRIVAL_CONSTANT, false, 100 * NS_PER_US, 1, 1000, 200000, 0, DIES_NOT },
};

static struct profile profile;
static struct rate_piece piece;
static char dir[] = "/tmp/squall-race-XXXXXX";

static void plan_init(struct load_plan *plan, const struct race_case *c)
{
	bool async = strcmp(c->engine, "libaio") == 0;	/* it does pread alone */
	struct job *j = &profile.jobs[0];

	piece = (struct rate_piece){ .from = { RATE_ABSOLUTE, c->per_s }, .to = { RATE_ABSOLUTE, c->per_s } };
	*j = (struct job){ .slots = c->slots, .queue_max = c->queue_max, .timeout_ns = c->tries ? 0 : c->timeout_ns, .is_page = c->page,
			   .retry = { .tries = c->tries, .after_ns = c->timeout_ns, .backoff = 1 },
			   .arrival = { .kind = c->kind, .random = c->kind == ARRIVAL_POISSON, .pieces = &piece, .pieces_nr = c->kind != ARRIVAL_CLOSED } };
	(void)snprintf(j->name, sizeof j->name, "job");
	(void)snprintf(j->engine, sizeof j->engine, "%s", c->engine);
	if (c->page) {
		j->page[0] = async ? OP_PREAD : OP_STAT;
		j->page[1] = async ? OP_PREAD : OP_READ;
		j->page_nr = 2;
	} else {
		j->mix[async ? OP_PREAD : OP_READ] = 1;
		j->mix[OP_STAT] = !async;
	}
	profile.jobs_nr = 1;
	*plan = (struct load_plan){ .profile = &profile, .host = "here", .dir = dir, .hosts_nr = 1, .seed = 1, .jobs_nr = 1, .phases_nr = 2 };
	plan->jobs[0] = (struct load_job){ .phases = 3 };
	plan->phases[0] = (struct load_phase){ "first", 0, LENGTH_NS / 2 };
	plan->phases[1] = (struct load_phase){ "second", LENGTH_NS / 2, LENGTH_NS };
}

/* What the histograms of an interval hold of the job itself; they must hold what is counted. */
static uint64_t answered(const json_t *interval)
{
	const json_t *hists = json_object_get(json_array_get(json_object_get(interval, "jobs"), 0), "hists"), *h;
	uint64_t nr = 0;
	size_t i;

	json_array_foreach(hists, i, h) {
		if (strcmp(json_string_value(json_object_get(h, "op")), "") == 0)
			nr += json_u64(h, "ok") + json_errors(h);
	}
	return nr;
}

/* @return whether anything was due; on a host that is busy enough no thread may have run in time. */
static bool check_sums(const struct race_case *c, const json_t *final, uint64_t seen)
{
	const json_t *job = json_array_get(json_object_get(final, "jobs"), 0);
	uint64_t ok = json_u64(job, "ok"), errors = json_errors(job);
	uint64_t placed = ok + errors + json_u64(job, "unknown") + json_u64(job, "in_flight") + json_u64(job, "not_issued");

	CHECK(json_u64(job, "due") == placed, "%s: %lu were due and %lu are somewhere", c->name, json_u64(job, "due"), placed);
	CHECK(seen == ok + errors, "%s: the intervals have %lu, the end %lu", c->name, seen, ok + errors);
	return json_u64(job, "due") > 0;
}

static void print_sums(const struct race_case *c, const json_t *final)
{
	const json_t *job = json_array_get(json_object_get(final, "jobs"), 0);

	printf("%-33s due %lu, ok %lu, unknown %lu, in flight %lu, not issued %lu\n", c->name, json_u64(job, "due"), json_u64(job, "ok"), json_u64(job, "unknown"),
	       json_u64(job, "in_flight"), json_u64(job, "not_issued"));
}

static uint64_t watch(struct load *load, uint64_t until_ns)
{
	uint64_t seen = 0;

	while (clock_mono_ns() < until_ns) {
		json_t *interval = load_interval(load);

		seen += answered(interval);
		json_decref(interval);
		(void)load_in_flight(load);
	}
	return seen;
}

static json_t *finish(struct load *load, uint64_t *seen)
{
	uint64_t until = clock_mono_ns() + GRACE_NS;
	json_t *final;

	load_stop(load);
	while (load_in_flight(load) > 0 && clock_mono_ns() < until)
		*seen += watch(load, clock_mono_ns() + NS_PER_MS);
	final = load_final(load);
	*seen += answered(json_object_get(final, "interval"));
	return final;
}

/* @return whether it came to what the case is about. */
static bool run_case(const struct race_case *c)
{
	struct err err = ERR_INIT;
	struct load_plan plan;
	struct load *load;
	uint64_t t0, seen;
	json_t *final;
	bool done;

	plan_init(&plan, c);
	load = race_load(&plan, c->dying);
	t0 = clock_mono_ns() + 5 * NS_PER_MS;
	CHECK(load_start(load, t0, &err) == 0, "%s", err.text);
	seen = watch(load, t0 + LENGTH_NS + (c->dying == DIES_NOT ? 0 : 300 * NS_PER_MS));
	final = finish(load, &seen);
	done = check_sums(c, final, seen);
	print_sums(c, final);
	if (race_join()) {
		const json_t *job = json_array_get(json_object_get(final, "jobs"), 0);

		CHECK(load->buried_nr == (c->dying == DIES_IN_MOVE ? 2 : 1), "%s: %u locks were taken over", c->name, load->buried_nr);
		CHECK(json_u64(job, "in_flight") == (c->dying == DIES_WITH_SHARD), "%s: the dead thread's op is in the wrong place", c->name);
	} else {
		done = done && c->dying == DIES_NOT;
	}
	load_free(load);
	json_decref(final);
	return done;
}

/* A real worker, killed between any two instructions, lock or no lock. */
static void kill_workers(const struct race_case *c)
{
	unsigned int buried = 0;

	for (int i = 0; i < KILLS_NR; i++) {
		struct err err = ERR_INIT;
		struct load_plan plan;
		struct load *load = NULL;
		uint64_t t0, seen;
		json_t *final;

		plan_init(&plan, c);
		CHECK(load_new(&plan, &load, &err) == 0, "%s", err.text);
		t0 = clock_mono_ns();
		CHECK(load_start(load, t0, &err) == 0, "%s", err.text);
		for (seen = 0; load->state[0].ok + load->state[0].unknown == 0 && clock_mono_ns() < t0 + NS_PER_S;)
			seen += watch(load, clock_mono_ns() + NS_PER_MS);
		CHECK(load->state[0].ok + load->state[0].unknown > 0, "%s: the worker did nothing for a second", c->name);
		seen += watch(load, clock_mono_ns() + (unsigned int)i * NS_PER_MS / 4);
		CHECK(kill(load->worker_pid, SIGKILL) == 0, "%m");
		for (uint64_t until = clock_mono_ns() + NS_PER_S; !load->died && clock_mono_ns() < until;)
			seen += watch(load, clock_mono_ns() + NS_PER_MS);
		final = finish(load, &seen);
		CHECK(json_is_true(json_object_get(final, "worker_died")), "nobody saw that the worker died");
		buried += load->buried_nr;
		(void)check_sums(c, final, seen);
		load_free(load);
		json_decref(final);
	}
	printf("%s: %d of them, and %u locks taken over\n", c->name, KILLS_NR, buried);
}

int main(void)
{
	struct err err = ERR_INIT;
	struct dataset_spec spec = { .sites = 2, .files_per_site = 8, .depth = 2, .size_bytes = 4096 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	profile.dataset = spec;
	CHECK(mkdtemp(dir), "%m");
	CHECK(dataset_build(dir, &spec, 1, DATASET_WHOLE, 1, NULL, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int tries = 1;

		while (!run_case(&cases[i]))
			CHECK(tries++ < TRIES_MAX, "%s: it did not come to that", cases[i].name);
	}
	for (size_t i = 0; i < sizeof killed / sizeof killed[0]; i++)
		kill_workers(&killed[i]);
	CHECK(file_remove_tree(dir, &err) == 0, "%s", err.text);
	return 0;
}
