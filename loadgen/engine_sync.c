/* SPDX-License-Identifier: MIT */
/*
 * engine_sync.c - plain system calls, one op at a time per thread.
 *
 * Paths are made before the start and opened below a descriptor of the dataset's root: the path of an op that only reads
 * is not formatted when it is due, but for a missing name.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "dataset.h"
#include "engine.h"
#include "engines.h"
#include "err.h"
#include "scratch.h"

#define PREAD_BYTES 4096u
#define KEPT_OPEN_MAX 65536u	/* files that pread keeps open */
#define FD_RESERVE 8192u	/* descriptors left for everything else: a slot holds at most one */

struct sync {
	int root;
	uint32_t files_per_site;
	size_t files_nr, stride;
	char *path;			/* files_nr paths of `stride` bytes */
	const uint64_t *size_bytes;	/* the manifest's */
	_Atomic int *kept;		/* descriptor + 1 of pread's files; 0 = not open yet */
	size_t kept_nr;
	const char *host;
};

static const char *path_of(const struct sync *s, size_t idx)
{
	return s->path + idx * s->stride;
}

static size_t raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= KEPT_OPEN_MAX + FD_RESERVE)
		return KEPT_OPEN_MAX;
	return limit.rlim_cur > 2 * FD_RESERVE ? (size_t)limit.rlim_cur - FD_RESERVE : (size_t)limit.rlim_cur / 4 + 1;
}

static void sync_close(void *ctx)
{
	struct sync *s = ctx;

	if (!s)
		return;
	for (size_t i = 0; s->kept && i < s->kept_nr; i++)
		if (atomic_load(&s->kept[i]) > 0)
			close(atomic_load(&s->kept[i]) - 1);
	if (s->root >= 0)
		close(s->root);
	free(s->path);
	free(s->kept);
	free(s);
}

static int sync_open(const struct engine_env *env, void **ret_ctx, struct err *err)
{
	const struct dataset_spec *spec = &env->manifest->spec;
	struct sync *s = calloc(1, sizeof *s);
	char path[DATASET_PATH_BYTES];
	int rc = 0;

	if (!s)
		return err_set(err, -ENOMEM, "sync: no memory");
	s->root = open(env->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0) {
		rc = -errno;
		(void)err_set(err, rc, "%s: %s", env->dir, strerror(-rc));
		goto out;
	}
	dataset_file_path(spec, spec->sites - 1, spec->files_per_site - 1, path);
	s->stride = strlen(path) + 1;		/* the longest: numbers only grow */
	s->files_per_site = spec->files_per_site;
	s->files_nr = (size_t)spec->sites * spec->files_per_site;
	s->size_bytes = env->manifest->size_bytes;
	s->host = env->host;
	rc = scratch_prepare(s->root, spec, env->host, env->job, err);
	if (rc < 0)
		goto out;
	s->kept_nr = raise_descriptors();
	if (s->kept_nr > s->files_nr)
		s->kept_nr = s->files_nr;
	s->path = malloc(s->files_nr * s->stride);
	s->kept = calloc(s->kept_nr, sizeof *s->kept);
	if (!s->path || !s->kept) {
		rc = err_set(err, -ENOMEM, "sync: no memory for the paths of %zu files", s->files_nr);
		goto out;
	}
	for (size_t i = 0; i < s->files_nr; i++) {
		dataset_file_path(spec, (uint32_t)(i / spec->files_per_site), (uint32_t)(i % spec->files_per_site), path);
		memcpy(s->path + i * s->stride, path, strlen(path) + 1);
	}
	*ret_ctx = s;
	s = NULL;
out:
	sync_close(s);
	return rc;
}

static int64_t op_read(const struct sync *s, char *buffer, size_t buffer_bytes, size_t idx)
{
	uint64_t size = s->size_bytes[idx], done = 0;
	int fd = openat(s->root, path_of(s, idx), O_RDONLY | O_CLOEXEC);
	int64_t rc;

	if (fd < 0)
		return -errno;
	do {
		uint64_t left = size - done;
		ssize_t n = pread(fd, buffer, left < buffer_bytes ? (size_t)left : buffer_bytes, (off_t)done);

		rc = n < 0 ? -errno : n;
		if (rc == 0 && left > 0)
			rc = -ENODATA;	/* shorter than the manifest says */
		done += rc > 0 ? (uint64_t)rc : 0;
	} while (rc > 0 && done < size);
	if (close(fd) < 0 && rc >= 0)
		rc = -errno;
	return rc < 0 ? rc : (int64_t)done;
}

/* Two threads may open the same file at once; the later one closes its own. */
static int kept_open(const struct sync *s, size_t idx)
{
	int expected = 0, fd = atomic_load_explicit(&s->kept[idx], memory_order_acquire) - 1;

	if (fd >= 0)
		return fd;
	fd = openat(s->root, path_of(s, idx), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!atomic_compare_exchange_strong(&s->kept[idx], &expected, fd + 1)) {
		close(fd);
		fd = expected - 1;
	}
	return fd;
}

static int64_t op_pread(const struct sync *s, char *buffer, size_t idx, uint64_t draw)
{
	uint64_t blocks;
	ssize_t n;
	int fd;

	idx %= s->kept_nr;
	fd = kept_open(s, idx);
	if (fd < 0)
		return fd;
	blocks = (s->size_bytes[idx] + PREAD_BYTES - 1) / PREAD_BYTES;
	n = pread(fd, buffer, PREAD_BYTES, (off_t)(blocks ? draw % blocks * PREAD_BYTES : 0));
	if (n < 0)
		return -errno;
	return n == 0 && blocks > 0 ? -ENODATA : n;
}

static int64_t op_open(const struct sync *s, size_t idx)
{
	int fd = openat(s->root, path_of(s, idx), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return close(fd) < 0 ? -errno : 0;
}

static int64_t op_first_byte(const struct sync *s, char *buffer, size_t idx)
{
	int fd = openat(s->root, path_of(s, idx), O_RDONLY | O_CLOEXEC);
	int64_t rc;

	if (fd < 0)
		return -errno;
	rc = pread(fd, buffer, 1, 0);
	if (rc < 0)
		rc = -errno;
	else if (rc == 0 && s->size_bytes[idx] > 0)
		rc = -ENODATA;
	if (close(fd) < 0 && rc >= 0)
		rc = -errno;
	return rc;
}

static int64_t op_access(const struct sync *s, size_t idx)
{
	return faccessat(s->root, path_of(s, idx), R_OK, 0) < 0 ? -errno : 0;
}

static int64_t op_statfs(const struct sync *s)
{
	struct statfs st;

	return fstatfs(s->root, &st) < 0 ? -errno : 0;
}

static int64_t op_stat(const struct sync *s, size_t idx)
{
	struct stat st;

	return fstatat(s->root, path_of(s, idx), &st, 0) < 0 ? -errno : 0;
}

static size_t folder_of(const struct sync *s, size_t idx, char *out)
{
	const char *path = path_of(s, idx);
	size_t bytes = (size_t)(strrchr(path, '/') - path);

	memcpy(out, path, bytes);
	out[bytes] = '\0';
	return bytes;
}

static int64_t op_stat_miss(const struct sync *s, size_t idx, uint64_t draw)
{
	static const char digits[] = "0123456789abcdef";
	char path[DATASET_PATH_BYTES + 32];
	size_t n = folder_of(s, idx, path);
	struct stat st;

	memcpy(path + n, "/miss-", 6);
	n += 6;
	for (unsigned int i = 0; i < 16; i++)
		path[n++] = digits[(draw >> (60 - 4 * i)) & 15];
	path[n] = '\0';
	if (fstatat(s->root, path, &st, 0) == 0)
		return -EEXIST;
	return errno == ENOENT ? 0 : -errno;
}

/* The entries of one getdents64(2). */
static int stat_entries(int fd, const char *buffer, int64_t bytes)
{
	struct stat st;

	for (int64_t at = 0; at < bytes;) {
		const struct dirent64 *entry = (const void *)(buffer + at);
		const char *name = entry->d_name;

		at += entry->d_reclen;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	}
	return 0;
}

static int64_t op_readdir(const struct sync *s, char *buffer, size_t buffer_bytes, size_t idx, bool with_stat)
{
	char path[DATASET_PATH_BYTES];
	int64_t rc, done = 0;
	int fd;

	(void)folder_of(s, idx, path);
	fd = openat(s->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		rc = syscall(SYS_getdents64, fd, buffer, buffer_bytes < 65536 ? buffer_bytes : 65536);
		if (rc < 0)
			rc = -errno;
		else
			done += rc;
		if (rc > 0 && with_stat) {
			int bad = stat_entries(fd, buffer, rc);

			rc = bad < 0 ? bad : rc;
		}
	} while (rc > 0);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc < 0 ? rc : done;
}

static int64_t op_append_fsync(const struct sync *s, uint32_t site, uint64_t draw)
{
	char path[DATASET_PATH_BYTES], line[96];
	int64_t rc = 0;
	int fd, n;

	dataset_log_path(site, s->host, path);
	n = snprintf(line, sizeof line, "%llu %016llx GET / 200\n", (unsigned long long)clock_mono_ns(), (unsigned long long)draw);
	fd = openat(s->root, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, line, (size_t)n) < 0 || fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc < 0 ? rc : n;
}

static int64_t sync_run(void *ctx, char *buffer, size_t buffer_bytes, const struct op *op)
{
	const struct sync *s = ctx;
	size_t idx = (size_t)op->site * s->files_per_site + op->file;

	switch (op->kind) {
	case OP_READ:
		return op_read(s, buffer, buffer_bytes, idx);
	case OP_PREAD:
		return op_pread(s, buffer, idx, op->draw);
	case OP_OPEN:
		return op_open(s, idx);
	case OP_STAT:
		return op_stat(s, idx);
	case OP_STAT_MISS:
		return op_stat_miss(s, idx, op->draw);
	case OP_READDIR:
		return op_readdir(s, buffer, buffer_bytes, idx, false);
	case OP_READDIR_STAT:
		return op_readdir(s, buffer, buffer_bytes, idx, true);
	case OP_FIRST_BYTE:
		return op_first_byte(s, buffer, idx);
	case OP_ACCESS:
		return op_access(s, idx);
	case OP_STATFS:
		return op_statfs(s);
	case OP_APPEND_FSYNC:
		return op_append_fsync(s, op->site, op->draw);
	case OP_READLINK:
	case OP_CHMOD:
	case OP_WRITE:
	case OP_WRITE_FSYNC:
	case OP_LOCK:
	case OP_CREATE:
	case OP_RENAME:
	case OP_UNLINK:
		return scratch_run(s->root, s->host, buffer, op);
	case OP_NR:
		break;
	}
	return -ENOTSUP;
}

const struct engine engine_sync = {
	.name = "sync",
	.summary = "plain system calls, one op at a time per thread",
	.needs_dataset = true,
	.open = sync_open,
	.run = sync_run,
	.close = sync_close,
};
