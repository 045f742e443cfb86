/* SPDX-License-Identifier: MIT */
/*
 * no_courier.c - in the place of common/courier.c: a host has one agent and one courier, but this one has a thousand agents, and is about the coordinator.
 */
#include <errno.h>
#include <unistd.h>

#include "../../common/courier.h"
#include "err.h"

int courier_new(const struct client_options *options, struct client **ret, struct err *err)
{
	return client_new(options, ret, err);
}

int courier_attach(const struct client_options *options, int fd, pid_t pid, struct client **ret, struct err *err)
{
	(void)options;
	(void)pid;
	(void)ret;
	close(fd);
	return err_set(err, -ENOTSUP, "no agent of this host has a courier");
}
