/* SPDX-License-Identifier: MIT */
/*
 * told_test.c - what an agent tells again, also when it, or its host, has crashed.
 */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "json_text.h"

#include "../../../coord/told.h"

static char dir[64];

static void make_dir(void)
{
	(void)snprintf(dir, sizeof dir, "/tmp/squall-told-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	(void)file_remove_tree(dir, NULL);
}

TestSuite(told, .init = make_dir, .fini = remove_dir);

/* @return the number that it got */
static json_int_t tell(struct told *t)
{
	json_t *body = json_object();
	json_int_t number;

	told_number(t, "x", body);
	number = json_integer_value(json_object_get(body, "n"));
	json_decref(body);
	return number;
}

/* Messages 1 to 3, of which the last lacks its last byte. */
static void crash(void)
{
	struct told t = { .dir = dir };
	char path[128];
	struct stat st;

	cr_assert_eq(told_begin(&t, "run", NULL), 0);
	for (int i = 1; i <= 3; i++)
		cr_assert_eq(tell(&t), i);
	told_end(&t);
	(void)snprintf(path, sizeof path, "%s/run.0.spool", dir);
	cr_assert(stat(path, &st) == 0 && truncate(path, st.st_size - 1) == 0);
}

static void expect_again(struct told *t, uint64_t after, const char *expected)
{
	json_t *again = told_again(t, "run", after);
	char *text = json_text(json_object_get(again, "messages"), JSON_COMPACT | JSON_SORT_KEYS);

	cr_expect_str_eq(text, expected);
	free(text);
	json_decref(again);
}

Test(told, what_a_crash_has_torn_is_told_once_and_behind_what_is_whole)
{
	static const char all[] = "[{\"kind\":\"x\",\"n\":1},{\"kind\":\"x\",\"n\":2},{\"bytes\":27,\"kind\":\"torn\",\"n\":3}]";

	crash();
	for (int i = 0; i < 3; i++) {	/* until it is kept */
		struct told t = { .dir = dir };

		expect_again(&t, 0, all);
		expect_again(&t, 2, "[{\"bytes\":27,\"kind\":\"torn\",\"n\":3}]");
		if (i == 2)
			told_kept(&t, 3);
		told_end(&t);
	}
	expect_again(&(struct told){ .dir = dir }, 0, "[]");
}

Test(told, numbers_go_on_behind_what_the_coordinator_has_heard)
{
	struct told t = { .dir = dir };

	crash();
	expect_again(&t, 7, "[{\"bytes\":27,\"kind\":\"torn\",\"n\":8}]");
	cr_expect_eq(tell(&t), 9);
	told_end(&t);
}

/* How many messages come at once. */
static size_t count_again(struct told *t, uint64_t after, bool expect_more)
{
	json_t *again = told_again(t, "run", after);
	size_t nr = json_array_size(json_object_get(again, "messages"));

	cr_expect_eq(json_is_true(json_object_get(again, "more")), expect_more, "after %d", (int)after);
	json_decref(again);
	return nr;
}

Test(told, a_great_message_comes_alone)
{
	static char great[3u << 20], small[1000];
	const char *const texts[] = { small, small, great, small };
	struct told t = { .dir = dir };

	memset(great, 'g', sizeof great - 1);
	memset(small, 's', sizeof small - 1);
	cr_assert_eq(told_begin(&t, "run", NULL), 0);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		json_t *body = json_pack("{s:s}", "text", texts[i]);

		told_number(&t, "x", body);
		json_decref(body);
	}
	cr_expect_eq(count_again(&t, 0, true), 2);
	cr_expect_eq(count_again(&t, 2, true), 1);
	cr_expect_eq(count_again(&t, 3, false), 1);
	told_end(&t);
}
