/* SPDX-License-Identifier: MIT */
/*
 * ops_test.c - every op on a real folder: what it does, what counts as success, the path by which a hung one is known, and nothing left.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../loadgen/dataset.h"
#include "../../../loadgen/engines.h"
#include "../../../loadgen/hot.h"
#include "../../../loadgen/scratch.h"
#include "device.h"
#include "fixture.h"

#define KEY 0x0123456789abcdefULL

struct ground {
	struct fixture f;
	struct manifest manifest;
	struct job job;
	void *ctx;
	char buffer[65536];
};

static void ground_init(struct ground *g)
{
	struct engine_env env = { .host = "here" };

	memset(g, 0, sizeof *g);
	fixture_init(&g->f);
	fixture_build(&g->f);
	cr_assert_eq(manifest_read(g->f.dir, &g->manifest, &g->f.err), 0, "%s", g->f.err.text);
	for (int k = 0; k < OP_NR; k++)
		g->job.mix[k] = 1;
	env.dir = g->f.dir;
	env.manifest = &g->manifest;
	env.job = &g->job;
	cr_assert_eq(engine_sync.open(&env, &g->ctx, &g->f.err), 0, "%s", g->f.err.text);
}

static int64_t run(struct ground *g, const struct op *op)
{
	return engine_sync.run(g->ctx, g->buffer, sizeof g->buffer, op);
}

static const char *path_of(const struct ground *g, const struct op *op)
{
	static char path[256];
	char below[DATASET_PATH_BYTES];

	op_path(&g->manifest.spec, "here", op, below);
	(void)snprintf(path, sizeof path, "%s/%s", g->f.dir, below);
	return path;
}

static void ground_release(struct ground *g)
{
	uint64_t bad = 1;

	engine_sync.close(g->ctx);
	cr_assert_eq(dataset_verify(g->f.dir, 0, NULL, &bad, NULL, &g->f.err), 0, "%s", g->f.err.text);
	cr_assert_eq(bad, 0u, "an op has changed a file that others read");
	manifest_release(&g->manifest);
	cr_assert_eq(dataset_remove(g->f.dir, &g->f.err), 0, "%s", g->f.err.text);
	cr_assert_eq(rmdir(g->f.dir), 0, "dataset_remove left something");
	g->f.dir[0] = '\0';
	fixture_release(&g->f);
}

Test(ops, every_one_succeeds_and_its_path_names_what_it_worked_on)
{
	static const enum op_kind order[] = { OP_READ, OP_PREAD, OP_OPEN, OP_STAT, OP_STAT_MISS, OP_READDIR, OP_APPEND_FSYNC, OP_FIRST_BYTE,
					      OP_ACCESS, OP_READDIR_STAT, OP_STATFS, OP_OPEN_ONLY, OP_READ_FIRST, OP_READ_ALL, OP_CLOSE, OP_READLINK, OP_CHMOD, OP_WRITE, OP_WRITE_FSYNC,
					      OP_LOCK, OP_CREATE, OP_RENAME, OP_CREATE, OP_UNLINK };
	bool seen[OP_NR] = { false };
	struct ground g;

	ground_init(&g);
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		struct op op = { .kind = order[i], .site = 1, .file = 3, .draw = 77, .key = KEY };
		bool gone = op.kind == OP_STAT_MISS || op.kind == OP_RENAME || op.kind == OP_UNLINK;
		int64_t rc = run(&g, &op);

		cr_assert_geq(rc, 0, "%s: %s", op_kind_names[op.kind], strerror((int)-rc));
		cr_assert_eq(faccessat(AT_FDCWD, path_of(&g, &op), F_OK, AT_SYMLINK_NOFOLLOW) < 0, gone, "%s: %s", op_kind_names[op.kind],
			     path_of(&g, &op));
		seen[op.kind] = true;
	}
	for (int k = 0; k < OP_NR; k++)
		cr_assert(seen[k], "%s was not tried", op_kind_names[k]);
	ground_release(&g);
}

Test(ops, what_is_read_is_counted_in_bytes)
{
	struct op op = { .site = 0, .file = 2 };
	struct ground g;

	ground_init(&g);
	op.kind = OP_READ;
	cr_assert_eq(run(&g, &op), 4096);
	op.kind = OP_PREAD;
	cr_assert_eq(run(&g, &op), 4096);
	op.kind = OP_FIRST_BYTE;
	cr_assert_eq(run(&g, &op), 1);
	ground_release(&g);
}

/* Of this process. */
static unsigned int descriptors_nr(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	while (readdir(dir))
		nr++;
	(void)closedir(dir);
	return nr;
}

Test(ops, a_file_is_opened_read_and_closed_in_parts)
{
	static const enum op_kind page[] = { OP_OPEN_ONLY, OP_READ_FIRST, OP_READ_ALL, OP_CLOSE };
	static const int64_t bytes[] = { 0, 1, 4096, 0 };
	struct op op = { .site = 1, .file = 4 };
	struct ground g;
	unsigned int before;

	ground_init(&g);
	before = descriptors_nr();
	for (size_t i = 0; i < sizeof page / sizeof page[0]; i++) {
		op.kind = page[i];
		cr_assert_eq(run(&g, &op), bytes[i], "%s", op_kind_names[op.kind]);
		cr_assert_eq(descriptors_nr() - before, op.kind != OP_CLOSE, "after %s", op_kind_names[op.kind]);
	}
	ground_release(&g);
}

Test(ops, a_file_that_a_failed_page_left_open_is_closed_by_the_next)
{
	struct op op = { .kind = OP_OPEN_ONLY, .site = 1, .file = 4 };
	struct ground g;
	unsigned int before;

	ground_init(&g);
	before = descriptors_nr();
	for (int i = 0; i < 3; i++)
		cr_assert_eq(run(&g, &op), 0);
	cr_assert_eq(descriptors_nr() - before, 1);
	op.kind = OP_CLOSE;
	cr_assert_eq(run(&g, &op), 0);
	ground_release(&g);
}

Test(ops, the_parts_of_a_page_are_of_the_file_that_it_opened)
{
	static const enum op_kind page[] = { OP_STAT, OP_OPEN_ONLY, OP_STAT, OP_READ_ALL, OP_CLOSE, OP_OPEN_ONLY, OP_CLOSE };
	const struct dataset_spec spec = { .sites = 40, .files_per_site = 1000 };
	struct job job = { .is_page = true, .page_nr = sizeof page / sizeof page[0] };
	struct job_run r = { .job = &job, .seed = 5 };

	for (unsigned int k = 0; k < job.page_nr; k++)
		job.page[k] = (uint8_t)page[k];
	for (unsigned int walk = 0; walk < 2; walk++) {
		job.order = walk ? ORDER_WALK : ORDER_RANDOM;
		for (uint64_t i = 0; i < 100; i++) {
			uint32_t file[7];

			for (uint32_t k = 0; k < 7; k++)
				file[k] = hot_pick_of_page(&r, &spec, i, 0, k).file;
			cr_assert_eq(file[3], file[1]);
			cr_assert_eq(file[4], file[1]);
			cr_assert_eq(file[6], file[5]);
			cr_assert(i > 0 || (file[0] != file[1] && file[2] != file[1] && file[5] != file[1]));
		}
	}
}

Test(ops, a_file_that_is_gone_fails_them_all)
{
	static const enum op_kind kinds[] = { OP_READ, OP_OPEN, OP_STAT, OP_FIRST_BYTE, OP_ACCESS, OP_OPEN_ONLY };
	struct ground g;
	struct op op = { .site = 1, .file = 4 };
	char aside[300];

	ground_init(&g);
	(void)snprintf(aside, sizeof aside, "%s.aside", path_of(&g, &op));
	cr_assert_eq(rename(path_of(&g, &op), aside), 0);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		op.kind = kinds[i];
		cr_assert_eq(run(&g, &op), -ENOENT, "%s did not say so", op_kind_names[op.kind]);
	}
	op.kind = OP_READ;
	cr_assert_eq(rename(aside, path_of(&g, &op)), 0);
	ground_release(&g);
}

/* A file that is shorter than its manifest says is no success, also when the calls return no error. */
Test(ops, an_emptied_file_fails_a_read_and_its_first_byte)
{
	struct op op = { .kind = OP_READ, .site = 0, .file = 1 };
	struct ground g;
	int fd;

	ground_init(&g);
	cr_assert_eq(run(&g, &op), 4096);
	cr_assert_eq(truncate(path_of(&g, &op), 0), 0);
	cr_assert_eq(run(&g, &op), -ENODATA);
	op.kind = OP_FIRST_BYTE;
	cr_assert_eq(run(&g, &op), -ENODATA);
	op.kind = OP_READ;
	fd = open(path_of(&g, &op), O_WRONLY);
	cr_assert_eq(pwrite(fd, g.buffer, 1, 0), 1);
	close(fd);
	op.kind = OP_FIRST_BYTE;
	cr_assert_eq(run(&g, &op), 1);
	engine_sync.close(g.ctx);
	manifest_release(&g.manifest);
	fixture_release(&g.f);
}

Test(ops, stat_miss_fails_when_the_name_is_there)
{
	struct op op = { .kind = OP_STAT_MISS, .site = 0, .file = 0, .draw = 0xfeed };
	struct ground g;
	int fd;

	ground_init(&g);
	fd = open(path_of(&g, &op), O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(run(&g, &op), -EEXIST);
	cr_assert_eq(unlink(path_of(&g, &op)), 0);
	ground_release(&g);
}

Test(ops, readdir_stat_is_readdir_and_sees_every_entry)
{
	struct op op = { .kind = OP_READDIR, .site = 0, .file = 0 };
	struct ground g;
	int64_t plain;

	ground_init(&g);
	plain = run(&g, &op);
	op.kind = OP_READDIR_STAT;
	cr_assert_gt(plain, 0);
	cr_assert_eq(run(&g, &op), plain);
	ground_release(&g);
}

Test(ops, a_write_overwrites_one_block_and_never_extends)
{
	struct op op = { .kind = OP_WRITE, .site = 0, .draw = 16 * 0x55 + 5 };
	unsigned int different = 0;
	struct ground g;
	struct stat st;
	int fd;

	ground_init(&g);
	cr_assert_eq(run(&g, &op), (int64_t)SCRATCH_BLOCK_BYTES);
	cr_assert_eq(stat(path_of(&g, &op), &st), 0);
	cr_assert_eq((size_t)st.st_size, SCRATCH_DATA_BYTES);
	fd = open(path_of(&g, &op), O_RDONLY);
	cr_assert_eq(read(fd, g.buffer, SCRATCH_DATA_BYTES), (ssize_t)SCRATCH_DATA_BYTES);
	close(fd);
	for (size_t i = 0; i < SCRATCH_DATA_BYTES; i++)
		different += (i / SCRATCH_BLOCK_BYTES == 5) != (g.buffer[i] == (char)(op.draw & 0xff));
	cr_assert_eq(different, 0u);
	cr_assert_eq(unlink(path_of(&g, &op)), 0);
	cr_assert_eq(run(&g, &op), -ENOENT, "a write makes no file");
	ground_release(&g);
}

Test(ops, the_life_of_a_created_file_is_strict)
{
	struct op create = { .kind = OP_CREATE, .site = 1, .draw = 3, .key = KEY }, rename_over = create, remove = create;
	struct ground g;
	char kept[300];
	struct stat st;

	ground_init(&g);
	rename_over.kind = OP_RENAME;
	remove.kind = OP_UNLINK;
	cr_assert_eq(run(&g, &rename_over), -ENOENT);
	cr_assert_eq(run(&g, &remove), -ENOENT);
	for (int i = 0; i < 3; i++) {		/* over one that is there, from the second time on */
		cr_assert_eq(run(&g, &create), 0);
		cr_assert_eq(run(&g, &create), -EEXIST);
		cr_assert_eq(run(&g, &rename_over), 0);
	}
	(void)snprintf(kept, sizeof kept, "%s/s0001/scratch/on-here/keep-03", g.f.dir);
	cr_assert_eq(stat(kept, &st), 0);
	ground_release(&g);
}

Test(ops, readlink_wants_the_target_that_was_made)
{
	struct op op = { .kind = OP_READLINK, .site = 0 };
	struct ground g;

	ground_init(&g);
	cr_assert_eq(run(&g, &op), (int64_t)strlen(SCRATCH_LINK_TARGET));
	cr_assert_eq(unlink(path_of(&g, &op)), 0);
	cr_assert_eq(symlink("elsewhere", path_of(&g, &op)), 0);
	cr_assert_eq(run(&g, &op), -EBADMSG);
	ground_release(&g);
}

Test(ops, what_a_cut_off_page_left_is_removed_at_the_next_start_and_no_more)
{
	struct op op = { .kind = OP_CREATE, .site = 0, .key = KEY };
	struct engine_env env = { .host = "here" };
	struct ground g;
	char other[300];
	int fd;

	ground_init(&g);
	cr_assert_eq(run(&g, &op), 0);
	(void)snprintf(other, sizeof other, "%s/s0000/scratch/on-here/not-ours", g.f.dir);
	fd = open(other, O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
	engine_sync.close(g.ctx);
	env.dir = g.f.dir;
	env.manifest = &g.manifest;
	env.job = &g.job;
	cr_assert_eq(engine_sync.open(&env, &g.ctx, &g.f.err), 0, "%s", g.f.err.text);
	cr_assert_lt(access(path_of(&g, &op), F_OK), 0);
	cr_assert_eq(dataset_remove(g.f.dir, &g.f.err), 0);
	cr_assert_eq(access(other, F_OK), 0, "what is not ours was removed");
	engine_sync.close(g.ctx);
	manifest_release(&g.manifest);
	fixture_release(&g.f);
}

Test(ops, a_job_that_only_reads_makes_no_scratch_folder)
{
	struct engine_env env = { .host = "here" };
	struct job reads = { .mix = { [OP_READ] = 1 } };
	struct manifest manifest = MANIFEST_INIT;
	struct fixture f;
	char path[300];
	void *ctx;

	fixture_init(&f);
	fixture_build(&f);
	cr_assert_eq(manifest_read(f.dir, &manifest, &f.err), 0);
	env.dir = f.dir;
	env.manifest = &manifest;
	env.job = &reads;
	cr_assert_eq(engine_sync.open(&env, &ctx, &f.err), 0, "%s", f.err.text);
	(void)snprintf(path, sizeof path, "%s/s0000/scratch", f.dir);
	cr_assert_lt(access(path, F_OK), 0);
	engine_sync.close(ctx);
	manifest_release(&manifest);
	fixture_release(&f);
}

static void as_page(struct fixture *f, const enum op_kind *ops, unsigned int nr)
{
	struct job *j = &f->profile.jobs[0];

	memset(j->mix, 0, sizeof j->mix);
	j->is_page = true;
	j->page_nr = nr;
	for (unsigned int i = 0; i < nr; i++)
		j->page[i] = (uint8_t)ops[i];
}

Test(ops, pages_of_every_change_run_side_by_side_without_one_error)
{
	static const enum op_kind ops[] = { OP_CREATE, OP_WRITE, OP_RENAME, OP_CREATE, OP_LOCK, OP_CHMOD, OP_WRITE_FSYNC, OP_UNLINK, OP_READLINK };
	struct fixture f;
	uint64_t bad = 1;

	fixture_init(&f);
	fixture_build(&f);
	as_page(&f, ops, sizeof ops / sizeof ops[0]);
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "due"), 200u);
	cr_assert_eq(fixture_count(&f, "ok"), 200u);
	cr_assert_eq(fixture_op(&f, "create", "all", "ok"), 400u);
	cr_assert_eq(fixture_op(&f, "rename", "all", "ok"), 200u);
	cr_assert_eq(fixture_op(&f, "unlink", "all", "ok"), 200u);
	cr_assert_eq(dataset_verify(f.dir, 0, NULL, &bad, NULL, &f.err), 0);
	cr_assert_eq(bad, 0u);
	cr_assert_eq(dataset_remove(f.dir, &f.err), 0);
	cr_assert_eq(rmdir(f.dir), 0, "dataset_remove left something");
	f.dir[0] = '\0';
	fixture_release(&f);
}

Test(ops, pages_in_parts_run_side_by_side_without_one_error)
{
	static const enum op_kind ops[] = { OP_OPEN_ONLY, OP_STAT, OP_READ_FIRST, OP_READ_ALL, OP_CLOSE };
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	f.profile.jobs[0].slots = 8;
	f.profile.jobs[0].verify = true;
	as_page(&f, ops, sizeof ops / sizeof ops[0]);
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "due"), 200u);
	cr_assert_eq(fixture_count(&f, "ok"), 200u);
	cr_assert_eq(fixture_op(&f, "close", "all", "ok"), 200u);
	fixture_release(&f);
}

/* A lock that somebody else holds: the op hangs for real, and the report names it. */
Test(ops, a_lock_held_by_another_hangs_and_is_listed_with_its_path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	static const enum op_kind ops[] = { OP_STAT, OP_LOCK };
	const json_t *hung, *first;
	struct fixture f;
	char path[300];
	int fd;

	fixture_init(&f);
	f.profile.dataset.sites = 1;
	fixture_build(&f);
	as_page(&f, ops, 2);
	(void)snprintf(path, sizeof path, "%s/s0000/scratch", f.dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof path, "%s/s0000/scratch/lock", f.dir);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	fixture_run(&f, 100 * NS_PER_MS);
	hung = json_object_get(f.final, "hung");
	cr_assert_eq(json_array_size(hung), 8u);
	first = json_array_get(hung, 0);
	cr_assert_str_eq(json_string_value(json_object_get(first, "op")), "lock");
	cr_assert_str_eq(json_string_value(json_object_get(first, "path")), "s0000/scratch/lock");
	cr_assert_eq(fixture_op(&f, "lock", "all", "ok"), 0u);
	close(fd);
	fixture_release(&f);
}

static uint64_t logged(const struct fixture *f, const char *what)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(f->final, "logged_ops"), what));
}

/* How many of them have an outcome; of each, the time that it took. */
static uint64_t look_at_logged(const struct fixture *f, const char *op_is, const char *outcome_is, uint64_t from_ns)
{
	const char *op, *path, *outcome;
	json_int_t job, due, issued, done;
	uint64_t nr = 0;
	json_t *row;
	size_t i;

	json_array_foreach(f->logged, i, row) {
		cr_assert_eq(json_unpack(row, "[I, s, s, I, I, I, s]", &job, &op, &path, &due, &issued, &done, &outcome), 0);
		cr_assert(job == 0 && strncmp(path, "s000", 4) == 0 && due <= issued && issued <= done, "%s", path);
		cr_assert(strcmp(outcome, "ok") != 0 || (uint64_t)(done - due) >= from_ns);
		nr += strcmp(op, op_is) == 0 && strcmp(outcome, outcome_is) == 0;
	}
	return nr;
}

Test(ops, each_is_told_by_itself_when_the_job_logs_them)
{
	static const enum op_kind ops[] = { OP_STAT, OP_READ };

	for (int page = 0; page < 2; page++) {
		struct fixture f;

		fixture_init(&f);
		fixture_build(&f);
		f.profile.jobs[0].logs_ops = true;
		if (page)
			as_page(&f, ops, 2);
		fixture_run(&f, 5 * NS_PER_S);
		cr_assert_eq(look_at_logged(&f, "read", "ok", 0), 200);
		cr_assert_eq(look_at_logged(&f, "stat", "ok", 0), page ? 200 : 0);
		cr_assert_eq(logged(&f, "kept"), json_array_size(f.logged));
		cr_assert_eq(logged(&f, "dropped"), 0);
		fixture_release(&f);
	}
}

Test(ops, a_job_that_logs_slow_ones_tells_of_these_and_of_those_that_it_gave_up)
{
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	f.profile.jobs[0].slots = 200;
	f.profile.jobs[0].logs_ops = true;
	f.profile.jobs[0].log_from_ns = 60 * NS_PER_S;
	f.profile.jobs[0].timeout_ns = 60 * NS_PER_MS;
	device_set(50, 100, f.dir);
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_gt(fixture_count(&f, "unknown"), 0);
	cr_assert_eq(look_at_logged(&f, "read", "unknown", 0), fixture_count(&f, "unknown"));
	cr_assert_eq(json_array_size(f.logged), fixture_count(&f, "unknown"));
	fixture_release(&f);
	fixture_init(&f);
	fixture_build(&f);
	f.profile.jobs[0].slots = 200;
	f.profile.jobs[0].logs_ops = true;
	f.profile.jobs[0].log_from_ns = 40 * NS_PER_MS;
	device_set(50, 100, f.dir);
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_gt(look_at_logged(&f, "read", "ok", 40 * NS_PER_MS), 20);
	cr_assert_lt(json_array_size(f.logged), 200);
	fixture_release(&f);
}

Test(ops, those_for_which_an_interval_has_no_room_are_counted)
{
	struct fixture f;

	fixture_init(&f);
	fixture_rate(&f, ARRIVAL_CLOSED, 0);
	f.profile.jobs[0].logs_ops = true;
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_gt(logged(&f, "dropped"), 0);
	cr_assert_eq(logged(&f, "kept"), json_array_size(f.logged));
	cr_assert_eq(logged(&f, "kept") + logged(&f, "dropped"), fixture_count(&f, "ok"));
	fixture_release(&f);
}

Test(ops, every_one_has_its_paragraph_in_the_manual_page_and_no_other)
{
	bool in_ops = false, seen[OP_NR] = { false };
	char line[1024], name[64];
	FILE *page = fopen("docs/ops.scd", "r");

	cr_assert_not_null(page);
	while (fgets(line, sizeof line, page)) {
		int k = 0;

		if (line[0] == '#')
			in_ops = strncmp(line, "# OPS", 5) == 0;
		if (!in_ops || sscanf(line, "*%63[a-z_]*", name) != 1)
			continue;
		while (k < OP_NR && strcmp(op_kind_names[k], name) != 0)
			k++;
		cr_assert_lt(k, OP_NR, "docs/ops.scd has the op '%s', which does not exist", name);
		seen[k] = true;
	}
	(void)fclose(page);
	for (int k = 0; k < OP_NR; k++)
		cr_assert(seen[k], "docs/ops.scd has no paragraph for %s", op_kind_names[k]);
}
