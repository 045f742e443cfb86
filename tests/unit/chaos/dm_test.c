/* SPDX-License-Identifier: MIT */
/*
 * dm_test.c - the table that makes a disk slow is made of the one that it has.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "err.h"

#include "../../../chaos/dm.h"
#include "../../../chaos/plan.h"

Test(dm, a_linear_table_is_delayed_for_writes_or_for_all)
{
	struct err err = ERR_INIT;
	char slow[256];

	cr_assert_eq(dm_delay_table("0 6291456 linear 254:0 2048", false, 200, slow, sizeof slow, &err), 0, "%s", err.text);
	cr_assert_str_eq(slow, "0 6291456 delay 254:0 2048 0 254:0 2048 200");
	cr_assert_eq(dm_delay_table("0 6291456 linear 254:0 2048", true, 200, slow, sizeof slow, &err), 0, "%s", err.text);
	cr_assert_str_eq(slow, "0 6291456 delay 254:0 2048 200 254:0 2048 200");
}

Test(dm, a_linear_table_fails_writes_or_all)
{
	struct err err = ERR_INIT;
	char failing[256];

	cr_assert_eq(dm_error_table("0 6291456 linear 254:0 2048", false, failing, sizeof failing, &err), 0, "%s", err.text);
	cr_assert_str_eq(failing, "0 6291456 flakey 254:0 2048 0 1 1 error_writes");
	cr_assert_eq(dm_error_table("0 6291456 linear 254:0 2048", true, failing, sizeof failing, &err), 0, "%s", err.text);
	cr_assert_str_eq(failing, "0 6291456 error");
}

Test(dm, a_table_that_is_not_one_linear_target_is_refused)
{
	static const char *const other[] = { "0 8 delay 254:0 0 0 254:0 0 200", "0 8 linear 254:0 0\n8 8 linear 254:16 0", "8 8 linear 254:0 0", "0 8 linear 254:0", "" };

	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		struct err err = ERR_INIT;
		char slow[256];

		cr_expect_eq(dm_delay_table(other[i], true, 200, slow, sizeof slow, &err), -ENOTSUP, "accepted: %s", other[i]);
		cr_expect(strstr(err.text, "linear"), "%s", err.text);
	}
}

/* Without --showkeys the key is zeros: loaded, it would make noise of every block that is written. */
Test(dm, a_table_that_dmsetup_does_not_show_whole_is_never_put_back)
{
	static const char crypt[] = "0 6291456 crypt aes-xts-plain64 0000000000000000000000000000000000000000000000000000000000000000 0 254:0 4096";
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;

	cr_expect_eq(dm_add_undo(&plan, "store", crypt, &err), -ENOTSUP);
	cr_expect(strstr(err.text, "linear"), "%s", err.text);
	cr_expect_eq(json_array_size(plan.undo), 0);
	cr_expect_eq(dm_add_undo(&plan, "store", "0 6291456 linear 254:0 2048", &err), 0, "%s", err.text);
	cr_expect_eq(json_array_size(plan.undo), 1);
	plan_release(&plan);
}
