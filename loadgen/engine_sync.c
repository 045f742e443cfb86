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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataset.h"
#include "engine.h"
#include "engines.h"
#include "err.h"
#include "files.h"
#include "scratch.h"

struct sync {
	struct files files;
	_Atomic int *kept;		/* descriptor + 1 of pread's files; 0 = not open yet */
	size_t kept_nr;
};

static _Thread_local int opened = -1;	/* of the page that this thread does: from open_only to close */

static void sync_close(void *ctx)
{
	struct sync *s = ctx;

	if (!s)
		return;
	for (size_t i = 0; s->kept && i < s->kept_nr; i++)
		if (atomic_load(&s->kept[i]) > 0)
			close(atomic_load(&s->kept[i]) - 1);
	files_release(&s->files);
	free(s->kept);
	free(s);
}

static int sync_open(const struct engine_env *env, void **ret_ctx, struct err *err)
{
	struct sync *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return err_set(err, -ENOMEM, "sync: no memory");
	rc = files_open(&s->files, env, err);
	if (rc < 0)
		goto out;
	rc = scratch_prepare(s->files.root, &env->manifest->spec, env->host, env->job, err);
	if (rc < 0)
		goto out;
	s->kept_nr = files_keep_max(&s->files);
	s->kept = calloc(s->kept_nr, sizeof *s->kept);
	if (!s->kept) {
		rc = err_set(err, -ENOMEM, "sync: no memory for the descriptors of %zu files", s->kept_nr);
		goto out;
	}
	*ret_ctx = s;
	s = NULL;
out:
	sync_close(s);
	return rc;
}

/* One pread(2), checked. @param ret_rest  there is more of what was wanted; may be NULL */
static int64_t pread_part(const struct files *f, int fd, size_t idx, uint64_t offset, char *buffer, uint64_t wanted, bool *ret_rest)
{
	ssize_t n = pread(fd, buffer, wanted, (off_t)offset);
	int64_t bytes = n < 0 ? -errno : n;
	bool rest = files_is_part(f, idx, offset, bytes, wanted);

	if (ret_rest)
		*ret_rest = rest;
	return files_check(f, idx, offset, buffer, bytes, rest ? (uint64_t)bytes : wanted);
}

static int open_file(const struct sync *s, size_t idx)
{
	int fd = openat(s->files.root, files_path(&s->files, idx), O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* @param rc  what was done before with the file. @return that, or why the close failed */
static int64_t close_file(int fd, int64_t rc)
{
	return close(fd) < 0 && rc >= 0 ? -errno : rc;
}

static int64_t read_all(const struct sync *s, int fd, char *buffer, size_t buffer_bytes, size_t idx)
{
	uint64_t size = s->files.size_bytes[idx], done = 0;
	int64_t rc;

	do {
		uint64_t left = size - done, wanted = left < buffer_bytes ? left : buffer_bytes;

		rc = pread_part(&s->files, fd, idx, done, buffer, wanted, NULL);
		done += rc > 0 ? (uint64_t)rc : 0;
	} while (rc > 0 && done < size);
	return rc < 0 ? rc : (int64_t)done;
}

static int64_t read_first(const struct sync *s, int fd, char *buffer, size_t idx)
{
	ssize_t n = pread(fd, buffer, 1, 0);

	return files_check(&s->files, idx, 0, buffer, n < 0 ? -errno : n, 1);
}

static int64_t op_read(const struct sync *s, char *buffer, size_t buffer_bytes, size_t idx)
{
	int fd = open_file(s, idx);

	return fd < 0 ? fd : close_file(fd, read_all(s, fd, buffer, buffer_bytes, idx));
}

/* Two threads may open the same file at once; the later one closes its own. */
static int kept_open(const struct sync *s, size_t idx)
{
	int expected = 0, fd = atomic_load_explicit(&s->kept[idx], memory_order_acquire) - 1;

	if (fd >= 0)
		return fd;
	fd = open_file(s, idx);
	if (fd < 0)
		return fd;
	if (!atomic_compare_exchange_strong(&s->kept[idx], &expected, fd + 1)) {
		close(fd);
		fd = expected - 1;
	}
	return fd;
}

static int64_t op_pread(const struct sync *s, char *buffer, size_t buffer_bytes, size_t idx, const struct op *op)
{
	uint64_t offset, done = 0, bytes = op->bytes ? op->bytes : PREAD_BYTES;
	bool rest;
	int64_t n;
	int fd;

	idx %= s->kept_nr;
	fd = kept_open(s, idx);
	if (fd < 0)
		return fd;
	bytes = bytes < buffer_bytes ? bytes : buffer_bytes;
	offset = files_pread_offset(&s->files, idx, op->draw);
	do {
		n = pread_part(&s->files, fd, idx, offset + done, buffer, bytes - done, &rest);
		done += n > 0 ? (uint64_t)n : 0;
	} while (n > 0 && rest);
	return n < 0 ? n : (int64_t)done;
}

static int64_t op_open(const struct sync *s, size_t idx)
{
	int fd = open_file(s, idx);

	return fd < 0 ? fd : close_file(fd, 0);
}

static int64_t op_first_byte(const struct sync *s, char *buffer, size_t idx)
{
	int fd = open_file(s, idx);

	return fd < 0 ? fd : close_file(fd, read_first(s, fd, buffer, idx));
}

/* One that a page left open when an op of it failed is closed first. */
static int64_t op_open_only(const struct sync *s, size_t idx)
{
	if (opened >= 0)
		close(opened);
	opened = open_file(s, idx);
	return opened < 0 ? opened : 0;
}

static int64_t op_close(void)
{
	int fd = opened;

	opened = -1;
	return close_file(fd, 0);
}

static int64_t op_access(const struct sync *s, size_t idx)
{
	return faccessat(s->files.root, files_path(&s->files, idx), R_OK, 0) < 0 ? -errno : 0;
}

static int64_t op_statfs(const struct sync *s)
{
	struct statfs st;

	return fstatfs(s->files.root, &st) < 0 ? -errno : 0;
}

static int64_t op_stat(const struct sync *s, size_t idx)
{
	struct stat st;

	return fstatat(s->files.root, files_path(&s->files, idx), &st, 0) < 0 ? -errno : 0;
}

static int64_t op_stat_miss(const struct sync *s, size_t idx, uint64_t draw)
{
	char path[FILES_PATH_BYTES];
	struct stat st;

	files_miss_path(&s->files, idx, draw, path);
	if (fstatat(s->files.root, path, &st, 0) == 0)
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

	(void)files_folder(&s->files, idx, path);
	fd = openat(s->files.root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
	char path[DATASET_PATH_BYTES], line[FILES_LINE_BYTES];
	ssize_t written;
	int64_t rc = 0;
	int fd, n;

	dataset_log_path(site, s->files.host, path);
	n = files_log_line(draw, line);
	fd = dataset_openat(s->files.root, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return fd;
	written = write(fd, line, (size_t)n);
	if (written < 0)
		rc = -errno;
	else if (written < n)
		rc = -EIO;
	else if (fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc < 0 ? rc : n;
}

static int64_t sync_run(void *ctx, char *buffer, size_t buffer_bytes, const struct op *op)
{
	const struct sync *s = ctx;
	size_t idx = files_idx(&s->files, op);

	switch (op->kind) {
	case OP_READ:
		return op_read(s, buffer, buffer_bytes, idx);
	case OP_PREAD:
		return op_pread(s, buffer, buffer_bytes, idx, op);
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
	case OP_OPEN_ONLY:
		return op_open_only(s, idx);
	case OP_READ_FIRST:
		return read_first(s, opened, buffer, idx);
	case OP_READ_ALL:
		return read_all(s, opened, buffer, buffer_bytes, idx);
	case OP_CLOSE:
		return op_close();
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
		return scratch_run(s->files.root, s->files.host, buffer, op);
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
