/* SPDX-License-Identifier: MIT */
/*
 * spool_disk_test.c - a disk that takes what is written and never says that it has it: who closes a spool on it goes on, and has given it back.
 *
 * The disk is FUSE spoken by a child of this test: two files in memory, and no answer to FSYNC. It lies in a mount namespace of the test's own, so that
 * nothing is left when the test is killed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "spool.h"

#define FIRST_NODE 2		/* 1 is the folder */
#define FILE_BYTES 4096
#define DEAD_NS (5 * NS_PER_S)	/* then the child ends, so that who waits for the disk fails and does not hang */

static struct {
	char name[32], data[FILE_BYTES];
	size_t bytes;
} files[2];

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .mode = S_IFDIR | 0700, .uid = getuid(), .gid = getgid() };

	if (node >= FIRST_NODE) {
		a.mode = S_IFREG | 0600;
		a.size = files[node - FIRST_NODE].bytes;
	}
	return a;
}

static void reply(int fd, const struct fuse_in_header *in, int error, const void *data, size_t bytes)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof head + bytes), .error = -error, .unique = in->unique };
	struct iovec parts[] = { { &head, sizeof head }, { (void *)(uintptr_t)data, bytes } };

	(void)!writev(fd, parts, 2);
}

/* LOOKUP and CREATE: a file by its name. */
static void reply_entry(int fd, const struct fuse_in_header *in, const char *name, bool create)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .open = { .open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH } };
	int i = 0;

	while (i < 2 && strcmp(files[i].name, name) != 0 && !(create && files[i].name[0] == '\0'))
		i++;
	if (i == 2) {
		reply(fd, in, ENOENT, NULL, 0);
		return;
	}
	(void)snprintf(files[i].name, sizeof files[i].name, "%s", name);
	out.entry.nodeid = (uint64_t)(FIRST_NODE + i);
	out.entry.attr = attr_of(out.entry.nodeid);
	reply(fd, in, 0, &out, create ? sizeof out : sizeof out.entry);
}

static void reply_write(int fd, const struct fuse_in_header *in, const struct fuse_write_in *w)
{
	size_t end = w->offset + w->size;
	struct fuse_write_out out = { .size = w->size };

	memcpy(files[in->nodeid - FIRST_NODE].data + w->offset, w + 1, w->size);
	if (end > files[in->nodeid - FIRST_NODE].bytes)
		files[in->nodeid - FIRST_NODE].bytes = end;
	reply(fd, in, 0, &out, sizeof out);
}

static void serve(int fd, const struct fuse_in_header *in, const void *body)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = FILE_BYTES };
	const struct fuse_open_out open = { .open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH };
	const struct fuse_setattr_in *set = body;
	const struct fuse_read_in *read = body;
	struct fuse_attr_out attr = { 0 };
	size_t rest;

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in, 0, &init, sizeof init);
		break;
	case FUSE_LOOKUP:
		reply_entry(fd, in, body, false);
		break;
	case FUSE_CREATE:
		reply_entry(fd, in, (const char *)body + sizeof(struct fuse_create_in), true);
		break;
	case FUSE_SETATTR:
		if (set->valid & FATTR_SIZE)
			files[in->nodeid - FIRST_NODE].bytes = set->size;
		/* fall through */
	case FUSE_GETATTR:
		attr.attr = attr_of(in->nodeid);
		reply(fd, in, 0, &attr, sizeof attr);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(fd, in, 0, &open, sizeof open);
		break;
	case FUSE_READ:
		rest = read->offset < files[in->nodeid - FIRST_NODE].bytes ? files[in->nodeid - FIRST_NODE].bytes - read->offset : 0;
		reply(fd, in, 0, files[in->nodeid - FIRST_NODE].data + read->offset, rest < read->size ? rest : read->size);
		break;
	case FUSE_WRITE:
		reply_write(fd, in, body);
		break;
	case FUSE_READDIR:
		reply(fd, in, 0, NULL, 0);
		break;
	case FUSE_FSYNC:
	case FUSE_FORGET:
		break;
	default:
		reply(fd, in, ENOSYS, NULL, 0);
	}
}

/* Until the disk has been dead for long enough, which is told to `dead` when it begins. */
static void be_the_disk(int fd, int dead)
{
	static char request[FUSE_MIN_READ_BUFFER + FILE_BYTES];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t until = 0;

	while (until == 0 || clock_mono_ns() < until) {
		struct fuse_in_header in;

		if (poll(&p, 1, 100) != 1)
			continue;
		if (read(fd, request, sizeof request) < (ssize_t)sizeof in)
			break;
		memcpy(&in, request, sizeof in);
		serve(fd, &in, request + sizeof in);
		if (in.opcode == FUSE_FSYNC && until == 0) {
			until = clock_mono_ns() + DEAD_NS;
			(void)!write(dead, "", 1);
		}
	}
	_exit(0);
}

/* @return the child; -1 where FUSE cannot be mounted. @param ret_dead  a byte can be read there from when the first FSYNC is under way */
static pid_t mount_disk(const char *path, int *ret_dead)
{
	int fd = -1, dead[2];
	char options[96];
	pid_t pid;

	if (unshare(CLONE_NEWNS) == 0)
		fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	(void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, (unsigned int)getuid(), (unsigned int)getgid());
	if (mount("squall-test", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return -1;
	cr_assert_eq(pipe2(dead, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		be_the_disk(fd, dead[1]);
	close(fd);
	close(dead[1]);
	*ret_dead = dead[0];
	return pid;
}

Test(spool_disk, who_closes_it_does_not_wait_for_a_disk_that_is_dead, .timeout = 60)
{
	char dir[] = "/tmp/squall-spool-disk-XXXXXX", byte;
	struct err err = ERR_INIT;
	struct spool *s = NULL;
	uint64_t number, took_ns;
	char path[64];
	int dead, fd;
	pid_t pid;

	cr_assert_not_null(mkdtemp(dir));
	pid = mount_disk(dir, &dead);
	if (pid < 0) {
		(void)rmdir(dir);
		cr_skip_test("a FUSE file system cannot be mounted here");
	}
	cr_expect_eq(spool_open(dir, "run", &s, &err), 0, "%s", err.text);
	cr_expect(s && spool_put(s, "{}", 2, &number) == 0);
	cr_expect_eq(read(dead, &byte, 1), 1, "the disk was not told to keep it");
	took_ns = clock_mono_ns();
	spool_close(s);
	took_ns = clock_mono_ns() - took_ns;
	cr_expect_lt(took_ns, DEAD_NS / 2, "it took %.1f s", (double)took_ns / 1e9);
	(void)snprintf(path, sizeof path, "%s/run.0.spool", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0, "who collects it finds it locked: %s", strerror(errno));
	close(fd);
	(void)kill(pid, SIGKILL);	/* ends what is under way with an error */
	(void)waitpid(pid, NULL, 0);
	(void)umount2(dir, MNT_DETACH);
	(void)rmdir(dir);
}
