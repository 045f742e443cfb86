/* SPDX-License-Identifier: MIT */
/*
 * build.c - make a dataset: by several threads, and to the same bytes however often it was killed on the way.
 *
 *	manifest, "complete": false ─ sizes ─ files ─ syncfs ─ manifest, "complete": true
 *
 * Whatever was made is always named by a manifest. A build that finds an incomplete one of the same dataset goes on with it: files that are
 * there are read, and what is not right to the last byte is written again, also a file that a power cut left in its full length with nothing in it.
 *
 * Several hosts build one at once, each a part: a row of files. Who has made its part leaves a mark, and who then finds the marks of all writes the last
 * manifest. It sees them all: its own mark has told its NFS client that the folder has changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "crew.h"
#include "dataset.h"
#include "err.h"
#include "file.h"

struct build {
	const char *dir;
	const struct manifest *m;
	int root;
	bool resumed;		/* some of it may be there */
	struct dataset_part part;
	uint64_t first;		/* file of the part, as an index */
};

static int make_folder(const struct build *b, const char *path, struct err *err)
{
	int rc = dataset_mkdir(b->root, path);

	return rc < 0 ? err_set(err, rc, "%s/%s: %s", b->dir, path, strerror(-rc)) : 0;
}

static int make_folders(const struct build *b, uint32_t site, uint32_t file, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc = 0;

	for (unsigned int l = 0; l <= b->m->spec.depth && rc == 0; l++) {
		dataset_folder_path(&b->m->spec, site, file, l, path);
		rc = make_folder(b, path, err);
	}
	return rc;
}

static int make_log_folder(const struct build *b, uint32_t site, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc;

	dataset_site_path(site, path);
	rc = make_folder(b, path, err);
	if (rc < 0)
		return rc;
	dataset_log_folder_path(site, path);
	return make_folder(b, path, err);
}

/* The first file of a folder finds it missing, whichever thread has it. Not truncated: another build of the same dataset writes the same bytes. */
static int open_file(const struct build *b, uint32_t site, uint32_t file, const char *path, struct err *err)
{
	static const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
	int fd = dataset_openat(b->root, path, flags, 0644);

	if (fd == -ENOENT) {
		int rc = make_folders(b, site, file, err);

		if (rc < 0)
			return rc;
		fd = dataset_openat(b->root, path, flags, 0644);
	}
	return fd < 0 ? err_set(err, fd, "%s/%s: %s", b->dir, path, strerror(-fd)) : fd;
}

static int write_file(int fd, const struct content_id *id, uint64_t size, char *buffer)
{
	int rc = 0;

	for (uint64_t done = 0; done < size && rc == 0; done += CREW_BUFFER_BYTES) {
		uint64_t left = size - done;
		size_t bytes = left < CREW_BUFFER_BYTES ? (size_t)left : CREW_BUFFER_BYTES;

		content_fill(id, done, buffer, bytes);
		rc = file_write_all(fd, buffer, bytes);
	}
	if (rc == 0 && ftruncate(fd, (off_t)size) < 0)
		rc = -errno;
	return rc;
}

static int make_file(void *arg, uint64_t nth, char *buffer, struct err *err)
{
	const struct build *b = arg;
	uint64_t idx = b->first + nth;
	uint32_t site = (uint32_t)(idx / b->m->spec.files_per_site), file = (uint32_t)(idx % b->m->spec.files_per_site);
	struct content_id id = { .seed = b->m->seed, .site = site, .file = file };
	char path[DATASET_PATH_BYTES];
	int fd, rc;

	if (file == 0 || nth == 0) {	/* once a site, by each part that it is in */
		rc = make_log_folder(b, site, err);
		if (rc < 0)
			return rc;
	}
	if (b->resumed && dataset_file_is_good(b->root, b->m, site, file, buffer, NULL))
		return 0;
	dataset_file_path(&b->m->spec, site, file, path);
	fd = open_file(b, site, file, path, err);
	if (fd < 0)
		return fd;
	rc = write_file(fd, &id, b->m->size_bytes[idx], buffer);
	if (close(fd) < 0 && rc == 0)	/* NFS says ENOSPC here */
		rc = -errno;
	return rc < 0 ? err_set(err, rc, "%s/%s: %s", b->dir, path, strerror(-rc)) : 0;
}

/* @return 1 it is there, 0 it is not; an error is neither, and says nothing of what is there. */
static int is_there(const struct build *b, const char *path, struct err *err)
{
	struct stat st;
	int rc;

	if (fstatat(b->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	rc = -errno;
	if (rc == -ENOENT)
		return 0;
	return err_set(err, rc, "%s/%s: %s: whether there is a dataset cannot be told; nothing was changed, try again", b->dir, path, strerror(-rc));
}

static void mark_path(unsigned int nr, unsigned int of, char out[DATASET_PATH_BYTES])
{
	(void)snprintf(out, DATASET_PATH_BYTES, DATASET_PART "%u-of-%u", nr, of);
}

/* It is gone through again: until it is whole it is not. */
static void unmark_part(const struct build *b)
{
	char path[DATASET_PATH_BYTES];

	mark_path(b->part.nr, b->part.of, path);
	(void)unlinkat(b->root, path, 0);
}

static int mark_part(const struct build *b, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int fd;

	mark_path(b->part.nr, b->part.of, path);
	fd = openat(b->root, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 || close(fd) < 0 ? err_set(err, -errno, "%s/%s: %s", b->dir, path, strerror(errno)) : 0;
}

/* @return whether all parts are whole, or -errno */
static int are_all_marked(const struct build *b, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc = 1;

	for (unsigned int nr = 1; nr <= b->part.of && rc == 1; nr++) {
		mark_path(nr, b->part.of, path);
		rc = is_there(b, path, err);
	}
	return rc;
}

/* A change of ours tells the NFS client that others have changed the folder, too: what was not there may be. @return as is_there() */
static int has_manifest_now(const struct build *b, struct err *err)
{
	int rc = mark_part(b, err);

	unmark_part(b);
	return rc < 0 ? rc : is_there(b, DATASET_MANIFEST, err);
}

/* Whether a manifest that is there is of this dataset. @return as may_build() */
static int may_go_on(struct build *b, struct err *err)
{
	struct manifest have = MANIFEST_INIT;
	int rc = manifest_read_head(b->root, b->dir, &have, err);

	if (rc == 0 && !manifest_equal(&have, b->m))
		rc = err_set(err, -EEXIST, "%s: holds another dataset (other sizes, sites or seed); `squall dataset remove` it first", b->dir);
	b->resumed = rc == 0;
	return rc == 0 ? have.complete : rc;
}

/* Whether DIR can take this dataset. @return 1 it is there already, 0 it may be built. */
static int may_build(struct build *b, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc = is_there(b, DATASET_MANIFEST, err);

	if (rc != 0)
		return rc < 0 ? rc : may_go_on(b, err);
	for (uint32_t s = 0; s < b->m->spec.sites && rc == 0; s++) {
		dataset_site_path(s, path);
		rc = is_there(b, path, err);
	}
	if (rc <= 0)
		return rc;
	rc = b->part.of > 1 ? has_manifest_now(b, err) : 0;	/* another part may have begun meanwhile, and wrote it first */
	if (rc != 0)
		return rc < 0 ? rc : may_go_on(b, err);
	return err_set(err, -EEXIST, "%s/%s: is there, but no manifest names it; nothing was changed", b->dir, path);
}

/* Whether what is there now is this dataset, and not complete: nothing else is removed by a build that failed. */
static bool is_ours(const struct build *b)
{
	struct manifest have = MANIFEST_INIT;

	return manifest_read_head(b->root, b->dir, &have, NULL) == 0 && manifest_equal(&have, b->m) && !have.complete;
}

/* @return as dataset_build() */
static int build_files(struct build *b, struct manifest *m, unsigned int threads_nr, void (*progress)(uint64_t, uint64_t), struct err *err)
{
	uint64_t all = (uint64_t)m->spec.sites * m->spec.files_per_site;
	struct crew_work work = { .item = make_file, .arg = b, .progress = progress };
	int rc;

	b->first = all * (b->part.nr - 1) / b->part.of;
	work.items_nr = all * b->part.nr / b->part.of - b->first;
	unmark_part(b);
	rc = manifest_write(b->root, b->dir, m, err);
	if (rc == 0)
		rc = crew_run(&work, threads_nr, err);
	if (rc == 0 && syncfs(b->root) < 0)	/* no manifest says "complete" of what a power cut would take away */
		rc = err_set(err, -errno, "%s: %s", b->dir, strerror(errno));
	if (rc == 0 && b->part.of > 1) {
		rc = mark_part(b, err);
		rc = rc < 0 ? rc : are_all_marked(b, err);
		if (rc <= 0)
			return rc < 0 ? rc : 1;
	}
	m->complete = rc >= 0;
	rc = rc < 0 ? rc : manifest_write(b->root, b->dir, m, err);
	if (rc == 0)
		dataset_remove_marks(b->root);
	return rc;
}

/* DIR alone is made: a path whose parent is missing is a mount that is not there, or a slip, and would fill some other disk. */
static int make_root(const char *dir, struct err *err)
{
	char path[PATH_MAX];
	size_t length = strlen(dir);
	const char *parent;

	if (mkdir(dir, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || length >= sizeof path)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	memcpy(path, dir, length + 1);
	parent = dirname(path);
	if (access(parent, F_OK) == 0)		/* /proc and the like */
		return err_set(err, -ENOENT, "%s: no folder can be made in %s", dir, parent);
	return err_set(err, -ENOPKG, "%s: there is no folder %s: mount it, or make it", dir, parent);
}

int dataset_build(const char *dir, const struct dataset_spec *spec, uint64_t seed, struct dataset_part part, unsigned int threads_nr,
		  void (*progress)(uint64_t done, uint64_t total), struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	struct build b = { .dir = dir, .m = &m, .root = -1, .part = part };
	bool made_dir = access(dir, F_OK) < 0, building = false;
	int rc;

	rc = manifest_draw(spec, seed, &m, err);
	if (rc < 0)
		goto out;
	rc = make_root(dir, err);
	if (rc < 0)
		goto out;
	rc = dataset_open_root(dir, &b.root, err);
	if (rc < 0)
		goto out;
	rc = may_build(&b, err);
	if (rc != 0) {
		rc = rc < 0 ? rc : 0;
		goto out;
	}
	building = true;
	rc = build_files(&b, &m, threads_nr, progress, err);
out:
	if (rc < 0 && building && part.of == 1) {
		if (is_ours(&b))
			(void)dataset_remove_all(b.root, dir, &m.spec, NULL);
		if (made_dir)
			(void)rmdir(dir);
	}
	if (b.root >= 0)
		close(b.root);
	manifest_release(&m);
	return rc;
}
