/* SPDX-License-Identifier: MIT */
/*
 * bare_nfs3.c - what libnfs takes for a read: a loop that keeps one read of 4 KiB in flight on each of many connections, and records nothing.
 * `make bench` holds the engine nfs3 against it.
 *
 *	bare_nfs3 URL CONNECTIONS SECONDS FILE...	prints processor time of a read, in seconds, without that of the mounts; FILE below the URL, of 64 KiB
 */
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "bare.h"

#define BLOCK 4096
#define BLOCKS 16
#define EVENTS_MAX 256

struct client {
	struct nfs_context *nfs;
	struct nfsfh *file;
};

static uint64_t ops;

static double processor_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bare_nfs3: %s: %s\n", what, why);
	exit(3);
}

static void read_one(struct client *c);

static void got(int bytes, struct nfs_context *nfs, void *data, void *arg)
{
	(void)data;
	if (bytes != BLOCK)
		die("read", nfs_get_error(nfs));
	ops++;
	read_one(arg);
}

static void read_one(struct client *c)
{
	if (nfs_pread_async(c->nfs, c->file, draw() % BLOCKS * BLOCK, BLOCK, got, c) < 0)
		die("read", nfs_get_error(c->nfs));
}

static void client_open(struct client *c, const char *text, const char *path, int epoll)
{
	struct epoll_event e = { .events = EPOLLIN, .data = { .ptr = c } };
	struct nfs_url *url;

	c->nfs = nfs_init_context();
	url = c->nfs ? nfs_parse_url_dir(c->nfs, text) : NULL;
	if (!url)
		die(text, "no URL of libnfs");
	if (nfs_mount(c->nfs, url->server, url->path) < 0 || nfs_open(c->nfs, path, O_RDONLY, &c->file) < 0)
		die(path, nfs_get_error(c->nfs));
	nfs_destroy_url(url);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, nfs_get_fd(c->nfs), &e) < 0)
		die("epoll_ctl", path);
}

/* A call that its answer has led to is sent at once. */
static void serve(struct client *c, int events)
{
	if (nfs_service(c->nfs, events) < 0 || (nfs_which_events(c->nfs) & POLLOUT && nfs_service(c->nfs, POLLOUT) < 0))
		die("connection", nfs_get_error(c->nfs));
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), clients_nr = argc > 4 ? (int)strtol(argv[2], NULL, 10) : 0;
	struct client *clients = clients_nr > 0 ? calloc((size_t)clients_nr, sizeof *clients) : NULL;
	struct epoll_event event[EVENTS_MAX];
	double start, used, length;

	if (!clients || epoll < 0 || (length = strtod(argv[3], NULL)) <= 0) {
		fputs("usage: bare_nfs3 URL CONNECTIONS SECONDS FILE...\n", stderr);
		return 2;
	}
	for (int i = 0; i < clients_nr; i++)
		client_open(&clients[i], argv[1], argv[4 + i % (argc - 4)], epoll);
	start = seconds();
	used = processor_seconds();
	for (int i = 0; i < clients_nr; i++) {
		read_one(&clients[i]);
		serve(&clients[i], 0);
	}
	while (seconds() - start < length) {
		int n = epoll_wait(epoll, event, EVENTS_MAX, 100);

		for (int i = 0; i < n; i++)
			serve(event[i].data.ptr, POLLIN);
	}
	printf("%.9f\n", (processor_seconds() - used) / (double)ops);
	return 0;
}
