/* SPDX-License-Identifier: MIT */
/*
 * files.h - the files of a dataset as an engine sees them: paths below a descriptor of the root, sizes, and what an op reads or writes.
 *
 * Made before the start, read by all threads of a job; the hot path formats nothing but a missing name and a line of a log.
 */
#ifndef SQUALL_LOADGEN_FILES_H
#define SQUALL_LOADGEN_FILES_H

#include "content.h"
#include "dataset.h"
#include "engine.h"

#define FILES_KEPT_ALL_MAX 16384u				/* opened before the start, for which there are 30 s */
#define FILES_PATH_BYTES (DATASET_PATH_BYTES + 32)	/* with a missing name */
#define FILES_LINE_BYTES 96				/* of a line of a log */
#define FILES_SECTOR_BYTES 512u				/* the least that a read with O_DIRECT is made of */

struct files {
	int root;			/* -1: not open */
	uint32_t files_per_site;
	size_t files_nr, stride;
	char *path;			/* files_nr paths of `stride` bytes */
	const uint64_t *size_bytes;	/* the manifest's */
	const char *host, *job;
	bool verify;			/* what is read is checked */
	bool direct;			/* read with O_DIRECT */
	uint64_t seed;
	struct damage_log *damage;	/* where it is noted; may be NULL */
};

/** @param f  released by files_release() in any case. Errors: -ENOMEM, -errno of the root. Context: touches the root alone. */
int files_open(struct files *f, const struct engine_env *env, struct err *err);
void files_release(struct files *f);

/** Raise the limit of descriptors. @return how many of the files may be kept open, 1 or more; a slot needs one besides. */
size_t files_keep_max(const struct files *f);

/* Files that are opened before the start and stay open: of an engine whose loop must not wait for an open. */
struct kept {
	int *fd;
	size_t nr;
};

/** Open the first files_keep_max() files, and at most FILES_KEPT_ALL_MAX; with O_DIRECT for a job that is direct. @param k  released by kept_release() in any case. Errors: with the path. Context: before the start; may block. */
int kept_open_all(struct kept *k, const struct files *f, const struct engine_env *env, struct err *err);
void kept_release(struct kept *k);

static inline const char *files_path(const struct files *f, size_t idx)
{
	return f->path + idx * f->stride;
}

static inline size_t files_idx(const struct files *f, const struct op *op)
{
	return (size_t)op->site * f->files_per_site + op->file;
}

/** Where a pread of this draw begins [bytes]; a multiple of PREAD_BYTES. */
static inline uint64_t files_pread_offset(const struct files *f, size_t idx, uint64_t draw)
{
	uint64_t blocks = (f->size_bytes[idx] + PREAD_BYTES - 1) / PREAD_BYTES;

	return blocks ? draw % blocks * PREAD_BYTES : 0;
}

/**
 * A read may give less than is there: what came before an error, which is that of the next read. The rest is then read from where it ended, and only
 * a read that gives nothing has found the end. With O_DIRECT what is cut within a sector is, too: nothing can be read from there.
 * @return whether there is a rest: the `wanted` of files_check() is then what was given. Context: hot.
 */
static inline bool files_is_part(const struct files *f, size_t idx, uint64_t offset, int64_t bytes, uint64_t wanted)
{
	if (bytes <= 0 || (uint64_t)bytes >= wanted)
		return false;
	return offset + (uint64_t)bytes < f->size_bytes[idx] && !(f->direct && bytes % FILES_SECTOR_BYTES);
}

/**
 * Hold what a read of `wanted` bytes gave against what the file has there.
 * @param bytes  what the read returned, bytes or -errno, which is passed on. @return bytes, or -ENODATA: the file is shorter than its
 * manifest says; -EBADMSG: it is longer, or something else is in it. Both are noted. Context: hot.
 */
int64_t files_check(const struct files *f, size_t idx, uint64_t offset, const void *data, int64_t bytes, uint64_t wanted);

/** The folder of a file. @param out DATASET_PATH_BYTES. @return its length */
size_t files_folder(const struct files *f, size_t idx, char *out);
/** A name that is not there, beside the file. @param out FILES_PATH_BYTES */
void files_miss_path(const struct files *f, size_t idx, uint64_t draw, char *out);
/** The line that append_fsync writes. @param out FILES_LINE_BYTES. @return its length */
int files_log_line(uint64_t draw, char *out);

#endif
