/* SPDX-License-Identifier: MIT */
/*
 * life_test.c - whoever dies, the fault is healed: holder, guard, starter, lease, time. With the fault `none`, which leaves a mark to be undone.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "lab.h"

#include "../../../chaos/journal.h"

#define LONG_NS (20 * NS_PER_S)
#define ALLOW "resources: [r0]\nexports: [/srv/home]\ninterfaces: [lo]\nmax_time: 10m\n"

static void enter(void)
{
	lab_enter(ALLOW);
}

TestSuite(life, .init = enter, .fini = lab_leave, .timeout = 60);

static void expect(struct chaos_hold *hold, const char *event, const char *detail)
{
	json_t *o = lab_event(hold, event, detail);

	cr_assert(o, "no event %s %s", event, detail ? detail : "");
	cr_assert(json_integer_value(json_object_get(o, "t_ns")) > 0);
	cr_assert(json_is_string(json_object_get(o, "evidence")));
	json_decref(o);
}

/* In force, verified, and in the journal. @return a pid of the entry */
static pid_t begin(struct chaos_hold *hold, uint64_t lease_ns, uint64_t max_ns, const char *key)
{
	json_t *entry;
	pid_t pid;

	lab_start("none", lease_ns, max_ns, hold);
	expect(hold, "injected", NULL);
	expect(hold, "verify", "confirmed");
	entry = lab_entry();
	cr_assert(entry);
	pid = (pid_t)json_integer_value(json_object_get(entry, key));
	cr_assert(pid > 1);
	json_decref(entry);
	return pid;
}

static void end(struct chaos_hold *hold)
{
	chaos_hold_close(hold);
	cr_assert(lab_is_clean());
}

Test(life, heals_when_asked)
{
	struct chaos_hold hold;

	begin(&hold, LONG_NS, LONG_NS, "holder");
	cr_assert_eq(chaos_hold_heal(&hold), 0);
	expect(&hold, "healing", "asked");
	expect(&hold, "healed", "confirmed");
	cr_assert_null(lab_event(&hold, "any", NULL));
	end(&hold);
}

Test(life, heals_when_the_descriptors_are_closed)
{
	struct chaos_hold hold;

	begin(&hold, LONG_NS, LONG_NS, "holder");
	end(&hold);
}

Test(life, heals_when_the_lease_is_not_renewed)
{
	struct chaos_hold hold;
	uint64_t start_ns;

	begin(&hold, 2 * NS_PER_S, LONG_NS, "holder");
	start_ns = clock_mono_ns();
	cr_assert_eq(chaos_hold_renew(&hold, 3 * NS_PER_S), 0);
	expect(&hold, "healing", "lease");
	cr_assert_gt(clock_mono_ns() - start_ns, 2900 * NS_PER_MS);
	expect(&hold, "healed", "confirmed");
	end(&hold);
}

Test(life, heals_when_its_time_is_over_though_the_lease_runs)
{
	struct chaos_hold hold;

	begin(&hold, LONG_NS, NS_PER_S, "holder");
	expect(&hold, "healing", "time");
	expect(&hold, "healed", "confirmed");
	end(&hold);
}

Test(life, a_killed_holder_is_healed_by_its_guard)
{
	struct chaos_hold hold;

	cr_assert_eq(kill(begin(&hold, LONG_NS, LONG_NS, "holder"), SIGKILL), 0);
	expect(&hold, "healing", "holder died");
	expect(&hold, "healed", "confirmed");
	end(&hold);
}

Test(life, a_killed_guard_makes_the_holder_heal)
{
	struct chaos_hold hold;

	cr_assert_eq(kill(begin(&hold, LONG_NS, LONG_NS, "guard"), SIGKILL), 0);
	expect(&hold, "healing", "guard died");
	expect(&hold, "healed", "confirmed");
	end(&hold);
}

Test(life, a_signal_to_the_holder_heals)
{
	struct chaos_hold hold;

	cr_assert_eq(kill(begin(&hold, LONG_NS, LONG_NS, "holder"), SIGTERM), 0);
	expect(&hold, "healing", "signal");
	expect(&hold, "healed", "confirmed");
	end(&hold);
}

/* The starter leaves copies of the pipe with a child of its own, as a process with workers may: there is no EOF then. */
Test(life, a_killed_starter_heals_though_its_pipe_stays_open)
{
	struct chaos_hold hold;
	int go[2], alive[2];
	pid_t starter;
	char byte;

	cr_assert_eq(pipe(go), 0);
	cr_assert_eq(pipe(alive), 0);
	starter = fork();
	if (starter == 0) {
		begin(&hold, LONG_NS, LONG_NS, "holder");
		if (fork() == 0) {
			close(alive[1]);
			close(go[0]);
			close(go[1]);
			(void)!read(alive[0], &byte, 1);
			_exit(0);
		}
		(void)!write(go[1], "g", 1);
		pause();
		_exit(0);
	}
	cr_assert_eq(read(go[0], &byte, 1), 1);
	json_decref(lab_entry());
	cr_assert_eq(kill(starter, SIGKILL), 0);
	waitpid(starter, NULL, 0);
	cr_assert(lab_is_clean());
	close(alive[1]);
}

/* In force, and nobody left who holds it. @return what stands in the journal, new reference */
static json_t *begin_and_kill_both(struct chaos_hold *hold)
{
	pid_t holder = begin(hold, LONG_NS, LONG_NS, "holder");
	json_t *entry = lab_entry();

	cr_assert_eq(kill(holder, SIGSTOP), 0);
	cr_assert_eq(kill((pid_t)json_integer_value(json_object_get(entry, "guard")), SIGKILL), 0);
	cr_assert_eq(kill(holder, SIGKILL), 0);
	waitpid(holder, NULL, 0);
	json_decref(entry);
	entry = lab_entry();
	cr_assert(entry, "the journal must survive both");
	return entry;
}

Test(life, a_boot_undoes_what_a_reboot_does_not)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;
	json_t *entry = begin_and_kill_both(&hold);
	uint64_t begin_ns = clock_mono_ns();

	json_object_set_new(entry, "boot_id", json_string("the boot before"));
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	json_decref(entry);
	cr_assert_eq(chaos_heal_all("boot", &err), 1, "%s", err.text);
	cr_assert_lt(clock_mono_ns() - begin_ns, 5 * NS_PER_S, "the boot waits for it");
	end(&hold);
}

Test(life, both_killed_leaves_the_journal_and_heal_all_undoes_it_twice)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;

	json_decref(begin_and_kill_both(&hold));
	cr_assert_eq(chaos_heal_all("by hand", &err), 1, "%s", err.text);
	cr_assert_eq(chaos_heal_all("by hand", &err), 0, "%s", err.text);
	end(&hold);
}

Test(life, heal_orphans_leaves_to_a_living_holder_what_it_holds)
{
	struct err err = ERR_INIT;
	struct chaos_hold dead, living;

	json_decref(begin_and_kill_both(&dead));
	begin(&living, LONG_NS, LONG_NS, "holder");
	cr_assert_eq(chaos_heal_orphans("agent", &err), 1, "%s", err.text);
	cr_assert_eq(chaos_heal_orphans("agent", &err), 0, "%s", err.text);
	cr_assert_eq(chaos_heal_all("by hand", &err), 1, "%s", err.text);
	end(&living);
	end(&dead);
}

Test(life, heal_all_makes_a_living_holder_heal)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;

	begin(&hold, LONG_NS, LONG_NS, "holder");
	cr_assert_eq(chaos_heal_all("by hand", &err), 1, "%s", err.text);
	expect(&hold, "healing", "signal");
	end(&hold);
}

Test(life, a_fault_taken_away_behind_the_holder_has_vanished_once)
{
	struct chaos_hold hold;
	char path[256];
	json_t *entry;

	begin(&hold, LONG_NS, LONG_NS, "holder");
	entry = lab_entry();
	(void)snprintf(path, sizeof path, "%s/none-%s", getenv("SQUALL_STATE"), json_string_value(json_object_get(entry, "id")));
	json_decref(entry);
	cr_assert_eq(unlink(path), 0);
	expect(&hold, "vanished", NULL);
	cr_assert_eq(chaos_hold_heal(&hold), 0);
	expect(&hold, "healed", "confirmed");
	end(&hold);
}

Test(life, status_names_what_is_in_force)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;
	json_t *status, *h;
	pid_t holder = begin(&hold, LONG_NS, LONG_NS, "holder");

	cr_assert_eq(chaos_status(&status, &err), 0);
	h = json_array_get(json_object_get(status, "holders"), 0);
	cr_assert_eq(json_integer_value(json_object_get(h, "pid")), holder);
	cr_assert_str_eq(json_string_value(json_object_get(h, "fault")), "none");
	cr_assert_eq(json_array_size(json_object_get(status, "journal")), 1);
	json_decref(status);
	end(&hold);
}

Test(life, many_at_once_do_not_meet)
{
	struct chaos_hold hold[4];

	for (int i = 0; i < 4; i++)
		lab_start("none", LONG_NS, LONG_NS, &hold[i]);
	for (int i = 0; i < 4; i++)
		expect(&hold[i], "injected", NULL);
	for (int i = 0; i < 4; i++)
		chaos_hold_close(&hold[i]);
	cr_assert(lab_is_clean());
}

static void without(void)
{
	lab_enter(NULL);
}

TestSuite(allow, .fini = lab_leave, .timeout = 60);

Test(allow, without_the_file_nothing_may_be_broken, .init = without)
{
	struct err err = ERR_INIT;
	struct chaos_hold hold;

	cr_assert_eq(chaos_probe("none", 0, &err), -ENOPKG);
	cr_assert(strstr(err.text, "allow.yaml"), "%s", err.text);
	err = (struct err)ERR_INIT;
	cr_assert_eq(chaos_hold_start("none", NULL, LONG_NS, LONG_NS, "by hand", &hold, &err), -ENOPKG);
}

Test(allow, its_time_bounds_every_fault)
{
	struct chaos_hold hold;

	lab_enter("resources: [r0]\nmax_time: 1s\n");
	begin(&hold, LONG_NS, LONG_NS, "holder");
	expect(&hold, "healing", "time");
	end(&hold);
}

Test(allow, what_is_to_last_longer_is_refused)
{
	struct err err = ERR_INIT;

	lab_enter("max_time: 90s\n");
	cr_assert_eq(chaos_probe("none", 90 * NS_PER_S, &err), 0, "%s", err.text);
	cr_assert_eq(chaos_probe("none", 90 * NS_PER_S + 1, &err), -ENOPKG);
	cr_assert(strstr(err.text, "allow.yaml is 90s"), "%s", err.text);
}

Test(allow, a_file_that_others_can_write_or_own_is_refused)
{
	struct err err = ERR_INIT;
	char path[256];

	enter();
	(void)snprintf(path, sizeof path, "%s/allow.yaml", getenv("SQUALL_STATE"));
	cr_assert_eq(chmod(path, 0646), 0);
	cr_assert_eq(chaos_probe("none", 0, &err), -ENOPKG);
	cr_assert_eq(chmod(path, 0644), 0);
	cr_assert_eq(chown(path, 1, 0), 0);
	err = (struct err)ERR_INIT;
	cr_assert_eq(chaos_probe("none", 0, &err), -ENOPKG);
	cr_assert(strstr(err.text, "root"), "%s", err.text);
}

Test(allow, what_it_says_is_checked)
{
	static const char *const bad[] = { "max_time: 1s\ninterfaces: ['eth0; reboot']\n", "max_time: 1s\nexports: [srv]\n", "max_time: 1s\nresource: [r0]\n",
					   "resources: [r0]\n", "max_time: soon\n", "max_time: 1s\nprocesses: [/bin/sh]\n", "max_time: 1s\nexports: [/srv/../etc]\n", "- 1\n" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = ERR_INIT;

		lab_enter(bad[i]);
		cr_expect_lt(chaos_probe("none", 0, &err), 0, "accepted: %s", bad[i]);
		cr_expect(strlen(err.text) > 10);
		lab_leave();
	}
}
