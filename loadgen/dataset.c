/* SPDX-License-Identifier: MIT */
/*
 * dataset.c - the root of a dataset, and how it is verified and removed. See build.c for how it is made.
 *
 * The manifest is the sentinel: a tree without one is not ours, and nothing is written or removed in it. It is read through the very descriptor
 * of the root by which everything below is reached, and no way below leads through a symbolic link or into another file system: what
 * another mount at this path holds, now or in an hour, cannot be reached.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "content.h"
#include "crew.h"
#include "dataset.h"
#include "err.h"
#include "scratch.h"

int dataset_open_root(const char *dir, int *ret_root, struct err *err)
{
	int rc;

	*ret_root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_root >= 0)
		return 0;
	rc = -errno;
	return err_set(err, rc, "%s: %s", dir, strerror(-rc));
}

int dataset_openat(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned int)flags, .mode = flags & O_CREAT ? mode : 0u,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);

	if (fd < 0 && errno == ENOSYS)		/* before Linux 5.6 */
		fd = openat(root, path, flags | O_NOFOLLOW, mode);
	return fd < 0 ? -errno : fd;
}

int dataset_open_folder(int root, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char folder[DATASET_PATH_BYTES];

	*ret_name = slash ? slash + 1 : path;
	(void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return dataset_openat(root, folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

int dataset_mkdir(int root, const char *path)
{
	const char *name;
	int folder = dataset_open_folder(root, path, &name), rc = 0;

	if (folder < 0)
		return folder;
	if (mkdirat(folder, name, 0755) < 0 && errno != EEXIST)
		rc = -errno;
	close(folder);
	return rc;
}

int dataset_unlink(int root, const char *path, int flags)
{
	const char *name;
	int folder = dataset_open_folder(root, path, &name), rc = 0;

	if (folder < 0)
		return folder;
	if (unlinkat(folder, name, flags) < 0)
		rc = -errno;
	close(folder);
	return rc;
}

static void remove_logs(int root, uint32_t site)
{
	char path[DATASET_PATH_BYTES];
	struct dirent *entry;
	DIR *list;
	int fd;

	dataset_log_folder_path(site, path);
	fd = dataset_openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
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
	(void)dataset_unlink(root, path, AT_REMOVEDIR);
}

/* Folders with something in them that is not ours stay. */
static void remove_folders(int root, const struct dataset_spec *spec, uint32_t site)
{
	uint32_t leaves = spec->depth < 31 && (1u << spec->depth) < spec->files_per_site ? 1u << spec->depth : spec->files_per_site;
	char path[DATASET_PATH_BYTES];

	for (unsigned int l = spec->depth; l > 0; l--)
		for (uint32_t f = 0; f < leaves; f++) {
			dataset_folder_path(spec, site, f, l, path);
			(void)dataset_unlink(root, path, AT_REMOVEDIR);
		}
	dataset_site_path(site, path);
	(void)dataset_unlink(root, path, AT_REMOVEDIR);
}

/* Manifest or sizes under the name that they have until they are whole: a build was killed just then. */
static bool is_half_written(const char *name)
{
	static const char *const stems[] = { DATASET_MANIFEST ".", DATASET_SIZES "." };

	for (size_t i = 0; i < 2; i++)
		if (strncmp(name, stems[i], strlen(stems[i])) == 0) {
			const char *rest = name + strlen(stems[i]);
			size_t digits = strspn(rest, "0123456789");

			return digits > 0 && strcmp(rest + digits, ".new") == 0;
		}
	return false;
}

/* "squall-part-2-of-3" */
static bool is_part(const char *name)
{
	size_t stem = strlen(DATASET_PART), digits = strncmp(name, DATASET_PART, stem) == 0 ? strspn(name + stem, "0123456789") : 0;
	const char *rest = name + stem + digits;

	return digits > 0 && strncmp(rest, "-of-", 4) == 0 && rest[4] != '\0' && rest[4 + strspn(rest + 4, "0123456789")] == '\0';
}

void dataset_remove_marks(int root)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (is_half_written(entry->d_name) || is_part(entry->d_name))
			(void)unlinkat(root, entry->d_name, 0);
	if (list)
		closedir(list);
	else if (fd >= 0)
		close(fd);
}

int dataset_remove_all(int root, const char *dir, const struct dataset_spec *spec, struct err *err)
{
	char path[DATASET_PATH_BYTES];
	int rc = 0, one;

	for (uint32_t s = 0; s < spec->sites; s++) {
		for (uint32_t f = 0; f < spec->files_per_site; f++) {
			dataset_file_path(spec, s, f, path);
			one = dataset_unlink(root, path, 0);
			if (one < 0 && one != -ENOENT && one != -ENOTDIR && rc == 0)
				rc = err_set(err, one, "%s/%s: cannot remove it: %s", dir, path, strerror(-one));
		}
		remove_logs(root, s);
		scratch_remove(root, s);
		remove_folders(root, spec, s);
	}
	if (rc < 0)
		return rc;
	dataset_remove_marks(root);
	(void)unlinkat(root, DATASET_SIZES, 0);
	if (unlinkat(root, DATASET_MANIFEST, 0) < 0 && errno != ENOENT) {
		rc = -errno;
		(void)err_set(err, rc, "%s/%s: cannot remove it: %s", dir, DATASET_MANIFEST, strerror(-rc));
	}
	return rc;
}

bool dataset_file_is_good(int root, const struct manifest *m, uint32_t site, uint32_t file, char *buffer, struct err *why)
{
	size_t idx = (size_t)site * m->spec.files_per_site + file;
	struct content_id id = { .seed = m->seed, .site = site, .file = file };
	uint64_t done = 0, size = m->size_bytes[idx];
	char path[DATASET_PATH_BYTES], text[DAMAGE_TEXT_BYTES];
	struct damage d = { .kind = DAMAGE_NONE };
	int fd, rc = 0;
	ssize_t n;

	dataset_file_path(&m->spec, site, file, path);
	fd = dataset_openat(root, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		rc = fd;
	while (rc == 0 && d.kind == DAMAGE_NONE) {
		n = pread(fd, buffer, CREW_BUFFER_BYTES, (off_t)done);
		if (n < 0)
			rc = -errno;
		else if (n == 0 && done < size)
			d = (struct damage){ .kind = DAMAGE_SHORT, .offset = size, .found_offset = done };
		else if (n > 0 && done + (uint64_t)n > size)
			d = (struct damage){ .kind = DAMAGE_LONG, .offset = size };
		else if (n > 0 && !content_check(&id, done, buffer, (size_t)n, &d))
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
		(void)err_set(why, rc, "%s: %s", path, strerror(-rc));
	else
		(void)err_set(why, -EBADMSG, "%s: at byte %llu: %s", path, (unsigned long long)d.offset, text);
	return false;
}

struct verify {
	const struct manifest *m;
	int root;
	_Atomic uint64_t bad;
	pthread_mutex_t lock;		/* protects the two below */
	uint64_t first_idx;
	struct err *first;
};

static int verify_file(void *arg, uint64_t idx, char *buffer, struct err *err)
{
	struct verify *v = arg;
	struct err why = ERR_INIT;

	(void)err;		/* a bad file does not end it */
	if (dataset_file_is_good(v->root, v->m, (uint32_t)(idx / v->m->spec.files_per_site), (uint32_t)(idx % v->m->spec.files_per_site), buffer, &why))
		return 0;
	atomic_fetch_add(&v->bad, 1);
	pthread_mutex_lock(&v->lock);
	if (v->first && idx < v->first_idx) {	/* the first in order, not in time: the same whoever was quicker */
		v->first_idx = idx;
		*v->first = why;
	}
	pthread_mutex_unlock(&v->lock);
	return 0;
}

int dataset_verify(const char *dir, unsigned int threads_nr, void (*progress)(uint64_t done, uint64_t total), uint64_t *ret_bad,
		   struct err *ret_first, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	struct verify v = { .m = &m, .root = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .first_idx = UINT64_MAX, .first = ret_first };
	struct crew_work work = { .item = verify_file, .arg = &v, .progress = progress };
	int rc;

	rc = dataset_open_root(dir, &v.root, err);
	if (rc < 0)
		goto out;
	rc = manifest_read_at(v.root, dir, &m, err);
	if (rc < 0)
		goto out;
	work.items_nr = (uint64_t)m.spec.sites * m.spec.files_per_site;
	rc = crew_run(&work, threads_nr, err);
	if (rc == 0)
		*ret_bad = atomic_load(&v.bad);
out:
	if (v.root >= 0)
		close(v.root);
	manifest_release(&m);
	return rc;
}

int dataset_remove(const char *dir, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	int root = -1, rc;

	rc = dataset_open_root(dir, &root, err);
	if (rc == 0)
		rc = manifest_read_head(root, dir, &m, err);
	if (rc == 0)
		rc = dataset_remove_all(root, dir, &m.spec, err);
	if (root >= 0)
		close(root);
	return rc;
}

int dataset_check_root(int root, const char *dir, const struct manifest *want, struct err *err)
{
	struct manifest have = MANIFEST_INIT;
	int rc = manifest_read_head(root, dir, &have, err);

	if (rc == 0 && !manifest_equal(&have, want))
		rc = err_set(err, -ESTALE, "%s: holds another dataset than a moment ago; nothing is written there", dir);
	return rc;
}
