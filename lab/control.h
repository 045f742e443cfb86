/* SPDX-License-Identifier: MIT */
/*
 * control.h - the host's way into a guest: runs programs there, over a network that no fault touches.
 *
 * One connection, one request: a line of JSON {"op": "exec", "argv": [...], "timeout_ns": N} or {"op": "clock", "utc_ns": N} or {"op": "put", "path": "",
 * "data": base64}; the answer is lines {"out": base64}, {"err": base64} and at the end {"exit": N} or {"error": ""}. The guest's side forks for each
 * connection, so that a program that hangs holds up nobody else. While it waits the host sends an empty line each second: the kernel of a guest that was
 * reset in between knows nothing of the connection, and ends it.
 */
#ifndef SQUALL_LAB_CONTROL_H
#define SQUALL_LAB_CONTROL_H

#include <stddef.h>
#include <stdint.h>

struct err;

/**
 * Run a program in a guest; its output goes to two descriptors as it comes.
 * @param port  of this host, forwarded to the guest.
 * @return its exit status (128 + signal), or -ETIMEDOUT, -ECONNREFUSED, -EIO with a sentence.
 */
int control_exec(uint16_t port, const char *const argv[], uint64_t timeout_ns, int out_fd, int err_fd, struct err *err);

/** Write a file in a guest. */
int control_put(uint16_t port, const char *path, const void *data, size_t bytes, struct err *err);

/** Set a guest's clock to this host's. */
int control_set_clock(uint16_t port, struct err *err);

#endif
