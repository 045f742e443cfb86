/* SPDX-License-Identifier: MIT */
/*
 * dataset.h - where the files of a dataset are, and what its manifest says.
 *
 *	DIR/squall-manifest.json	spec, seed and digest; written first, removed last
 *	DIR/squall-sizes		the size of each file, 8 bytes each, little-endian; index = site * files_per_site + file
 *	DIR/squall-part-2-of-3		while several hosts build it: that one is done, and this part of it is whole
 *	DIR/s0003/d1/d0/f00012      `depth` levels of folders; bit l of the file's number picks the folder of level l
 *	DIR/s0003/log/HOST.log      appends
 *	DIR/s0003/scratch/          what ops change; made at the start of a job that has such ops, see scratch.h
 *
 * What is in a file is a function of (seed, site, file), see content.h.
 * A path is a function of (site, file): whoever knows the spec can name a file without touching the storage.
 */
#ifndef SQUALL_LOADGEN_DATASET_H
#define SQUALL_LOADGEN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "load.h"

#define FILES_MAX (1u << 20)		/* of all sites together */
#define DATASET_PATH_BYTES 160		/* of a path below DIR */
#define DATASET_SIZES "squall-sizes"
#define DATASET_PART "squall-part-"
#define MANIFEST_BYTES_MAX 65536u

struct manifest {
	struct dataset_spec spec;
	uint64_t seed;
	uint64_t sizes_digest;
	bool complete;			/* false while it is being built */
	uint64_t *size_bytes;		/* of each file; index = site * files_per_site + file */
};

#define MANIFEST_INIT { .size_bytes = NULL }

/** Sizes, drawn from the seed; `ret->seed` is `seed` as far as JSON can hold it. Errors: -EINVAL out of range, -ENOMEM. */
int manifest_draw(const struct dataset_spec *spec, uint64_t seed, struct manifest *ret, struct err *err);
/** Read and check it. @param root  descriptor of DIR; `dir` is for sentences alone. Errors: -ENOENT none; -EBADMSG not one of ours, or changed by hand; -errno. Context: touches the storage. */
int manifest_read_at(int root, const char *dir, struct manifest *ret, struct err *err);
int manifest_read(const char *dir, struct manifest *ret, struct err *err);
/** The same without sizes, which stay NULL: all that is needed to remove it. */
int manifest_read_head(int root, const char *dir, struct manifest *ret, struct err *err);
/** Write it, first the manifest and then the sizes: what is there is always named by a manifest. A complete one has its sizes already. */
int manifest_write(int root, const char *dir, const struct manifest *m, struct err *err);
/** Same spec, seed and sizes; how the sizes were drawn does not matter. */
bool manifest_equal(const struct manifest *a, const struct manifest *b);
void manifest_release(struct manifest *m);

/* Paths below DIR. @param out at least DATASET_PATH_BYTES */
void dataset_site_path(uint32_t site, char *out);
/** Folder of a file; `levels` of it (0 is the site's folder). */
void dataset_folder_path(const struct dataset_spec *spec, uint32_t site, uint32_t file, unsigned int levels, char *out);
void dataset_file_path(const struct dataset_spec *spec, uint32_t site, uint32_t file, char *out);
void dataset_log_folder_path(uint32_t site, char *out);
void dataset_log_path(uint32_t site, const char *host, char *out);

/** The root, by which everything below it is reached from then on. */
int dataset_open_root(const char *dir, int *ret_root, struct err *err);
/** It holds this dataset, now and here; asked before anything is written below it. Errors: -ENOENT no manifest, -ESTALE another dataset. */
int dataset_check_root(int root, const char *dir, const struct manifest *want, struct err *err);

/**
 * open(2) below the root, for whatever may write: never through a symbolic link, never into another file system.
 * @return a descriptor, or -errno: -ELOOP, -EXDEV. Context: hot, may block. Source: openat2(2).
 */
int dataset_openat(int root, const char *path, int flags, mode_t mode);
/** The folder of a path, opened like that with O_PATH. @param ret_name  the rest of `path`. */
int dataset_open_folder(int root, const char *path, const char **ret_name);
/** mkdir(2) below the root, like that. A folder that is there is fine. */
int dataset_mkdir(int root, const char *path);
/** unlink(2) below the root, like that. @param flags  AT_REMOVEDIR or 0 */
int dataset_unlink(int root, const char *path, int flags);

/** Read a whole file. @param buffer CREW_BUFFER_BYTES. @param why  what is wrong with it; may be NULL. */
bool dataset_file_is_good(int root, const struct manifest *m, uint32_t site, uint32_t file, char *buffer, struct err *why);
/** What a build leaves beside manifest and sizes when it is killed, or is one of several. */
void dataset_remove_marks(int root);
/** Everything that a manifest names, itself last. Goes on after an error. Errors: the first, with its path. */
int dataset_remove_all(int root, const char *dir, const struct dataset_spec *spec, struct err *err);

#endif
