/* SPDX-License-Identifier: MIT */
/*
 * undo_test.c - opcodes become commands, and what is no opcode, or has a word in it that is none, becomes nothing. The clock of this host is set to
 * where it is, at the most.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

#include "../../../chaos/drbd.h"
#include "../../../chaos/journal.h"
#include "../../../chaos/plan.h"
#include "../../../chaos/tool.h"
#include "../../../chaos/undo.h"
#include "lab.h"

static void expect(const char *op, const char *commands)
{
	json_t *undo = json_loads(op, 0, NULL);
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;
	int rc = undo_plan(undo, &plan, &err);
	char *text = plan_print(&plan, "");

	cr_assert(undo && text, "%s", op);
	cr_expect_eq(rc, commands ? 0 : -EBADMSG, "%s: %d %s", op, rc, err.text);
	cr_expect_str_eq(text, commands ? commands : "", "%s", op);
	free(text);
	plan_release(&plan);
	json_decref(undo);
}

Test(undo, a_file_system_is_thawed_by_its_path)
{
	expect("[{\"op\": \"FS_THAW\", \"path\": \"/srv/home\"}]", "fsfreeze --unfreeze '/srv/home'\n");
	expect("[{\"op\": \"FS_THAW\", \"path\": \"/srv/two words\"}]", "fsfreeze --unfreeze '/srv/two words'\n");
	expect("[{\"op\": \"FS_THAW\", \"path\": \"/a' --freeze '/b\"}]", NULL);
	expect("[{\"op\": \"FS_THAW\", \"path\": \"--freeze\"}]", NULL);
	expect("[{\"op\": \"FS_THAW\"}]", NULL);
}

Test(undo, a_path_is_exported_to_whom_it_was)
{
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  *(sync,rw)\\n/srv/home  10.0.0.0/8(sync,ro,sec=sys:krb5)\\n\"}]",
	       "exportfs -o sync,rw '*:/srv/home'\nexportfs -o sync,ro,sec=sys:krb5 '10.0.0.0/8:/srv/home'\nexportfs -f\n");
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home2  *(rw)\\n\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  -u(rw)\\n\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  *(rw) *(ro)\\n\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  *(rw\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"-r\", \"lines\": \"-r  *(rw)\\n\"}]", NULL);
}

Test(undo, nfsd_listens_before_it_has_threads)
{
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 8, \"ports\": \"tcp 2049\\ntcp 2049\\n\"}]",
	       "write \"0\" to /proc/fs/nfsd/threads\nwrite \"tcp 2049\" to /proc/fs/nfsd/portlist\nwrite \"8\" to /proc/fs/nfsd/threads\n");
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 1, \"ports\": \"udp 2049\\ntcp 2049\\n\"}]",
	       "write \"0\" to /proc/fs/nfsd/threads\nwrite \"tcp 2049\" to /proc/fs/nfsd/portlist\nwrite \"udp 2049\" to /proc/fs/nfsd/portlist\n"
	       "write \"1\" to /proc/fs/nfsd/threads\n");
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 8, \"ports\": \"rdma 20049\\ntcp 2049\\n\"}]", NULL);
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 8, \"ports\": \"\"}]", NULL);
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 0, \"ports\": \"tcp 2049\\n\"}]", NULL);
}

Test(undo, only_interfaces_of_our_own_are_deleted)
{
	expect("[{\"op\": \"IFB_DEL\", \"dev\": \"squall-ifb\"}, {\"op\": \"IFB_DEL\", \"dev\": \"squall-ifb-nfs\"}]",
	       "ip link del squall-ifb\nip link del squall-ifb-nfs\n");
	expect("[{\"op\": \"IFB_DEL\", \"dev\": \"eth0\"}]", NULL);
}

Test(undo, only_devices_of_our_own_are_removed)
{
	expect("[{\"op\": \"DM_REMOVE\", \"name\": \"squall-snapshot\"}, {\"op\": \"DM_REMOVE\", \"name\": \"squall-origin\"}]",
	       "dmsetup remove squall-snapshot\ndmsetup remove squall-origin\n");
	expect("[{\"op\": \"DM_REMOVE\", \"name\": \"store\"}]", NULL);
	expect("[{\"op\": \"DM_REMOVE\"}]", NULL);
}

Test(undo, a_process_goes_on_by_its_number)
{
	expect("[{\"op\": \"CONTINUE\", \"name\": \"rpc.mountd\", \"pid\": 99, \"start\": 1}]", "send SIGCONT to rpc.mountd (pid 99)\n");
	expect("[{\"op\": \"CONTINUE\", \"name\": \"rpc mountd\", \"pid\": 99, \"start\": 1}]", NULL);
	expect("[{\"op\": \"CONTINUE\", \"name\": \"rpc.mountd\", \"pid\": -1, \"start\": 1}]", NULL);
	expect("[{\"op\": \"CONTINUE\", \"name\": \"rpc.mountd\", \"pid\": \"1\", \"start\": 1}]", NULL);
}

Test(undo, rates_of_drbd_are_words)
{
	expect("[{\"op\": \"DRBD_RATES\", \"resource\": \"r0\", \"plan_ahead\": \"20\", \"rate\": \"250k\", \"min\": \"0\"}]",
	       "drbdadm disk-options --c-plan-ahead=20 --resync-rate=250k --c-min-rate=0 r0\n");
	expect("[{\"op\": \"DRBD_RATES\", \"resource\": \"r0\", \"plan_ahead\": \"20 --on-io-error=pass_on\", \"rate\": \"250k\", \"min\": \"0\"}]", NULL);
	expect("[{\"op\": \"DRBD_RATES\", \"resource\": \"r0\", \"plan_ahead\": \"20\", \"rate\": \"250k\"}]", NULL);
}

Test(undo, a_resync_goes_on_by_the_name_of_its_resource)
{
	expect("[{\"op\": \"DRBD_RESUME_SYNC\", \"resource\": \"r0\"}]", "drbdadm resume-sync r0\n");
	expect("[{\"op\": \"DRBD_RESUME_SYNC\", \"resource\": \"r0 --force\"}]", NULL);
}

Test(undo, what_is_no_opcode_is_refused)
{
	expect("[{\"op\": \"REBOOT\"}]", NULL);
	expect("[{\"op\": \"QDISC_DEL\", \"dev\": \"eth0; reboot\", \"parent\": \"clsact\"}]", NULL);
	expect("[7]", NULL);
}

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

/* @param undo  opcodes. @return an entry, new reference */
static json_t *entry_of(const char *id, const char *boot_id, const char *undo)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "id", id, "fault", "none", "boot_id", boot_id, "undo", json_loads(undo, 0, NULL));
}

Test(undo, two_faults_do_not_set_back_one_setting)
{
#define TABLE(name, table) "{\"op\": \"DM_TABLE\", \"name\": \"" name "\", \"table\": \"" table "\"}"
#define DRBD(op, resource) "{\"op\": \"" op "\", \"resource\": \"" resource "\"}"
	static const struct {
		const char *earlier, *later;
		bool apart;
	} cases[] = {
		{ TABLE("store", "0 8 linear 254:0 0"), TABLE("store", "0 8 delay 254:0 0 0 254:0 0 200"), false },
		{ TABLE("store", "0 8 linear 254:0 0"), TABLE("store2", "0 8 linear 254:0 0"), true },
		{ "{\"op\": \"NFSD_THREADS\", \"threads\": 8}", "{\"op\": \"NFSD_SERVE\", \"threads\": 2, \"ports\": \"tcp 2049\\n\"}", false },
		{ "{\"op\": \"CLOCK_OFFSET\", \"offset_ns\": 1}", "{\"op\": \"CLOCK_OFFSET\", \"offset_ns\": 2}", false },
		{ DRBD("DRBD_CONNECT", "r0"), DRBD("DRBD_RATES", "r0"), false },
		{ DRBD("DRBD_RATES", "r0") ", " DRBD("DRBD_VERIFY_END", "r0"), DRBD("DRBD_CONNECT", "r0"), false },
		{ DRBD("DRBD_CONNECT", "r0"), DRBD("DRBD_CONNECT", "r1"), true },
		{ DRBD("DRBD_CONNECT", "r0"), DRBD("DRBD_RESUME", "r0"), true },
		{ DRBD("DRBD_LINKED", "r0"), DRBD("DRBD_LINKED", "r0"), true },
		{ DRBD("DRBD_RESUME", "r0"), DRBD("DRBD_RESUME", "r0"), false },
		{ DRBD("DRBD_RESUME_SYNC", "r0"), DRBD("DRBD_RESUME_SYNC", "r0"), false },
		{ DRBD("DRBD_ATTACH", "r0"), DRBD("DRBD_ATTACH", "r0"), false },
		{ "{\"op\": \"FS_THAW\", \"path\": \"/a\"}", "{\"op\": \"FS_THAW\", \"path\": \"/a\"}", false },
		{ "{\"op\": \"FS_THAW\", \"path\": \"/a\"}", "{\"op\": \"EXPORTS\", \"path\": \"/a\", \"lines\": \"\"}", true },
		{ "{\"op\": \"EXPORTS\", \"path\": \"/a\"}", "{\"op\": \"EXPORTS\", \"path\": \"/a\"}", false },
		{ "{\"op\": \"CONTINUE\", \"pid\": 7, \"name\": \"a\"}", "{\"op\": \"CONTINUE\", \"pid\": 7, \"name\": \"b\"}", false },
		{ "{\"op\": \"CONTINUE\", \"pid\": 7, \"name\": \"a\"}", "{\"op\": \"CONTINUE\", \"pid\": 77, \"name\": \"a\"}", true },
		{ "{\"op\": \"PROCESSES_GONE\", \"name\": \"a\"}", "{\"op\": \"PROCESSES_GONE\", \"name\": \"a\"}", true },
	};
	char boot_id[64];

	cr_assert_eq(tool_boot_id(boot_id, sizeof boot_id), 0);
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		bool other_boot = i % 2 == 1;
		bool apart = cases[i / 2].apart || (other_boot && !strstr(cases[i / 2].earlier, "DRBD_RATES"));
		char earlier[512], later[512];
		struct err err = ERR_INIT;
		json_t *entry, *journal;
		int rc;

		(void)snprintf(earlier, sizeof earlier, "[%s]", cases[i / 2].earlier);
		(void)snprintf(later, sizeof later, "[{\"op\": \"MARKER_DEL\", \"id\": \"x\"}, %s]", cases[i / 2].later);
		entry = entry_of("later-1", boot_id, later);
		journal = json_pack("[o, O]", entry_of("earlier-1", other_boot ? "the boot before" : boot_id, earlier), entry);
		rc = undo_check_apart(entry, journal, &err);
		cr_expect_eq(rc, apart ? 0 : -EBUSY, "%zu, %s after %s: %d", i, later, earlier, rc);
		cr_expect(apart || strstr(err.text, "earlier-1"), "%s", err.text);
		json_decref(journal);
		json_decref(entry);
	}
}

Test(undo, the_last_copy_is_left_alone)
{
	static const char attach[] = "[{\"op\": \"DM_TABLE\", \"name\": \"store\", \"table\": \"0 8 linear 254:0 0\"}, " DRBD("DRBD_ATTACH", "r0") "]";
	static const struct {
		const char *fault;
		bool apart;
	} cases[] = { { "drbd-suspend-io", false }, { "drbd-link-cut", false }, { "nfs-port-cut", true }, { "clock-step", true } };
	char boot_id[64];

	cr_assert_eq(tool_boot_id(boot_id, sizeof boot_id), 0);
	for (size_t i = 0; i < 4 * sizeof cases / sizeof cases[0]; i++) {
		bool is_later = i % 2 == 1, other_boot = i / 2 % 2 == 1, apart = cases[i / 4].apart || other_boot;
		json_t *error = entry_of("error-1", boot_id, attach), *beside = entry_of("beside-1", boot_id, "[]"), *journal;
		struct err err = ERR_INIT;
		int rc;

		json_object_set_new(error, "fault", json_string("disk-error"));
		json_object_set_new(beside, "fault", json_string(cases[i / 4].fault));
		if (other_boot)
			json_object_set_new(is_later ? error : beside, "boot_id", json_string("the boot before"));
		journal = json_pack("[O, O]", error, beside);
		rc = undo_check_apart(is_later ? beside : error, journal, &err);
		cr_expect_eq(rc, apart ? 0 : -EBUSY, "%zu, %s: %d", i, cases[i / 4].fault, rc);
		cr_expect(apart || strstr(err.text, is_later ? "error-1" : "beside-1"), "%s", err.text);
		json_decref(journal);
		json_decref(error);
		json_decref(beside);
	}
}

/* An entry that is written and not listed is never undone. */
Test(undo, an_entry_is_listed_however_long_its_id, .fini = lab_leave)
{
	char id[FAULT_ID_BYTES + 1];
	struct err err = ERR_INIT;

	lab_enter(NULL);
	for (size_t n = FAULT_ID_BYTES; n >= FAULT_ID_BYTES - 6; n--) {
		json_t *entry, *list;
		int rc;

		memset(id, 'a', n);
		id[n] = '\0';
		entry = json_pack("{s:s, s:s, s:[]}", "id", id, "fault", "none", "undo");
		rc = journal_write(entry, &err);
		list = journal_list(&err);
		cr_expect_eq(rc, n < FAULT_ID_BYTES ? 0 : -EINVAL, "%zu: %d", n, rc);
		cr_expect_eq(json_array_size(list), rc == 0, "%zu: %zu are listed", n, json_array_size(list));
		if (rc == 0)
			cr_assert_eq(journal_strike(id, &err), 0);
		json_decref(list);
		json_decref(entry);
	}
}

/* Its boot could not be read, or somebody has edited it: it may be of this boot. */
Test(undo, an_entry_that_names_no_boot_is_undone, .fini = lab_leave)
{
	char evidence[EVIDENCE_BYTES] = "";
	struct err err = ERR_INIT;
	json_t *entry, *status;
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	lab_enter(NULL);
	cr_assert_eq(kill(child, SIGSTOP), 0);
	cr_assert_eq(waitpid(child, NULL, WUNTRACED), child);
	entry = json_pack("{s:s, s:s, s:i, s:[{s:s, s:s, s:i, s:I}]}", "id", "stall-1", "fault", "nfs-upcall-stall", "holder", (int)getpid(), "undo",
			  "op", "CONTINUE", "name", "child", "pid", (int)child, "start", (json_int_t)tool_start_time(child));
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_assert_eq(chaos_status(&status, &err), 0, "%s", err.text);
	cr_assert_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_assert_neq(tool_state(child), 'T', "%s", evidence);
	cr_assert_eq(kill(child, SIGKILL), 0);
	json_decref(status);
	json_decref(entry);
}

/* A stop that waits for a process in state D is not seen: it looks as if it ran. */
Test(undo, a_process_that_is_not_stopped_is_told_to_go_on_all_the_same, .fini = lab_leave)
{
	char evidence[EVIDENCE_BYTES] = "", boot_id[64], byte = '\0';
	struct err err = ERR_INIT;
	struct pollfd p = { .events = POLLIN };
	int say[2];
	sigset_t set;
	json_t *entry;
	pid_t child;

	lab_enter(NULL);
	cr_assert_eq(tool_boot_id(boot_id, sizeof boot_id), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	cr_assert(pipe2(say, O_CLOEXEC) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(sigwaitinfo(&set, NULL) != SIGCONT || write(say[1], "c", 1) != 1);
	}
	p.fd = say[0];
	entry = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:i, s:I}]}", "id", "pause-1", "fault", "client-pause", "boot_id", boot_id, "undo", "op", "CONTINUE",
			  "name", "child", "pid", (int)child, "start", (json_int_t)tool_start_time(child));
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_expect_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_expect(poll(&p, 1, 10000) == 1 && read(say[0], &byte, 1) == 1 && byte == 'c', "nobody has sent SIGCONT");
	(void)kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_expect_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_CONFIRMED, "one that has ended: %s", evidence);
	json_decref(entry);
}

/* A process named like a tool of DRBD's that is at a verb until its standard input ends. @return that */
static int start_tool(const char *tool, const char *verb, pid_t *ret_pid)
{
	int input[2], started[2];
	char path[256], byte;

	(void)snprintf(path, sizeof path, "%s/%s", journal_state_dir(), tool);
	cr_assert(pipe2(input, O_CLOEXEC) == 0 && pipe2(started, O_CLOEXEC) == 0);
	cr_assert_eq(symlink("/bin/sh", path), 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(input[0], STDIN_FILENO);
		(void)execl(path, tool, "-c", "read line", verb, NULL);
		_exit(write(started[1], "f", 1) != 1);
	}
	close(input[0]);
	close(started[1]);
	cr_assert_eq(read(started[0], &byte, 1), 0, "%s cannot be executed", path);
	close(started[0]);
	return input[1];
}

static void end_tool(int input, pid_t pid)
{
	close(input);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(undo, a_tool_of_drbd_is_known_by_the_verb_that_it_is_at, .fini = lab_leave)
{
	struct err err = ERR_INIT;
	int listener, disconnect;
	pid_t pid[2];

	lab_enter(NULL);
	listener = start_tool("drbdsetup-84", "events2", &pid[0]);
	cr_expect_eq(drbd_at_work("disconnect", &err), 0, "%s", err.text);
	disconnect = start_tool("drbdsetup", "disconnect", &pid[1]);
	cr_expect_eq(drbd_at_work("disconnect", &err), 1, "%s", err.text);
	cr_expect_eq(drbd_at_work("events2", &err), 1, "%s", err.text);
	cr_expect_eq(drbd_at_work("verify", &err), 0, "%s", err.text);
	end_tool(disconnect, pid[1]);
	cr_expect_eq(drbd_at_work("disconnect", &err), 0, "%s", err.text);
	end_tool(listener, pid[0]);
}

/* After a reboot, because that is given up sooner. The resource is nobody's. */
Test(undo, nothing_is_proved_while_what_it_undoes_is_at_work, .fini = lab_leave, .timeout = 60)
{
	char evidence[EVIDENCE_BYTES] = "";
	struct err err = ERR_INIT;
	json_t *entry;
	pid_t pid;
	int input;

	lab_enter(NULL);
	input = start_tool("drbdsetup", "disk-options", &pid);
	entry = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:s}]}", "id", "storm-1", "fault", "drbd-resync-storm", "boot_id", "the boot before", "undo",
			  "op", "DRBD_RATES", "resource", "squall-none", "plan_ahead", "20", "rate", "250k", "min", "0");
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_expect_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_MISMATCH, "%s", evidence);
	cr_expect(strstr(evidence, "a disk-options of DRBD is still under way"), "%s", evidence);
	end_tool(input, pid);
	json_decref(entry);
}

/* The heal goes on for something else, and the clsact of before is there again by then. */
Test(undo, a_qdisc_that_is_as_before_is_left_alone, .fini = lab_leave, .timeout = 90)
{
	const char *const add[] = { "/usr/sbin/tc", "qdisc", "add", "dev", "lo", "clsact", NULL };
	char evidence[EVIDENCE_BYTES] = "", boot_id[64], path[256];
	char *before = NULL, *after = NULL;
	struct err err = ERR_INIT;
	json_t *entry;

	lab_enter(NULL);
	cr_assert_eq(tool_boot_id(boot_id, sizeof boot_id), 0);
	cr_assert_eq(exec_check(add, NULL, 10 * NS_PER_S, &err), 0, "%s", err.text);
	cr_assert_eq(undo_qdisc_list("lo", &before, &err), 0, "%s", err.text);
	cr_assert(strstr(before, "clsact"), "%s", before);
	(void)snprintf(path, sizeof path, "%s/none-cut-1", journal_state_dir());
	cr_assert_eq(file_write(path, "", 0, 0600, &err), 0, "%s", err.text);
	entry = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:i}, {s:s, s:s, s:s}, {s:s, s:s, s:s}, {s:s, s:s}]}", "id", "cut-1", "fault", "none", "boot_id", boot_id, "undo",
			  "op", "FILTER_DEL", "dev", "lo", "pref", 7, "op", "QDISC_DEL", "dev", "lo", "parent", "clsact", "op", "QDISC_SAME", "dev", "lo", "list", before,
			  "op", "MARKER_DEL", "id", "cut-1");
	cr_assert_eq(journal_write(entry, &err), 0, "%s", err.text);
	cr_expect_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_expect_eq(access(path, F_OK), -1, "the rest was not undone");
	cr_assert_eq(undo_qdisc_list("lo", &after, &err), 0, "%s", err.text);
	cr_expect_str_eq(after, before);
	json_decref(entry);
	free(before);
	free(after);
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
	cr_assert_eq(undo_entry(entry, "test", NULL, evidence, sizeof evidence), FAULT_CONFIRMED, "%s", evidence);
	cr_assert(strstr(evidence, "CLOCK_REALTIME is "), "%s", evidence);
	cr_assert_eq(journal_read("clock-step-1", &left, &err), -ENOENT);
	json_decref(entry);
}
