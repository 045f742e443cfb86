/* SPDX-License-Identifier: MIT */
/*
 * trace_replay_test.c - op i of a trace is due at its time divided by the speed, on one host; it is the op that the trace has, on the same file.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../../loadgen/arrivals.h"
#include "../../../loadgen/hot.h"
#include "fixture.h"
#include "trace.h"

static struct trace_op ops[] = {
	{ .at_ns = 0, .file = 3, .kind = OP_STAT },
	{ .at_ns = 30 * NS_PER_MS, .file = 7, .offset_bytes = 4096, .length_bytes = 65536, .kind = OP_PREAD },
	{ .at_ns = 60 * NS_PER_MS, .file = 13, .kind = OP_STAT_MISS },
	{ .at_ns = 60 * NS_PER_MS, .file = 3, .offset_bytes = 1u << 30, .kind = OP_PREAD },
	{ .at_ns = 90 * NS_PER_MS, .file = UINT64_MAX, .kind = OP_READDIR_STAT },
	{ .at_ns = 900 * NS_PER_MS, .file = 3, .kind = OP_STAT },
};
#define OPS_NR (sizeof ops / sizeof ops[0])

/* As the profile's parser leaves it. */
static void init(struct fixture *f, double speed)
{
	struct job *j = &f->profile.jobs[0];

	fixture_init(f);
	j->trace = (struct trace){ .op = ops, .ops_nr = OPS_NR };
	j->trace_speed = speed;
	memset(j->mix, 0, sizeof j->mix);
	for (size_t i = 0; i < OPS_NR; i++)
		j->mix[ops[i].kind]++;
}

Test(trace_replay, each_op_is_due_once_on_one_host_at_its_time_divided_by_the_speed)
{
	static const double speeds[] = { 1, 2, 0.1 };
	struct curve_piece room[8];

	for (int s = 0; s < 3; s++)
		for (uint32_t host = 0, seen = 0; host < 4; host++) {
			struct arrivals a;
			struct fixture f;

			init(&f, speeds[s]);
			f.plan.hosts_nr = 4;
			f.plan.host_idx = host;
			fixture_phase(&f, 0, "all", 0, 100 * NS_PER_S);
			for (arrivals_init(&a, &f.plan, &f.plan.jobs[0], room); !a.ended; seen++) {
				struct arrival_due d = arrivals_next(&a);
				uint64_t due = (uint64_t)((double)ops[d.index].at_ns / speeds[s]);

				cr_assert_eq(d.index % 4, host);
				cr_assert_eq(d.due_ns, due ? due : 1, "op %lu at speed %g is due at %lu", d.index, speeds[s], d.due_ns);
			}
			cr_assert(host < 3 || seen == OPS_NR, "%u ops of %zu", seen, OPS_NR);
		}
}

Test(trace_replay, its_time_stands_still_between_the_phases_of_the_job)
{
	struct curve_piece room[8];
	struct arrivals a;
	struct fixture f;

	init(&f, 1);
	fixture_phase(&f, 0, "all", 0, 50 * NS_PER_MS);
	fixture_phase(&f, 1, "gap", 50 * NS_PER_MS, 5 * NS_PER_S);
	fixture_phase(&f, 2, "end", 5 * NS_PER_S, 6 * NS_PER_S);
	f.plan.jobs[0].phases = 1 | 4;
	arrivals_init(&a, &f.plan, &f.plan.jobs[0], room);
	(void)arrivals_next(&a);
	cr_assert_eq(arrivals_next(&a).due_ns, 30 * NS_PER_MS);
	cr_assert_eq(arrivals_next(&a).due_ns, 5 * NS_PER_S + 10 * NS_PER_MS);
}

Test(trace_replay, an_op_is_the_one_of_the_trace_on_the_same_file)
{
	struct job_run run = { .seed = 1 };
	struct fixture f;

	init(&f, 1);
	run.job = &f.profile.jobs[0];
	run.ops_nr = 4;
	for (uint32_t i = 0; i < 4; i++) {
		static const int kinds[] = { OP_PREAD, OP_STAT, OP_STAT_MISS, OP_READDIR_STAT };

		run.op_kind[i] = kinds[i];
		run.op_idx[kinds[i]] = i;
	}
	for (uint64_t i = 0; i < OPS_NR; i++) {
		struct op op = hot_pick(&run, &f.profile.dataset, i);

		cr_assert_eq(op.kind, ops[i].kind);
		cr_assert_eq(5 * op.site + op.file, ops[i].file % 10);
	}
	cr_assert_eq(hot_pick(&run, &f.profile.dataset, 1).draw, 1u, "its second block of 4 KiB");
	cr_assert_eq(hot_pick(&run, &f.profile.dataset, 1).bytes, 65536u);
}

Test(trace_replay, a_trace_is_done_on_a_dataset_and_what_comes_after_the_phases_is_not_due)
{
	struct fixture f;

	init(&f, 1);
	fixture_build(&f);
	fixture_run(&f, NS_PER_S);
	cr_assert_eq(fixture_count(&f, "due"), 5);
	cr_assert_eq(fixture_count(&f, "ok"), 5);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(f.ops, "pread/all"), "ok")), 2);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(f.ops, "stat_miss/all"), "ok")), 1);
	fixture_release(&f);
}
