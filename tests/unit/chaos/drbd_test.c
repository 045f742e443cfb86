/* SPDX-License-Identifier: MIT */
/*
 * drbd_test.c - what DRBD and ss say, as faults read it.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "../../../chaos/drbd.h"

static const char proc[] =
	"version: 8.4.11 (api:1/proto:86-101)\n"
	" 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n"
	"    ns:2048 nr:0 dw:2048 dr:12 al:3 bm:0 lo:0 pe:1 ua:0 ap:1 ep:1 wo:d oos:0\n"
	" 1: cs:Unconfigured\n"
	" 2: cs:StandAlone ro:Primary/Unknown ds:UpToDate/DUnknown   s-----\n"
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:d oos:0\n";

Test(drbd, a_line_is_found_by_its_minor)
{
	struct drbd_line line;

	cr_assert_eq(drbd_parse_line(proc, 0, &line), 0);
	cr_assert_str_eq(line.state, "Connected");
	cr_assert_str_eq(line.role, "Primary", "the role of this host comes first: %s", line.role);
	cr_assert_str_eq(line.disks, "UpToDate/UpToDate");
	cr_assert_str_eq(line.flags, "r-----");
	cr_assert_eq(drbd_parse_line(proc, 2, &line), 0);
	cr_assert_str_eq(line.state, "StandAlone");
	cr_assert_str_eq(line.disks, "UpToDate/DUnknown");
	cr_assert_str_eq(line.flags, "s-----", "without a network there is no letter of a protocol: %s", line.flags);
	cr_assert_eq(drbd_parse_line(proc, 1, &line), -ENOENT, "it is not configured");
	cr_assert_eq(drbd_parse_line(proc, 3, &line), -ENOENT);
	cr_assert_eq(drbd_parse_line("", 0, &line), -ENOENT);
	cr_assert_eq(drbd_parse_line(" 0: cs:Connected ro:a/b ds:b", 0, &line), -ENOENT, "it is cut short");
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
