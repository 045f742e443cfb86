/* SPDX-License-Identifier: MIT */
/*
 * netem_test.c - the counters of tc, as the faults that make a network slow read them.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "../../../chaos/netem.h"

static void expect(const char *text, struct netem_counts wanted)
{
	struct netem_counts got;

	cr_assert_eq(netem_parse(text, &got), 0, "%s", text);
	cr_expect(got.passed == wanted.passed && got.lost == wanted.lost && got.waiting == wanted.waiting, "%llu passed, %llu lost, %llu wait: %s", got.passed,
		  got.lost, got.waiting, text);
}

Test(netem, packets_passed_lost_and_waiting_are_counted)
{
	expect("qdisc netem 8001: root refcnt 2 limit 10000 delay 1s\n Sent 30210 bytes 95 pkt (dropped 0, overlimits 0 requeues 0)\n"
	       " backlog 13Kb 9p requeues 0\n", (struct netem_counts){ 95, 0, 9 });
	expect("qdisc clsact ffff: parent ffff:fff1\n Sent 7 bytes 1 pkt (dropped 0, overlimits 0 requeues 0)\n backlog 0b 0p requeues 0\n"
	       "qdisc netem 8001: root refcnt 2 limit 10000\n Sent 60 bytes 2 pkt (dropped 3, overlimits 0 requeues 0)\n backlog 0b 0p requeues 0\n",
	       (struct netem_counts){ 2, 3, 0 });
}

Test(netem, a_flow_of_which_all_is_lost_has_met_netem)
{
	expect("qdisc netem 8001: root refcnt 2 limit 10000 loss 100%\n Sent 0 bytes 0 pkt (dropped 57, overlimits 0 requeues 0)\n"
	       " backlog 0b 0p requeues 0\n", (struct netem_counts){ 0, 57, 0 });
}

Test(netem, what_is_no_netem_is_told_from_what_cannot_be_read)
{
	struct netem_counts n;

	cr_expect_eq(netem_parse("", &n), -ENOENT);
	cr_expect_eq(netem_parse("qdisc pfifo_fast 0: root\n Sent 1 bytes 1 pkt (dropped 0)\n", &n), -ENOENT);
	cr_expect_eq(netem_parse("qdisc netem 8001: root refcnt 2 limit 10000\n Sent", &n), -EBADMSG);
}

Test(netem, what_tcp_tells_is_summed_over_all_connections)
{
	static const char text[] = "0 0 10.0.1.11:2049 10.0.1.21:785\n\t cubic rto:204 bytes_retrans:4096 retrans:0/7 dsack_dups:2 reordering:9 reord_seen:5\n"
				   "0 0 10.0.1.11:2049 10.0.1.22:900\n\t cubic rto:204 bytes_retrans:99 retrans:1/3 reord_seen:40 rcv_space:1\n"
				   "0 0 10.0.1.11:2049 10.0.1.23:901\n\t cubic rto:204\n";

	cr_expect_eq(netem_parse_told(text, "retrans"), 10);
	cr_expect_eq(netem_parse_told(text, "dsack_dups"), 2);
	cr_expect_eq(netem_parse_told(text, "reord_seen"), 45);
	cr_expect_eq(netem_parse_told("", "retrans"), 0);
	cr_expect_eq(netem_parse_told("retrans", "retrans"), 0);
}
