/* SPDX-License-Identifier: MIT */
/*
 * undo_test.c - what an opcode of the journal does and what it may not. The clock of this host is set to where it is, at the most.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "err.h"

#include "../../../chaos/journal.h"
#include "../../../chaos/plan.h"
#include "../../../chaos/tool.h"
#include "../../../chaos/undo.h"
#include "lab.h"

static json_t *offset_op(json_t *offset_ns)
{
	return json_pack("[{s:s, s:o}]", "op", "CLOCK_OFFSET", "offset_ns", offset_ns);
}

Test(undo, a_clock_is_set_to_a_number_after_1970)
{
	json_t *const bad[] = { json_integer(-1), json_string("1"), json_real(1), json_null() };
	json_t *good = offset_op(json_integer(clock_utc_offset_ns()));
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		json_t *undo = offset_op(bad[i]);

		cr_expect_eq(undo_plan(undo, &plan, &err), -EBADMSG, "accepted: number %zu", i);
		cr_expect_eq(plan.actions_nr, 0);
		json_decref(undo);
	}
	cr_assert_eq(undo_plan(good, &plan, &err), 0);
	cr_assert_eq(plan.actions_nr, 1);
	cr_assert_eq(plan.actions[0].kind, ACTION_CLOCK);
	json_decref(good);
	plan_release(&plan);
}

Test(undo, a_clock_that_is_where_it_would_be_is_proved_and_struck_out, .fini = lab_leave)
{
	char evidence[EVIDENCE_BYTES] = "", boot_id[64];
	struct err err = ERR_INIT;
	json_t *entry, *left = NULL;

	lab_enter(NULL);
	cr_assert_eq(tool_boot_id(boot_id, sizeof boot_id), 0);
	entry = json_pack("{s:s, s:s, s:s, s:o}", "id", "clock-step-1", "fault", "clock-step", "boot_id", boot_id, "undo",
			  offset_op(json_integer(clock_utc_offset_ns())));
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_assert_eq(undo_entry(entry, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_assert(strstr(evidence, "CLOCK_REALTIME is "), "%s", evidence);
	cr_assert_eq(journal_read("clock-step-1", &left, &err), -ENOENT);
	json_decref(entry);
}
