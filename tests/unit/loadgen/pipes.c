/* SPDX-License-Identifier: MIT */
/*
 * pipes.c - see pipes.h.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "pipes.h"

#define PIPES_MAX 64
#define BLOCK_BYTES 4096	/* a file, and what a pread asks for; a pipe holds several */

static struct pollfd pipes[PIPES_MAX];
static char content[PIPES_MAX][BLOCK_BYTES];	/* of the files that they were */
static nfds_t pipes_nr;
static const char *wanted;
static pid_t filler;
static _Atomic uint64_t *late_ns;	/* shared with the filler */

static int make_pipe(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	int fd;

	(void)ftw;
	if (type != FTW_F || st->st_size != BLOCK_BYTES || !strstr(path, wanted))
		return 0;
	cr_assert_lt(pipes_nr, PIPES_MAX);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, content[pipes_nr], BLOCK_BYTES), BLOCK_BYTES);
	close(fd);
	cr_assert(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);	/* for writing, too: whoever opens it for reading need not wait */
	cr_assert_geq(fd, 0);
	pipes[pipes_nr++] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	return 0;
}

/* @return whether there was room in one: somebody has read. */
static bool fill(void)
{
	bool any = false;

	for (nfds_t i = 0; i < pipes_nr; i++)
		while (write(pipes[i].fd, content[i], BLOCK_BYTES) > 0)
			any = true;
	return any;
}

/* Whoever found a pipe empty meanwhile has waited for us, and not for the window. */
static void own_up(uint64_t since_ns)
{
	uint64_t late = clock_mono_ns() - since_ns;
	int bytes;

	for (nfds_t i = 0; i < pipes_nr; i++)
		if (ioctl(pipes[i].fd, FIONREAD, &bytes) == 0 && bytes == 0 && late > atomic_load(late_ns))
			atomic_store(late_ns, late);
}

static void drain(void)
{
	char block[BLOCK_BYTES];

	for (nfds_t i = 0; i < pipes_nr; i++)
		while (read(pipes[i].fd, block, sizeof block) > 0)
			;
}

static _Noreturn void fill_main(pid_t parent, unsigned int after_ms, int for_ms)
{
	uint64_t begin = 0, now, filled = clock_mono_ns();

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (after_ms == 0)
		begin = clock_mono_ns();
	for (;;) {
		now = clock_mono_ns();
		if (begin > 0 && now >= begin) {
			drain();
			if (for_ms < 0)
				for (;;)
					pause();
			filled = begin + (unsigned int)for_ms * NS_PER_MS;
			clock_sleep_until_ns(filled);
			begin = UINT64_MAX;
		}
		own_up(filled);
		filled = clock_mono_ns();
		if (fill() && begin == 0)
			begin = clock_mono_ns() + after_ms * NS_PER_MS;
		now = clock_mono_ns();
		(void)poll(pipes, pipes_nr, begin == 0 || begin == UINT64_MAX ? -1 : begin > now ? (int)((begin - now) / NS_PER_MS) : 0);
	}
}

void pipes_start(const char *dir, unsigned int after_ms, int for_ms, const char *match)
{
	pid_t me = getpid();

	wanted = match;
	cr_assert_eq(nftw(dir, make_pipe, 16, FTW_PHYS), 0);
	cr_assert_gt(pipes_nr, 0, "no file below %s has %s in its path", dir, match);
	if (after_ms > 0)
		(void)fill();
	if (!late_ns)
		late_ns = mmap(NULL, sizeof *late_ns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq((void *)late_ns, MAP_FAILED);
	atomic_store(late_ns, 0);
	filler = fork();
	if (filler == 0)
		fill_main(me, after_ms, for_ms);
	cr_assert_gt(filler, 0);
}

uint64_t pipes_late_ns(void)
{
	return late_ns ? atomic_load(late_ns) : 0;
}

void pipes_end(void)
{
	if (filler == 0)
		return;
	(void)kill(filler, SIGKILL);
	(void)waitpid(filler, NULL, 0);
	filler = 0;
	atomic_store(late_ns, 0);
	for (nfds_t i = 0; i < pipes_nr; i++)
		close(pipes[i].fd);
	pipes_nr = 0;
}
