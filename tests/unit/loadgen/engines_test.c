/* SPDX-License-Identifier: MIT */
/*
 * engines_test.c - one suite over engines[]: right results, the outage formula, I/O that never returns.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../loadgen/engine.h"
#include "../../../loadgen/files.h"
#include "../../../loadgen/scratch.h"
#include "device.h"
#include "fixture.h"

#define CHUNK_BYTES 65536

static char chunk[CHUNK_BYTES];

/* What the load does with an engine, for one op. */
static int64_t one_op(const struct engine *e, void *ctx, void *loop, const struct op *op)
{
	struct completion done = { .slot = 0 };
	int rc;

	if (!engine_is_async(e))
		return e->run(ctx, chunk, sizeof chunk, op);
	rc = e->submit(loop, 2, op);
	if (rc < 0)
		return rc;
	e->flush(loop);
	while (e->reap(loop, NS_PER_S, &done, 1) == 0)
		;
	cr_assert_eq(done.slot, 2, "%s gave back slot %u", e->name, done.slot);
	return done.result;
}

static void check_op(const struct engine *e, const struct op *op, int64_t result)
{
	bool claimed = engine_traits_find(e->name)->ops & 1u << op->kind;
	int64_t want = 0;

	if (!claimed)
		want = -ENOTSUP;
	else if (e->needs_dataset && (op->kind == OP_READ || op->kind == OP_PREAD))
		want = 4096;
	else if (e->needs_dataset && op->kind == OP_FIRST_BYTE)
		want = 1;
	else if (e->needs_dataset && (op->kind == OP_WRITE || op->kind == OP_WRITE_FSYNC))
		want = SCRATCH_BLOCK_BYTES;
	else if (e->needs_dataset && op->kind == OP_READLINK)
		want = (int64_t)strlen(SCRATCH_LINK_TARGET);
	else if (e->needs_dataset && (op->kind == OP_READDIR || op->kind == OP_READDIR_STAT || op->kind == OP_APPEND_FSYNC))
		want = result > 0 ? result : 1;
	cr_assert_eq(result, want, "%s: %s gave %ld", e->name, op_kind_names[op->kind], (long)result);
}

static void each_engine(void (*check)(const struct engine *e))
{
	for (size_t i = 0; engines[i]; i++)
		check(engines[i]);
}

static void check_ops(const struct engine *e)
{
	struct manifest m = MANIFEST_INIT;
	void *ctx = NULL, *loop = NULL;
	struct engine_env env;
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	for (int k = 0; k < OP_NR; k++)
		f.profile.jobs[0].mix[k] = engine_traits_find(e->name)->ops & 1u << k ? 1 : 0;
	cr_assert_eq(manifest_read(f.dir, &m, &f.err), 0, "%s", f.err.text);
	env = (struct engine_env){ .dir = f.dir, .host = "here", .manifest = &m, .job = &f.profile.jobs[0] };
	cr_assert_eq(e->open(&env, &ctx, &f.err), 0, "%s", f.err.text);
	if (engine_is_async(e))
		cr_assert_eq(e->loop_open(ctx, 3, &loop, &f.err), 0, "%s", f.err.text);
	for (int k = 0; k < OP_NR; k++)
		for (uint32_t n = 0; n < 10; n++) {
			struct op op = { .kind = (enum op_kind)k, .site = n / 5, .file = n % 5, .draw = 1234567 * (n + 1), .key = n };
			struct op create = op;

			create.kind = OP_CREATE;
			if (k == OP_UNLINK)		/* rename has taken the one that was there */
				(void)one_op(e, ctx, loop, &create);
			check_op(e, &op, one_op(e, ctx, loop, &op));
		}
	if (loop)
		e->loop_close(loop);
	e->close(ctx);
	manifest_release(&m);
	fixture_release(&f);
}

Test(engines, every_op_that_is_claimed_gives_the_right_result_and_no_other_is_done)
{
	each_engine(check_ops);
}

static void check_missing(const struct engine *e)
{
	struct manifest m = MANIFEST_INIT;
	struct op op = { .kind = OP_PREAD, .site = 1, .file = 4 };
	bool reads = engine_traits_find(e->name)->ops & 1u << OP_READ;
	void *ctx = NULL, *loop = NULL;
	char path[DATASET_PATH_BYTES];
	struct engine_env env;
	struct fixture f;
	int root;

	if (!e->needs_dataset)
		return;
	fixture_init(&f);
	fixture_build(&f);
	cr_assert_eq(manifest_read(f.dir, &m, &f.err), 0, "%s", f.err.text);
	env = (struct engine_env){ .dir = f.dir, .host = "here", .manifest = &m, .job = &f.profile.jobs[0] };
	cr_assert_eq(e->open(&env, &ctx, &f.err), 0, "%s", f.err.text);
	if (engine_is_async(e))
		cr_assert_eq(e->loop_open(ctx, 3, &loop, &f.err), 0, "%s", f.err.text);
	root = open(f.dir, O_RDONLY | O_DIRECTORY);
	dataset_file_path(&m.spec, 1, 4, path);
	close(openat(root, path, O_WRONLY | O_TRUNC));
	cr_assert_eq(one_op(e, ctx, loop, &op), -ENODATA, "%s: a file shorter than the manifest says", e->name);
	op.kind = OP_READ;
	cr_assert_eq(one_op(e, ctx, loop, &op), reads ? -ENODATA : -ENOTSUP, "%s", e->name);
	cr_assert_eq(unlinkat(root, path, 0), 0);
	cr_assert_eq(one_op(e, ctx, loop, &op), reads ? -ENOENT : -ENOTSUP, "%s", e->name);
	close(root);
	if (loop)
		e->loop_close(loop);
	e->close(ctx);
	manifest_release(&m);
	fixture_release(&f);
}

Test(engines, a_file_that_is_gone_or_too_short_is_an_error)
{
	each_engine(check_missing);
}

Test(engines, the_table_that_profiles_are_checked_against_names_these_engines)
{
	size_t nr = 0;

	for (; engines[nr]; nr++)
		cr_assert_not_null(engine_traits_find(engines[nr]->name), "%s is not in engine_traits[]", engines[nr]->name);
	for (size_t i = 0; engine_traits[i].name; i++)
		cr_assert_not_null(engine_find(engine_traits[i].name), "%s is not in engines[]", engine_traits[i].name);
	for (size_t i = 0; engines[i]; i++)
		cr_assert_neq(!engines[i]->run, !engines[i]->submit, "%s is either synchronous or asynchronous", engines[i]->name);
}

/* A job of one op on this engine; pread, unless `kind` is claimed. */
static void fixture_engine(struct fixture *f, const struct engine *e, enum op_kind kind)
{
	struct job *j = &f->profile.jobs[0];

	fixture_init(f);
	fixture_build(f);
	(void)snprintf(j->engine, sizeof j->engine, "%s", e->name);
	memset(j->mix, 0, sizeof j->mix);
	j->mix[engine_traits_find(e->name)->ops & 1u << kind ? kind : OP_PREAD] = 1;
}

static void check_shapes(const struct engine *e)
{
	static const enum arrival_kind kinds[] = { ARRIVAL_CONSTANT, ARRIVAL_POISSON, ARRIVAL_CLOSED };

	for (unsigned int page = 0; page < 2; page++)
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
			struct fixture f;
			struct job *j = &f.profile.jobs[0];

			fixture_engine(&f, e, OP_READ);
			fixture_rate(&f, kinds[k], 1000);
			j->arrival.think_ns = 2 * NS_PER_MS;
			j->is_page = page == 1;
			j->page_nr = 3;
			j->page[0] = j->page[1] = j->page[2] = OP_PREAD;
			if (j->is_page)
				memset(j->mix, 0, sizeof j->mix);
			fixture_run(&f, 2 * NS_PER_S);
			cr_assert_gt(fixture_count(&f, "due"), 50, "%s %zu", e->name, k);
			cr_assert_eq(fixture_count(&f, "ok"), fixture_count(&f, "due"), "%s %zu: %lu of %lu", e->name, k, fixture_count(&f, "ok"),
				     fixture_count(&f, "due"));
			if (kinds[k] == ARRIVAL_CONSTANT)
				cr_assert_eq(fixture_count(&f, "due"), 200);
			if (kinds[k] == ARRIVAL_CLOSED)		/* 8 slots, 2 ms each */
				cr_assert_leq(fixture_count(&f, "due"), 808, "%s: %lu", e->name, fixture_count(&f, "due"));
			if (page)
				cr_assert_eq(fixture_op(&f, "pread", "all", "ok"), 3 * fixture_count(&f, "ok"));
			cr_assert_eq(f.pages_nr[0], page ? fixture_count(&f, "ok") : 0);
			fixture_release(&f);
		}
}

Test(engines, open_and_closed_loops_of_ops_and_pages_do_all_that_is_due)
{
	each_engine(check_shapes);
}

/* p of the response times, as it must be after a stall of 500 ms in a run of 1 s at a constant rate. */
static void check_quantile(const struct fixture *f, const char *engine, double q)
{
	double want_ns = 0.5e9 - (1 - q) * 1e9, got_ns = (double)hist_quantile(f->response, q);

	cr_assert(got_ns > want_ns - 0.05e9 && got_ns < want_ns + 0.1e9, "%s: p%g is %.3f s, not %.3f s", engine, 100 * q, got_ns / 1e9, want_ns / 1e9);
}

static void check_outage(const struct engine *e)
{
	struct fixture f;

	if (!e->needs_dataset || !(engine_traits_find(e->name)->ops & 1u << OP_PREAD))
		return;
	fixture_engine(&f, e, OP_PREAD);
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	f.profile.jobs[0].slots = 300;
	fixture_rate(&f, ARRIVAL_CONSTANT, 400);
	device_set(250, 500, f.dir);
	fixture_run(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 400, "%s: %lu", e->name, fixture_count(&f, "ok"));
	check_quantile(&f, e->name, 0.7);
	check_quantile(&f, e->name, 0.9);
	check_quantile(&f, e->name, 0.99);
	fixture_release(&f);
}

Test(engines, a_stall_of_the_device_is_in_the_percentiles_in_full)
{
	each_engine(check_outage);
}

/* One file of ten hangs: what hangs is listed, and the load on the others goes on to its end. */
static void check_never(const struct engine *e)
{
	const json_t *hung;
	struct fixture f;
	uint64_t from;

	if (!e->needs_dataset || !(engine_traits_find(e->name)->ops & 1u << OP_PREAD))
		return;
	fixture_engine(&f, e, OP_PREAD);
	fixture_phase(&f, 0, "early", 0, 200 * NS_PER_MS);
	fixture_phase(&f, 1, "late", 200 * NS_PER_MS, 400 * NS_PER_MS);
	f.plan.jobs[0].phases = 3;
	f.profile.jobs[0].slots = 600;
	device_set(0, -1, "/f00003");
	fixture_run(&f, 100 * NS_PER_MS);
	from = clock_mono_ns();
	cr_assert_lt(from, f.t0_ns + 1500 * NS_PER_MS, "%s: the run ended %lu ms late", e->name, (uint64_t)((from - f.t0_ns) / NS_PER_MS - 500));
	hung = json_object_get(f.final, "hung");
	cr_assert_gt(fixture_count(&f, "in_flight"), 10);
	cr_assert_eq(json_array_size(hung), fixture_count(&f, "in_flight"));
	for (size_t i = 0; i < json_array_size(hung); i++)
		cr_assert_not_null(strstr(json_string_value(json_object_get(json_array_get(hung, i), "path")), "/f00003"));
	cr_assert_gt(fixture_op(&f, "", "late", "ok"), 100, "%s: %lu", e->name, fixture_op(&f, "", "late", "ok"));
	cr_assert_eq(fixture_count(&f, "ok") + fixture_count(&f, "in_flight"), 400);
	fixture_release(&f);
}

Test(engines, a_file_that_never_answers_is_listed_and_the_load_on_the_others_goes_on)
{
	each_engine(check_never);
}

static void check_many(const struct engine *e)
{
	struct fixture f;

	if (!engine_is_async(e))
		return;
	fixture_engine(&f, e, OP_PREAD);
	f.profile.jobs[0].slots = 10000;
	f.profile.jobs[0].queue_max = 20000;
	fixture_rate(&f, ARRIVAL_CONSTANT, 60000);
	device_set(0, -1, f.dir);
	fixture_run(&f, 500 * NS_PER_MS);
	cr_assert_eq(fixture_count(&f, "in_flight"), 10000, "%s: %lu", e->name, fixture_count(&f, "in_flight"));
	cr_assert_eq(fixture_count(&f, "not_issued"), 2000);
	cr_assert_eq(json_array_size(json_object_get(f.final, "hung")), 10000);
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(json_object_get(f.final, "jobs"), 0), "submit_blocked_max_ns")) / (json_int_t)NS_PER_S, 0);
	fixture_release(&f);
}

Test(engines, an_asynchronous_one_has_10000_ops_in_flight_on_a_dead_device)
{
	each_engine(check_many);
}
