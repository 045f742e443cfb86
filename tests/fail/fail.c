/* SPDX-License-Identifier: MIT */
/*
 * fail.c - see fail.h. The linker's --wrap sends here what squall itself calls (FAIL_WRAP in the Makefile); jansson and SQLite are asked to
 * take their memory, and SQLite its files, through the same functions. libyaml and libc keep their own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "file.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#define TRIES_MAX 20000
#define ERRORS_MAX 16

static struct {
	bool json_reads;	/* jansson reads a text */
	bool on, all;		/* all: every call after the n-th fails too, as on a disk that is full */
	unsigned long n, at;	/* the n-th call is to fail; calls so far */
	const char *call;	/* the first that did */
	int error[ERRORS_MAX];	/* of all that did */
	unsigned int errors_nr;
	const struct act *act;
} state;

static char work_dir[] = "/tmp/squall-fail-XXXXXX";

static void remove_dir(void)
{
	struct err err = ERR_INIT;

	if (chdir("/") < 0 || file_remove_tree(work_dir, &err) < 0)
		fprintf(stderr, "%s is left: %s\n", work_dir, err.text);
}

_Noreturn void fail_because(const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;

	state.on = false;
	fprintf(stderr, "%s:%d: not true: %s: %s, call %lu (%s fails%s): ", file, line, what, state.act->name, state.n, state.call ? state.call : "none",
		state.all ? ", and all after it" : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	remove_dir();
	_Exit(1);
}

static bool fails(const char *call, int error)
{
	if (!state.on || (++state.at != state.n && !(state.all && state.at > state.n)))
		return false;
	if (!state.call)
		state.call = call;
	if (state.errors_nr < ERRORS_MAX)
		state.error[state.errors_nr++] = error;
	errno = error;
	return true;
}

static bool is_told(int rc)
{
	for (unsigned int i = 0; i < state.errors_nr; i++)
		if (rc == -state.error[i])
			return true;
	return rc == 0 || rc == -state.act->also[0] || rc == -state.act->also[1] || rc == -state.act->also[2];
}

#define WRAP(type, name, error, failed, declared, passed)   \
	type __real_##name declared;                        \
	type __wrap_##name declared;                        \
	type __wrap_##name declared                         \
	{                                                   \
		if (fails(#name, error))                    \
			return failed;                      \
		return __real_##name passed;                \
	}

WRAP(void *, malloc, ENOMEM, NULL, (size_t bytes), (bytes))
WRAP(void *, calloc, ENOMEM, NULL, (size_t nr, size_t bytes), (nr, bytes))
WRAP(void *, realloc, ENOMEM, NULL, (void *old, size_t bytes), (old, bytes))
WRAP(char *, strdup, ENOMEM, NULL, (const char *text), (text))
WRAP(char *, strndup, ENOMEM, NULL, (const char *text, size_t bytes), (text, bytes))
WRAP(FILE *, open_memstream, ENOMEM, NULL, (char **text, size_t *bytes), (text, bytes))
WRAP(ssize_t, read, EIO, -1, (int fd, void *to, size_t bytes), (fd, to, bytes))
WRAP(ssize_t, write, ENOSPC, -1, (int fd, const void *from, size_t bytes), (fd, from, bytes))
WRAP(int, fsync, EIO, -1, (int fd), (fd))
WRAP(int, rename, EXDEV, -1, (const char *from, const char *to), (from, to))
WRAP(int, renameat, EXDEV, -1, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to))
WRAP(int, mkdir, ENOSPC, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, unlink, EROFS, -1, (const char *path), (path))
WRAP(int, scandir, ENOMEM, -1,
     (const char *path, struct dirent ***names, int (*keep)(const struct dirent *), int (*order)(const struct dirent **, const struct dirent **)),
     (path, names, keep, order))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return fails("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return fails("openat", EMFILE) ? -1 : __real_openat(dir, path, flags, mode);
}

/* While it reads a text jansson 2.14 does not survive that its own memory is out: then it gets what it asks for. */
static void *json_malloc(size_t bytes)
{
	return state.json_reads ? __real_malloc(bytes) : __wrap_malloc(bytes);
}

json_t *__real_json_loads(const char *text, size_t flags, json_error_t *why);
json_t *__wrap_json_loads(const char *text, size_t flags, json_error_t *why);
json_t *__wrap_json_loads(const char *text, size_t flags, json_error_t *why)
{
	json_t *json;

	state.json_reads = true;
	json = __real_json_loads(text, flags, why);
	state.json_reads = false;
	return json;
}

json_t *__real_json_loadb(const char *text, size_t bytes, size_t flags, json_error_t *why);
json_t *__wrap_json_loadb(const char *text, size_t bytes, size_t flags, json_error_t *why);
json_t *__wrap_json_loadb(const char *text, size_t bytes, size_t flags, json_error_t *why)
{
	json_t *json;

	state.json_reads = true;
	json = __real_json_loadb(text, bytes, flags, why);
	state.json_reads = false;
	return json;
}

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc(int bytes)
{
	return fails("malloc of SQLite", ENOMEM) ? NULL : sqlite_memory.xMalloc(bytes);
}

static void *sqlite_realloc(void *old, int bytes)
{
	return fails("realloc of SQLite", ENOMEM) ? NULL : sqlite_memory.xRealloc(old, bytes);
}

static int sqlite_open(const char *path, int flags, int mode)
{
	return fails("open of SQLite", EMFILE) ? -1 : __real_open(path, flags, mode);
}

static ssize_t sqlite_pwrite(int fd, const void *from, size_t bytes, off_t offset)
{
	return fails("pwrite of SQLite", ENOSPC) ? -1 : pwrite(fd, from, bytes, offset);
}

static void wrap_libraries(void)
{
	sqlite3_mem_methods mine;
	sqlite3_vfs *vfs;

	json_set_alloc_funcs(json_malloc, free);
	CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) == SQLITE_OK, "SQLite");
	mine = sqlite_memory;
	mine.xMalloc = sqlite_malloc;
	mine.xRealloc = sqlite_realloc;
	CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK && sqlite3_initialize() == SQLITE_OK, "SQLite");
	vfs = sqlite3_vfs_find(NULL);
	CHECK(vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)sqlite_open) == SQLITE_OK, "SQLite");
	(void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)sqlite_pwrite);
	(void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)sqlite_pwrite);
}

static unsigned int entries_of(const char *path)
{
	DIR *d = opendir(path);
	unsigned int nr = 0;

	CHECK(d, "%s: %m", path);
	while (readdir(d))
		nr++;
	closedir(d);
	return nr;
}

/* @return whether a call was made to fail: with too great an n none is. */
static bool try_one(const struct act *act, unsigned long n, bool all)
{
	struct err err = ERR_INIT;
	unsigned int open_before;
	int rc;

	state.act = act;
	state.call = NULL;
	state.errors_nr = 0;
	state.n = n;
	state.at = 0;
	state.all = all;
	CHECK(file_remove_tree("w", &err) == 0 && mkdir("w", 0755) == 0 && chdir("w") == 0, "%s", err.text);
	if (act->prepare)
		act->prepare();
	open_before = entries_of("/proc/self/fd");
	state.on = true;
	rc = act->run(&err);
	state.on = false;
	CHECK(entries_of("/proc/self/fd") == open_before, "%u descriptors were open before it, and %u are now", open_before, entries_of("/proc/self/fd"));
	CHECK(rc == 0 || state.call, "it fails by itself: %s", err.text);
	CHECK(is_told(rc), "it says %s (%s), and not %s", strerror(-rc), err.text, strerror(state.error[0]));
	CHECK(rc == 0 || err.text[0] != '\0', "it fails without a sentence");
	if (act->look)
		act->look(rc);
	CHECK(chdir("..") == 0, "%m");
	return state.call;
}

static void check_leaks(void)
{
#if defined(__SANITIZE_ADDRESS__)
	CHECK(__lsan_do_recoverable_leak_check() == 0, "it leaks: see above");
#endif
}

int main(int argc, char **argv)
{
	state.act = &acts[0];
	CHECK(mkdtemp(work_dir) && chdir(work_dir) == 0 && setenv("SQUALL_STATE", work_dir, 1) == 0, "%m");
	wrap_libraries();
	for (const struct act *a = acts; a->name; a++) {
		unsigned long tried[2] = { 0, 0 };

		if (argc > 1 && strcmp(argv[1], a->name) != 0)
			continue;
		for (int all = 0; all < 2; all++)
			while (try_one(a, tried[all] + 1, all))
				CHECK(++tried[all] < TRIES_MAX, "it does not come to an end");
		check_leaks();
		printf("%-24s %lu calls fail alone, %lu with all after them\n", a->name, tried[0], tried[1]);
	}
	remove_dir();
	return 0;
}
