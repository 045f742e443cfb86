/* SPDX-License-Identifier: MIT */
/*
 * freeze_test.c - what nfs-freeze refuses, and how it ends where it cannot be done: with a tmpfs of the test's own, which no kernel freezes.
 */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "lab.h"

#define LONG_NS (20 * NS_PER_S)

static char folder[64];

static void leave(void)
{
	if (folder[0] != '\0') {
		(void)umount2(folder, MNT_DETACH);
		(void)rmdir(folder);
		folder[0] = '\0';
	}
	lab_leave();
}

TestSuite(freeze, .fini = leave, .timeout = 120);

/* A folder that may be frozen, in a mount namespace of its own. @param suffix  of its name */
static void enter(const char *suffix, bool mounted)
{
	char allow[160];

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("needs root and a mount namespace");
	(void)snprintf(folder, sizeof folder, "/tmp/squall-freeze-%d%s", (int)getpid(), suffix);
	cr_assert_eq(mkdir(folder, 0700), 0);
	if (mounted && mount("tmpfs", folder, "tmpfs", 0, NULL) < 0)
		cr_skip_test("no tmpfs can be mounted");
	(void)snprintf(allow, sizeof allow, "exports: [\"%s\"]\nmax_time: 1m\n", folder);
	lab_enter(allow);
}

static void expect_failed(const char *sentence, const char *evidence)
{
	struct chaos_hold hold;
	json_t *failed;

	lab_start("nfs-freeze", LONG_NS, LONG_NS, &hold);
	failed = lab_event(&hold, "failed", NULL);
	cr_assert(failed);
	cr_expect(strstr(json_string_value(json_object_get(failed, "error")), sentence), "%s", json_string_value(json_object_get(failed, "error")));
	cr_expect(strstr(json_string_value(json_object_get(failed, "evidence")), evidence), "%s", json_string_value(json_object_get(failed, "evidence")));
	cr_expect_str_eq(json_string_value(json_object_get(failed, "undone")), "confirmed");
	json_decref(failed);
	chaos_hold_close(&hold);
	cr_assert(lab_is_clean());
}

Test(freeze, a_file_system_that_cannot_be_frozen_is_as_it_was)
{
	enter("", true);
	expect_failed("fsfreeze --freeze", "is not frozen");
}

Test(freeze, what_could_not_be_undone_is_not_begun)
{
	enter("-it's", true);
	expect_failed("FS_THAW of a path that is none", "nothing was begun");
}

Test(freeze, a_folder_that_is_no_mount_is_refused)
{
	enter("", false);
	expect_failed("is not the root of a mount of its own", "nothing was begun");
}

Test(freeze, the_file_system_that_squall_lives_on_is_refused)
{
	lab_enter("exports: [/]\nmax_time: 1m\n");
	expect_failed("is the one of / or of squall's journal", "nothing was begun");
}
