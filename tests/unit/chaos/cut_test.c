/* SPDX-License-Identifier: MIT */
/*
 * cut_test.c - of what goes over a connection, what begins so is dropped and nothing else, and the drop is gone with its table: on the test's own network
 * namespace, with the bits that tests/cli/goldens have of nfs-callback-cut and drbd-packet-drop.
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

/* Magic, volume, command, length, pad, then as many bytes as the others have. Source: drbd_protocol.h, struct p_header100 */
#define BARRIER_ACK "\x86\x20\xec\x20" "\0\0" "\0\x1c" "\0\0\0\x08" "\0\0\0\0" "\0\0\0\1" "\0\0\0\1" "\0\0\0\0"
#define WRITE_ACK "\x86\x20\xec\x20" "\0\0" "\0\x16" "\0\0\0\x18" "\0\0\0\0" "\0\0\0\1" "\0\0\0\1" "\0\0\0\0"
#define PORT 2051

static int fd[3];

static void enter(void)
{
	lab_enter("interfaces: [lo]\nmax_time: 1m\n");
	lab_connect(PORT, fd);
}

static void leave(void)
{
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	lab_leave();
}

TestSuite(cut, .init = enter, .fini = leave, .timeout = 60);

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

/* What is dropped, and two that are not. */
static void cut_alone(const struct cut_beginning *of, const char *dropped, const char *const other[2])
{
	struct fault_run *run = calloc(1, sizeof *run);
	char evidence[EVIDENCE_BYTES] = "", got[BYTES];
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;

	run->allow.interfaces.nr = 1;
	(void)snprintf(run->allow.interfaces.name[0], ALLOW_NAME_BYTES, "lo");
	cr_assert_eq(cut_plan_beginning(run, "squall_test", of, &plan, &err), 0, "%s", err.text);
	cr_assert(arrives(dropped, 5000));
	cr_assert_eq(cut_inject(run, &plan, &err), 0, "%s", err.text);
	cr_expect_eq(cut_verify(run, evidence, sizeof evidence), FAULT_INCONCLUSIVE, "%s", evidence);
	cr_expect(arrives(other[0], 5000));
	cr_expect(arrives(other[1], 5000));
	cr_expect_not(arrives(dropped, 500));
	cr_expect_eq(cut_verify(run, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_expect(strstr(evidence, of->what), "%s", evidence);
	cut_heal(run);
	cr_expect_eq(cut_verify(run, evidence, sizeof evidence), FAULT_VANISHED, "%s", evidence);
	cr_expect_eq(recv(fd[2], got, sizeof got, MSG_WAITALL), (ssize_t)BYTES, "TCP did not send it again");
	plan_release(&plan);
	free(run->state);
	free(run);
}

Test(cut, of_callbacks_lets_all_else_through)
{
	static const struct cut_beginning callback = { .what = "callbacks", .bits = { { 64, 96, 0x240000000 } } };

	cut_alone(&callback, CALLBACK, (const char *const[]){ REPLY, LOOKALIKE });
}

Test(cut, of_a_kind_of_drbd_packet_lets_all_else_through)
{
	static const struct cut_beginning ack = { .what = "P_BARRIER_ACK", .dev = "lo", .port = PORT, .bits = { { 0, 32, 0x8620ec20 }, { 48, 16, 0x1c } } };

	cut_alone(&ack, BARRIER_ACK, (const char *const[]){ WRITE_ACK, CALLBACK });
}

Test(cut, of_a_port_leaves_others_alone)
{
	static const struct cut_beginning other = { .what = "P_BARRIER_ACK", .dev = "lo", .port = PORT + 1, .bits = { { 0, 32, 0x8620ec20 }, { 48, 16, 0x1c } } };
	struct fault_run *run = calloc(1, sizeof *run);
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(cut_plan_beginning(run, "squall_test", &other, &plan, &err), 0, "%s", err.text);
	cr_assert_eq(cut_inject(run, &plan, &err), 0, "%s", err.text);
	cr_expect(arrives(BARRIER_ACK, 5000));
	cut_heal(run);
	plan_release(&plan);
	free(run->state);
	free(run);
}
