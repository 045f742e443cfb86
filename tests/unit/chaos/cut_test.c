/* SPDX-License-Identifier: MIT */
/*
 * cut_test.c - of what goes over a connection, callbacks alone are dropped, and the drop is gone with its table: on the test's own network namespace.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "lab.h"

#include "../../../chaos/cut.h"
#include "../../../chaos/plan.h"

/* Record mark, XID, type, then of a call RPC version, program, version, procedure. Source: RFC 5531, 9 and 11 */
#define REPLY "\x80\x00\x00\x18" "abcd" "\0\0\0\1" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0"
#define CALLBACK "\x80\x00\x00\x18" "abcd" "\0\0\0\0" "\0\0\0\2" "\x40\0\0\0" "\0\0\0\1" "\0\0\0\1"
#define LOOKALIKE "\x80\x00\x00\x18" "abcd" "\0\0\0\0" "\0\0\0\2" "\x00\x01\x86\xa3" "\0\0\0\4" "\0\0\0\1"
#define BYTES (sizeof REPLY - 1)

static int fd[3];

static void enter(void)
{
	lab_enter("interfaces: [lo]\nmax_time: 1m\n");
	lab_connect(2051, fd);
}

TestSuite(cut, .init = enter, .fini = lab_leave, .timeout = 60);

/* @return whether it came within that time */
static bool arrives(const char *message, int wait_ms)
{
	struct pollfd p = { .fd = fd[2], .events = POLLIN };
	char got[BYTES];

	cr_assert_eq(send(fd[1], message, BYTES, 0), (ssize_t)BYTES);
	if (poll(&p, 1, wait_ms) == 0)
		return false;
	cr_assert_eq(recv(fd[2], got, sizeof got, MSG_WAITALL), (ssize_t)BYTES);
	return memcmp(got, message, BYTES) == 0;
}

Test(cut, of_callbacks_lets_all_else_through)
{
	struct fault_run *run = calloc(1, sizeof *run);
	char evidence[EVIDENCE_BYTES] = "", got[BYTES];
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;

	run->allow.interfaces.nr = 1;
	(void)snprintf(run->allow.interfaces.name[0], ALLOW_NAME_BYTES, "lo");
	cr_assert_eq(cut_plan_callbacks(run, "squall_cb_cut", &plan, &err), 0, "%s", err.text);
	cr_assert(arrives(CALLBACK, 5000));
	cr_assert_eq(cut_inject(run, &plan, &err), 0, "%s", err.text);
	cr_expect_eq(cut_verify(run, evidence, sizeof evidence), FAULT_INCONCLUSIVE, "%s", evidence);
	cr_expect(arrives(REPLY, 5000));
	cr_expect(arrives(LOOKALIKE, 5000));
	cr_expect_not(arrives(CALLBACK, 500));
	cr_expect_eq(cut_verify(run, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_expect(strstr(evidence, " callbacks dropped, "), "%s", evidence);
	cut_heal(run);
	cr_expect_eq(cut_verify(run, evidence, sizeof evidence), FAULT_VANISHED, "%s", evidence);
	cr_expect_eq(recv(fd[2], got, sizeof got, MSG_WAITALL), (ssize_t)BYTES, "TCP did not send it again");
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	plan_release(&plan);
	free(run->state);
	free(run);
}
