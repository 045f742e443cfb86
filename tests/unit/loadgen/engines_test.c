/* SPDX-License-Identifier: MIT */
/*
 * engines_test.c - one suite over engines[]: right results, the outage formula, I/O that never returns.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../loadgen/content.h"
#include "../../../loadgen/engine.h"
#include "../../../loadgen/files.h"
#include "../../../loadgen/scratch.h"
#include "../../../loadgen/supervisor.h"
#include "../tracer.h"
#include "device.h"
#include "exec.h"
#include "fixture.h"
#include "nfs_server.h"
#include "pipes.h"

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
	do
		e->flush(loop);
	while (e->reap(loop, NS_PER_S, &done, 1) == 0);
	cr_assert_eq(done.slot, 2, "%s gave back slot %u", e->name, done.slot);
	return done.result;
}

/* The server of an engine that mounts nothing: one that serves the dataset of the fixture. */
static void serve(struct fixture *f, const struct engine *e)
{
	struct nfs_target *n = &f->profile.jobs[0].nfs;

	if (!engine_traits_find(e->name)->needs_server)
		return;
	n->port = n->mount_port = n->lock_port = nfs_server_start(f->dir);
	(void)snprintf(n->server, sizeof n->server, "127.0.0.1");
	(void)snprintf(n->path, sizeof n->path, "%s", f->dir);
}

static void check_op(const struct engine *e, const struct op *op, int64_t result)
{
	bool claimed = engine_traits_find(e->name)->ops & 1u << op->kind;
	int64_t want = 0;

	if (!claimed)
		want = -ENOTSUP;
	else if (e->needs_dataset && (op->kind == OP_READ || op->kind == OP_PREAD || op->kind == OP_READ_ALL))
		want = 4096;
	else if (e->needs_dataset && (op->kind == OP_FIRST_BYTE || op->kind == OP_READ_FIRST))
		want = 1;
	else if (e->needs_dataset && (op->kind == OP_WRITE || op->kind == OP_WRITE_FSYNC))
		want = SCRATCH_BLOCK_BYTES;
	else if (e->needs_dataset && op->kind == OP_READLINK)
		want = (int64_t)strlen(SCRATCH_LINK_TARGET);
	else if (e->needs_dataset && (op->kind == OP_READDIR || op->kind == OP_READDIR_STAT || op->kind == OP_APPEND_FSYNC))
		want = result > 0 ? result : 1;
	cr_assert_eq(result, want, "%s: %s gave %ld", e->name, op_kind_names[op->kind], (long)result);
}

/* Each that this host can do; a container often forbids io_uring. */
static void each_engine(void (*check)(const struct engine *e))
{
	for (size_t i = 0; engines[i]; i++) {
		struct err why = ERR_INIT;

		if (!engines[i]->probe || engines[i]->probe(&why) == 0)
			check(engines[i]);
		else
			cr_log_warn("engine %s is not tested: %s", engines[i]->name, why.text);
	}
}

static void check_ops(const struct engine *e)
{
	struct manifest m = MANIFEST_INIT;
	void *ctx = NULL, *loop = NULL;
	struct engine_env env;
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	serve(&f, e);
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
			struct op before = op;

			before.kind = k == OP_UNLINK ? OP_CREATE : OP_OPEN_ONLY;	/* rename has taken the one that was there */
			if (k == OP_UNLINK || op_needs_open(op.kind))
				(void)one_op(e, ctx, loop, &before);
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

/* A file that may not grow above 10 bytes takes the beginning of a line. */
static void check_half_a_line(const struct engine *e, void *ctx, void *loop)
{
	const struct engine_traits *t = engine_traits_find(e->name);
	struct op op = { .kind = OP_APPEND_FSYNC, .site = 1, .draw = 7 };
	struct rlimit whole, half;
	int64_t result;

	if (!(t->ops & 1u << OP_APPEND_FSYNC) || t->needs_server)
		return;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &whole), 0);
	half = (struct rlimit){ .rlim_cur = 10, .rlim_max = whole.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &half), 0);
	result = one_op(e, ctx, loop, &op);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &whole), 0);
	cr_assert_eq(result, -EIO, "%s: half a line gave %ld", e->name, (long)result);
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
	serve(&f, e);
	cr_assert_eq(manifest_read(f.dir, &m, &f.err), 0, "%s", f.err.text);
	f.profile.jobs[0].mix[OP_PREAD] = 1;
	env = (struct engine_env){ .dir = f.dir, .host = "here", .manifest = &m, .job = &f.profile.jobs[0] };
	cr_assert_eq(e->open(&env, &ctx, &f.err), 0, "%s", f.err.text);
	if (engine_is_async(e))
		cr_assert_eq(e->loop_open(ctx, 3, &loop, &f.err), 0, "%s", f.err.text);
	check_half_a_line(e, ctx, loop);
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

Test(engines, a_file_that_is_gone_or_too_short_and_half_a_line_are_errors)
{
	each_engine(check_missing);
}

/* An engine with one site of two files of 2,000 bytes, of which a block can be spoiled on disk. */
struct spoiled {
	struct fixture f;
	struct manifest m;
	struct damage_log log;
	void *ctx, *loop;
	int fd;			/* of file 0 */
	char file[2][2048];
};

static void spoiled_init(struct spoiled *s, const struct engine *e, bool verify)
{
	struct content_id id = { .seed = 1 };
	char path[DATASET_PATH_BYTES];
	struct engine_env env;
	int root;

	memset(s, 0, sizeof *s);
	fixture_init(&s->f);
	s->f.profile.dataset = (struct dataset_spec){ .sites = 1, .files_per_site = 2, .size_bytes = 2000 };
	s->f.profile.jobs[0].verify = verify;
	s->f.profile.jobs[0].mix[OP_PREAD] = 1;
	fixture_build(&s->f);
	serve(&s->f, e);
	cr_assert_eq(manifest_read(s->f.dir, &s->m, &s->f.err), 0, "%s", s->f.err.text);
	env = (struct engine_env){ .dir = s->f.dir, .host = "here", .manifest = &s->m, .job = &s->f.profile.jobs[0], .damage = &s->log };
	cr_assert_eq(e->open(&env, &s->ctx, &s->f.err), 0, "%s", s->f.err.text);
	if (engine_is_async(e))
		cr_assert_eq(e->loop_open(s->ctx, 3, &s->loop, &s->f.err), 0, "%s", s->f.err.text);
	root = open(s->f.dir, O_RDONLY | O_DIRECTORY);
	dataset_file_path(&s->m.spec, 0, 0, path);
	s->fd = openat(root, path, O_RDWR);
	cr_assert_geq(s->fd, 0);
	close(root);
	for (id.file = 0; id.file < 2; id.file++)
		content_fill(&id, 0, s->file[id.file], 2000);
}

static void spoiled_release(struct spoiled *s, const struct engine *e)
{
	close(s->fd);
	if (s->loop)
		e->loop_close(s->loop);
	e->close(s->ctx);
	manifest_release(&s->m);
	fixture_release(&s->f);
}

static void put(const struct spoiled *s, const void *data, size_t bytes, off_t at)
{
	cr_assert_eq(pwrite(s->fd, data, bytes, at), (ssize_t)bytes);
}

/* Each way in which a file goes bad on disk, by pread and by read: the result, and what is noted of it. */
static void check_damage(const struct engine *e)
{
	static const char zeroes[512];
	static const struct {
		enum damage_kind kind;
		uint64_t offset, found_offset;
	} cases[] = {
		{ .kind = DAMAGE_CHANGED, .offset = 512 },
		{ .kind = DAMAGE_OTHER_PLACE, .offset = 0, .found_offset = 512 },
		{ .kind = DAMAGE_ZEROES, .offset = 1024 },
		{ .kind = DAMAGE_OTHER_FILE, .offset = 512, .found_offset = 512 },
		{ .kind = DAMAGE_OTHER_DATASET, .offset = 0 },
		{ .kind = DAMAGE_TORN, .offset = 512 },
		{ .kind = DAMAGE_CHANGED, .offset = 1536 },	/* in the block that is cut */
		{ .kind = DAMAGE_SHORT, .offset = 2000, .found_offset = 1999 },
	};
	bool reads = engine_traits_find(e->name)->ops & 1u << OP_READ;
	char other[512];

	for (size_t i = 0; e->needs_dataset && i < sizeof cases / sizeof cases[0]; i++) {
		int64_t want = cases[i].kind == DAMAGE_SHORT ? -ENODATA : -EBADMSG;
		struct op op = { .kind = OP_PREAD };
		struct spoiled s;

		spoiled_init(&s, e, true);
		content_fill(&(struct content_id){ .seed = 77 }, 0, other, sizeof other);
		cr_assert_eq(one_op(e, s.ctx, s.loop, &op), 2000, "%s", e->name);
		if (i == 0)
			put(&s, "?", 1, 512 + 100);
		if (i == 1) {	/* two blocks in each other's place */
			put(&s, s.file[0] + 512, 512, 0);
			put(&s, s.file[0], 512, 512);
		}
		if (i == 2)
			put(&s, zeroes, 512, 1024);
		if (i == 3)
			put(&s, s.file[1] + 512, 512, 512);
		if (i == 4)
			put(&s, other, 512, 0);
		if (i == 5)
			put(&s, s.file[1] + 512 + 256, 256, 512 + 256);
		if (i == 6)
			put(&s, "?", 1, 1999);
		if (i == 7)
			cr_assert_eq(ftruncate(s.fd, 1999), 0);
		cr_assert_eq(one_op(e, s.ctx, s.loop, &op), want, "%s, case %zu", e->name, i);
		cr_assert_eq(s.log.ops_nr, 1);
		cr_assert_eq(s.log.note[0].damage.kind, cases[i].kind, "%s, case %zu: it was told as %s", e->name, i,
			     damage_kind_names[s.log.note[0].damage.kind]);
		cr_assert_eq(s.log.note[0].damage.offset, cases[i].offset, "%s, case %zu: offset %lu", e->name, i, s.log.note[0].damage.offset);
		cr_assert_eq(s.log.note[0].damage.found_offset, cases[i].found_offset, "%s, case %zu", e->name, i);
		op.kind = OP_READ;
		cr_assert_eq(one_op(e, s.ctx, s.loop, &op), reads ? want : -ENOTSUP, "%s, case %zu", e->name, i);
		op.file = 1;
		op.kind = OP_PREAD;
		cr_assert_eq(one_op(e, s.ctx, s.loop, &op), 2000, "%s: the other file is as it was", e->name);
		spoiled_release(&s, e);
	}
}

Test(engines, what_was_not_written_there_is_an_error_that_says_what_it_is)
{
	each_engine(check_damage);
}

/* What comes before a bad place is right, and what is there is an error of the device; a file that ends early is one that is short. */
static void check_parts(const struct engine *e)
{
	static const enum op_kind kinds[] = { OP_PREAD, OP_READ };
	int64_t bad = strcmp(e->name, "io_uring") == 0 ? -EBADF : -EIO;
	struct spoiled s;

	if (!e->needs_dataset || engine_traits_find(e->name)->needs_server)
		return;
	spoiled_init(&s, e, true);
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		struct op op = { .kind = kinds[k] };

		if (!(engine_traits_find(e->name)->ops & 1u << op.kind))
			continue;
		device_part(700, 0);
		cr_expect_eq(one_op(e, s.ctx, s.loop, &op), 2000, "%s, %s", e->name, op_kind_names[op.kind]);
		device_part(0, 700);
		cr_expect_eq(one_op(e, s.ctx, s.loop, &op), bad, "%s, %s", e->name, op_kind_names[op.kind]);
		cr_expect_eq(s.log.ops_nr, 0, "%s, %s: it was told as damage", e->name, op_kind_names[op.kind]);
	}
	put(&s, "?", 1, 650);
	cr_expect_eq(one_op(e, s.ctx, s.loop, &(struct op){ .kind = OP_PREAD }), -EBADMSG, "%s: what came before the bad place is looked at", e->name);
	device_part(700, 0);
	put(&s, s.file[0] + 650, 1, 650);
	cr_assert_eq(ftruncate(s.fd, 1999), 0);
	cr_expect_eq(one_op(e, s.ctx, s.loop, &(struct op){ .kind = OP_PREAD }), -ENODATA, "%s", e->name);
	cr_expect_eq(s.log.ops_nr, 2);
	cr_expect_eq(s.log.note[1].damage.found_offset, 1999);
	device_part(0, 0);
	spoiled_release(&s, e);
}

Test(engines, a_read_that_gives_less_than_is_there_is_gone_on_with)
{
	each_engine(check_parts);
}

static void check_unverified(const struct engine *e)
{
	struct op op = { .kind = OP_PREAD };
	struct spoiled s;

	if (!e->needs_dataset)
		return;
	spoiled_init(&s, e, false);
	put(&s, "?", 1, 700);
	cr_assert_eq(one_op(e, s.ctx, s.loop, &op), 2000, "%s", e->name);
	cr_assert_eq(ftruncate(s.fd, 1999), 0);
	cr_assert_eq(one_op(e, s.ctx, s.loop, &op), -ENODATA, "%s: the length is looked at in any case", e->name);
	spoiled_release(&s, e);
}

Test(engines, a_job_that_does_not_verify_looks_at_lengths_alone)
{
	each_engine(check_unverified);
}

/* A job of one op on this engine; pread, unless `kind` is claimed. */
static void fixture_engine(struct fixture *f, const struct engine *e, enum op_kind kind)
{
	struct job *j = &f->profile.jobs[0];

	fixture_init(f);
	fixture_build(f);
	serve(f, e);
	(void)snprintf(j->engine, sizeof j->engine, "%s", e->name);
	memset(j->mix, 0, sizeof j->mix);
	j->mix[engine_traits_find(e->name)->ops & 1u << kind ? kind : OP_PREAD] = 1;
}

static void check_damaged_run(const struct engine *e)
{
	const json_t *damage, *first;
	struct fixture f;
	char path[128];
	int fd;

	if (!e->needs_dataset)
		return;
	fixture_engine(&f, e, OP_READ);
	(void)snprintf(path, sizeof path, "%s/s0001/d0/d0/f00000", f.dir);
	fd = open(path, O_WRONLY);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(pwrite(fd, "?", 1, 3333), 1);
	close(fd);
	fixture_run(&f, NS_PER_S);
	damage = json_object_get(f.final, "damage");
	cr_assert_not_null(damage, "%s", e->name);
	cr_assert_gt(fixture_count(&f, "errors"), 0);
	cr_assert_eq(json_u64(damage, "ops"), fixture_count(&f, "errors"), "%s", e->name);
	first = json_array_get(json_object_get(damage, "first"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(first, "path")), "s0001/d0/d0/f00000");
	cr_assert_str_eq(json_string_value(json_object_get(first, "job")), "job");
	cr_assert_str_eq(json_string_value(json_object_get(first, "found")), "1 changed bytes, the first at byte 261 of the block");
	cr_assert_eq(json_u64(first, "offset"), 3072);
	fixture_release(&f);
}

Test(engines, a_run_on_a_damaged_tree_ends_with_what_was_found)
{
	each_engine(check_damaged_run);
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

/* A device that goes dead: in the calls of the C library, and where an engine makes none, in the kernel or behind the network. */
static void dead(const struct fixture *f, const struct engine *e, unsigned int after_ms, int for_ms, const char *match)
{
	pipes_end();
	if (engine_traits_find(e->name)->needs_server)
		nfs_server_dead(after_ms, for_ms, match);
	else if (strcmp(e->name, "io_uring") == 0)
		pipes_start(f->dir, after_ms, for_ms, match);
	else
		device_set(after_ms, for_ms, match);
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

/* By the rule of the verdict: a machine that was busy with something else says nothing about the engine. */
static bool kept_the_schedule(const struct fixture *f)
{
	return fixture_lag(f, "all", "p99_ns") < 20 * NS_PER_MS && fixture_lag(f, "all", "hiccup_p99_ns") < 20 * NS_PER_MS && pipes_late_ns() < 20 * NS_PER_MS &&
	       nfs_server_late_ns() < 20 * NS_PER_MS;
}

/* @param look  false when it could not be judged */
static void look_until_judged(bool (*look)(const struct engine *e), const struct engine *e)
{
	for (int i = 0; i < 5; i++)
		if (look(e))
			return;
	cr_skip_test("%s: this machine was too busy five times", e->name);
}

static bool look_at_outage(const struct engine *e)
{
	struct fixture f;
	bool judged;

	fixture_engine(&f, e, OP_PREAD);
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	f.profile.jobs[0].slots = 300;
	fixture_rate(&f, ARRIVAL_CONSTANT, 400);
	dead(&f, e, 250, 500, f.dir);
	fixture_run(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 400, "%s: %lu", e->name, fixture_count(&f, "ok"));
	judged = kept_the_schedule(&f);
	for (int i = 0; judged && i < 3; i++)
		check_quantile(&f, e->name, (const double[]){ 0.7, 0.9, 0.99 }[i]);
	fixture_release(&f);
	return judged;
}

/* A thread that sleeps until an arrival is due has it in its slot; the load is stopped before that, and the thread is late to see it. */
Test(engines, an_arrival_that_falls_due_after_the_stop_is_nobodys_although_a_thread_has_it)
{
	struct fixture f;
	uint64_t upto_ms;

	fixture_init(&f);
	fixture_start(&f);
	fixture_watch(&f, 50 * NS_PER_MS);
	cr_assert_eq(kill(f.load->worker_pid, SIGSTOP), 0);
	load_stop(f.load);
	upto_ms = atomic_load(&f.load->shared.run[0].queue->stop_ns) / NS_PER_MS;
	fixture_wait(clock_mono_ns() + 50 * NS_PER_MS);		/* 8 threads hold the next 8 arrivals, 1 ms apart */
	fixture_finish(&f, 0);
	cr_assert(fixture_count(&f, "due") >= upto_ms && fixture_count(&f, "due") <= upto_ms + 1, "%lu of %lu", fixture_count(&f, "due"), upto_ms);
	fixture_release(&f);
}

/* As load_stop() does it when it is held up: threads act on the first instant, and the second one is later than what they held. */
static void check_put_off(const struct engine *e)
{
	struct fixture f;

	fixture_engine(&f, e, OP_PREAD);
	fixture_rate(&f, ARRIVAL_CONSTANT, 20);
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	f.profile.jobs[0].slots = 2;
	fixture_start(&f);
	fixture_watch(&f, 120 * NS_PER_MS);
	atomic_store(&f.load->shared.run[0].queue->stop_ns, 130 * NS_PER_MS);
	fixture_wait(f.t0_ns + 260 * NS_PER_MS);
	fixture_finish(&f, 0);
	cr_assert_geq(fixture_count(&f, "due"), 6, "%s: %lu", e->name, fixture_count(&f, "due"));
	fixture_release(&f);
}

Test(engines, a_stop_that_is_put_off_loses_no_arrival)
{
	each_engine(check_put_off);
}

/* A worker that does not die of SIGKILL, with a lock. */
Test(engines, a_lock_that_nobody_lets_go_does_not_hold_up_the_end, .timeout = 60)
{
	struct fixture f;
	pid_t tracer;
	uint64_t began_ns;

	fixture_init(&f);
	fixture_start(&f);
	fixture_watch(&f, 50 * NS_PER_MS);
	tracer = tracer_start(f.load->worker_pid);
	cr_assert(spin_lock_until(&f.load->shared.run[0].shard[0].lock, (uint32_t)f.load->worker_pid, clock_mono_ns() + NS_PER_S));
	began_ns = clock_mono_ns();
	f.final = load_final(f.load);
	cr_assert_lt(clock_mono_ns() - began_ns, 20 * NS_PER_S);
	cr_assert_eq(json_integer_value(json_array_get(json_object_get(f.final, "left"), 0)), f.load->worker_pid);
	cr_assert(exec_kill(tracer, clock_mono_ns() + 10 * NS_PER_S));
	fixture_release(&f);
}

static bool reads_files(const struct engine *e)
{
	return e->needs_dataset && engine_traits_find(e->name)->ops & 1u << OP_PREAD;
}

static void check_outage(const struct engine *e)
{
	if (reads_files(e))
		look_until_judged(look_at_outage, e);
}

Test(engines, a_stall_of_the_device_is_in_the_percentiles_in_full)
{
	each_engine(check_outage);
}

/* On a busy machine a stall that ends 50 ms late has a quarter more of what is asked for here, and attempts that are given up so late a quarter less. */
static void assert_near(uint64_t got, uint64_t want, const struct engine *e, const char *what)
{
	cr_assert(got * 4 >= want * 3 && got * 4 <= want * 5, "%s: %lu %s, not %lu", e->name, got, what, want);
}

/*
 * 400/s, dead for 500 ms, attempts of 100 ms: of an arrival that is due x before the end of the window x / 100 ms attempts are given up. The next
 * one is in flight at the end and is answered then, after x; or there is none left, and the arrival is unknown at the age of all its attempts.
 */
static bool look_at_retries(const struct engine *e, unsigned int tries)
{
	struct fixture f;
	struct hist *ages;
	bool judged;

	fixture_engine(&f, e, OP_PREAD);
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	f.profile.jobs[0].slots = 900;
	f.profile.jobs[0].retry = (struct retry){ .tries = tries, .after_ns = 100 * NS_PER_MS, .backoff = 1 };
	fixture_rate(&f, ARRIVAL_CONSTANT, 400);
	dead(&f, e, 250, 500, f.dir);
	fixture_run(&f, 2 * NS_PER_S);
	ages = fixture_ages(&f, "unknown");
	cr_assert_eq(fixture_attempts(&f, "late_ok"), fixture_attempts(&f, "abandoned"), "%s: all came back when the device did", e->name);
	cr_assert_eq(fixture_attempts(&f, "failed") + fixture_attempts(&f, "in_flight"), 0, "%s", e->name);
	cr_assert_eq(fixture_attempts(&f, "attempts"), fixture_count(&f, "ok") + fixture_attempts(&f, "abandoned"), "%s", e->name);
	cr_assert_eq(fixture_count(&f, "ok") + fixture_count(&f, "unknown"), 400, "%s", e->name);
	cr_assert_eq(ages->count, fixture_count(&f, "unknown"));
	if (tries == 3)
		cr_assert_geq(hist_quantile(ages, 0), 299 * NS_PER_MS, "%s: one was unknown after %lu ns", e->name, hist_quantile(ages, 0));
	judged = kept_the_schedule(&f);
	if (judged) {
		assert_near(fixture_attempts(&f, "attempts"), tries == 3 ? 680 : 800, e, "attempts");
		assert_near(fixture_attempts(&f, "abandoned"), tries == 3 ? 360 : 400, e, "given up");
		assert_near(fixture_count(&f, "unknown"), tries == 3 ? 80 : 0, e, "unknown");
	}
	for (int i = 0; judged && tries != 3 && i < 3; i++)
		check_quantile(&f, e->name, (const double[]){ 0.7, 0.9, 0.99 }[i]);
	free(ages);
	fixture_release(&f);
	return judged;
}

static bool look_at_patient_retries(const struct engine *e)
{
	return look_at_retries(e, 10);
}

static bool look_at_last_tries(const struct engine *e)
{
	return look_at_retries(e, 3);
}

static void check_patient_retries(const struct engine *e)
{
	if (reads_files(e))
		look_until_judged(look_at_patient_retries, e);
}

static void check_last_tries(const struct engine *e)
{
	if (reads_files(e))
		look_until_judged(look_at_last_tries, e);
}

Test(engines, attempts_of_a_stall_follow_the_formula_and_responses_run_from_the_first_due_time)
{
	each_engine(check_patient_retries);
}

Test(engines, who_has_had_all_attempts_is_unknown_at_the_age_of_all_of_them)
{
	each_engine(check_last_tries);
}

/* A run of at most 2 s by its plan, in which something never returns; the rest is for a machine that does other things besides. */
static void assert_on_time(const struct fixture *f, const struct engine *e)
{
	uint64_t took_ms = (clock_mono_ns() - f->t0_ns) / NS_PER_MS;

	cr_assert_lt(took_ms, 30000, "%s: the run took %lu ms", e->name, took_ms);
}

/* One file of ten hangs: what hangs is listed, and the load on the others goes on to its end. */
static void check_never(const struct engine *e)
{
	const json_t *hung;
	struct fixture f;

	if (!reads_files(e))
		return;
	fixture_engine(&f, e, OP_PREAD);
	fixture_phase(&f, 0, "early", 0, 200 * NS_PER_MS);
	fixture_phase(&f, 1, "late", 200 * NS_PER_MS, 400 * NS_PER_MS);
	f.plan.jobs[0].phases = 3;
	f.profile.jobs[0].slots = 600;
	dead(&f, e, 0, -1, "/f00003");
	fixture_run(&f, 100 * NS_PER_MS);
	assert_on_time(&f, e);
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
	dead(&f, e, 0, -1, f.dir);
	fixture_run(&f, 500 * NS_PER_MS);
	assert_on_time(&f, e);
	cr_assert_eq(fixture_count(&f, "in_flight"), 10000, "%s: %lu", e->name, fixture_count(&f, "in_flight"));
	cr_assert_eq(fixture_count(&f, "not_issued"), 2000, "%s: %lu of %lu were not issued, %lu ok, %lu errors", e->name, fixture_count(&f, "not_issued"),
		     fixture_count(&f, "due"), fixture_count(&f, "ok"), fixture_count(&f, "errors"));
	cr_assert_eq(json_array_size(json_object_get(f.final, "hung")), 10000);
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(json_object_get(f.final, "jobs"), 0), "submit_blocked_max_ns")) / (json_int_t)NS_PER_S, 0);
	fixture_release(&f);
}

Test(engines, an_asynchronous_one_has_10000_ops_in_flight_on_a_dead_device)
{
	each_engine(check_many);
}

/* A job has 4,096 threads at the most. Conservation is checked in each interval, of each job. */
Test(engines, threads_of_three_jobs_have_10200_ops_in_flight_on_a_dead_device)
{
	const struct engine *e = engine_find("sync");
	struct fixture f;

	fixture_engine(&f, e, OP_PREAD);
	f.profile.jobs[0].slots = 3400;
	fixture_rate(&f, ARRIVAL_CONSTANT, 4000);
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	f.profile.jobs_nr = f.plan.jobs_nr = 3;
	for (unsigned int i = 1; i < 3; i++) {
		f.profile.jobs[i] = f.profile.jobs[0];
		(void)snprintf(f.profile.jobs[i].name, sizeof f.profile.jobs[i].name, "job%u", i);
		f.plan.jobs[i] = f.plan.jobs[0];
		f.plan.jobs[i].job_idx = i;
	}
	dead(&f, e, 0, -1, f.dir);
	fixture_run(&f, NS_PER_S);
	assert_on_time(&f, e);
	for (unsigned int i = 0; i < 3; i++) {
		const json_t *job = json_array_get(json_object_get(f.final, "jobs"), i);

		cr_assert_eq(json_u64(job, "due"), 4000);
		cr_assert_eq(json_u64(job, "in_flight"), 3400, "job %u: %lu", i, json_u64(job, "in_flight"));
		cr_assert_eq(json_u64(job, "not_issued"), 600, "job %u: %lu", i, json_u64(job, "not_issued"));
	}
	cr_assert_eq(json_array_size(json_object_get(f.final, "hung")), 10200);
	fixture_release(&f);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WORKER_KIB_MAX (4u << 20)	/* which have memory of their own */
#else
#define WORKER_KIB_MAX (64u << 10)
#endif

/* The most that was ever resident of a process. */
static unsigned long peak_kib(pid_t pid)
{
	char name[32], text[4096];
	unsigned long kib = 0;
	const char *line;
	ssize_t n;
	int fd;

	(void)snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	fd = open(name, O_RDONLY);
	n = read(fd, text, sizeof text - 1);
	cr_assert_gt(n, 0, "%s", name);
	close(fd);
	text[n] = '\0';
	line = strstr(text, "VmHWM:");
	cr_assert(line && sscanf(line, "VmHWM: %lu kB", &kib) == 1, "%s", text);
	return kib;
}

/* Each slot has had an op in flight at the same time, and has got its 4 KiB. */
static void check_memory(const struct engine *e)
{
	unsigned long kib;
	struct fixture f;

	fixture_engine(&f, e, OP_PREAD);
	fixture_phase(&f, 0, "all", 0, 800 * NS_PER_MS);
	f.profile.jobs[0].slots = 1000;
	f.profile.jobs[0].queue_max = 10000;
	fixture_rate(&f, ARRIVAL_CONSTANT, 5000);
	if (reads_files(e))
		dead(&f, e, 0, 600, f.dir);
	fixture_start(&f);
	fixture_watch(&f, 500 * NS_PER_MS);
	if (reads_files(e))
		cr_assert_eq(load_in_flight(f.load), 1000, "%s: %lu", e->name, (uint64_t)load_in_flight(f.load));
	fixture_watch(&f, 800 * NS_PER_MS);
	kib = peak_kib(f.load->worker);
	fixture_finish(&f, 4 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 4000, "%s: %lu", e->name, fixture_count(&f, "ok"));
	cr_assert_leq(kib, WORKER_KIB_MAX, "%s: %lu KiB", e->name, kib);
	fixture_release(&f);
}

Test(engines, a_worker_of_1000_slots_takes_at_most_64_MiB)
{
	each_engine(check_memory);
}

/* As a container's filter does it. */
static void forbid_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof filter / sizeof filter[0], .filter = filter };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void check_instead(unsigned int slots, bool direct, enum op_kind kind, const char *engine)
{
	struct err err = ERR_INIT;
	const char *note, *why;
	struct fixture f;
	json_t *notes;

	fixture_engine(&f, engine_find("io_uring"), kind);
	f.profile.jobs[0].slots = slots;
	f.profile.jobs[0].direct = direct;
	if (!engine) {
		cr_assert_eq(load_new(&f.plan, &f.load, &err), -EPERM);
		cr_assert_not_null(strstr(err.text, "job job: engine io_uring: io_uring is forbidden here"), "%s", err.text);
		fixture_release(&f);
		return;
	}
	fixture_start(&f);
	notes = load_notes(f.load);
	cr_assert_eq(json_array_size(notes), 1);
	note = json_string_value(json_array_get(notes, 0));
	cr_assert_not_null(strstr(note, "instead of io_uring: io_uring is forbidden here"), "%s", note);
	fixture_watch(&f, 200 * NS_PER_MS);
	fixture_finish(&f, NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 200);
	why = json_string_value(json_object_get(json_array_get(json_object_get(f.final, "jobs"), 0), "engine_why"));
	cr_assert_str_eq(why, note);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(f.final, "jobs"), 0), "engine")), engine);
	json_decref(notes);
	fixture_release(&f);
}

Test(engines, where_io_uring_is_forbidden_another_one_does_the_job_and_says_so)
{
	forbid_io_uring();
	check_instead(8, false, OP_PREAD, "sync");
	check_instead(8, true, OP_PREAD, "libaio");
	check_instead(5000, false, OP_PREAD, "libaio");
	check_instead(8, false, OP_STAT, "sync");
	check_instead(5000, false, OP_STAT, NULL);
}
