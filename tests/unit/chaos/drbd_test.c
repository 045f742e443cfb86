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
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:d oos:0\n"
	" 3: cs:VerifyS ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n"
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:1 ua:0 ap:0 ep:1 wo:d oos:0\n"
	"\t[>....................] verified:  1.2% (2024/2048)M\n"
	"\tfinish: 0:01:09 speed: 28,672 (28,672) want: 29,000 K/sec\n";

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
	cr_assert_eq(drbd_parse_line(proc, 4, &line), -ENOENT);
	cr_assert_eq(drbd_parse_line("", 0, &line), -ENOENT);
	cr_assert_eq(drbd_parse_line(" 0: cs:Connected ro:a/b ds:b", 0, &line), -ENOENT, "it is cut short");
}

Test(drbd, a_speed_belongs_to_the_minor_above_it)
{
	struct drbd_line line;

	cr_assert_eq(drbd_parse_line(proc, 3, &line), 0);
	cr_assert_str_eq(line.role, "Secondary");
	cr_assert_str_eq(line.speed, "28,672");
	cr_assert_eq(drbd_parse_line(proc, 2, &line), 0);
	cr_assert_str_eq(line.speed, "", "that is another one's: %s", line.speed);
}

Test(drbd, rates_are_read_as_they_are_written)
{
	static const char show[] = "resource r0 {\n\t\tdisk {\n\t\t\tresync-rate     \t250k; # bytes/second, default\n\t\t\tc-fill-target   \t100s; # bytes, default\n"
		"\t\t\tc-max-rate      \t102400k; # bytes/second, default\n\t\t\tc-min-rate      \t0k; # bytes/second\n\t\t}\n}\n";
	struct drbd_rates rates;

	cr_assert_eq(drbd_parse_rates(show, &rates), 0);
	cr_assert_str_eq(rates.max, "102400k");
	cr_assert_str_eq(rates.min, "0k");
	cr_assert_str_eq(rates.fill, "100s");
	cr_assert_eq(drbd_parse_rates("c-max-rate 1k; c-fill-target 1s; xc-min-rate 1k;", &rates), -ENOENT);
	cr_assert_eq(drbd_parse_rates("c-max-rate 123456789012345678901234567890k;", &rates), -ENAMETOOLONG);
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
