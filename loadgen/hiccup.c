/* SPDX-License-Identifier: MIT */
/*
 * hiccup.c - the meter beside every load. Source of the idea: jHiccup, Gil Tene.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "clock.h"
#include "hiccup.h"
#include "worker.h"

static void record(struct control *c, const struct load_plan *plan, uint64_t at_ns, uint64_t over_ns)
{
	for (unsigned int p = 0; p < plan->phases_nr; p++)
		if (at_ns >= plan->phases[p].start_ns && at_ns < plan->phases[p].end_ns)
			hist_add(&c->hiccup[p], over_ns);
}

/* Every millisecond that was slept through would have found the host stalled, for what was left of it. A walk ends with the plan: an hour of it takes 50 ms. */
static void record_stall(struct control *c, const struct load_plan *plan, uint64_t want_ns, uint64_t now_ns)
{
	uint64_t end = plan->phases_nr ? plan->phases[plan->phases_nr - 1].end_ns : 0;

	do
		record(c, plan, want_ns, now_ns - want_ns);
	while ((want_ns += HICCUP_SLEEP_NS) < now_ns && want_ns < end);
}

_Noreturn void hiccup_main(struct control *control, const struct load_plan *plan, pid_t parent)
{
	worker_detach(parent, -1);
	for (;;) {
		uint64_t want = clock_mono_ns() + HICCUP_SLEEP_NS, now, t0;

		clock_sleep_until_ns(want);
		now = clock_mono_ns();
		t0 = atomic_load_explicit(&control->t0_ns, memory_order_acquire);
		if (t0 != 0 && now > t0)
			record_stall(control, plan, want > t0 ? want - t0 : 0, now - t0);
	}
}
