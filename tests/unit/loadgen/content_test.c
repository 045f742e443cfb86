/* SPDX-License-Identifier: MIT */
/*
 * content_test.c - what stands in a file: the checksum, made in any pieces, checked in any pieces, and told apart when it is wrong.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../../loadgen/content.h"
#include "../../../loadgen/crc32c.h"

#define FILE_BYTES 3000

static const struct content_id id = { .seed = 5, .site = 3, .file = 7 };

Test(content, the_checksum_is_that_of_the_standard_with_the_instruction_and_without)
{
	static const char zeroes[32];

	cr_assert_eq(crc32c("123456789", 9), 0xe3069283u);
	cr_assert_eq(crc32c_portable("123456789", 9), 0xe3069283u);
	cr_assert_eq(crc32c_portable(zeroes, 32), 0x8a9136aau, "RFC 3720, B.4");
	cr_assert_eq(crc32c("", 0), 0u);
}

Test(content, both_checksums_agree_on_every_length_and_alignment)
{
	char data[700];

	if (!crc32c_has_hardware())
		cr_log_warn("this processor has no instruction for it: the table was held against itself");
	content_fill(&id, 0, data, sizeof data);
	for (size_t from = 0; from < 9; from++)
		for (size_t bytes = 0; bytes + from <= sizeof data; bytes++)
			cr_assert_eq(crc32c(data + from, bytes), crc32c_portable(data + from, bytes), "%zu bytes from %zu", bytes, from);
}

Test(content, a_file_made_in_pieces_is_the_file_made_at_once)
{
	char whole[FILE_BYTES], pieces[FILE_BYTES];

	content_fill(&id, 0, whole, sizeof whole);
	for (size_t at = 0; at < sizeof pieces; at += 1024)
		content_fill(&id, at, pieces + at, sizeof pieces - at < 1024 ? sizeof pieces - at : 1024);
	cr_assert_arr_eq(whole, pieces, sizeof whole);
}

Test(content, any_part_of_a_file_can_be_checked)
{
	char file[FILE_BYTES];
	struct damage d;

	content_fill(&id, 0, file, sizeof file);
	for (size_t from = 0; from < sizeof file; from += 37)
		for (size_t bytes = 0; from + bytes <= sizeof file; bytes += 101)
			cr_assert(content_check(&id, from, file + from, bytes, &d), "%zu bytes from %zu", bytes, from);
}

Test(content, every_byte_of_a_block_counts)
{
	char file[FILE_BYTES];
	struct damage d;

	content_fill(&id, 0, file, sizeof file);
	for (size_t at = 0; at < sizeof file; at++) {
		file[at] ^= 0x10;
		cr_assert_not(content_check(&id, 0, file, sizeof file, &d), "byte %zu", at);
		cr_assert_eq(d.kind, DAMAGE_CHANGED, "byte %zu: %s", at, damage_kind_names[d.kind]);
		cr_assert_eq(d.offset + d.first_byte, at);
		cr_assert_eq(d.bytes_nr, 1u);
		file[at] ^= 0x10;
	}
}

/* A block of each origin where another should be; `text` is what is said of it. */
Test(content, a_block_that_does_not_belong_says_where_it_is_from)
{
	static const struct {
		struct content_id from;
		uint64_t offset;
		const char *text;
	} cases[] = {
		{ { .seed = 5, .site = 3, .file = 7 }, 1024, "a whole block of this file from 1024" },
		{ { .seed = 5, .site = 3, .file = 8 }, 512, "a whole block of s0003 file 8 at 512" },
		{ { .seed = 5, .site = 2, .file = 7 }, 512, "a whole block of s0002 file 7 at 512" },
		{ { .seed = 4, .site = 3, .file = 7 }, 512, "a whole block of an earlier dataset, seed 4, of s0003 file 7 at 512" },
	};
	char file[FILE_BYTES], text[DAMAGE_TEXT_BYTES];
	struct damage d;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		content_fill(&id, 0, file, sizeof file);
		content_fill(&cases[i].from, cases[i].offset, file + 512, 512);
		cr_assert_not(content_check(&id, 0, file, sizeof file, &d), "%zu", i);
		cr_assert_eq(d.offset, 512u);
		damage_format(&d, text);
		cr_assert_str_eq(text, cases[i].text);
	}
}

Test(content, zeroes_strange_bytes_and_torn_blocks_are_told_apart)
{
	char file[FILE_BYTES], other[CONTENT_BLOCK_BYTES];
	struct damage d;

	content_fill(&id, 0, file, sizeof file);
	memset(file + 1024, 0, 512);
	cr_assert_not(content_check(&id, 0, file, sizeof file, &d));
	cr_assert_eq(d.kind, DAMAGE_ZEROES);
	cr_assert_eq(d.offset, 1024u);
	memset(file + 1024, 'x', 512);
	cr_assert_not(content_check(&id, 0, file, sizeof file, &d));
	cr_assert_eq(d.kind, DAMAGE_FOREIGN, "%s", damage_kind_names[d.kind]);
	content_fill(&id, 0, file, sizeof file);
	content_fill(&id, 512, other, sizeof other);
	memcpy(file + 1024 + 200, other + 200, 312);
	cr_assert_not(content_check(&id, 0, file, sizeof file, &d));
	cr_assert_eq(d.kind, DAMAGE_TORN, "%s", damage_kind_names[d.kind]);
	cr_assert_eq(d.first_byte, 200u);
}

Test(content, the_log_keeps_the_first_and_counts_the_rest)
{
	static struct damage_log log;
	struct damage d = { .kind = DAMAGE_ZEROES };

	for (d.offset = 0; d.offset < 3 * DAMAGE_NOTES_MAX; d.offset++)
		damage_log_add(&log, "job", &id, &d);
	damage_log_add(NULL, "job", &id, &d);
	cr_assert_eq(log.ops_nr, 3u * DAMAGE_NOTES_MAX);
	for (size_t i = 0; i < DAMAGE_NOTES_MAX; i++)
		cr_assert_eq(log.note[i].damage.offset, i);
}
