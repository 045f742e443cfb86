/* SPDX-License-Identifier: MIT */
/*
 * text_test.c - what people write is understood or refused with its place; files and random numbers keep their promises.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "rng.h"
#include "units.h"
#include "yaml.h"

Test(units, durations_need_a_unit_and_nothing_else)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t ns;
	} cases[] = { { "500ms", 0, 500000000 }, { "1.5s", 0, 1500000000 }, { "2m", 0, 120000000000 }, { "0", 0, 0 },	     { "7ns", 0, 7 },
		      { "4k", -EINVAL, 0 },	 { "30", -EINVAL, 0 },	    { "", -EINVAL, 0 },		   { "-1s", -EINVAL, 0 }, { "1s ", -EINVAL, 0 },
		      { "inf", -EINVAL, 0 },	 { "0x10s", -EINVAL, 0 },   { "1.2.3s", -EINVAL, 0 },	   { ".5s", -EINVAL, 0 }, { "99999999999h", -ERANGE, 0 } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t ns = 0;

		cr_assert_eq(units_parse_duration(cases[i].text, &ns), cases[i].rc, "'%s'", cases[i].text);
		cr_assert_eq(ns, cases[i].ns, "'%s'", cases[i].text);
	}
}

Test(err, what_somebody_else_said_steers_no_terminal)
{
	struct err err = ERR_INIT;
	char text[] = "a\033[2J\a\n\x7f\xc2\x9b" "1m \xc2\xa7 \xc3\x9b";

	(void)err_set(&err, -EIO, "%s", text);
	cr_expect_str_eq(err.text, "a?[2J?\n???1m \xc2\xa7 \xc3\x9b");
	err_make_harmless(text, false);
	cr_expect_str_eq(text, "a?[2J?????1m \xc2\xa7 \xc3\x9b");
}

Test(err, what_was_cut_in_the_middle_of_a_character_is_a_text_of_json)
{
	static const struct { const char *said, *told; } cases[] = {
		{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xa5", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xa5" }, { "a\xc3", "a?" }, { "a\xe2\x82", "a??" }, { "\xa9\xff", "??" },
		{ "\xc0\xaf", "??" }, { "\xe0\x80\xaf", "???" }, { "\xed\xa0\x80", "???" }, { "\xf0\x80\x80\xaf", "????" }, { "\xf4\x90\x80\x80", "????" } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err err = ERR_INIT;
		json_t *json;

		(void)err_set(&err, -EIO, "%s", cases[i].said);
		cr_expect_str_eq(err.text, cases[i].told);
		json = json_string(err.text);
		cr_expect_not_null(json, "%zu", i);
		json_decref(json);
	}
}

/* A byte more or less before it, and the cut lies in the middle of one. */
Test(err, a_sentence_that_is_too_long_ends_with_a_whole_character)
{
	for (int before = 0; before < 4; before++) {
		struct err err = ERR_INIT;
		char path[3 * ERR_TEXT_BYTES + 1] = "";
		json_t *json;

		for (size_t i = 0; i < ERR_TEXT_BYTES; i++)
			memcpy(path + 3 * i, "\xe2\x82\xac", 4);
		(void)err_set(&err, -EIO, "%.*s%s", before, "abc", path);
		(void)err_prefix(&err, -EIO, "%.*s", before, "h\xc3\xb6he");
		json = json_string(err.text);
		cr_expect_not_null(json, "%d", before);
		json_decref(json);
	}
}

Test(units, a_time_can_be_printed_exactly_and_read_back)
{
	static const struct { uint64_t ns; const char *text; } cases[] = { { 0, "0s" }, { 1, "1ns" }, { 1000, "1us" }, { 1200000000, "1200ms" },
									   { 90000000000, "90s" }, { 1000000001, "1000000001ns" } };
	uint64_t ns;
	char out[32];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cr_assert_str_eq(units_exact_ns(cases[i].ns, out, sizeof out), cases[i].text);
		cr_assert_eq(units_parse_duration(out, &ns), 0);
		cr_assert_eq(ns, cases[i].ns);
	}
}

Test(units, times_are_printed_with_three_digits)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = { { 7, "7 ns" }, { 1500, "1.50 us" }, { 12300000, "12.3 ms" }, { 999600000, "1.00 s" }, { 4800000000, "4.80 s" }, { 31200000000, "31.2 s" } };
	char out[24];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		cr_assert_str_eq(units_format_ns(cases[i].ns, out, sizeof out), cases[i].text);
}

static void refuse(const char *text, const char *sentence)
{
	struct yaml *root = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(yaml_parse(text, "f.yaml", &root, &err), -EINVAL, "'%s'", text);
	cr_assert_not_null(strstr(err.text, sentence), "'%s' gave '%s'", text, err.text);
	cr_assert_null(root);
}

Test(yaml, what_is_not_taken_is_refused_with_its_line)
{
	refuse("", "f.yaml:1: it is empty");
	refuse("a: 1\nb: 2\na: 3\n", "f.yaml:3: the key 'a' is there twice");
	refuse("a: &x 1\nb: *x\n", "f.yaml:1: anchors");
	refuse("a: [1, 2\n", "f.yaml:2:");
	refuse("a: 1\n---\nb: 2\n", "second document");
}

Test(yaml, an_unknown_key_names_the_nearest_one)
{
	static const char *const known[] = { "jobs", "phases", NULL };
	struct yaml *root;
	struct err err = ERR_INIT;

	cr_assert_eq(yaml_parse("phases: 1\njbos:\n  a: 2\n", "f.yaml", &root, NULL), 0);
	cr_assert_eq(yaml_check_keys(root, "the profile", known, &err), -EINVAL);
	cr_assert_str_eq(err.text, "f.yaml:2: unknown key in the profile 'jbos'; did you mean 'jobs'?");
	yaml_tree_free(root);
}

Test(yaml, a_dotted_path_changes_what_it_names)
{
	struct yaml *root;
	struct err err = ERR_INIT;
	const struct yaml *fault;
	uint64_t ns;

	cr_assert_eq(yaml_parse("faults:\n  - {fault: x, args: {delay: 2s}}\n", "f.yaml", &root, NULL), 0);
	cr_assert_eq(yaml_set(root, "faults.0.args.delay=1s", &err), 0, "%s", err.text);
	cr_assert_eq(yaml_set(root, "lab.clients=4", &err), 0, "%s", err.text);
	fault = yaml_get(root, "faults")->child;
	cr_assert_eq(yaml_to_duration(yaml_get(yaml_get(fault, "args"), "delay"), &ns, NULL), 0);
	cr_assert_eq(ns, 1000000000u);
	cr_assert_str_eq(yaml_get(yaml_get(root, "lab"), "clients")->text, "4");
	cr_assert_eq(yaml_set(root, "faults.1.on=a", &err), -EINVAL);
	cr_assert_eq(yaml_set(root, "faults=[]", NULL), 0);
	cr_assert_eq(yaml_get(root, "faults")->children_nr, 0u);
	yaml_tree_free(root);
}

Test(yaml, what_is_printed_reads_back_the_same)
{
	static const char text[] = "name: a\nline: \"x >= 0.5 for 10s: \\\"q\\\"\"\nempty: ''\nnone: []\njobs:\n  one: {mix: {read: 1}, phases: [a, b]}\n  two: {}\n";
	struct yaml *root, *again;
	char *first, *second;
	struct err err = ERR_INIT;

	cr_assert_eq(yaml_parse(text, "f.yaml", &root, &err), 0, "%s", err.text);
	cr_assert_eq(yaml_print(root, &first), 0);
	cr_assert_eq(yaml_parse(first, "g.yaml", &again, &err), 0, "%s in\n%s", err.text, first);
	cr_assert_eq(yaml_print(again, &second), 0);
	cr_assert_str_eq(first, second);
	cr_assert_str_eq(yaml_get(again, "line")->text, "x >= 0.5 for 10s: \"q\"");
	cr_assert_eq(yaml_get(yaml_get(yaml_get(again, "jobs"), "one"), "phases")->children_nr, 2u);
	free(first);
	free(second);
	yaml_tree_free(root);
	yaml_tree_free(again);
}

Test(file, a_file_is_replaced_whole_and_a_tree_removed_without_following_links)
{
	char dir[] = "/tmp/squall-test-XXXXXX", path[128], *text = NULL;
	struct err err = ERR_INIT;
	size_t bytes;

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/a/b", dir);
	cr_assert_eq(file_mkdirs(path, 0755, &err), 0, "%s", err.text);
	(void)snprintf(path, sizeof path, "%s/a/b/link", dir);
	cr_assert_eq(symlink("/etc", path), 0);
	(void)snprintf(path, sizeof path, "%s/a/file", dir);
	cr_assert_eq(file_write(path, "one", 3, 0644, &err), 0, "%s", err.text);
	cr_assert_eq(file_write(path, "three", 5, 0644, &err), 0, "%s", err.text);
	cr_assert_eq(file_read(path, 100, &text, &bytes, &err), 0, "%s", err.text);
	cr_assert_str_eq(text, "three");
	cr_assert_eq(file_read(path, 4, &text, &bytes, &err), -EFBIG);
	cr_assert_eq(file_remove_tree(dir, &err), 0);
	cr_assert_neq(access(dir, F_OK), 0);
	cr_assert_eq(access("/etc/passwd", F_OK), 0);
	free(text);
}

Test(file, base64_comes_back_at_every_length)
{
	for (size_t n = 0; n < 40; n++) {
		uint8_t data[40], *back;
		size_t bytes;
		char *text;

		for (size_t i = 0; i < n; i++)
			data[i] = (uint8_t)(i * 37 + n);
		text = base64_encode(data, n);
		cr_assert_eq(base64_decode(text, &back, &bytes), 0);
		cr_assert_eq(bytes, n);
		cr_assert_eq(memcmp(back, data, n), 0);
		free(text);
		free(back);
	}
	cr_assert_eq(base64_decode("a===", &(uint8_t *){ NULL }, &(size_t){ 0 }), -EBADMSG);
	cr_assert_eq(base64_decode("ab c", &(uint8_t *){ NULL }, &(size_t){ 0 }), -EBADMSG);
}

Test(rng, one_seed_gives_one_stream_and_another_name_another)
{
	struct rng a, b;
	double sum = 0;

	rng_init(&a, rng_subseed(1, "visitors"), 5);
	rng_init(&b, rng_subseed(1, "visitors"), 5);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(rng_u64(&a), rng_u64(&b));
	cr_assert_neq(rng_subseed(1, "visitors"), rng_subseed(1, "visitorr"));
	for (int i = 0; i < 100000; i++)
		sum += rng_exponential(&a);
	cr_assert_float_eq(sum / 100000, 1.0, 0.02);
	for (int i = 0; i < 1000; i++)
		cr_assert_lt(rng_below(&a, 3), 3u);
}

Test(err, a_list_for_a_sentence_leaves_out_what_does_not_fit)
{
	char list[12] = "";

	err_list(list, sizeof list, "%s is %d", "a", 1);
	cr_assert_str_eq(list, "a is 1");
	err_list(list, sizeof list, "%s", "bcdef");
	cr_assert_str_eq(list, "a is 1, bcd");
	err_list(list, sizeof list, "%s", "g");
	cr_assert_str_eq(list, "a is 1, bcd");
}
