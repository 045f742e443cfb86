/* SPDX-License-Identifier: MIT */
/*
 * stop_test.c - the kill switch: what is in force is healed, nothing new is let in, and an injection that is under way does not slip through.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "lab.h"

#define LONG_NS (20 * NS_PER_S)

static void enter(void)
{
	lab_enter("max_time: 10m\n");
}

TestSuite(stop, .init = enter, .fini = lab_leave, .timeout = 60);

static void state_path(const char *name, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/%s", getenv("SQUALL_STATE"), name);
}

static void expect(struct chaos_hold *hold, const char *event, const char *detail)
{
	json_t *o = lab_event(hold, event, detail);

	cr_assert(o, "no event %s %s", event, detail ? detail : "");
	json_decref(o);
}

Test(stop, heals_what_is_in_force_and_lets_nothing_in_until_it_is_lifted)
{
	struct chaos_hold hold[2], refused;
	struct err err = ERR_INIT;

	for (int i = 0; i < 2; i++)
		lab_start("none", LONG_NS, LONG_NS, &hold[i]);
	for (int i = 0; i < 2; i++)
		expect(&hold[i], "injected", NULL);
	cr_assert_eq(chaos_stop_all(&err), 2, "%s", err.text);
	cr_assert(lab_is_clean());
	for (int i = 0; i < 2; i++)
		chaos_hold_close(&hold[i]);
	cr_assert_eq(chaos_hold_start("none", NULL, LONG_NS, LONG_NS, "by hand", &refused, &err), -ENOPKG);
	cr_assert(strstr(err.text, "stopped by uid 0") && strstr(err.text, "squall chaos stop-all --lift"), "%s", err.text);
	cr_assert_eq(chaos_lift(NULL), 1);
	cr_assert_eq(chaos_lift(NULL), 0);
	lab_start("none", LONG_NS, LONG_NS, &hold[0]);
	expect(&hold[0], "injected", NULL);
	chaos_hold_close(&hold[0]);
	cr_assert(lab_is_clean());
}

/* The holder is kept where it writes the audit log, which is after its entry is in the journal and before its first action. */
Test(stop, an_injection_that_is_under_way_is_refused_by_the_holder_itself)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;
	char log[256], stop[256];
	json_t *entry = NULL, *failed;
	int fd;

	state_path("audit.log", log, sizeof log);
	state_path("stop", stop, sizeof stop);
	fd = open(log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
	lab_start("none", LONG_NS, LONG_NS, &hold);
	while (!entry) {
		entry = lab_entry();
		clock_sleep_until_ns(clock_mono_ns() + 5 * NS_PER_MS);
	}
	json_decref(entry);
	cr_assert_eq(file_write(stop, "not today\n", 10, 0644, &err), 0, "%s", err.text);
	close(fd);
	failed = lab_event(&hold, "failed", NULL);
	cr_assert(failed, "it was injected");
	cr_assert(strstr(json_string_value(json_object_get(failed, "error")), "(not today)"));
	cr_assert_str_eq(json_string_value(json_object_get(failed, "undone")), "confirmed");
	json_decref(failed);
	chaos_hold_close(&hold);
	cr_assert(lab_is_clean());
}

/* What happened to the fault of a test, as the audit log has it: "inject begun; undo confirmed; ...". */
static void acts(char *ret, size_t bytes)
{
	struct err err = ERR_INIT;
	json_t *audit, *r;
	size_t i, used = 0;

	cr_assert_eq(chaos_audit(&audit, &err), 0, "%s", err.text);
	cr_assert(json_is_true(json_object_get(audit, "intact")), "%s", json_string_value(json_object_get(audit, "problem")));
	ret[0] = '\0';
	json_array_foreach(json_object_get(audit, "records"), i, r)
		used += (size_t)snprintf(ret + used, bytes - used, "%s%s %s (%s)", used ? "; " : "", json_string_value(json_object_get(r, "act")),
					 json_string_value(json_object_get(r, "result")), json_string_value(json_object_get(r, "why")));
	json_decref(audit);
}

Test(stop, every_act_is_on_record_before_it_begins_and_with_its_end)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;
	char text[1024];

	lab_start("none", LONG_NS, LONG_NS, &hold);
	expect(&hold, "verify", "confirmed");
	acts(text, sizeof text);
	cr_assert_str_eq(text, "inject begun (by hand); inject done (by hand)");
	cr_assert_eq(chaos_hold_heal(&hold), 0);
	expect(&hold, "healed", "confirmed");
	cr_assert_eq(chaos_stop_all(&err), 0, "%s", err.text);
	cr_assert_eq(chaos_lift(&err), 1);
	acts(text, sizeof text);
	cr_assert_str_eq(text, "inject begun (by hand); inject done (by hand); undo begun (asked); undo confirmed (asked); stop-all begun (by hand);"
			       " stop-all done (by hand); lift begun (by hand); lift done (by hand)");
	chaos_hold_close(&hold);
}

Test(stop, a_holder_that_is_killed_leaves_its_guard_to_record_the_undo)
{
	struct chaos_hold hold;
	char text[1024];

	lab_start("none", LONG_NS, LONG_NS, &hold);
	expect(&hold, "verify", "confirmed");
	cr_assert_eq(kill(hold.holder, SIGKILL), 0);
	expect(&hold, "healed", "confirmed");
	acts(text, sizeof text);
	cr_assert(strstr(text, "undo begun (holder died); undo confirmed (holder died)"), "%s", text);
	chaos_hold_close(&hold);
}

Test(stop, a_fault_that_cannot_be_recorded_is_refused_and_a_heal_is_not)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;
	char log[256];
	json_t *o;

	lab_start("none", LONG_NS, LONG_NS, &hold);
	expect(&hold, "verify", "confirmed");
	state_path("audit.log", log, sizeof log);
	cr_assert_eq(file_write(log, "broken\n", 7, 0600, &err), 0);
	cr_assert_eq(chaos_hold_heal(&hold), 0);
	o = lab_event(&hold, "healed", "confirmed");
	cr_assert(o && strstr(json_string_value(json_object_get(o, "evidence")), "not in the audit log"), "the heal does not say that it is not on record");
	json_decref(o);
	chaos_hold_close(&hold);
	lab_start("none", LONG_NS, LONG_NS, &hold);
	o = lab_event(&hold, "failed", NULL);
	cr_assert(o && strstr(json_string_value(json_object_get(o, "error")), "audit.log"), "it was injected without a record");
	json_decref(o);
	chaos_hold_close(&hold);
	cr_assert(lab_is_clean());
}
