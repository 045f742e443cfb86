/* SPDX-License-Identifier: MIT */
/*
 * content.h - what stands in a file of a dataset, and what is wrong with what was read instead.
 *
 * Each block of 512 bytes says where it belongs and carries its own checksum, all little-endian:
 *
 *	0	magic		"squallB1"
 *	8	seed		of the dataset
 *	16	site
 *	20	file		of the site
 *	24	offset		of the block in the file [bytes]
 *	32	payload		a function of the four above
 *	508	checksum	CRC-32C of the 508 bytes before it
 *
 * The last block of a file is cut where the file ends. So any part of a file can be made or checked by whoever knows seed, site and
 * file; and a block that turns up where it does not belong says where it came from. 512 bytes are the least that a disk writes at once.
 */
#ifndef SQUALL_LOADGEN_CONTENT_H
#define SQUALL_LOADGEN_CONTENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"

#define CONTENT_BLOCK_BYTES 512u
#define DAMAGE_TEXT_BYTES 160
#define DAMAGE_NOTES_MAX 16

struct content_id {
	uint64_t seed;
	uint32_t site, file;
};

/** The bytes of a file from `offset` on, which is a multiple of CONTENT_BLOCK_BYTES. */
void content_fill(const struct content_id *id, uint64_t offset, void *out, size_t bytes);

enum damage_kind {
	DAMAGE_NONE,
	DAMAGE_ZEROES,
	DAMAGE_OTHER_DATASET,	/* a whole block of another seed: one that was here before */
	DAMAGE_OTHER_FILE,	/* a whole block of this dataset, of another file */
	DAMAGE_OTHER_PLACE,	/* a whole block of this file from another offset */
	DAMAGE_TORN,		/* right up to a point, and something else from there to the end of the block */
	DAMAGE_CHANGED,		/* some bytes of it differ */
	DAMAGE_FOREIGN,		/* nothing that squall has written */
	DAMAGE_SHORT,		/* the file ends early */
	DAMAGE_LONG,		/* the file goes on after its end */
};

struct damage {
	enum damage_kind kind;
	uint64_t offset;	/* in the file: of the bad block; of DAMAGE_SHORT and _LONG where it should end */
	struct content_id found;	/* of a whole block: what it says of itself */
	uint64_t found_offset;	/* the same; of DAMAGE_SHORT and _LONG where it was seen to end */
	uint32_t first_byte, bytes_nr;	/* of DAMAGE_TORN and _CHANGED: the first that differs, in the block, and how many do */
};

/**
 * Hold bytes that were read against what should be there; any offset, any length.
 * @param ret  of the first bad block; written on failure alone. @return whether all is right. Context: hot; touches memory alone.
 */
bool content_check(const struct content_id *id, uint64_t offset, const void *data, size_t bytes, struct damage *ret);

/** What was found, in words: "zeroes", "a whole block of s0001 file 3 at 1024". @param out DAMAGE_TEXT_BYTES */
void damage_format(const struct damage *d, char *out);
extern const char *const damage_kind_names[];	/* by enum damage_kind; NULL-terminated */

struct damage_note {
	_Atomic uint32_t ready;
	uint32_t site, file;
	char job[NAME_BYTES];
	struct damage damage;
};

/* In memory that the worker and the supervisor share: what checks of ops have found. Written by any thread, without a lock. */
struct damage_log {
	_Atomic uint64_t ops_nr;	/* ops that failed for it */
	struct damage_note note[DAMAGE_NOTES_MAX];	/* the first ones */
};

/** @param log may be NULL. Context: hot, any thread. */
void damage_log_add(struct damage_log *log, const char *job, const struct content_id *id, const struct damage *d);

#endif
