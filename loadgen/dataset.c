/* SPDX-License-Identifier: MIT */
/*
 * dataset.c - build, verify and remove a dataset.
 *
 * The manifest is written first, marked incomplete, and again at the end: so whatever was made is always named by a manifest, and
 * what no manifest names is never removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "dataset.h"
#include "err.h"
#include "file.h"
#include "scratch.h"

#define CHUNK_BYTES (64u * CONTENT_BLOCK_BYTES)

static struct content_id content_of(const struct manifest *m, uint32_t site, uint32_t file)
{
	return (struct content_id){ .seed = m->seed, .site = site, .file = file };
}

static int make_folder(int root, const char *path, const char *dir, struct err *err)
{
	if (mkdirat(root, path, 0755) < 0 && errno != EEXIST) {
		int rc = -errno;

		return err_set(err, rc, "%s/%s: %s", dir, path, strerror(-rc));
	}
	return 0;
}

static int make_folders(int root, const char *dir, const struct manifest *m, uint32_t site, uint32_t file, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc;

	if (file == 0) {
		dataset_site_path(site, path);
		rc = make_folder(root, path, dir, err);
		if (rc < 0)
			return rc;
		(void)snprintf(path + strlen(path), sizeof path - strlen(path), "/log");
		rc = make_folder(root, path, dir, err);
		if (rc < 0)
			return rc;
	}
	if (m->spec.depth < 32 && file >= (1u << m->spec.depth))
		return 0;	/* an earlier file of this site has made them */
	for (unsigned int l = 1; l <= m->spec.depth; l++) {
		dataset_folder_path(&m->spec, site, file, l, path);
		rc = make_folder(root, path, dir, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int make_file(int root, const char *dir, const struct manifest *m, uint32_t site, uint32_t file, char *block, struct err *err)
{
	size_t idx = (size_t)site * m->spec.files_per_site + file;
	struct content_id id = content_of(m, site, file);
	char path[DATASET_PATH_BYTES];
	int fd, rc = 0;

	dataset_file_path(&m->spec, site, file, path);
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0) {
		rc = -errno;
		return err_set(err, rc, "%s/%s: %s", dir, path, strerror(-rc));
	}
	for (uint64_t done = 0; done < m->size_bytes[idx] && rc == 0; done += CHUNK_BYTES) {
		uint64_t left = m->size_bytes[idx] - done;
		size_t bytes = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;

		content_fill(&id, done, block, bytes);
		rc = file_write_all(fd, block, bytes);
	}
	if (close(fd) < 0 && rc == 0)	/* NFS says ENOSPC here */
		rc = -errno;
	if (rc < 0)
		return err_set(err, rc, "%s/%s: %s", dir, path, strerror(-rc));
	return 0;
}

static int make_files(int root, const char *dir, const struct manifest *m, void (*progress)(uint64_t, uint64_t), struct err *err)
{
	uint64_t done = 0, total = (uint64_t)m->spec.sites * m->spec.files_per_site;
	char *block = malloc(CHUNK_BYTES);
	int rc = 0;

	if (!block)
		return err_set(err, -ENOMEM, "dataset: no memory for a block");
	for (uint32_t s = 0; s < m->spec.sites && rc == 0; s++)
		for (uint32_t f = 0; f < m->spec.files_per_site && rc == 0; f++) {
			rc = make_folders(root, dir, m, s, f, err);
			if (rc == 0)
				rc = make_file(root, dir, m, s, f, block, err);
			if (progress && rc == 0)
				progress(++done, total);
		}
	free(block);
	return rc;
}

static void remove_logs(int root, uint32_t site)
{
	char path[DATASET_PATH_BYTES];
	struct dirent *entry;
	DIR *list;
	int fd;

	dataset_site_path(site, path);
	(void)snprintf(path + strlen(path), sizeof path - strlen(path), "/log");
	fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(list))) {
		size_t n = strlen(entry->d_name);

		if (n > 4 && strcmp(entry->d_name + n - 4, ".log") == 0)
			(void)unlinkat(fd, entry->d_name, 0);
	}
	closedir(list);
	(void)unlinkat(root, path, AT_REMOVEDIR);
}

/* Folders with something in them that is not ours stay. */
static void remove_folders(int root, const struct dataset_spec *spec, uint32_t site)
{
	uint32_t leaves = spec->depth < 31 && (1u << spec->depth) < spec->files_per_site ? 1u << spec->depth : spec->files_per_site;
	char path[DATASET_PATH_BYTES];

	for (unsigned int l = spec->depth; l > 0; l--)
		for (uint32_t f = 0; f < leaves; f++) {
			dataset_folder_path(spec, site, f, l, path);
			(void)unlinkat(root, path, AT_REMOVEDIR);
		}
	dataset_site_path(site, path);
	(void)unlinkat(root, path, AT_REMOVEDIR);
}

static int remove_all(int root, const char *dir, const struct dataset_spec *spec, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc = 0;

	for (uint32_t s = 0; s < spec->sites; s++) {
		for (uint32_t f = 0; f < spec->files_per_site; f++) {
			dataset_file_path(spec, s, f, path);
			if (unlinkat(root, path, 0) < 0 && errno != ENOENT && errno != ENOTDIR && rc == 0) {
				rc = -errno;
				(void)err_set(err, rc, "%s/%s: cannot remove it: %s", dir, path, strerror(-rc));
			}
		}
		remove_logs(root, s);
		scratch_remove(root, s);
		remove_folders(root, spec, s);
	}
	(void)unlinkat(root, DATASET_SIZES, 0);
	if (rc == 0 && unlinkat(root, DATASET_MANIFEST, 0) < 0 && errno != ENOENT) {
		rc = -errno;
		(void)err_set(err, rc, "%s/%s: cannot remove it: %s", dir, DATASET_MANIFEST, strerror(-rc));
	}
	return rc;
}

static int open_root(const char *dir, int *ret_fd, struct err *err)
{
	int rc;

	*ret_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd >= 0)
		return 0;
	rc = -errno;
	return err_set(err, rc, "%s: %s", dir, strerror(-rc));
}

/* Same spec, seed and sizes; how the sizes were drawn does not matter. */
static bool manifest_equal(const struct manifest *a, const struct manifest *b)
{
	return a->spec.sites == b->spec.sites && a->spec.files_per_site == b->spec.files_per_site && a->spec.depth == b->spec.depth &&
	       a->seed == b->seed && a->sizes_digest == b->sizes_digest;
}

/** Whether DIR can take this dataset. @return 1 it is there already, 0 it may be built. */
static int may_build(int root, const char *dir, const struct manifest *want, struct err *err)
{
	struct manifest have = MANIFEST_INIT;
	char path[DATASET_PATH_BYTES];
	struct stat st;
	int rc;

	if (fstatat(root, DATASET_MANIFEST, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		rc = manifest_read_head(dir, &have, err);
		if (rc == 0 && !manifest_equal(&have, want))
			rc = err_set(err, -EEXIST, "%s: holds another dataset (other sizes, sites or seed); `squall dataset remove` it first", dir);
		else if (rc == 0)
			rc = have.complete;
		return rc;
	}
	for (uint32_t s = 0; s < want->spec.sites; s++) {
		dataset_site_path(s, path);
		if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return err_set(err, -EEXIST, "%s/%s: is there, but no manifest names it; nothing was changed", dir, path);
	}
	return 0;
}

/* DIR alone is made: a path whose parent is missing is a mount that is not there, or a slip, and would fill some other disk. */
static int make_root(const char *dir, struct err *err)
{
	char parent[PATH_MAX];
	size_t length = strlen(dir);

	if (mkdir(dir, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || length >= sizeof parent)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	memcpy(parent, dir, length + 1);
	return err_set(err, -ENOPKG, "%s: there is no folder %s: mount it, or make it", dir, dirname(parent));
}

int dataset_build(const char *dir, const struct dataset_spec *spec, uint64_t seed, void (*progress)(uint64_t done, uint64_t total), struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	bool made_dir = access(dir, F_OK) < 0, building = false;
	int root = -1, rc;

	rc = manifest_draw(spec, seed, &m, err);
	if (rc < 0)
		goto out;
	rc = make_root(dir, err);
	if (rc < 0)
		goto out;
	rc = open_root(dir, &root, err);
	if (rc < 0)
		goto out;
	rc = may_build(root, dir, &m, err);
	if (rc != 0)
		goto out;
	building = true;
	rc = manifest_write(dir, &m, err);
	if (rc < 0)
		goto out;
	rc = make_files(root, dir, &m, progress, err);
	if (rc < 0)
		goto out;
	m.complete = true;
	rc = manifest_write(dir, &m, err);
out:
	if (rc < 0 && building) {
		(void)remove_all(root, dir, &m.spec, NULL);
		if (made_dir)
			(void)rmdir(dir);
	}
	if (root >= 0)
		close(root);
	manifest_release(&m);
	return rc < 0 ? rc : 0;
}

/* @param chunk CHUNK_BYTES. @return whether the file is there with its size and content; else why not, in the sentence */
static bool file_is_good(int root, const struct manifest *m, uint32_t site, uint32_t file, char *chunk, char *why, size_t why_bytes)
{
	size_t idx = (size_t)site * m->spec.files_per_site + file;
	struct content_id id = content_of(m, site, file);
	uint64_t done = 0, size = m->size_bytes[idx];
	char path[DATASET_PATH_BYTES], text[DAMAGE_TEXT_BYTES];
	struct damage d = { .kind = DAMAGE_NONE };
	int fd, rc = 0;
	ssize_t n;

	dataset_file_path(&m->spec, site, file, path);
	fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		rc = -errno;
	while (rc == 0 && d.kind == DAMAGE_NONE) {
		n = pread(fd, chunk, CHUNK_BYTES, (off_t)done);
		if (n < 0)
			rc = -errno;
		else if (n == 0 && done < size)
			d = (struct damage){ .kind = DAMAGE_SHORT, .offset = size, .found_offset = done };
		else if (n > 0 && done + (uint64_t)n > size)
			d = (struct damage){ .kind = DAMAGE_LONG, .offset = size };
		else if (n > 0 && !content_check(&id, done, chunk, (size_t)n, &d))
			;
		else if (n == 0)
			break;
		done += n > 0 ? (uint64_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (rc == 0 && d.kind == DAMAGE_NONE)
		return true;
	damage_format(&d, text);
	if (rc < 0)
		(void)snprintf(why, why_bytes, "%s: %s", path, strerror(-rc));
	else
		(void)snprintf(why, why_bytes, "%s: at byte %llu: %s", path, (unsigned long long)d.offset, text);
	return false;
}

int dataset_verify(const char *dir, uint64_t *ret_bad, struct err *ret_first, struct err *err)
{
	char *chunk = malloc(CHUNK_BYTES), why[DATASET_PATH_BYTES + DAMAGE_TEXT_BYTES + 32];
	struct manifest m = MANIFEST_INIT;
	uint64_t bad = 0;
	int root = -1, rc;

	if (!chunk)
		return err_set(err, -ENOMEM, "dataset: no memory for a block");
	rc = manifest_read(dir, &m, err);
	if (rc < 0)
		goto out;
	rc = open_root(dir, &root, err);
	if (rc < 0)
		goto out;
	for (uint32_t s = 0; s < m.spec.sites; s++)
		for (uint32_t f = 0; f < m.spec.files_per_site; f++)
			if (!file_is_good(root, &m, s, f, chunk, why, sizeof why)) {
				bad++;
				(void)err_set(ret_first, -EBADMSG, "%s", why);	/* keeps the first */
			}
	*ret_bad = bad;
out:
	free(chunk);
	if (root >= 0)
		close(root);
	manifest_release(&m);
	return rc;
}

int dataset_remove(const char *dir, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	int root = -1, rc;

	rc = manifest_read_head(dir, &m, err);
	if (rc < 0)
		goto out;
	rc = open_root(dir, &root, err);
	if (rc < 0)
		goto out;
	rc = remove_all(root, dir, &m.spec, err);
out:
	if (root >= 0)
		close(root);
	manifest_release(&m);
	return rc;
}
