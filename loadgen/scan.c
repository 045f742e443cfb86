/* SPDX-License-Identifier: MIT */
/*
 * scan.c - the shape of a tree that is there: how many files in how many folders, how deep, how large. No name and no content leaves it.
 *
 * A folder in the root is a site. Nothing is followed: no symbolic link, no other file system. Memory does not grow with the tree.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset.h"
#include "err.h"

#define SCAN_DEPTH_MAX 256u	/* a descriptor each; what lies deeper is counted as left out */

struct scan {
	struct dataset_shape *shape;
	dev_t device;
	double ln_sum, ln_square_sum;	/* of the sizes of files that are not empty */
	uint64_t sized_nr;
};

static void take_file(struct scan *s, uint64_t bytes)
{
	double ln;

	s->shape->files_nr++;
	s->shape->bytes += bytes;
	if (bytes > s->shape->largest_bytes)
		s->shape->largest_bytes = bytes;
	if (bytes == 0)
		return;
	ln = log((double)bytes);
	s->ln_sum += ln;
	s->ln_square_sum += ln * ln;
	s->sized_nr++;
}

static void scan_folder(struct scan *s, int fd, unsigned int depth);

static void take_entry(struct scan *s, int folder, const char *name, unsigned int depth)
{
	struct stat st;
	int fd;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		s->shape->unreadable_nr++;
	} else if (st.st_dev != s->device || S_ISLNK(st.st_mode)) {
		s->shape->not_followed_nr++;
	} else if (S_ISREG(st.st_mode)) {
		take_file(s, (uint64_t)st.st_size);
	} else if (S_ISDIR(st.st_mode)) {
		fd = depth + 1 < SCAN_DEPTH_MAX ? openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		if (fd < 0) {
			s->shape->unreadable_nr++;
			return;
		}
		s->shape->sites_nr += depth == 0;
		scan_folder(s, fd, depth + 1);
	} else {
		s->shape->not_followed_nr++;	/* sockets, pipes, devices: nothing to read there */
	}
}

/* @param fd  is closed */
static void scan_folder(struct scan *s, int fd, unsigned int depth)
{
	DIR *list = fdopendir(fd);
	const struct dirent *entry;

	s->shape->folders_nr++;
	if (depth > s->shape->deepest)
		s->shape->deepest = depth;
	if (!list) {
		close(fd);
		s->shape->unreadable_nr++;
		return;
	}
	while (errno = 0, (entry = readdir(list)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			take_entry(s, dirfd(list), entry->d_name, depth);
	s->shape->unreadable_nr += errno != 0;	/* the rest of it is not known */
	closedir(list);
}

static unsigned int least(uint64_t a, unsigned int b)
{
	return a < b ? (unsigned int)a : b;
}

/* The spec that comes nearest: as many sites, files and folders, and a lognormal with the moments of the sizes; cut to what a profile may ask for. */
static void fit(struct scan *s)
{
	struct dataset_shape *shape = s->shape;
	struct dataset_spec *d = &shape->spec;
	uint64_t sites = shape->sites_nr > 0 ? shape->sites_nr : 1, files = (shape->files_nr + sites / 2) / sites;
	double variance;

	files = files > 0 ? files : 1;
	d->sites = least(sites, DATASET_SITES_MAX);
	d->files_per_site = least(files, DATASET_SITE_FILES_MAX);
	d->files_per_site = least(d->files_per_site, FILES_MAX / d->sites);
	shape->scaled_down = d->sites < sites || d->files_per_site < files;
	d->depth = 1;
	while (d->depth < DATASET_DEPTH_MAX && pow(2, d->depth + 0.5) < (double)shape->folders_nr / (double)sites)
		d->depth++;
	d->size_bytes = shape->largest_bytes > 0 ? shape->largest_bytes : 1;
	if (s->sized_nr == 0)
		return;
	d->lognormal = true;
	d->mu = s->ln_sum / (double)s->sized_nr;
	variance = s->ln_square_sum / (double)s->sized_nr - d->mu * d->mu;
	d->sigma = variance > 0 ? sqrt(variance) : 0;
}

int dataset_scan(const char *dir, struct dataset_shape *ret, struct err *err)
{
	struct dataset_shape shape = { .files_nr = 0 };
	struct scan s = { .shape = &shape };
	struct stat st;
	int root = -1, rc = dataset_open_root(dir, &root, err);

	if (rc < 0)
		return rc;
	if (fstat(root, &st) < 0) {
		rc = err_set(err, -errno, "%s: %s", dir, strerror(errno));
		close(root);
		return rc;
	}
	s.device = st.st_dev;
	scan_folder(&s, root, 0);
	if (shape.files_nr == 0)
		return err_set(err, -ENODATA, "%s: there is no file in it that could be read", dir);
	fit(&s);
	*ret = shape;
	return 0;
}
