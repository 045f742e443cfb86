/* SPDX-License-Identifier: MIT */
/*
 * confine_test.c - what is dropped is gone for the process, for what it starts, and for good.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"

#include "../../../chaos/confine.h"
#include "lab.h"

#define LONG_NS (20 * NS_PER_S)

/* A field of proc_pid_status(5), such as "CapEff", hexadecimal. */
static uint64_t field(const char *status, const char *name)
{
	const char *p = strstr(status, name);

	cr_assert(p, "no %s in %s", name, status);
	return strtoull(p + strlen(name) + 1, NULL, 16);
}

static char *status_of(pid_t pid)
{
	char path[64];
	const char *const argv[] = { "/bin/cat", path, NULL };
	struct exec_result result = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;

	(void)snprintf(path, sizeof path, pid == 0 ? "/proc/self/status" : "/proc/%d/status", (int)pid);
	cr_assert_eq(exec_run(argv, NULL, LONG_NS, &result, &err), 0, "%s", err.text);
	cr_assert(result.out && result.status == 0);
	free(result.err_out);
	return result.out;
}

static void expect(pid_t pid, uint64_t keep, const char *who)
{
	char *status = status_of(pid);

	cr_expect_eq(field(status, "CapEff"), keep, "%s has the capabilities %" PRIx64 " and not %" PRIx64, who, field(status, "CapEff"), keep);
	cr_expect_eq(field(status, "CapPrm"), keep, "%s", who);
	cr_expect_eq(field(status, "CapBnd") & ~keep, 0, "%s could get more from a program", who);
	cr_expect_eq(field(status, "CapInh"), 0, "%s", who);
	cr_expect_eq(field(status, "NoNewPrivs"), 1, "%s", who);
	cr_expect_eq(field(status, "Seccomp"), 2, "%s has no filter", who);
	free(status);
}

static uint64_t capabilities_now(void)
{
	char *status = status_of(getpid());
	uint64_t now = field(status, "CapEff");

	free(status);
	return now;
}

Test(confine, leaves_what_was_asked_for_and_nothing_else)
{
	uint64_t keep = capabilities_now() & (CONFINE_BASE | CONFINE_CAP(SYS_TIME));
	struct err err = ERR_INIT;

	if (geteuid() != 0)
		cr_skip_test("only root has capabilities to drop");
	cr_assert_eq(confine(CONFINE_CAP(SYS_TIME), &err), 0, "%s", err.text);
	expect(getpid(), keep, "the process");
	expect(0, keep, "a program that it starts");
#ifndef __SANITIZE_ADDRESS__
	cr_expect(syscall(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM, "it can still trace");
#endif
	cr_expect(syscall(SYS_reboot, 0, 0, 0, NULL) < 0 && errno == EPERM, "it gets as far as to wrong arguments");
}

Test(confine, holds_for_holder_and_guard, .fini = lab_leave, .timeout = 60)
{
	uint64_t keep = capabilities_now() & CONFINE_BASE;
	struct chaos_hold hold;
	json_t *event, *entry;

	if (geteuid() != 0)
		cr_skip_test("faults need root");
	lab_enter("max_time: 1m\n");
	lab_start("none", LONG_NS, LONG_NS, &hold);
	event = lab_event(&hold, "verify", "confirmed");
	cr_assert(event, "it is not in force");
	entry = lab_entry();
	cr_assert(entry);
	expect((pid_t)json_integer_value(json_object_get(entry, "holder")), keep, "the holder");
	expect((pid_t)json_integer_value(json_object_get(entry, "guard")), keep, "the guard");
	json_decref(event);
	json_decref(entry);
	chaos_hold_close(&hold);
	cr_expect(lab_is_clean());
}

/* That it is confined before it reads them is asserted in holder.c: without it this one says nothing at all, and neither does any other. */
Test(confine, comes_before_the_arguments_are_read, .fini = lab_leave, .timeout = 60)
{
	json_t *no_arguments = json_pack("[s]", "delay"), *event;
	struct chaos_hold hold;
	struct err err = ERR_INIT;

	lab_enter("max_time: 1m\n");
	cr_assert_eq(chaos_hold_start("none", no_arguments, LONG_NS, LONG_NS, "by hand", &hold, &err), 0, "%s", err.text);
	event = lab_event(&hold, "failed", NULL);
	cr_assert(event, "what it cannot read is not told");
	cr_expect(strstr(json_string_value(json_object_get(event, "error")), "its arguments are no object of JSON"));
	json_decref(event);
	json_decref(no_arguments);
	chaos_hold_close(&hold);
	cr_expect(lab_is_clean());
}
