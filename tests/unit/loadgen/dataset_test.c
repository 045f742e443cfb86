/* SPDX-License-Identifier: MIT */
/*
 * dataset_test.c - a tree is made to the same bytes whatever happened on the way, and nothing that is not squall's is written or removed.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../loadgen/crew.h"
#include "../../../loadgen/dataset.h"
#include "../../../loadgen/engine.h"
#include "../../../loadgen/engines.h"
#include "fixture.h"

static unsigned int breaks_after;	/* so many entries of a folder; 0: at its end, as always */

/* In place of the library's. */
struct dirent *readdir(DIR *list)
{
	static struct dirent *(*real)(DIR *list);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (breaks_after > 0 && --breaks_after == 0) {
		errno = EIO;
		return NULL;
	}
	return real(list);
}

static const char *no_stat_of;	/* what is in the path of the calls that fail with EIO; NULL: none does */

/* In place of the library's. */
int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
	static int (*real)(int, const char *, struct stat *, int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fstatat");
	if (no_stat_of && strstr(path, no_stat_of)) {
		errno = EIO;
		return -1;
	}
	return real(dir, path, st, flags);
}

static const char *below(const struct fixture *f, const char *path)
{
	static char full[2][256];
	static int turn;

	turn = !turn;
	(void)snprintf(full[turn], sizeof full[turn], "%s/%s", f->dir, path);
	return full[turn];
}

static uint64_t bad_files(struct fixture *f)
{
	uint64_t bad = UINT64_MAX;

	cr_assert_eq(dataset_verify(f->dir, 0, NULL, &bad, NULL, &f->err), 0, "%s", f->err.text);
	return bad;
}

/* As a build that was killed after its last file. */
static void make_incomplete(struct fixture *f)
{
	struct manifest m = MANIFEST_INIT;
	int root = -1;

	cr_assert_eq(manifest_read(f->dir, &m, &f->err), 0, "%s", f->err.text);
	cr_assert(m.complete);
	m.complete = false;
	cr_assert_eq(dataset_open_root(f->dir, &root, &f->err), 0);
	cr_assert_eq(manifest_write(root, f->dir, &m, &f->err), 0, "%s", f->err.text);
	close(root);
	manifest_release(&m);
}

Test(dataset, any_number_of_threads_makes_the_same_tree)
{
	for (unsigned int threads = 1; threads <= 9; threads += 4) {
		struct fixture f;

		fixture_init(&f);
		f.profile.dataset = (struct dataset_spec){ .sites = 3, .files_per_site = 111, .depth = 5, .lognormal = true, .size_bytes = 40000, .mu = 7, .sigma = 2 };
		fixture_build(&f);
		cr_assert_eq(dataset_remove(f.dir, &f.err), 0, "%s", f.err.text);
		cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 1, DATASET_WHOLE, threads, NULL, &f.err), 0, "%s", f.err.text);
		cr_assert_eq(bad_files(&f), 0u, "%u threads", threads);
		fixture_release(&f);
	}
}

Test(dataset, parts_in_any_order_make_the_same_tree_and_the_last_makes_it_whole)
{
	static const unsigned int order[] = { 3, 1, 4, 2 };
	struct manifest m = MANIFEST_INIT;
	struct fixture f;

	fixture_init(&f);
	f.profile.dataset = (struct dataset_spec){ .sites = 3, .files_per_site = 37, .depth = 2, .size_bytes = 5000 };
	fixture_build(&f);
	cr_assert_eq(dataset_remove(f.dir, &f.err), 0, "%s", f.err.text);
	for (size_t i = 0; i < 4; i++) {
		struct dataset_part part = { order[i], 4 };

		cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 1, part, 2, NULL, &f.err), i < 3, "%s", f.err.text);
		cr_assert_eq(access(below(&f, "squall-part-3-of-4"), F_OK) == 0, i < 3);
		cr_assert_eq(manifest_read(f.dir, &m, &f.err), 0, "%s", f.err.text);
		cr_assert_eq(m.complete, i == 3);
		manifest_release(&m);
		if (i == 1)	/* gone through again: it is not whole until it is */
			cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 1, part, 2, NULL, &f.err), 1, "%s", f.err.text);
	}
	cr_assert_eq(bad_files(&f), 0u);
	fixture_release(&f);
}

Test(dataset, a_part_that_fails_takes_nothing_from_the_others_and_a_removal_takes_all)
{
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	cr_assert_eq(dataset_remove(f.dir, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 1, (struct dataset_part){ 1, 2 }, 2, NULL, &f.err), 1, "%s", f.err.text);
	cr_assert_eq(mkdir(below(&f, "squall-part-2-of-2"), 0755), 0);
	cr_assert_lt(dataset_build(f.dir, &f.profile.dataset, 1, (struct dataset_part){ 2, 2 }, 2, NULL, &f.err), 0);
	cr_assert_eq(access(below(&f, "s0000/d0/d0/f00000"), F_OK), 0);
	cr_assert_eq(rmdir(below(&f, "squall-part-2-of-2")), 0);
	cr_assert_eq(dataset_remove(f.dir, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(rmdir(f.dir), 0, "something is left");
	f.dir[0] = '\0';
	fixture_release(&f);
}

Test(dataset, a_build_that_was_killed_is_gone_on_with_and_what_is_right_is_not_written_again)
{
	static const char zeroes[4096];
	static const struct timespec long_ago[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct fixture f;
	struct stat st;
	int fd;

	fixture_init(&f);
	fixture_build(&f);
	cr_assert_eq(utimensat(AT_FDCWD, below(&f, "s0001/d0/d1/f00002"), long_ago, 0), 0);
	cr_assert_eq(truncate(below(&f, "s0000/d0/d0/f00000"), 1000), 0);
	cr_assert_eq(truncate(below(&f, "s0000/d1/d0/f00001"), 5000), 0);
	cr_assert_eq(unlink(below(&f, "s0001/d1/d1/f00003")), 0);
	fd = open(below(&f, "s0001/d0/d0/f00004"), O_WRONLY);	/* full length and nothing in it, as after a power cut */
	cr_assert_eq(write(fd, zeroes, sizeof zeroes), (ssize_t)sizeof zeroes);
	close(fd);
	cr_assert_eq(bad_files(&f), 4u);
	make_incomplete(&f);
	cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 1, DATASET_WHOLE, 2, NULL, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(bad_files(&f), 0u);
	cr_assert_eq(stat(below(&f, "s0001/d0/d1/f00002"), &st), 0);
	cr_assert_eq(st.st_mtime, 1000000000);
	fixture_release(&f);
}

Test(dataset, where_it_cannot_be_told_whether_there_is_one_nothing_is_built_or_removed)
{
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	no_stat_of = "s";		/* the manifest, and every site */
	for (uint64_t seed = 1; seed <= 2; seed++) {
		f.err.text[0] = '\0';
		cr_expect_eq(dataset_build(f.dir, &f.profile.dataset, seed, DATASET_WHOLE, 0, NULL, &f.err), -EIO);
		cr_expect_not_null(strstr(f.err.text, "whether there is a dataset cannot be told"), "%s", f.err.text);
	}
	cr_assert_eq(bad_files(&f), 0u);
	cr_assert_eq(unlink(below(&f, DATASET_MANIFEST)), 0);
	no_stat_of = "s0000";
	f.err.text[0] = '\0';
	cr_expect_eq(dataset_build(f.dir, &f.profile.dataset, 1, DATASET_WHOLE, 0, NULL, &f.err), -EIO, "%s", f.err.text);
	cr_expect_eq(access(below(&f, "s0000/d0/d0/f00000"), F_OK), 0);
	no_stat_of = NULL;
	fixture_release(&f);
}

Test(dataset, a_build_that_wrote_nothing_removes_nothing)
{
	struct rlimit whole, none;
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	cr_assert_eq(unlink(below(&f, DATASET_MANIFEST)), 0);
	for (int s = 0; s < 2; s++)
		cr_assert_eq(rename(below(&f, s ? "s0001" : "s0000"), below(&f, s ? "kept1" : "kept0")), 0);
	cr_assert_neq(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &whole), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = whole.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	cr_expect_eq(dataset_build(f.dir, &f.profile.dataset, 1, DATASET_WHOLE, 0, NULL, &f.err), -EFBIG, "%s", f.err.text);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &whole), 0);
	cr_expect_eq(access(below(&f, DATASET_SIZES), F_OK), 0, "what was there before is gone");
	fixture_release(&f);
}

Test(dataset, one_that_was_never_finished_can_be_removed)
{
	struct fixture f;

	fixture_init(&f);
	fixture_build(&f);
	make_incomplete(&f);
	cr_assert_eq(unlink(below(&f, DATASET_SIZES)), 0);
	cr_assert_eq(symlink("x", below(&f, DATASET_MANIFEST ".123.new")), 0);
	cr_assert_eq(dataset_remove(f.dir, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(rmdir(f.dir), 0, "something is left");
	f.dir[0] = '\0';
	fixture_release(&f);
}

static int open_writer(struct fixture *f, const struct manifest *m, void **ret_ctx)
{
	struct engine_env env = { .dir = f->dir, .host = "here", .manifest = m, .job = &f->profile.jobs[0] };

	for (int k = 0; k < OP_NR; k++)
		f->profile.jobs[0].mix[k] = 1;
	f->err.text[0] = '\0';
	return engine_sync.open(&env, ret_ctx, &f->err);
}

/* A dataset that was built, and its manifest. */
static void built(struct fixture *f, struct manifest *ret)
{
	fixture_init(f);
	fixture_build(f);
	cr_assert_eq(manifest_read(f->dir, ret, &f->err), 0, "%s", f->err.text);
}

Test(dataset, nothing_is_written_or_removed_in_a_tree_without_its_manifest)
{
	struct manifest m = MANIFEST_INIT;
	void *ctx = NULL;
	struct fixture f;

	built(&f, &m);
	cr_assert_eq(unlink(below(&f, DATASET_MANIFEST)), 0);
	cr_assert_eq(open_writer(&f, &m, &ctx), -ENOENT);
	cr_assert_lt(access(below(&f, "s0000/scratch"), F_OK), 0);
	f.err.text[0] = '\0';
	cr_assert_eq(dataset_remove(f.dir, &f.err), -ENOENT);
	cr_assert_eq(access(below(&f, "s0000/d0/d0/f00000"), F_OK), 0);
	f.err.text[0] = '\0';
	cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 1, DATASET_WHOLE, 0, NULL, &f.err), -EEXIST);
	cr_assert_eq(access(below(&f, "s0000/d0/d0/f00000"), F_OK), 0);
	manifest_release(&m);
	fixture_release(&f);
}

Test(dataset, another_dataset_at_the_same_path_is_not_written_to)
{
	struct manifest m = MANIFEST_INIT;
	void *ctx = NULL;
	struct fixture f;

	built(&f, &m);
	cr_assert_eq(dataset_remove(f.dir, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(dataset_build(f.dir, &f.profile.dataset, 2, DATASET_WHOLE, 0, NULL, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(open_writer(&f, &m, &ctx), -ESTALE);
	cr_assert_not_null(strstr(f.err.text, "holds another dataset than a moment ago"), "%s", f.err.text);
	cr_assert_lt(access(below(&f, "s0000/scratch"), F_OK), 0);
	manifest_release(&m);
	fixture_release(&f);
}

/* Everything of site 0 lies elsewhere, behind a link that somebody put in its place after the start. */
Test(dataset, no_op_writes_and_no_removal_removes_through_a_symbolic_link)
{
	static const enum op_kind writers[] = { OP_APPEND_FSYNC, OP_CHMOD, OP_WRITE, OP_WRITE_FSYNC, OP_LOCK, OP_CREATE, OP_RENAME, OP_UNLINK };
	struct manifest m = MANIFEST_INIT;
	void *ctx = NULL;
	struct fixture f;
	struct stat before, after;
	char buffer[4096];

	built(&f, &m);
	cr_assert_eq(open_writer(&f, &m, &ctx), 0, "%s", f.err.text);
	cr_assert_eq(rename(below(&f, "s0000"), below(&f, "elsewhere")), 0);
	cr_assert_eq(symlink("elsewhere", below(&f, "s0000")), 0);
	cr_assert_eq(stat(below(&f, "elsewhere/scratch/on-here/data"), &before), 0);
	for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
		struct op op = { .kind = writers[i], .site = 0, .draw = 1 };

		cr_assert_eq(engine_sync.run(ctx, buffer, sizeof buffer, &op), -ELOOP, "%s", op_kind_names[writers[i]]);
	}
	cr_assert_eq(stat(below(&f, "elsewhere/scratch/on-here/data"), &after), 0);
	cr_assert_eq(memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim), 0);
	cr_assert_lt(access(below(&f, "elsewhere/log/here.log"), F_OK), 0);
	engine_sync.close(ctx);
	f.err.text[0] = '\0';
	cr_assert_eq(dataset_remove(f.dir, &f.err), -ELOOP);
	cr_assert_eq(access(below(&f, "elsewhere/d0/d0/f00000"), F_OK), 0);
	cr_assert_eq(access(below(&f, "elsewhere/scratch/on-here/data"), F_OK), 0);
	cr_assert_eq(access(below(&f, DATASET_MANIFEST), F_OK), 0, "what could not be removed is still named");
	manifest_release(&m);
	fixture_release(&f);
}

struct tried {
	_Atomic uint32_t times[1000];
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool was_told;
};

static int try_item(void *arg, uint64_t idx, char *buffer, struct err *err)
{
	struct tried *t = arg;

	(void)err;
	memset(buffer, 1, CREW_BUFFER_BYTES);
	atomic_fetch_add(&t->times[idx], 1);
	return 0;
}

Test(dataset, a_folder_that_cannot_be_listed_to_its_end_is_told_by_a_scan)
{
	struct dataset_shape shape;
	struct fixture f;

	fixture_init(&f);
	f.profile.dataset = (struct dataset_spec){ .sites = 1, .files_per_site = 8, .depth = 1, .size_bytes = 512 };
	fixture_build(&f);
	cr_assert_eq(dataset_scan(f.dir, &shape, &f.err), 0, "%s", f.err.text);
	cr_expect_eq(shape.unreadable_nr, 0);
	breaks_after = 12;
	cr_assert_eq(dataset_scan(f.dir, &shape, &f.err), 0, "%s", f.err.text);
	cr_expect_eq(shape.unreadable_nr, 1);
	fixture_release(&f);
}

Test(crew, every_item_is_done_once)
{
	static struct tried t;
	struct crew_work work = { .item = try_item, .arg = &t };
	struct err err = ERR_INIT;

	for (unsigned int threads = 0; threads < 20; threads++)
		for (work.items_nr = 0; work.items_nr <= 1000; work.items_nr += 333) {
			memset(&t, 0, sizeof t);
			cr_assert_eq(crew_run(&work, threads, &err), 0, "%s", err.text);
			for (size_t i = 0; i < 1000; i++)
				cr_assert_eq(t.times[i], i < work.items_nr, "%u threads: item %zu of %lu was done %u times", threads, i, work.items_nr, t.times[i]);
		}
}

static int fail_item(void *arg, uint64_t idx, char *buffer, struct err *err)
{
	(void)buffer;
	atomic_fetch_add((_Atomic uint64_t *)arg, 1);
	return idx == 700 ? err_set(err, -ENOSPC, "item 700 has no room") : 0;
}

Test(crew, the_first_that_fails_ends_it_with_its_sentence)
{
	_Atomic uint64_t done = 0;
	struct crew_work work = { .items_nr = 100000000, .item = fail_item, .arg = &done };
	struct err err = ERR_INIT;

	cr_assert_eq(crew_run(&work, 4, &err), -ENOSPC);
	cr_assert_str_eq(err.text, "item 700 has no room");
	cr_assert_lt(atomic_load(&done), 50000000u);
}

static struct tried waiting = { .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER };

static void tell(uint64_t done, uint64_t total)
{
	cr_assert_eq(done, 0u);
	cr_assert_eq(total, 1u);
	pthread_mutex_lock(&waiting.lock);
	waiting.was_told = true;
	pthread_cond_signal(&waiting.told);
	pthread_mutex_unlock(&waiting.lock);
}

static int wait_item(void *arg, uint64_t idx, char *buffer, struct err *err)
{
	(void)arg;
	(void)idx;
	(void)buffer;
	(void)err;
	pthread_mutex_lock(&waiting.lock);
	while (!waiting.was_told)
		pthread_cond_wait(&waiting.told, &waiting.lock);
	pthread_mutex_unlock(&waiting.lock);
	return 0;
}

Test(crew, what_takes_longer_than_a_second_is_told, .timeout = 60)
{
	struct crew_work work = { .items_nr = 1, .item = wait_item, .progress = tell };
	struct err err = ERR_INIT;

	cr_assert_eq(crew_run(&work, 3, &err), 0);
}
