/* SPDX-License-Identifier: MIT */
/*
 * files.c - see files.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "files.h"

#define KEPT_OPEN_MAX 65536u	/* files that pread keeps open */
#define FD_RESERVE 8192u	/* descriptors left for everything else */

int files_open(struct files *f, const struct engine_env *env, struct err *err)
{
	const struct dataset_spec *spec = &env->manifest->spec;
	char path[DATASET_PATH_BYTES];
	int rc;

	*f = (struct files){ .root = -1 };
	rc = dataset_open_root(env->dir, &f->root, err);
	if (rc < 0)
		return rc;
	rc = dataset_check_root(f->root, env->dir, env->manifest, err);	/* the path may be another mount by now */
	if (rc < 0)
		return rc;
	dataset_file_path(spec, spec->sites - 1, spec->files_per_site - 1, path);
	f->stride = strlen(path) + 1;		/* the longest: numbers only grow */
	f->files_per_site = spec->files_per_site;
	f->files_nr = (size_t)spec->sites * spec->files_per_site;
	f->size_bytes = env->manifest->size_bytes;
	f->host = env->host;
	f->job = env->job->name;
	f->verify = env->job->verify;
	f->direct = env->job->direct;
	f->seed = env->manifest->seed;
	f->damage = env->damage;
	f->path = malloc(f->files_nr * f->stride);
	if (!f->path)
		return err_set(err, -ENOMEM, "%s: no memory for the paths of %zu files", env->dir, f->files_nr);
	for (size_t i = 0; i < f->files_nr; i++) {
		dataset_file_path(spec, (uint32_t)(i / spec->files_per_site), (uint32_t)(i % spec->files_per_site), path);
		memcpy(f->path + i * f->stride, path, strlen(path) + 1);
	}
	return 0;
}

void files_release(struct files *f)
{
	if (f->root >= 0)
		close(f->root);
	free(f->path);
	*f = (struct files){ .root = -1 };
}

size_t files_keep_max(const struct files *f)
{
	struct rlimit limit;
	size_t max;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= KEPT_OPEN_MAX + FD_RESERVE)
		max = KEPT_OPEN_MAX;
	else
		max = limit.rlim_cur > 2 * FD_RESERVE ? (size_t)limit.rlim_cur - FD_RESERVE : (size_t)limit.rlim_cur / 4 + 1;
	return max < f->files_nr ? max : f->files_nr;
}

static int64_t note(const struct files *f, const struct content_id *id, const struct damage *d)
{
	damage_log_add(f->damage, f->job, id, d);
	return d->kind == DAMAGE_SHORT ? -ENODATA : -EBADMSG;
}

int64_t files_check(const struct files *f, size_t idx, uint64_t offset, const void *data, int64_t bytes, uint64_t wanted)
{
	struct content_id id = { .seed = f->seed, .site = (uint32_t)(idx / f->files_per_site), .file = (uint32_t)(idx % f->files_per_site) };
	uint64_t size = f->size_bytes[idx], there = offset < size ? size - offset : 0;
	struct damage d = { .offset = size, .found_offset = offset + (uint64_t)bytes };

	if (bytes < 0)
		return bytes;
	there = there < wanted ? there : wanted;
	if ((uint64_t)bytes != there) {
		d.kind = (uint64_t)bytes < there ? DAMAGE_SHORT : DAMAGE_LONG;
		return note(f, &id, &d);
	}
	if (f->verify && !content_check(&id, offset, data, (size_t)bytes, &d))
		return note(f, &id, &d);
	return bytes;
}

int kept_open_all(struct kept *k, const struct files *f, const struct engine_env *env, struct err *err)
{
	size_t max = files_keep_max(f);

	max = max < FILES_KEPT_ALL_MAX ? max : FILES_KEPT_ALL_MAX;
	k->fd = calloc(max, sizeof *k->fd);
	if (!k->fd)
		return err_set(err, -ENOMEM, "job %s: no memory for %zu descriptors", env->job->name, max);
	for (; k->nr < max; k->nr++) {
		const char *path = files_path(f, k->nr);
		int fd = openat(f->root, path, O_RDONLY | O_CLOEXEC | (f->direct ? O_DIRECT : 0)), rc;

		if (fd < 0) {
			rc = -errno;
			return err_set(err, rc, "%s/%s: cannot be opened%s: %s", env->dir, path, f->direct ? " with O_DIRECT" : "", strerror(-rc));
		}
		k->fd[k->nr] = fd;
	}
	return 0;
}

void kept_release(struct kept *k)
{
	for (size_t i = 0; i < k->nr; i++)
		close(k->fd[i]);
	free(k->fd);
	*k = (struct kept){ .fd = NULL };
}

size_t files_folder(const struct files *f, size_t idx, char *out)
{
	const char *path = files_path(f, idx);
	size_t bytes = (size_t)(strrchr(path, '/') - path);

	memcpy(out, path, bytes);
	out[bytes] = '\0';
	return bytes;
}

void files_miss_path(const struct files *f, size_t idx, uint64_t draw, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = files_folder(f, idx, out);

	memcpy(out + n, "/miss-", 6);
	n += 6;
	for (unsigned int i = 0; i < 16; i++)
		out[n++] = digits[(draw >> (60 - 4 * i)) & 15];
	out[n] = '\0';
}

int files_log_line(uint64_t draw, char *out)
{
	return snprintf(out, FILES_LINE_BYTES, "%llu %016llx GET / 200\n", (unsigned long long)clock_mono_ns(), (unsigned long long)draw);
}
