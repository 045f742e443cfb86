/* SPDX-License-Identifier: MIT */
/*
 * content.c - see content.h.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "content.h"
#include "crc32c.h"
#include "rng.h"

#define MAGIC 0x31426c6c61757173ULL	/* "squallB1" */
#define WORDS (CONTENT_BLOCK_BYTES / 8)
#define HEAD_WORDS 4
#define HEAD_BYTES (8 * HEAD_WORDS)
#define SUM_OFFSET (CONTENT_BLOCK_BYTES - 4)
#define TORN_BYTES_MIN 16	/* fewer are changed bytes, whatever they look like */

const char *const damage_kind_names[] = { "none",  "zeroes",  "other-dataset", "other-file", "other-place", "torn",
					  "changed", "foreign", "short",	 "long",       NULL };

static void make_head(const struct content_id *id, uint64_t offset, uint64_t head[HEAD_WORDS])
{
	head[0] = htole64(MAGIC);
	head[1] = htole64(id->seed);
	head[2] = htole64((uint64_t)id->file << 32 | id->site);
	head[3] = htole64(offset);
}

static void make_block(const struct content_id *id, uint64_t offset, char *block)
{
	uint64_t word[WORDS], base = rng_mix(id->seed + rng_mix((uint64_t)id->site << 32 | id->file)) + offset;
	uint32_t sum;

	make_head(id, offset, word);
	for (unsigned int i = HEAD_WORDS; i < WORDS; i++)
		word[i] = htole64(rng_mix(base + i * 0x9e3779b97f4a7c15ULL));
	memcpy(block, word, SUM_OFFSET);
	sum = htole32(crc32c(block, SUM_OFFSET));
	memcpy(block + SUM_OFFSET, &sum, sizeof sum);
}

void content_fill(const struct content_id *id, uint64_t offset, void *out, size_t bytes)
{
	char *at = out, last[CONTENT_BLOCK_BYTES];

	for (; bytes >= CONTENT_BLOCK_BYTES; bytes -= CONTENT_BLOCK_BYTES, at += CONTENT_BLOCK_BYTES, offset += CONTENT_BLOCK_BYTES)
		make_block(id, offset, at);
	if (bytes == 0)
		return;
	make_block(id, offset, last);
	memcpy(at, last, bytes);
}

static bool sum_is_right(const char *block)
{
	uint32_t sum;

	memcpy(&sum, block + SUM_OFFSET, sizeof sum);
	return le32toh(sum) == crc32c(block, SUM_OFFSET);
}

/* A block with magic and a right checksum was written by squall, wherever it lies now. */
static bool is_whole(const char *block, struct damage *d)
{
	uint64_t head[HEAD_WORDS];

	memcpy(head, block, HEAD_BYTES);
	if (le64toh(head[0]) != MAGIC || !sum_is_right(block))
		return false;
	d->found = (struct content_id){ .seed = le64toh(head[1]), .site = (uint32_t)le64toh(head[2]), .file = (uint32_t)(le64toh(head[2]) >> 32) };
	d->found_offset = le64toh(head[3]);
	return true;
}

/* Compare byte for byte: how many differ, and do they make up the end of it? */
static void classify_bytes(const char *want, const char *have, uint32_t from, uint32_t bytes, struct damage *d)
{
	uint32_t first = bytes, nr = 0;
	bool zeroes = true;

	for (uint32_t i = 0; i < bytes; i++) {
		zeroes = zeroes && have[i] == 0;
		if (have[i] == want[i])
			continue;
		first = first < i ? first : i;
		nr++;
	}
	d->first_byte = from + first;
	d->bytes_nr = nr;
	if (zeroes)
		d->kind = DAMAGE_ZEROES;
	else if (bytes - first < TORN_BYTES_MIN || nr < (bytes - first) * 7 / 8)	/* a random byte is right once in 256 */
		d->kind = DAMAGE_CHANGED;
	else
		d->kind = first == 0 ? DAMAGE_FOREIGN : DAMAGE_TORN;
}

/* @param from, bytes  what part of the block `have` is */
static void classify(const struct content_id *id, uint64_t offset, const char *have, uint32_t from, uint32_t bytes, struct damage *ret)
{
	struct damage d = { .offset = offset };
	char want[CONTENT_BLOCK_BYTES];

	make_block(id, offset, want);
	if (bytes == CONTENT_BLOCK_BYTES && is_whole(have, &d))
		d.kind = d.found.seed != id->seed ? DAMAGE_OTHER_DATASET :
			 d.found.site != id->site || d.found.file != id->file ? DAMAGE_OTHER_FILE : DAMAGE_OTHER_PLACE;
	else
		classify_bytes(want + from, have, from, bytes, &d);
	*ret = d;
}

static bool part_is_right(const struct content_id *id, uint64_t offset, const char *have, uint32_t from, uint32_t bytes)
{
	char want[CONTENT_BLOCK_BYTES];

	make_block(id, offset, want);
	return memcmp(want + from, have, bytes) == 0;
}

static bool block_is_right(const struct content_id *id, uint64_t offset, const char *have)
{
	uint64_t head[HEAD_WORDS];

	make_head(id, offset, head);
	return memcmp(head, have, HEAD_BYTES) == 0 && sum_is_right(have);
}

bool content_check(const struct content_id *id, uint64_t offset, const void *data, size_t bytes, struct damage *ret)
{
	const char *have = data;

	while (bytes > 0) {
		uint32_t from = (uint32_t)(offset % CONTENT_BLOCK_BYTES), left = CONTENT_BLOCK_BYTES - from;
		uint32_t part = bytes < left ? (uint32_t)bytes : left;
		bool right = part == CONTENT_BLOCK_BYTES ? block_is_right(id, offset, have) : part_is_right(id, offset - from, have, from, part);

		if (!right) {
			classify(id, offset - from, have, from, part, ret);
			return false;
		}
		have += part;
		offset += part;
		bytes -= part;
	}
	return true;
}

void damage_format(const struct damage *d, char *out)
{
	switch (d->kind) {
	case DAMAGE_NONE:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "nothing wrong");
		return;
	case DAMAGE_ZEROES:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "zeroes");
		return;
	case DAMAGE_OTHER_DATASET:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "a whole block of an earlier dataset, seed %" PRIu64 ", of s%04u file %u at %" PRIu64, d->found.seed,
			       d->found.site, d->found.file, d->found_offset);
		return;
	case DAMAGE_OTHER_FILE:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "a whole block of s%04u file %u at %" PRIu64, d->found.site, d->found.file, d->found_offset);
		return;
	case DAMAGE_OTHER_PLACE:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "a whole block of this file from %" PRIu64, d->found_offset);
		return;
	case DAMAGE_TORN:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "a torn block: right up to byte %u of it, something else from there", d->first_byte);
		return;
	case DAMAGE_CHANGED:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "%u changed bytes, the first at byte %u of the block", d->bytes_nr, d->first_byte);
		return;
	case DAMAGE_FOREIGN:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "bytes that squall has not written");
		return;
	case DAMAGE_SHORT:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "the end of the file at %" PRIu64, d->found_offset);
		return;
	case DAMAGE_LONG:
		(void)snprintf(out, DAMAGE_TEXT_BYTES, "more bytes where the file should end");
		return;
	}
}

void damage_log_add(struct damage_log *log, const char *job, const struct content_id *id, const struct damage *d)
{
	struct damage_note *note;
	uint64_t nr;

	if (!log)
		return;
	nr = atomic_fetch_add_explicit(&log->ops_nr, 1, memory_order_relaxed);
	if (nr >= DAMAGE_NOTES_MAX)
		return;
	note = &log->note[nr];
	note->site = id->site;
	note->file = id->file;
	note->damage = *d;
	(void)snprintf(note->job, sizeof note->job, "%s", job);
	atomic_store_explicit(&note->ready, 1, memory_order_release);
}
