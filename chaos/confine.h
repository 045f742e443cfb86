/* SPDX-License-Identifier: MIT */
/*
 * confine.h - what a process that breaks and heals can still do: the capabilities that its fault needs, and no system call that nothing here ever makes.
 *
 * It holds for the process and all that it starts, and cannot be taken back: not by a new program, nor by one that is set-uid.
 * Source: capabilities(7), no_new_privs in prctl(2), seccomp(2).
 */
#ifndef SQUALL_CHAOS_CONFINE_H
#define SQUALL_CHAOS_CONFINE_H

#include <linux/capability.h>
#include <stdint.h>

struct err;

#define CONFINE_CAP(name) (UINT64_C(1) << CAP_##name)

/*
 * Every holder: locked memory, no death by OOM, and the places where threads of the kernel wait (wchan in proc(5) asks for ptrace's right, which the
 * filter leaves without the system call).
 */
#define CONFINE_BASE (CONFINE_CAP(IPC_LOCK) | CONFINE_CAP(SYS_RESOURCE) | CONFINE_CAP(SYS_PTRACE))

/**
 * Keep CONFINE_BASE and these capabilities, of those that the process has; drop all others for good, and put up the filter.
 * Context: once, by a process of one thread. Errors: -errno
 */
int confine(uint64_t capabilities, struct err *err);

#endif
