/* SPDX-License-Identifier: MIT */
/*
 * drbd_test.c - what DRBD and ss say, as faults read it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

#include "../../../chaos/drbd.h"
#include "../../../chaos/drbd_rates.h"

static const char proc[] =
	"version: 8.4.11 (api:1/proto:86-101)\n"
	" 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n"
	"    ns:2048 nr:0 dw:2048 dr:12 al:3 bm:0 lo:0 pe:1 ua:0 ap:1 ep:1 wo:d oos:12\n"
	" 1: cs:Unconfigured\n"
	" 2: cs:StandAlone ro:Primary/Unknown ds:UpToDate/DUnknown   s-----\n"
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:d oos:0\n"
	" 4: cs:PausedSyncS ro:Primary/Secondary ds:UpToDate/Inconsistent C r--u-\n"
	" 5: cs:PausedSyncT ro:Secondary/Primary ds:Inconsistent/UpToDate C r-p--\n";

Test(drbd, a_line_is_found_by_its_minor)
{
	struct drbd_line line;

	cr_assert_eq(drbd_parse_line(proc, 0, &line), 0);
	cr_assert_str_eq(line.state, "Connected");
	cr_assert_str_eq(line.role, "Primary", "the role of this host comes first: %s", line.role);
	cr_assert_str_eq(line.disks, "UpToDate/UpToDate");
	cr_assert_str_eq(line.flags, "r-----");
	cr_assert_eq(line.oos_kib, 12);
	cr_assert_eq(drbd_parse_line(proc, 2, &line), 0);
	cr_assert_str_eq(line.state, "StandAlone");
	cr_assert_str_eq(line.disks, "UpToDate/DUnknown");
	cr_assert_str_eq(line.flags, "s-----", "without a network there is no letter of a protocol: %s", line.flags);
	cr_assert_eq(drbd_parse_line(proc, 1, &line), -ENOENT, "it is not configured");
	cr_assert_eq(drbd_parse_line(proc, 3, &line), -ENOENT);
	cr_assert_eq(drbd_parse_line("", 0, &line), -ENOENT);
	cr_assert_eq(drbd_parse_line(" 0: cs:Connected ro:a/b ds:b", 0, &line), -ENOENT, "it is cut short");
}

Test(drbd, a_resync_is_paused_by_the_side_that_was_told)
{
	struct drbd_line line;

	cr_assert_eq(drbd_parse_line(proc, 0, &line), 0);
	cr_expect_not(drbd_is_sync_paused(&line));
	cr_assert_eq(drbd_parse_line(proc, 4, &line), 0);
	cr_expect(drbd_is_sync_paused(&line));
	cr_assert_eq(drbd_parse_line(proc, 5, &line), 0);
	cr_expect_not(drbd_is_sync_paused(&line), "its peer was told");
}

Test(drbd, rates_are_read_as_they_are_written)
{
	static const char text[] = "        disk {\n            on-io-error     \tdetach;\n            resync-rate     \t250k; # bytes/second\n"
				   "            c-plan-ahead    \t20; # 1/10 seconds\n            c-min-rate      \t0k; # bytes/second\n        }\n";
	struct drbd_rates rates;
	struct err err = ERR_INIT;

	cr_assert_eq(drbd_rates_parse(text, &rates, &err), 0, "%s", err.text);
	cr_expect_str_eq(rates.rate, "250k");
	cr_expect_str_eq(rates.plan_ahead, "20");
	cr_expect_str_eq(rates.min, "0k");
	cr_expect_eq(drbd_rates_parse("\tresync-rate 250k; c-plan-ahead 20;\n", &rates, &err), -EBADMSG);
	cr_expect(strstr(err.text, "c-min-rate"), "%s", err.text);
	cr_expect_eq(drbd_rates_parse(" resync-rate 250k; c-plan-ahead 20 1; c-min-rate 1;", &rates, &err), -EBADMSG);
}

Test(drbd, peers_are_linked_when_they_talk)
{
	static const char *const yes[] = { "Connected", "SyncSource", "SyncTarget", "PausedSyncT", "VerifyS", "WFBitMapS" };
	static const char *const no[] = { "StandAlone", "WFConnection", "WFReportParams", "Timeout", "BrokenPipe", "NetworkFailure", "Disconnecting", "" };

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		cr_assert(drbd_is_linked(yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		cr_assert(!drbd_is_linked(no[i]), "%s", no[i]);
}

Test(drbd, a_disk_that_was_given_up_is_none)
{
	struct drbd_line line = { .disks = "Diskless/UpToDate" };

	cr_expect_not(drbd_has_disk(&line));
	(void)snprintf(line.disks, sizeof line.disks, "Failed/UpToDate");
	cr_expect_not(drbd_has_disk(&line));
	(void)snprintf(line.disks, sizeof line.disks, "UpToDate/Diskless");
	cr_expect(drbd_has_disk(&line));
	(void)snprintf(line.disks, sizeof line.disks, "Inconsistent/UpToDate");
	cr_expect(drbd_has_disk(&line));
}
