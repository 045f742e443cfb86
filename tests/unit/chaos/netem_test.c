/* SPDX-License-Identifier: MIT */
/*
 * netem_test.c - the counters by which a fault of the link is proved, as tc prints them.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "../../../chaos/netem.h"

#define SEEN(line) "qdisc netem 8001: root refcnt 2 limit 10000 loss 100%\n " line "\n backlog 9020b 3p requeues 0\n"

Test(netem, packets_are_counted_whatever_became_of_them)
{
	struct netem_counts n;

	cr_assert_eq(netem_parse(SEEN("Sent 1296 bytes 18 pkt (dropped 7, overlimits 0 requeues 0) "), &n), 0);
	cr_assert_eq(n.passed, 18);
	cr_assert_eq(n.lost, 7, "with all of them lost nothing else would prove the fault");
	cr_assert_eq(n.waiting, 3);
}

Test(netem, what_is_not_there_or_is_cut_is_not_counted)
{
	struct netem_counts n = { .passed = 1 };

	cr_assert_eq(netem_parse("qdisc noqueue 0: root refcnt 2\n Sent 5 bytes 1 pkt (dropped 0, overlimits 0 requeues 0)\n", &n), -ENOENT);
	cr_assert_eq(n.passed, 0);
	cr_assert_eq(netem_parse(SEEN("Sent 1296 bytes"), &n), -EBADMSG);
	cr_assert_eq(netem_parse("qdisc netem 8001: root", &n), -EBADMSG);
}
