/* SPDX-License-Identifier: MIT */
/*
 * child.h - the child's side of a probe: its loop, and the lines that it writes.
 */
#ifndef SQUALL_OBSERVE_CHILD_H
#define SQUALL_OBSERVE_CHILD_H

#include <sys/types.h>

struct probe;
struct probe_env;

/**
 * Fork a child that samples until it is killed. It has a process group of its own, dies with the thread that forked it, and holds no
 * descriptor of its parent: one that hangs in the kernel keeps no connection of the agent open.
 * @param ret_fd  where its lines come out; non-blocking.
 * @return its pid or -errno.
 */
pid_t probe_child_start(const struct probe *probe, const struct probe_env *env, int *ret_fd);

#endif
