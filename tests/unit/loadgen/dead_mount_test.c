/* SPDX-License-Identifier: MIT */
/*
 * dead_mount_test.c - a server that takes requests and never answers: do the ops in flight reach it, or do they wait in this host? Does who begins a
 * load go on?
 *
 * The mount is FUSE spoken by this test: it says INIT and nothing more. It lies in a mount namespace of the test's own, so that nothing is
 * left when the test is killed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../../../loadgen/engine.h"
#include "../../../loadgen/files.h"
#include "fixture.h"

#define OPS_NR 64
#define REQUEST_BYTES 65536

/* @return the opcode; 0 when none comes until then. */
static uint32_t next_request(int fd, uint64_t until_ns, struct fuse_in_header *ret)
{
	static char request[REQUEST_BYTES];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (clock_mono_ns() < until_ns) {
		if (poll(&p, 1, 10) == 1 && read(fd, request, sizeof request) >= (ssize_t)sizeof *ret) {
			memcpy(ret, request, sizeof *ret);
			return ret->opcode;
		}
	}
	return 0;
}

/* @return the server's end; -1 where FUSE cannot be mounted. */
static int mount_dead(const char *path)
{
	struct {
		struct fuse_out_header head;
		struct fuse_init_out init;
	} answer = { .head = { .len = sizeof answer }, .init = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
								 .flags = FUSE_PARALLEL_DIROPS, .max_write = 4096 } };
	struct fuse_in_header request;
	char options[96];
	int fd = -1;

	if (unshare(CLONE_NEWNS) == 0)
		fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	(void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, (unsigned int)getuid(), (unsigned int)getgid());
	if (mount("squall-test", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return -1;
	cr_assert_eq(next_request(fd, clock_mono_ns() + 10 * NS_PER_S, &request), FUSE_INIT);
	answer.head.unique = request.unique;
	cr_assert_eq(write(fd, &answer, sizeof answer), (ssize_t)sizeof answer);
	return fd;
}

static void reap_all(const struct engine *e, void *loop)
{
	struct completion done[OPS_NR];
	uint32_t nr = 0;

	while (nr < OPS_NR)
		nr += e->reap(loop, NS_PER_S, done, OPS_NR);
}

Test(engines, as_many_ops_of_io_uring_reach_a_dead_server_as_there_are_slots, .timeout = 120)
{
	const struct engine *e = engine_find("io_uring");
	struct manifest m = MANIFEST_INIT;
	struct fuse_in_header request;
	void *ctx = NULL, *loop = NULL;
	char path[DATASET_PATH_BYTES], folder[256];
	struct engine_env env;
	struct fixture f;
	unsigned int nr = 0;
	uint64_t until;
	int fd;

	fixture_init(&f);
	if (e->probe(&f.err) < 0)
		cr_skip_test("%s", f.err.text);
	fixture_build(&f);
	memset(f.profile.jobs[0].mix, 0, sizeof f.profile.jobs[0].mix);
	f.profile.jobs[0].mix[OP_STAT_MISS] = 1;
	cr_assert_eq(manifest_read(f.dir, &m, &f.err), 0, "%s", f.err.text);
	dataset_folder_path(&m.spec, 0, 0, m.spec.depth, path);
	(void)snprintf(folder, sizeof folder, "%s/%s", f.dir, path);
	fd = mount_dead(folder);
	if (fd < 0) {
		fixture_release(&f);
		cr_skip_test("a FUSE file system cannot be mounted here");
	}
	env = (struct engine_env){ .dir = f.dir, .host = "here", .manifest = &m, .job = &f.profile.jobs[0] };
	cr_assert_eq(e->open(&env, &ctx, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(e->loop_open(ctx, OPS_NR, &loop, &f.err), 0, "%s", f.err.text);
	for (uint32_t slot = 0; slot < OPS_NR; slot++) {
		struct op op = { .kind = OP_STAT_MISS, .draw = slot };

		cr_assert_eq(e->submit(loop, slot, &op), 0);
	}
	e->flush(loop);
	until = clock_mono_ns() + 30 * NS_PER_S;
	while (nr < OPS_NR && next_request(fd, until, &request) == FUSE_LOOKUP)
		nr++;
	(void)umount2(folder, MNT_DETACH);
	close(fd);		/* ends the requests with an error; a test that failed before could not exit */
	reap_all(e, loop);
	e->loop_close(loop);
	e->close(ctx);
	cr_assert_eq(nr, OPS_NR, "of %d ops in flight the server has seen %u", OPS_NR, nr);
	manifest_release(&m);
	fixture_release(&f);
}

/* An agent that waited here would hear nothing of its coordinator, which gives up a host that is silent for 10 s. */
Test(load, begins_and_ends_without_waiting_for_a_dead_server, .timeout = 60)
{
	struct fuse_in_header request;
	uint64_t began_ns, took_ns;
	struct fixture f;
	int fd;

	fixture_init(&f);
	fixture_build(&f);
	fd = mount_dead(f.dir);
	if (fd < 0) {
		fixture_release(&f);
		cr_skip_test("a FUSE file system cannot be mounted here");
	}
	began_ns = clock_mono_ns();
	cr_assert_eq(load_begin(&f.plan, &f.load, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(load_ready(f.load, &f.err), 0, "it is ready, without its manifest");
	cr_assert_eq(load_start(f.load, clock_mono_ns(), &f.err), -EINVAL);
	cr_assert_geq(load_ready_fd(f.load), 0);
	took_ns = clock_mono_ns() - began_ns;
	cr_assert_neq(next_request(fd, clock_mono_ns() + 20 * NS_PER_S, &request), 0, "the worker does not look for its manifest");
	(void)umount2(f.dir, MNT_DETACH);
	close(fd);
	for (int rc = 0; rc == 0;) {
		struct pollfd p = { .fd = load_ready_fd(f.load), .events = POLLIN };

		cr_assert_eq(poll(&p, 1, 20000), 1, "the worker says nothing of a mount that is gone");
		rc = load_ready(f.load, &f.err);
		cr_assert_leq(rc, 0);
	}
	load_free(f.load);
	f.load = NULL;
	cr_assert_lt(took_ns, 2 * NS_PER_S, "it waited for %.1f s", (double)took_ns / 1e9);
	fixture_release(&f);
}
