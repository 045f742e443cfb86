/* SPDX-License-Identifier: MIT */
/*
 * nfs_test.c - NFS connections as ss tells of them: its text, and real sockets in a network namespace of the test's own.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "lab.h"

#include "../../../chaos/faults.h"
#include "../../../chaos/journal.h"
#include "../../../chaos/nfs.h"
#include "../../../chaos/plan.h"

static const char text[] =
	"0      0      10.0.1.11:2049      10.0.1.21:785   timer:(keepalive,1min,0) ino:0 sk:3f cgroup:/ <->\n"
	"0      128    10.0.1.11:2049      10.0.1.22:1023  ino:0 sk:a0b cgroup:/ <->\n"
	"ESTAB  0      0      10.0.1.11:2049      10.0.1.23:900  ino:0 sk:41 <->\n"
	"0      0      [fd00::1]:2049      [fd00::2]:785   ino:0 sk:40 <->\n"
	"0      0      10.0.1.11:2049      10.0.1.24:901   ino:0\n";

Test(nfs, peers_and_cookies_are_read_from_ss)
{
	struct nfs_connection c[3];

	cr_assert_eq(nfs_parse_connections(text, c, 3), 3, "of IPv6, and without a cookie, there is none");
	cr_expect_str_eq(c[0].peer, "10.0.1.21");
	cr_expect_eq(c[0].cookie, 0x3f);
	cr_expect_str_eq(c[1].peer, "10.0.1.22");
	cr_expect_eq(c[1].cookie, 0xa0b);
	cr_expect_str_eq(c[2].peer, "10.0.1.23", "a state before it is left out");
	cr_expect_eq(nfs_parse_connections(text, c, 2), 3, "one more than there is room for");
	cr_expect_eq(nfs_parse_connections("", c, 2), 0);
}

Test(nfs, peers_stand_once_in_the_order_of_their_addresses)
{
	struct nfs_connection c[] = { { "10.0.1.100", 1 }, { "10.0.1.21", 2 }, { "9.255.0.1", 3 }, { "10.0.1.21", 4 }, { "192.168.0.1", 5 } };
	static const char *const sorted[] = { "9.255.0.1", "10.0.1.21", "10.0.1.100", "192.168.0.1" };

	cr_assert_eq(nfs_peers(c, 5), 4);
	for (size_t i = 0; i < 4; i++)
		cr_expect_str_eq(c[i].peer, sorted[i]);
	cr_expect_eq(nfs_peers(c, 0), 0);
}

static void enter(void)
{
	lab_enter("interfaces: [lo]\nmax_time: 1m\n");
}

TestSuite(nfs_link, .init = enter, .fini = lab_leave, .timeout = 60);

Test(nfs_link, it_is_where_the_connections_of_the_allow_file_are)
{
	struct allow allow = { .interfaces = { .name = { "eth7", "lo" }, .nr = 2 } }, other = { .interfaces = { .name = { "eth7" }, .nr = 1 } };
	struct nfs_link link = { .dev = "" };
	struct err err = ERR_INIT;
	int fd[3];

	cr_assert_eq(nfs_link_find(&allow, &link, &err), -ENOTCONN, "%s", err.text);
	cr_assert(strstr(err.text, "2049"), "%s", err.text);
	lab_connect(NFS_PORT, fd);
	err = (struct err)ERR_INIT;
	cr_assert_eq(nfs_link_find(&allow, &link, &err), 0, "%s", err.text);
	cr_expect_str_eq(link.dev, "lo");
	cr_expect_str_eq(link.address, "127.0.0.1");
	cr_expect_eq(nfs_link_find(&other, &link, &err), -ENOTCONN, "an interface that the allow file does not name");
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

#define TAKES_KILL "Name:\tnfsd\nSigBlk:\t0000000000000000\nSigIgn:\tfffffffffffffeff\n"

Test(nfs, threads_that_ignore_sigkill_or_crash_of_it_are_not_killed)
{
	struct err err = ERR_INIT;

	cr_expect_eq(nfsd_check_kill("6.1.0-10-amd64", TAKES_KILL, &err), 0, "%s", err.text);
	cr_expect_eq(nfsd_check_kill("6.1.0-56-cloud-amd64", "Name:\tnfsd\nSigBlk:\t0000000000000000\nSigIgn:\tffffffffffffffff\n", &err), -ENOTSUP);
	cr_expect(strstr(err.text, "SIGKILL is ignored"), "%s", err.text);
	err = (struct err)ERR_INIT;
	cr_expect_eq(nfsd_check_kill("5.15.0-105-generic", TAKES_KILL, &err), -ENOTSUP);
	cr_expect(strstr(err.text, "Linux 5.15.0-105-generic may crash"), "%s", err.text);
}

Test(nfs, locks_of_one_process_are_told_from_those_of_others_and_from_those_that_wait)
{
	static const char locks[] = "1: POSIX  ADVISORY  WRITE 228 93:00:131 0 EOF\n"
				   "1: -> POSIX  ADVISORY  WRITE 228 93:00:131 0 EOF\n"
				   "2: FLOCK  ADVISORY  WRITE 223 00:16:11 0 EOF\n"
				   "3: POSIX  ADVISORY  READ  228 93:00:132 0 99\n"
				   "4: OFDLCK ADVISORY  WRITE -1 93:00:133 0 EOF\n";

	cr_expect_eq(nfs_parse_locks(locks, 228), 2);
	cr_expect_eq(nfs_parse_locks(locks, 223), 1);
	cr_expect_eq(nfs_parse_locks(locks, 22), 0);
	cr_expect_eq(nfs_parse_locks("", 228), 0);
}

/* A process named lockd that holds two locks. */
static pid_t hold_locks(void)
{
	int ready[2];
	char path[256], byte;
	pid_t pid;

	(void)snprintf(path, sizeof path, "%s/locked", journal_state_dir());
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct flock first = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 }, second = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 9, .l_len = 1 };
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "lockd");
		if (fcntl(fd, F_SETLK, &first) == 0 && fcntl(fd, F_SETLK, &second) == 0 && write(ready[1], "r", 1) == 1)
			for (;;)
				(void)pause();
		_exit(1);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "it has no lock");
	close(ready[0]);
	return pid;
}

Test(nfs, locks_that_a_stop_of_nfsd_would_drop_are_refused, .fini = lab_leave)
{
	struct fault_run *run = calloc(1, sizeof *run);
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;
	int before, rc;
	pid_t pid;

	lab_enter(NULL);
	cr_assert(run);
	before = nfs_locks(&err);
	cr_assert_geq(before, 0, "%s", err.text);
	pid = hold_locks();
	cr_expect_eq(nfs_locks(&err), before + 2, "%s", err.text);
	rc = nfsd_add_serving(run, &plan, &err);
	cr_expect_eq(rc, -EBUSY, "%d: %s", rc, err.text);
	cr_expect(strstr(err.text, "locks of NFSv3 clients"), "%s", err.text);
	cr_expect_eq(json_array_size(plan.undo), 0);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	cr_expect_eq(nfs_locks(&err), before, "%s", err.text);
	plan_release(&plan);
	free(run);
}
