/* SPDX-License-Identifier: MIT */
/*
 * file.c - small files, whole and safely.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"

#define CHUNK 4096
#define PATH_BYTES 4096
#define DEPTH_MAX 64

/* Read to the end; the size of a file in /proc is not known before. */
static int read_all(int fd, size_t max_bytes, char **ret_text, size_t *ret_bytes)
{
	size_t used = 0, room = CHUNK;
	char *text = malloc(room);

	while (text) {
		ssize_t n;

		if (room - used < 2) {
			char *grown = realloc(text, room * 2);

			if (!grown)
				break;
			text = grown;
			room *= 2;
		}
		n = read(fd, text + used, room - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || used + (size_t)n > max_bytes) {
			int rc = n < 0 ? -errno : -EFBIG;

			free(text);
			return rc;
		}
		used += (size_t)n;
		if (n == 0) {
			text[used] = '\0';
			*ret_text = text;
			*ret_bytes = used;
			return 0;
		}
	}
	free(text);
	return -ENOMEM;
}

int file_read(const char *path, size_t max_bytes, char **ret_text, size_t *ret_bytes, struct err *err)
{
	size_t bytes = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = read_all(fd, max_bytes, ret_text, &bytes);
	close(fd);
	if (rc == -EFBIG)
		return err_set(err, rc, "%s: larger than %zu bytes", path, max_bytes);
	if (rc < 0)
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

int file_write_all(int fd, const void *data, size_t bytes)
{
	const char *from = data;

	while (bytes > 0) {
		ssize_t n = write(fd, from, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int file_write(const char *path, const void *data, size_t bytes, mode_t mode, struct err *err)
{
	return file_write_at(AT_FDCWD, path, data, bytes, mode, err);
}

int file_write_at(int folder, const char *path, const void *data, size_t bytes, mode_t mode, struct err *err)
{
	char temporary[PATH_BYTES];
	int fd, rc;

	/* A process of another host has perhaps the same number, and writes at another instant. */
	if (snprintf(temporary, sizeof temporary, "%s.%d%09d.new", path, (int)getpid(), (int)(clock_mono_ns() % NS_PER_S)) >= (int)sizeof temporary)
		return err_set(err, -ENAMETOOLONG, "%s: the name is too long", path);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", temporary, strerror(errno));
	rc = file_write_all(fd, data, bytes);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(folder, temporary, folder, path) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)unlinkat(folder, temporary, 0);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	return 0;
}

int file_sync_folder(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fsync(fd) < 0)
		rc = err_set(err, -errno, "%s: it cannot be synced: %s", path, strerror(errno));
	close(fd);
	return rc;
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char part[PATH_BYTES];
	struct stat st;
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof part)
		return err_set(err, -EINVAL, "'%s' is no name of a folder", path);
	memcpy(part, path, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_set(err, -errno, "%s: %s", part, strerror(errno));
		part[i] = path[i];
	}
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s: it is there and no folder", path);
	return 0;
}

static int remove_at(int parent, const char *name, int depth)
{
	int fd, rc = 0;
	DIR *dir;
	const struct dirent *entry;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth == DEPTH_MAX)
		return -ELOOP;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = remove_at(fd, entry->d_name, depth + 1);
	closedir(dir);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		rc = -errno;
	return rc;
}

int file_remove_tree(const char *path, struct err *err)
{
	int rc = remove_at(AT_FDCWD, path, 0);

	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}
