/* SPDX-License-Identifier: MIT */
/*
 * scratch.c - see scratch.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset.h"
#include "err.h"
#include "file.h"
#include "scratch.h"

bool scratch_has(enum op_kind kind)
{
	return kind >= OP_READLINK && kind <= OP_UNLINK;
}

static void own_path(uint32_t site, const char *host, const char *name, char *out)
{
	(void)snprintf(out, DATASET_PATH_BYTES, "s%04u/scratch/on-%s%s%s", site, host, name[0] ? "/" : "", name);
}

static void lock_path(uint32_t site, char *out)
{
	(void)snprintf(out, DATASET_PATH_BYTES, "s%04u/scratch/lock", site);
}

static void created_path(const struct op *op, const char *host, char *out)
{
	char name[32];

	(void)snprintf(name, sizeof name, "t-%016llx", (unsigned long long)op->key);
	own_path(op->site, host, name, out);
}

void scratch_kept_path(const struct op *op, const char *host, char *out)
{
	char name[32];

	(void)snprintf(name, sizeof name, "keep-%02u", (unsigned int)(op->draw % SCRATCH_KEEP_NR));
	own_path(op->site, host, name, out);
}

void op_path(const struct dataset_spec *spec, const char *host, const struct op *op, char *out)
{
	size_t n;

	switch (op->kind) {
	case OP_READ:
	case OP_PREAD:
	case OP_OPEN:
	case OP_STAT:
	case OP_FIRST_BYTE:
	case OP_ACCESS:
	case OP_OPEN_ONLY:
	case OP_READ_FIRST:
	case OP_READ_ALL:
	case OP_CLOSE:
	case OP_NR:
		dataset_file_path(spec, op->site, op->file, out);
		return;
	case OP_READDIR:
	case OP_READDIR_STAT:
	case OP_STAT_MISS:
		dataset_folder_path(spec, op->site, op->file, spec->depth, out);
		n = strlen(out);
		if (op->kind == OP_STAT_MISS)
			(void)snprintf(out + n, DATASET_PATH_BYTES - n, "/miss-%016llx", (unsigned long long)op->draw);
		return;
	case OP_APPEND_FSYNC:
		dataset_log_path(op->site, host, out);
		return;
	case OP_STATFS:
		memcpy(out, ".", 2);
		return;
	case OP_READLINK:
		own_path(op->site, host, "link", out);
		return;
	case OP_CHMOD:
	case OP_WRITE:
	case OP_WRITE_FSYNC:
		own_path(op->site, host, "data", out);
		return;
	case OP_LOCK:
		lock_path(op->site, out);
		return;
	case OP_CREATE:
	case OP_RENAME:
	case OP_UNLINK:
		created_path(op, host, out);
		return;
	}
}

static bool is_created(const char *name)
{
	return strncmp(name, "t-", 2) == 0 && strspn(name + 2, "0123456789abcdef") == 16 && name[18] == '\0';
}

static bool is_ours(const char *name)
{
	return is_created(name) || strcmp(name, "data") == 0 || strcmp(name, "link") == 0 ||
	       (strncmp(name, "keep-", 5) == 0 && strspn(name + 5, "0123456789") == 2 && name[7] == '\0');
}

/* A folder may forget entries while it is emptied under its reader (readdir(3)): hence again, until nothing is left to remove. */
static int empty_folder(int at, const char *path, bool (*goes)(const char *name))
{
	int fd = dataset_openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), rc = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool again = list;

	if (!list) {
		rc = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (again && rc == 0) {
		again = false;
		rewinddir(list);
		while (rc == 0 && (entry = readdir(list))) {
			if (!goes(entry->d_name))
				continue;
			if (unlinkat(fd, entry->d_name, 0) == 0)
				again = true;
			else if (errno != ENOENT)	/* a client of NFS may list for a while what is gone */
				rc = -errno;
		}
	}
	closedir(list);
	return rc;
}

static int make_link(int root, const char *path)
{
	const char *name;
	int folder = dataset_open_folder(root, path, &name), rc = 0;

	if (folder < 0)
		return folder;
	if (symlinkat(SCRATCH_LINK_TARGET, folder, name) < 0 && errno != EEXIST)
		rc = -errno;
	close(folder);
	return rc;
}

/* Full blocks, so that a write overwrites and never extends. */
static int make_data(int root, const char *path, size_t bytes)
{
	static const char zeros[SCRATCH_DATA_BYTES];
	int fd = dataset_openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), rc = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if ((size_t)st.st_size < bytes)
		rc = file_write_all(fd, zeros, bytes);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* One step of a site; `path` is what it was about, for the sentence. */
static int prepare_site(int root, uint32_t site, const char *host, const struct job *job, char *path)
{
	int rc;

	(void)snprintf(path, DATASET_PATH_BYTES, "s%04u/scratch", site);
	rc = dataset_mkdir(root, path);
	if (rc == 0) {
		own_path(site, host, "", path);
		rc = dataset_mkdir(root, path);
	}
	if (rc == 0 && job_has(job, OP_CREATE))
		rc = empty_folder(root, path, is_created);
	if (rc == 0 && (job_has(job, OP_WRITE) || job_has(job, OP_WRITE_FSYNC) || job_has(job, OP_CHMOD))) {
		own_path(site, host, "data", path);
		rc = make_data(root, path, SCRATCH_DATA_BYTES);
	}
	if (rc == 0 && job_has(job, OP_READLINK)) {
		own_path(site, host, "link", path);
		rc = make_link(root, path);
	}
	if (rc == 0 && job_has(job, OP_LOCK)) {
		lock_path(site, path);
		rc = make_data(root, path, 0);
	}
	return rc;
}

int scratch_prepare(int root, const struct dataset_spec *spec, const char *host, const struct job *job, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	bool needed = false;
	int rc = 0;

	for (int k = 0; k < OP_NR; k++)
		needed = needed || (scratch_has((enum op_kind)k) && job_has(job, (enum op_kind)k));
	for (uint32_t s = 0; needed && s < spec->sites && rc == 0; s++)
		rc = prepare_site(root, s, host, job, path);
	return rc < 0 ? err_set(err, rc, "job %s: %s: %s", job->name, path, strerror(-rc)) : 0;
}

static int64_t op_readlink(int root, const char *path)
{
	char target[32];
	ssize_t n = readlinkat(root, path, target, sizeof target);

	if (n < 0)
		return -errno;
	return (size_t)n == strlen(SCRATCH_LINK_TARGET) && memcmp(target, SCRATCH_LINK_TARGET, (size_t)n) == 0 ? n : -EBADMSG;
}

static int64_t op_write(int root, const char *path, char *buffer, const struct op *op)
{
	off_t offset = (off_t)(op->draw % (SCRATCH_DATA_BYTES / SCRATCH_BLOCK_BYTES) * SCRATCH_BLOCK_BYTES);
	int fd = dataset_openat(root, path, O_WRONLY | O_CLOEXEC, 0);
	int64_t rc = SCRATCH_BLOCK_BYTES;
	ssize_t n;

	if (fd < 0)
		return fd;
	memset(buffer, (int)(op->draw & 0xff), SCRATCH_BLOCK_BYTES);
	n = pwrite(fd, buffer, SCRATCH_BLOCK_BYTES, offset);
	if (n < 0)
		rc = -errno;
	else if (n < (ssize_t)SCRATCH_BLOCK_BYTES)
		rc = -EIO;
	if (rc > 0 && op->kind == OP_WRITE_FSYNC && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc > 0)	/* NFS writes here, and says ENOSPC here */
		rc = -errno;
	return rc;
}

/* A lock of the open file, not of the process: the threads of a worker exclude each other, too. Source: fcntl(2), F_OFD_SETLKW. */
static int64_t op_lock(int root, const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = dataset_openat(root, path, O_RDWR | O_CLOEXEC, 0);
	int64_t rc = 0;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLKW, &lock) < 0)
		rc = -errno;
	lock.l_type = F_UNLCK;
	if (rc == 0 && fcntl(fd, F_OFD_SETLK, &lock) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int64_t op_create(int root, const char *path)
{
	int fd = dataset_openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return fd;
	return close(fd) < 0 ? -errno : 0;
}

/* What is done to a name: by way of its folder, which is reached as dataset_openat() says. */
static int64_t op_on_name(int root, const char *path, const char *to, const struct op *op)
{
	const char *name, *to_name = to[0] ? strrchr(to, '/') + 1 : to;	/* in the same folder */
	int folder = dataset_open_folder(root, path, &name);
	int64_t rc = -ENOTSUP;

	if (folder < 0)
		return folder;
	if (op->kind == OP_READLINK)
		rc = op_readlink(folder, name);
	else if (op->kind == OP_CHMOD)
		rc = fchmodat(folder, name, op->draw & 1 ? 0644 : 0640, 0) < 0 ? -errno : 0;
	else if (op->kind == OP_UNLINK)
		rc = unlinkat(folder, name, 0) < 0 ? -errno : 0;
	else if (op->kind == OP_RENAME)
		rc = renameat(folder, name, folder, to_name) < 0 ? -errno : 0;
	close(folder);
	return rc;
}

int64_t scratch_run(int root, const char *host, char *buffer, const struct op *op)
{
	char path[DATASET_PATH_BYTES], to[DATASET_PATH_BYTES] = "";

	op_path(NULL, host, op, path);	/* of these ops no path depends on the spec */
	if (op->kind == OP_WRITE || op->kind == OP_WRITE_FSYNC)
		return op_write(root, path, buffer, op);
	if (op->kind == OP_LOCK)
		return op_lock(root, path);
	if (op->kind == OP_CREATE)
		return op_create(root, path);
	if (op->kind == OP_RENAME)
		scratch_kept_path(op, host, to);
	return op_on_name(root, path, to, op);
}

static bool is_host(const char *name)
{
	return strncmp(name, "on-", 3) == 0;
}

static void remove_hosts(int fd)
{
	int again = dup(fd);
	DIR *list = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;
	bool removed = list;

	while (removed) {
		removed = false;
		rewinddir(list);
		while ((entry = readdir(list))) {
			if (!is_host(entry->d_name))
				continue;
			(void)empty_folder(fd, entry->d_name, is_ours);
			removed = unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0 || removed;
		}
	}
	if (list)
		closedir(list);
	else if (again >= 0)
		close(again);
}

void scratch_remove(int root, uint32_t site)
{
	char path[DATASET_PATH_BYTES];
	int fd;

	(void)snprintf(path, sizeof path, "s%04u/scratch", site);
	fd = dataset_openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	remove_hosts(fd);
	(void)unlinkat(fd, "lock", 0);
	close(fd);
	(void)dataset_unlink(root, path, AT_REMOVEDIR);
}
