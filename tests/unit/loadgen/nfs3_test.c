/* SPDX-License-Identifier: MIT */
/*
 * nfs3_test.c - what the engine nfs3 has besides what every engine has: clients with names of their own, deadlines, connections that are lost.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../../loadgen/engine.h"
#include "../../../loadgen/nfs3_tree.h"
#include "fixture.h"
#include "nfs_server.h"

static void fixture_nfs3(struct fixture *f)
{
	struct job *j = &f->profile.jobs[0];

	fixture_init(f);
	fixture_build(f);
	(void)snprintf(j->engine, sizeof j->engine, "nfs3");
	(void)snprintf(j->nfs.server, sizeof j->nfs.server, "127.0.0.1");
	(void)snprintf(j->nfs.path, sizeof j->nfs.path, "%s", f->dir);
	j->nfs.port = j->nfs.mount_port = nfs_server_start(f->dir);
	fixture_rate(f, ARRIVAL_CONSTANT, 400);
}

Test(nfs3, each_slot_is_a_client_with_a_connection_a_name_and_a_user_of_its_own)
{
	const struct nfs_server_seen *seen;
	struct fixture f;
	bool found;

	fixture_nfs3(&f);
	fixture_rate(&f, ARRIVAL_CLOSED, 0);	/* in which every slot has something to do */
	f.profile.jobs[0].arrival.think_ns = 10 * NS_PER_MS;
	f.profile.jobs[0].nfs.own_users = true;
	f.profile.jobs[0].nfs.first_uid = 5000;
	fixture_run(&f, NS_PER_S);
	cr_assert_gt(fixture_count(&f, "ok"), 8);
	cr_assert_eq(fixture_count(&f, "ok"), fixture_count(&f, "due"));
	seen = nfs_server_seen();
	cr_assert_eq(seen->connections_nr, 2 + 8, "%u", seen->connections_nr);	/* two before the start: mountd, nfsd */
	cr_assert_eq(seen->callers_nr, 1 + 8, "%u", seen->callers_nr);
	for (uint32_t n = 0; n < 8; n++) {
		char name[32];

		(void)snprintf(name, sizeof name, "here-%u", n);
		found = false;
		for (uint32_t i = 0; i < seen->callers_nr; i++)
			found = found || (strcmp(seen->caller[i].machine, name) == 0 && seen->caller[i].uid == 5000 + n && seen->caller[i].gid == 5000 + n);
		cr_assert(found, "nobody called as %s", name);
	}
	fixture_release(&f);
}

Test(nfs3, a_call_that_is_not_answered_by_its_deadline_has_failed_and_its_client_goes_on)
{
	struct fixture f;

	fixture_nfs3(&f);
	f.profile.jobs[0].nfs.deadline_ns = 100 * NS_PER_MS;
	f.profile.jobs[0].slots = 200;
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	nfs_server_dead(200, 300, f.dir);
	fixture_run(&f, 2 * NS_PER_S);
	/* 400/s for 300 ms, of which the last 100 ms are answered in time; the late answers of the others go to nobody */
	cr_assert(fixture_op(&f, "", "all", "ETIMEDOUT") > 40 && fixture_op(&f, "", "all", "ETIMEDOUT") < 140, "%lu", fixture_op(&f, "", "all", "ETIMEDOUT"));
	cr_assert_eq(fixture_count(&f, "errors"), fixture_op(&f, "", "all", "ETIMEDOUT"));
	cr_assert_eq(fixture_count(&f, "ok") + fixture_count(&f, "errors"), 400);
	fixture_release(&f);
}

Test(nfs3, calls_of_connections_that_are_lost_are_made_again_on_new_ones)
{
	struct fixture f;

	fixture_nfs3(&f);
	fixture_phase(&f, 0, "all", 0, NS_PER_S);
	fixture_start(&f);
	for (int turn = 0; turn < 900 && nfs_server_seen()->connections_nr < 2 + 8; turn++)	/* it hangs up on those that are there */
		fixture_wait(clock_mono_ns() + NS_PER_MS);
	nfs_server_hang_up();
	fixture_watch(&f, NS_PER_S);
	fixture_finish(&f, 2 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), fixture_count(&f, "due"), "%lu of %lu", fixture_count(&f, "ok"), fixture_count(&f, "due"));
	cr_assert_gt(nfs_server_seen()->connections_nr, 2 + 8);
	cr_assert_gt(nfs_server_seen()->lost_nr, 0);
	cr_assert_eq(nfs_server_seen()->again_nr, nfs_server_seen()->lost_nr, "%u calls were lost, %u came again with the same xid", nfs_server_seen()->lost_nr,
		     nfs_server_seen()->again_nr);
	fixture_release(&f);
}

static void fixture_locks(struct fixture *f, unsigned int grace_ms)
{
	struct job *j = &f->profile.jobs[0];

	fixture_nfs3(f);
	j->nfs.lock_port = j->nfs.port;
	memset(j->mix, 0, sizeof j->mix);
	j->mix[OP_LOCK] = 1;
	nfs_server_grace(grace_ms);
}

Test(nfs3, a_lock_takes_as_long_as_the_grace_period_of_the_server)
{
	struct fixture f;

	fixture_locks(&f, 1500);
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "ok"), 80);
	/* each of the 8 clients asks at the start, after 1 s and after 2 s, and may be late; the 72 arrivals that wait meanwhile are not refused */
	cr_assert(nfs_server_seen()->grace_nr >= 8 && nfs_server_seen()->grace_nr <= 16, "%u", nfs_server_seen()->grace_nr);
	cr_assert(f.service->max_ns >= 1500 * NS_PER_MS, "%lu", f.service->max_ns);
	fixture_release(&f);
}

Test(nfs3, a_lock_has_failed_when_the_grace_period_outlasts_the_deadline)
{
	struct fixture f;

	fixture_locks(&f, 60000);
	f.profile.jobs[0].nfs.deadline_ns = 100 * NS_PER_MS;
	fixture_run(&f, 5 * NS_PER_S);
	cr_assert_eq(fixture_count(&f, "errors"), 80);
	cr_assert_eq(fixture_op(&f, "", "all", "EBUSY"), 80, "%lu", fixture_op(&f, "", "all", "EBUSY"));
	fixture_release(&f);
}

static int make_unreadable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_F ? chmod(path, 0) : 0;
}

Test(nfs3, what_the_server_does_not_let_be_read_is_an_error)
{
	struct fixture f;

	fixture_nfs3(&f);
	fixture_start(&f);
	cr_assert_eq(nftw(f.dir, make_unreadable, 16, FTW_PHYS), 0);
	fixture_watch(&f, 200 * NS_PER_MS);
	fixture_finish(&f, NS_PER_S);
	cr_assert_gt(fixture_op(&f, "", "all", "EACCES"), 40);
	cr_assert_eq(fixture_count(&f, "errors"), fixture_op(&f, "", "all", "EACCES"));
	fixture_release(&f);
}

/* Connections go with a server that ends; what is under way then waits for the next one, and without a deadline for ever. */
Test(nfs3, without_a_server_nothing_fails_that_has_no_deadline_and_all_that_has_one_does)
{
	for (int with = 0; with < 2; with++) {
		struct fixture f;

		fixture_nfs3(&f);
		f.profile.jobs[0].slots = 100;
		f.profile.jobs[0].nfs.deadline_ns = with ? 50 * NS_PER_MS : 0;
		fixture_start(&f);
		nfs_server_end();
		fixture_watch(&f, 200 * NS_PER_MS);
		fixture_finish(&f, 300 * NS_PER_MS);
		cr_assert_eq(fixture_count(&f, "due"), 80);
		cr_assert_lt(fixture_count(&f, "ok"), 40);	/* before it had ended, on a busy machine */
		cr_assert_eq(fixture_count(&f, with ? "errors" : "in_flight"), 80 - fixture_count(&f, "ok"), "%d: %lu ok, %lu errors", with,
			     fixture_count(&f, "ok"), fixture_count(&f, "errors"));
		fixture_release(&f);
	}
}

static void check_refused(struct fixture *f, int code, const char *says)
{
	cr_assert_eq(load_new(&f->plan, &f->load, &f->err), code, "%s", f->err.text);
	cr_assert_not_null(strstr(f->err.text, says), "%s", f->err.text);
	fixture_release(f);
}

Test(nfs3, what_is_wrong_with_the_server_is_said_before_the_start)
{
	struct fixture f;

	fixture_nfs3(&f);
	(void)snprintf(f.profile.jobs[0].nfs.path, sizeof f.profile.jobs[0].nfs.path, "/elsewhere");
	check_refused(&f, -ENOENT, "nfs3: 127.0.0.1 does not let us mount /elsewhere: No such file or directory");
	fixture_nfs3(&f);
	nfs_server_end();
	check_refused(&f, -ECONNREFUSED, "nfs3: no connection to 127.0.0.1, port ");
	fixture_nfs3(&f);
	(void)snprintf(f.profile.jobs[0].nfs.server, sizeof f.profile.jobs[0].nfs.server, "256.0.0.1");
	check_refused(&f, -EHOSTUNREACH, "nfs3: server 256.0.0.1: ");
}

static int full_listener;
static volatile sig_atomic_t signals;

/* By the second signal somebody takes who waits in front of us; the third attempt of TCP, if not the second, finds room. */
static void on_alarm(int signal)
{
	(void)signal;
	if (++signals == 2)
		(void)accept(full_listener, NULL, NULL);
}

Test(nfs3, a_connection_that_takes_its_time_outlives_signals, .timeout = 20)
{
	const struct itimerval every = { { .tv_usec = 100000 }, { .tv_usec = 100000 } }, never = { { 0 }, { 0 } };
	struct sockaddr_storage to = { .ss_family = AF_INET };
	struct sockaddr_in *at = (struct sockaddr_in *)&to;
	socklen_t bytes = sizeof *at;
	int before, fd;

	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	full_listener = socket(AF_INET, SOCK_STREAM, 0);
	before = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(full_listener >= 0 && before >= 0 && bind(full_listener, (struct sockaddr *)at, bytes) == 0 && listen(full_listener, 0) == 0 &&
		  getsockname(full_listener, (struct sockaddr *)at, &bytes) == 0 && connect(before, (struct sockaddr *)at, bytes) == 0);
	(void)sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	(void)setitimer(ITIMER_REAL, &every, NULL);
	fd = nfs3_connect(&to, bytes);
	(void)setitimer(ITIMER_REAL, &never, NULL);
	cr_expect_geq(fd, 0, "%s", strerror(-fd));
	cr_expect_geq(signals, 2);
	close(fd);
	close(before);
	close(full_listener);
}
