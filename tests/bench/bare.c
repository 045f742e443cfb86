/* SPDX-License-Identifier: MIT */
/*
 * bare.c - what the system itself takes for an op: a loop that does nothing else and records nothing. `make bench` holds squall against it.
 *
 *	bare pread|files|stat FOLDER SECONDS [timed]	prints ops per second, of one thread, on the files below FOLDER
 *
 * Timed it is a loop that still records nothing and could: it reads the clock after each op, and its thread is one of two.
 *
 *	pread	4 KiB at a random block of a random file that is open
 *	files	open, read all of it, close
 *	stat	by name
 */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bare.h"

#define FILES_MAX 16384
#define BLOCK 4096
#define OPS_A_LOOK 64	/* between two looks at the clock */

static struct {
	char *path;
	int fd;
	uint64_t blocks;
} file[FILES_MAX];
static unsigned int files_nr;
static char buffer[1 << 20];

static int take(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	if (type != FTW_F || st->st_size < BLOCK || strstr(path, "squall-manifest") || files_nr == FILES_MAX)
		return 0;
	file[files_nr].path = strdup(path);
	file[files_nr].blocks = (uint64_t)st->st_size / BLOCK;
	file[files_nr].fd = open(path, O_RDONLY | O_CLOEXEC);
	return file[files_nr].path && file[files_nr++].fd >= 0 ? 0 : -1;
}

static int one(char what)
{
	uint64_t n = draw(), i = n % files_nr;
	struct stat st;
	ssize_t got;
	int fd;

	if (what == 'p')
		return pread(file[i].fd, buffer, BLOCK, (off_t)((n >> 32) % file[i].blocks * BLOCK)) == BLOCK ? 0 : -1;
	if (what == 's')
		return stat(file[i].path, &st);
	fd = open(file[i].path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, buffer, sizeof buffer);
	return close(fd) == 0 && got > 0 ? 0 : -1;
}

static struct {
	char what;
	int ops_a_look;
	double seconds, ops_per_s;
} loop;

static void *run(void *arg)
{
	double start = seconds(), now = start;
	uint64_t ops = 0;

	(void)arg;
	while (now - start < loop.seconds) {
		for (int i = 0; i < loop.ops_a_look; i++, ops++)
			if (one(loop.what) < 0) {
				perror("bare");
				exit(3);
			}
		now = seconds();
	}
	loop.ops_per_s = (double)ops / (now - start);
	return NULL;
}

int main(int argc, char **argv)
{
	int timed = argc == 5 && strcmp(argv[4], "timed") == 0;
	pthread_t thread;

	if (argc != 4 + timed || !strchr("pfs", argv[1][0]) || (loop.seconds = strtod(argv[3], NULL)) <= 0) {
		fputs("usage: bare pread|files|stat FOLDER SECONDS [timed]\n", stderr);
		return 2;
	}
	if (nftw(argv[2], take, 16, FTW_PHYS) != 0 || files_nr == 0) {
		fprintf(stderr, "bare: %s: no files that can be read\n", argv[2]);
		return 3;
	}
	loop.what = argv[1][0];
	loop.ops_a_look = timed ? 1 : OPS_A_LOOK;
	if (!timed)
		run(NULL);
	else if (pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 3;
	printf("%.0f\n", loop.ops_per_s);
	return 0;
}
