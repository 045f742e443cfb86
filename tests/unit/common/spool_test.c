/* SPDX-License-Identifier: MIT */
/*
 * spool_test.c - nothing that was put in and not forgotten is missing, whatever happened to the end of the file, and nothing damaged is given out.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "spool.h"

static char dir[64];

static void make_dir(void)
{
	(void)snprintf(dir, sizeof dir, "/tmp/squall-spool-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	(void)file_remove_tree(dir, NULL);
}

TestSuite(spool, .init = make_dir, .fini = remove_dir);

static const char *path_of(const char *run, int half)
{
	static char path[160];

	(void)snprintf(path, sizeof path, "%s/%s.%d.spool", dir, run, half);
	return path;
}

static void write_file(const char *data, size_t bytes)
{
	int fd = open(path_of("run", 0), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_eq(file_write_all(fd, data, bytes), 0);
	close(fd);
}

static struct spool *opened(void)
{
	struct spool *s = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(spool_open(dir, "run", &s, &err), 0, "%s", err.text);
	return s;
}

/* The message of a number, which is some bytes long. */
static void message_of(uint64_t number, size_t bytes, char *ret)
{
	int n = snprintf(ret, bytes + 1, "{\"n\":%llu,\"x\":\"", (unsigned long long)number);

	memset(ret + n, 'a' + (int)(number % 26), bytes - (size_t)n);
	ret[bytes] = '\0';
}

static int put(struct spool *s, uint64_t number, size_t bytes)
{
	char *text = malloc(bytes + 1);
	uint64_t given = 0;
	int rc;

	message_of(number, bytes, text);
	rc = spool_put(s, text, bytes, &given);
	cr_assert_eq(given, number, "%lu", given);
	free(text);
	return rc;
}

struct seen {
	uint64_t first, last, nr;
	size_t bytes;		/* of each; 0: it is not looked at */
};

static bool look(uint64_t number, const char *text, void *arg)
{
	struct seen *seen = arg;

	if (seen->bytes > 0) {
		char *want = malloc(seen->bytes + 1);

		message_of(number, seen->bytes, want);
		cr_assert_str_eq(text, want);
		free(want);
	}
	if (seen->nr++ == 0)
		seen->first = number;
	else
		cr_assert_eq(number, seen->last + 1);
	seen->last = number;
	return true;
}

static void expect(struct spool *s, uint64_t after, uint64_t first, uint64_t last, size_t bytes)
{
	struct seen seen = { .bytes = bytes };

	cr_assert_eq(spool_walk(s, after, look, &seen), 0);
	cr_assert_eq(seen.nr, first == 0 ? 0 : last - first + 1, "%lu to %lu: %lu", seen.first, seen.last, seen.nr);
	cr_assert(first == 0 || (seen.first == first && seen.last == last), "%lu to %lu", seen.first, seen.last);
}

Test(spool, what_is_not_forgotten_is_there_when_it_is_opened_again)
{
	struct spool *s = opened();

	expect(s, 0, 0, 0, 0);
	for (uint64_t n = 1; n <= 5; n++)
		cr_assert_eq(put(s, n, 40), 0);
	expect(s, 0, 1, 5, 40);
	expect(s, 3, 4, 5, 40);
	expect(s, UINT64_MAX, 0, 0, 0);
	spool_forget(s, 2);
	expect(s, 0, 3, 5, 40);
	spool_close(s);
	s = opened();
	expect(s, 2, 3, 5, 40);
	cr_assert_eq(spool_cut_bytes(s), 0);
	cr_assert_eq(put(s, 6, 40), 0);
	expect(s, 2, 3, 6, 40);
	spool_forget(s, 6);
	expect(s, 0, 0, 0, 0);
	cr_assert_eq(put(s, 7, 40), 0);
	expect(s, 0, 7, 7, 40);
	spool_close(s);
	s = opened();
	expect(s, 0, 7, 7, 40);
	spool_forget(s, 1000);		/* more than there is */
	cr_assert_eq(put(s, 8, 40), 0);
	spool_forget(s, 8);
	spool_close(s);
	cr_assert(access(path_of("run", 0), F_OK) < 0 && access(path_of("run", 1), F_OK) < 0, "an empty spool is left behind");
}

Test(spool, a_torn_end_is_cut_off_wherever_it_is_torn)
{
	struct spool *s = opened();
	off_t whole[4];
	char *all;
	size_t bytes;

	whole[0] = 24;
	for (uint64_t n = 1; n <= 3; n++) {
		struct stat st;

		cr_assert_eq(put(s, n, 30), 0);
		cr_assert_eq(stat(path_of("run", 0), &st), 0);
		whole[n] = st.st_size;
	}
	spool_close(s);
	cr_assert_eq(file_read(path_of("run", 0), 1 << 20, &all, &bytes, NULL), 0);
	for (off_t torn = 0; torn <= whole[3]; torn++) {
		uint64_t there = torn < whole[1] ? 0 : torn < whole[2] ? 1 : torn < whole[3] ? 2 : 3;

		write_file(all, (size_t)torn);
		s = opened();
		expect(s, 0, there > 0, there, 30);
		cr_assert_eq(spool_cut_bytes(s), (uint64_t)(torn < 24 ? torn : torn - whole[there]), "torn at %ld", (long)torn);
		cr_assert_eq(put(s, there + 1, 30), 0);
		expect(s, 0, 1, there + 1, 30);
		spool_close(s);
	}
	free(all);
}

Test(spool, a_byte_that_changed_is_never_believed)
{
	struct spool *s = opened();
	char *all;
	size_t bytes;

	for (uint64_t n = 1; n <= 3; n++)
		cr_assert_eq(put(s, n, 30), 0);
	spool_close(s);
	cr_assert_eq(file_read(path_of("run", 0), 1 << 20, &all, &bytes, NULL), 0);
	for (size_t at = 0; at < bytes; at++) {
		struct seen seen = { .bytes = 30 };
		struct err err = ERR_INIT;

		all[at] ^= 0x40;
		write_file(all, bytes);
		all[at] ^= 0x40;
		if (at < 20) {		/* the head: the numbers that do not count are not known */
			cr_assert_eq(spool_open(dir, "run", &s, &err), -EBADMSG);
			cr_assert_not_null(strstr(err.text, path_of("run", 0)), "%s", err.text);
			continue;
		}
		s = opened();
		cr_assert_eq(spool_walk(s, 0, look, &seen), 0);
		cr_assert_eq(seen.nr, at < 24 ? 3 : (at - 24) / (16 + 30), "%zu: %lu", at, seen.nr);
		spool_close(s);
	}
	free(all);
}

/* Ten times as much as there is room for, in a run of many hours whose coordinator is never far behind. */
Test(spool, a_long_run_has_room_while_its_coordinator_keeps_up)
{
	enum { BYTES = 1 << 16, NR = 10 * (SPOOL_BYTES_MAX / BYTES), BEHIND = 3 };
	struct spool *s = opened();
	struct stat st;

	for (uint64_t n = 1; n <= NR; n++) {
		cr_assert_eq(put(s, n, BYTES), 0);
		if (n > BEHIND)
			spool_forget(s, n - BEHIND);
	}
	expect(s, 0, NR - BEHIND + 1, NR, BYTES);
	for (int half = 0; half < 2; half++) {
		cr_assert_eq(stat(path_of("run", half), &st), 0);
		cr_assert_lt(st.st_size, 2 << 20);
	}
	spool_close(s);
	s = opened();
	expect(s, NR - BEHIND, NR - BEHIND + 1, NR, BYTES);
	spool_close(s);
}

Test(spool, what_has_no_room_leaves_a_gap_in_the_numbers)
{
	enum { BYTES = 1 << 20 };
	struct spool *s = opened();
	uint64_t n = 1, kept;

	while (put(s, n, BYTES) == 0)
		n++;
	kept = n - 1;
	cr_assert_geq(kept * BYTES, SPOOL_BYTES_MAX / 2 - 2 * BYTES);
	expect(s, 0, 1, kept, BYTES);
	cr_assert_eq(put(s, n + 1, BYTES), -ENOSPC);
	spool_forget(s, kept);
	cr_assert_eq(put(s, n + 2, BYTES), 0);
	expect(s, 0, n + 2, n + 2, BYTES);
	spool_close(s);
}

Test(spool, a_full_disk_costs_what_does_not_fit)
{
	const struct rlimit large = { RLIM_INFINITY, RLIM_INFINITY };
	struct spool *s = opened();
	uint64_t n = 1;

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, large.rlim_max }), 0);
	while (put(s, n, 1000) == 0)
		n++;
	cr_assert_eq(n, 5);
	cr_assert_eq(put(s, 6, 1000), -EFBIG);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
	cr_assert_eq(put(s, 7, 1000), 0);
	spool_close(s);
	s = opened();
	cr_assert_eq(spool_cut_bytes(s), 0);
	cr_assert_eq(put(s, 8, 1000), 0);
	spool_close(s);
}

/* Killed while it writes as fast as it can: all that spool_put() has returned for is there. */
Test(spool, a_process_that_is_killed_has_put_in_what_it_said)
{
	for (int turn = 0; turn < 10; turn++) {
		uint64_t said = 0, got;
		struct seen seen = { .bytes = 500 };
		struct spool *s;
		int fd[2];
		pid_t child;

		cr_assert_eq(pipe(fd), 0);
		child = fork();
		if (child == 0) {
			char text[501];

			if (spool_open(dir, "run", &s, NULL) < 0)
				_exit(1);
			for (uint64_t n = 1;; n++) {
				message_of(n, 500, text);
				if (spool_put(s, text, 500, &got) < 0 || write(fd[1], &n, sizeof n) != sizeof n)
					_exit(1);
			}
		}
		close(fd[1]);
		while (said < 50 && read(fd[0], &got, sizeof got) == sizeof got)
			said = got;
		cr_assert_eq(kill(child, SIGKILL), 0);
		while (read(fd[0], &got, sizeof got) == sizeof got)
			said = got;
		(void)waitpid(child, NULL, 0);
		close(fd[0]);
		s = opened();
		cr_assert_eq(spool_walk(s, 0, look, &seen), 0);
		cr_assert_geq(seen.nr, said);
		cr_assert_eq(seen.first, 1);
		spool_forget(s, UINT64_MAX);
		spool_close(s);
	}
}

Test(spool, of_many_runs_that_nobody_collects_the_oldest_go)
{
	char run[32];
	struct spool *s;

	for (int i = 0; i < SPOOL_RUNS_MAX + 3; i++) {
		struct timespec at[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };

		(void)snprintf(run, sizeof run, "run-%02d", i);
		cr_assert_eq(spool_open(dir, run, &s, NULL), 0);
		cr_assert_eq(put(s, 1, 40), 0);
		spool_close(s);
		for (int half = 0; half < 2; half++)
			cr_assert_eq(utimensat(AT_FDCWD, path_of(run, half), at, 0), 0);
	}
	for (int i = 0; i < SPOOL_RUNS_MAX + 3; i++) {
		(void)snprintf(run, sizeof run, "run-%02d", i);
		cr_assert_eq(spool_find(dir, run, &s, NULL), i < 3 ? -ENOENT : 0, "%s", run);
		if (i >= 3)
			spool_close(s);
		cr_assert_eq(access(path_of(run, 1), F_OK), i < 3 ? -1 : 0);
	}
}

Test(spool, a_name_that_is_none_and_a_spool_that_another_has_are_refused)
{
	static const char *const wrong[] = { "", ".", "..", "../x", "a/b", "a b", ".hidden" };
	struct err err = ERR_INIT;
	struct spool *s = opened(), *other;

	cr_assert_eq(spool_open(dir, "run", &other, &err), -EBUSY);
	cr_assert_not_null(strstr(err.text, "another agent has it"));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		cr_assert_eq(spool_open(dir, wrong[i], &other, NULL), -EINVAL, "%s", wrong[i]);
	cr_assert_eq(spool_find(dir, "never", &other, NULL), -ENOENT);
	spool_close(s);
}
