/* SPDX-License-Identifier: MIT */
/*
 * process_test.c - a process is stopped and goes on; one that has its pid and is another one is left alone.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"

#include "../../../chaos/journal.h"
#include "../../../chaos/plan.h"
#include "../../../chaos/process.h"
#include "../../../chaos/tool.h"
#include "../../../chaos/undo.h"
#include "lab.h"

static char name[16];
static pid_t child;

/* A child of a name that nobody else has. */
static void start_child(void)
{
	pid_t parent = getpid();
	int ready[2];
	char byte;

	(void)snprintf(name, sizeof name, "sq-t-%d", (int)parent);
	cr_assert_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, name);
		if (getppid() == parent && write(ready[1], "r", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	cr_assert_gt(child, 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void end_child(void)
{
	if (child <= 0)
		return;
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	child = 0;
}

TestSuite(process, .init = start_child, .fini = end_child, .timeout = 90);

static void stop(const struct process *process)
{
	struct err err = ERR_INIT;

	cr_assert_eq(process_signal(process, SIGSTOP, &err), 0, "%s", err.text);
	cr_assert_eq(waitpid(child, NULL, WUNTRACED), child);
}

Test(process, is_found_by_its_name_stopped_and_goes_on)
{
	struct process found[PROCESSES_MAX];
	struct err err = ERR_INIT;

	cr_assert_eq(process_find(name, found, &err), 1, "%s", err.text);
	cr_assert_eq(found[0].pid, child);
	stop(&found[0]);
	cr_expect_eq(process_state(&found[0]), 'T');
	cr_expect_eq(process_stopped(found, 1), 1);
	cr_expect_eq(process_find(name, found, &err), -EBUSY, "one that is stopped is taken for ours");
	cr_assert_eq(process_signal(&found[0], SIGCONT, &err), 0, "%s", err.text);
	cr_assert_eq(waitpid(child, NULL, WCONTINUED), child);
	cr_expect_eq(process_stopped(found, 1), 0);
	end_child();
	cr_expect_eq(process_state(&found[0]), '\0');
	cr_expect_eq(process_signal(&found[0], SIGCONT, &err), -ESRCH);
	cr_expect_eq(process_find(name, found, &err), -ESRCH);
}

Test(process, that_began_at_another_time_is_another_one)
{
	struct process other = { .pid = child, .start = tool_start_time(child) + 1 };
	struct err err = ERR_INIT;

	cr_expect_eq(process_signal(&other, SIGKILL, &err), -ESRCH);
	cr_expect_eq(process_state(&other), '\0');
	cr_expect_neq(tool_state(child), '\0', "it was killed all the same");
}

/* A process without descriptors of ours that only waits; it has the name of its parent. */
static pid_t fork_namesake(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		_exit(1);
	}
	cr_assert_gt(pid, 0);
	return pid;
}

Test(process, that_workers_of_its_name_belong_to_is_one_service)
{
	struct process found[PROCESSES_MAX];
	struct err err = ERR_INIT;
	pid_t worker;

	(void)prctl(PR_SET_NAME, name);	/* now the child is a worker of ours */
	worker = fork_namesake();
	cr_expect_eq(process_leaders(name, found, &err), 1, "%s", err.text);
	cr_expect_eq(found[0].pid, getpid());
	cr_expect_eq(found[0].start, tool_start_time(getpid()));
	(void)prctl(PR_SET_NAME, "other");
	cr_expect_eq(process_leaders(name, found, &err), 2, "%s", err.text);
	(void)kill(worker, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)worker, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	cr_expect_eq(process_leaders(name, found, &err), 1, "a zombie counts");
	(void)waitpid(worker, NULL, 0);
}

/* As the kernel of the lab has it of nfsd, of lockd, and of a process. */
Test(process, that_cannot_be_killed_is_known_by_its_status)
{
	static const struct {
		const char *status;
		int rc;
		const char *said;
	} cases[] = {
		{ "Name:\tnfsd\nSigBlk:\t0000000000000000\nSigIgn:\tffffffffffffffff\nSigCgt:\t0000000000000000\n", -ENOTSUP, "SigIgn: ffffffffffffffff, SIGKILL is ignored" },
		{ "Name:\tlockd\nSigBlk:\t0000000000000000\nSigIgn:\tfffffffffffffeff\nSigCgt:\t0000000000000100\n", 0, "" },
		{ "Name:\tx\nSigBlk:\t0000000000000100\nSigIgn:\t0000000000000000\n", -ENOTSUP, "SigBlk: 0000000000000100, SIGKILL is blocked" },
		{ "Name:\tx\nSigBlk:\t0000000000000000\n", -EBADMSG, "there is no SigIgn:" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err err = ERR_INIT;

		cr_expect_eq(process_check_heeds(cases[i].status, SIGKILL, &err), cases[i].rc, "%zu", i);
		cr_expect_str_eq(err.text, cases[i].said);
	}
}

Test(process, is_killed_by_a_plan)
{
	struct process process = { .pid = child, .start = tool_start_time(child) };
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;
	char *text;
	int status;

	cr_assert_eq(plan_add_signal(&plan, name, &process, SIGKILL, &err), 0, "%s", err.text);
	text = plan_print(&plan, "");
	cr_expect_eq(strncmp(text, "send SIGKILL to ", 16), 0, "%s", text);
	cr_assert_eq(plan_run(&plan, &err), 0, "%s", err.text);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_expect_eq(process_state(&process), '\0');
	child = 0;
	free(text);
	plan_release(&plan);
}

Test(process, that_is_stopped_goes_on_by_the_journal, .fini = lab_leave)
{
	struct process process = { .pid = child, .start = tool_start_time(child) };
	char evidence[EVIDENCE_BYTES] = "", boot_id[64];
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;
	json_t *entry;

	lab_enter(NULL);
	cr_assert_eq(tool_boot_id(boot_id, sizeof boot_id), 0);
	cr_assert_eq(process_plan_stop(name, &process, 1, &plan, &err), 0, "%s", err.text);
	entry = json_pack("{s:s, s:s, s:s, s:O}", "id", "stall-1", "fault", "nfs-upcall-stall", "boot_id", boot_id, "undo", plan.undo);
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_assert_eq(plan_run(&plan, &err), 0, "%s", err.text);
	cr_assert_eq(waitpid(child, NULL, WUNTRACED), child);
	cr_assert_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_expect(strstr(evidence, " runs"), "%s", evidence);
	cr_expect_neq(process_state(&process), 'T');
	end_child();
	cr_expect_eq(plan_run(&plan, &err), 0, "one that has ended hinders the others: %s", err.text);
	json_decref(entry);
	plan_release(&plan);
	end_child();
}

/* By the journal: the other fault would let it go on while this one is in force. */
Test(process, that_another_fault_has_stopped_is_not_stopped_by_a_second, .fini = lab_leave)
{
	struct err err = ERR_INIT;
	json_t *entry, *list, *failed;
	struct chaos_hold hold;
	char allow[96];

	(void)snprintf(allow, sizeof allow, "processes: [%s]\nmax_time: 10m\n", name);
	lab_enter(allow);
	entry = json_pack("{s:s, s:s, s:[{s:s, s:s, s:i, s:I}]}", "id", "stall-1", "fault", "nfs-upcall-stall", "undo", "op", "CONTINUE", "name", name, "pid", (int)child,
			  "start", (json_int_t)tool_start_time(child));
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	lab_start("client-pause", 20 * NS_PER_S, 20 * NS_PER_S, &hold);
	failed = lab_event(&hold, "failed", NULL);
	cr_assert(failed, "it was let in");
	cr_expect(strstr(json_string_value(json_object_get(failed, "error")), "stall-1"), "%s", json_string_value(json_object_get(failed, "error")));
	cr_expect_str_eq(json_string_value(json_object_get(failed, "evidence")), "nothing was begun");
	cr_expect_neq(tool_state(child), 'T');
	list = journal_list(&err);
	cr_expect_eq(json_array_size(list), 1, "what was refused stands in the journal");
	json_decref(failed);
	json_decref(list);
	cr_assert_eq(journal_strike("stall-1", &err), 0);
	cr_expect_null(lab_event(&hold, "any", NULL));
	chaos_hold_close(&hold);
	json_decref(entry);
	end_child();
}
