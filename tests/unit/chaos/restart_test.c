/* SPDX-License-Identifier: MIT */
/*
 * restart_test.c - a rolling restart of services that a supervisor starts again, and of one that nobody does.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "lab.h"

#include "../../../chaos/process.h"

#define LONG_NS (60 * NS_PER_S)

static char name[16];

static void enter(void)
{
	char allow[96];

	(void)snprintf(name, sizeof name, "sq-r-%d", (int)getpid());
	(void)snprintf(allow, sizeof allow, "processes: [squall-worker, %s]\nmax_time: 10m\n", name);
	lab_enter(allow);
}

TestSuite(restart, .init = enter, .fini = lab_leave, .timeout = 60);

/* A service that its parent starts, so many times. */
static pid_t supervise(unsigned int starts)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "sq-supervisor");
	for (unsigned int i = 0; i < starts && getppid() == parent; i++) {
		pid_t service = fork();

		if (service == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)prctl(PR_SET_NAME, name);
			for (;;)
				pause();
		}
		(void)waitpid(service, NULL, 0);
	}
	_exit(0);
}

static void wait_for_services(int wanted, struct process found[PROCESSES_MAX])
{
	uint64_t end_ns = clock_mono_ns() + 10 * NS_PER_S;
	struct err err = ERR_INIT;

	while (process_leaders(name, found, &err) != wanted) {
		cr_assert_lt(clock_mono_ns(), end_ns, "not %d services", wanted);
		clock_sleep_until_ns(clock_mono_ns() + 10 * NS_PER_MS);
	}
}

static void expect(struct chaos_hold *hold, const char *event, const char *detail)
{
	json_t *o = lab_event(hold, event, detail);

	cr_assert(o, "no event %s %s", event, detail ? detail : "");
	json_decref(o);
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* @return the evidence of the next look */
static const char *look(struct chaos_hold *hold, char *ret, size_t bytes)
{
	json_t *o = lab_event(hold, "verify", NULL);

	cr_assert(o, "no look");
	(void)snprintf(ret, bytes, "%s", json_string_value(json_object_get(o, "evidence")));
	json_decref(o);
	return ret;
}

Test(restart, goes_from_one_service_to_the_next)
{
	struct process before[PROCESSES_MAX], now[PROCESSES_MAX];
	uint64_t end_ns = clock_mono_ns() + 30 * NS_PER_S;
	pid_t first = supervise(100), second = supervise(100);
	struct chaos_hold hold;
	char evidence[320];

	wait_for_services(2, before);
	lab_start("client-restart", LONG_NS, LONG_NS, &hold);
	expect(&hold, "verify", "confirmed");
	cr_expect_eq((process_state(&before[0]) != '\0') + (process_state(&before[1]) != '\0'), 1, "both were ended at once");
	while (!strstr(look(&hold, evidence, sizeof evidence), "2 of 2 services have ended and run again"))
		cr_assert_lt(clock_mono_ns(), end_ns, "%s", evidence);
	cr_expect_eq(process_state(&before[0]), '\0');
	cr_expect_eq(process_state(&before[1]), '\0');
	wait_for_services(2, now);
	cr_assert_eq(chaos_hold_heal(&hold), 0);
	expect(&hold, "healed", "confirmed");
	chaos_hold_close(&hold);
	cr_expect(lab_is_clean());
	end(first);
	end(second);
}

Test(restart, of_a_service_that_nobody_starts_is_neither_proved_nor_healed)
{
	struct process found[PROCESSES_MAX];
	struct chaos_hold hold;
	pid_t first = supervise(1), second;
	char evidence[320];
	json_t *entry;

	wait_for_services(1, found);
	lab_start("client-restart", LONG_NS, LONG_NS, &hold);
	expect(&hold, "injected", NULL);
	wait_for_services(0, found);
	expect(&hold, "verify", "inconclusive");
	cr_expect(strstr(look(&hold, evidence, sizeof evidence), "has ended, and none has taken its place yet"), "%s", evidence);
	cr_assert_eq(chaos_hold_heal(&hold), 0);
	expect(&hold, "healing", "asked");
	clock_sleep_until_ns(clock_mono_ns() + NS_PER_S);
	entry = lab_entry();
	cr_expect(entry, "it was struck out of the journal before the service ran again");
	json_decref(entry);
	second = supervise(1);
	expect(&hold, "healed", "confirmed");
	chaos_hold_close(&hold);
	end(first);
	end(second);
}

Test(restart, leaves_squalls_own_load_alone)
{
	struct err err = ERR_INIT;

	lab_leave();
	lab_enter("processes: [squall-worker]\nmax_time: 10m\n");
	cr_expect_lt(chaos_probe("client-restart", 0, &err), 0);
	cr_expect(strstr(err.text, "nobody starts again"), "%s", err.text);
}
