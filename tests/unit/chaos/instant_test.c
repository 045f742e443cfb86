/* SPDX-License-Identifier: MIT */
/*
 * instant_test.c - an instant is injected, proved and over by itself: with conn-kill, on connections of the test's own network namespace.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "lab.h"

#include "../../../chaos/nfs.h"

#define LONG_NS (20 * NS_PER_S)

static void enter(void)
{
	lab_enter("interfaces: [lo]\nmax_time: 1m\n");
}

TestSuite(instant, .init = enter, .fini = lab_leave, .timeout = 60);

/* Only a kernel with CONFIG_INET_DIAG_DESTROY ends a connection that is not the caller's. */
static bool kernel_ends_connections(void)
{
	char ss[128], byte;
	const char *const argv[] = { ss, "-K", "-tnH", "sport", "=", ":2050", NULL };
	struct err err = ERR_INIT;
	int fd[3];
	bool ended;

	cr_assert_eq(exec_find("ss", ss, sizeof ss), 0);
	lab_connect(2050, fd);
	cr_assert_eq(exec_check(argv, NULL, LONG_NS, &err), 0, "%s", err.text);
	ended = recv(fd[2], &byte, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN;
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	return ended;
}

static void expect(struct chaos_hold *hold, const char *event, const char *detail)
{
	json_t *o = lab_event(hold, event, detail);

	cr_assert(o, "no event %s %s", event, detail ? detail : "");
	json_decref(o);
}

/* A connection in a process of its own: one of ours would be the one that controls the fault. It looks at the end whether both ends are gone. */
static pid_t connect_elsewhere(int *ret_end)
{
	int told[2], end[2], fd[3];
	pid_t child;
	char byte;

	cr_assert(pipe2(told, O_CLOEXEC) == 0 && pipe2(end, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		close(end[1]);
		lab_connect(NFS_PORT, fd);
		if (write(told[1], "r", 1) != 1 || read(end[0], &byte, 1) != 0)
			_exit(2);
		for (int i = 1; i < 3; i++)
			if (recv(fd[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno == EAGAIN)
				_exit(1);
		_exit(0);
	}
	cr_assert(child > 0);
	cr_assert_eq(read(told[0], &byte, 1), 1);
	close(told[0]);
	close(told[1]);
	close(end[0]);
	*ret_end = end[1];
	return child;
}

Test(instant, it_is_proved_and_over_by_itself)
{
	struct chaos_hold hold;
	int end, status;
	pid_t child;

	if (!kernel_ends_connections())
		cr_skip_test("this kernel ends no connection of others");
	child = connect_elsewhere(&end);
	lab_start("conn-kill", LONG_NS, LONG_NS, &hold);
	expect(&hold, "injected", NULL);
	expect(&hold, "verify", "confirmed");
	expect(&hold, "healing", "done");
	expect(&hold, "healed", "confirmed");
	cr_assert_null(lab_event(&hold, "any", NULL));
	close(end);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0, "an end is still connected: %d", status);
	chaos_hold_close(&hold);
	cr_assert(lab_is_clean());
}

Test(instant, one_with_nothing_to_act_on_fails_and_leaves_nothing)
{
	struct chaos_hold hold;
	json_t *failed;

	lab_start("conn-kill", LONG_NS, LONG_NS, &hold);
	failed = lab_event(&hold, "failed", NULL);
	cr_assert(failed);
	cr_expect(strstr(json_string_value(json_object_get(failed, "error")), "no IPv4 connection of port 2049"));
	json_decref(failed);
	chaos_hold_close(&hold);
	cr_assert(lab_is_clean());
}

Test(instant, what_only_a_hypervisor_does_says_so)
{
	struct err err = ERR_INIT;

	cr_expect(chaos_is_outside("power-cut") && !chaos_is_outside("host-reboot"));
	cr_assert_eq(chaos_probe("power-cut", 0, &err), -ENOPKG);
	cr_expect(strstr(err.text, "only a hypervisor") && strstr(err.text, "host-reboot comes nearest"), "%s", err.text);
}

Test(instant, where_no_nfsd_runs_none_is_restarted)
{
	struct err err = ERR_INIT;
	json_t *list = chaos_list(), *f;
	size_t i;

	if (access("/proc/fs/nfsd/portlist", F_OK) == 0)
		cr_skip_test("nfsd runs here");
	cr_assert_eq(chaos_probe("nfsd-restart", 0, &err), -ENOPKG);
	cr_expect(strstr(err.text, "the allow file names no export"), "%s", err.text);
	lab_leave();
	lab_enter("exports: [/srv/home]\nmax_time: 1m\n");
	err = (struct err)ERR_INIT;
	cr_assert_eq(chaos_probe("nfsd-restart", 0, &err), -ENOPKG);
	cr_expect(strstr(err.text, "no nfsd here"), "%s", err.text);
	json_array_foreach(json_object_get(list, "faults"), i, f)
		cr_expect_eq(json_is_true(json_object_get(f, "instant")), chaos_is_instant(json_string_value(json_object_get(f, "fault"))));
	json_decref(list);
}

/* What the kernel of this host would do after a crash, as far as the test can see. */
static void expect_crash(const char *panic, const char *refused)
{
	char path[] = "/tmp/squall-panic-XXXXXX";
	struct err err = ERR_INIT;
	int fd = mkstemp(path);

	cr_assert(fd >= 0 && dprintf(fd, "%s\n", panic) > 0);
	close(fd);
	if (mount(path, "/proc/sys/kernel/panic", NULL, MS_BIND, NULL) < 0) {
		(void)unlink(path);
		cr_skip_test("nothing can be mounted over a file of /proc");
	}
	(void)unlink(path);
	(void)chaos_probe("host-crash", 0, &err);	/* a container may have no sysrq */
	cr_expect_eq(strstr(err.text, refused ? refused : "after a crash") != NULL, refused != NULL, "kernel.panic=%s: %s", panic, err.text);
	cr_assert_eq(umount2("/proc/sys/kernel/panic", MNT_DETACH), 0);
}

Test(instant, a_host_that_would_not_come_back_is_not_crashed)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("no mount namespace");
	expect_crash("0", "would not come back");
	expect_crash("10", NULL);
	expect_crash("60", NULL);
	expect_crash("61", "waits 61 s after a crash");
	expect_crash("-1", NULL);
}
