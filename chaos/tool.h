/* SPDX-License-Identifier: MIT */
/*
 * tool.h - ask the host: output of a program, content of a file that may hang, processes of a name, mounts.
 */
#ifndef SQUALL_CHAOS_TOOL_H
#define SQUALL_CHAOS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct err;

/**
 * What a program printed. The format is cut into words as in plan.h.
 * @param ret_out  malloc'ed.
 * Errors: -ENOPKG program missing; -EIO it failed; -EFBIG it printed more than EXEC_OUTPUT_MAX; -ETIMEDOUT.
 */
int tool_output(char **ret_out, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** A file of /proc that may block in the kernel, read in a child with a deadline. @param ret_text malloc'ed. Errors: -EIO; -EFBIG; -ETIMEDOUT */
int tool_read(const char *path, char **ret_text, struct err *err);

/** A file of /proc/PID or /sys that cannot block. @return bytes or -errno; ret is NUL-terminated, last newline cut off */
int tool_peek(const char *path, char *ret, size_t bytes);

struct tool_mount {
	dev_t device;
	char where[512];
};

/** The next line of an open /proc/self/mountinfo; touches nothing of what is mounted. @return false at the end */
bool tool_next_mount(FILE *mountinfo, struct tool_mount *ret);

/** Processes of a name, such as the threads nfsd. @param wchan  only those that wait there; NULL = all. Blocks on nothing. @return how many, or -errno */
int tool_processes(const char *name, const char *wchan);

/** The same, with their pids. @param ret  the first max of them. @return how many there are, or -errno */
int tool_pids(const char *name, pid_t *ret, size_t max);

/** The interface that has an address, IPv4 or IPv6, as inet_ntop(3) writes it. Errors: -ENODEV none has; -ENAMETOOLONG */
int tool_interface_of(const char *address, char *ret, size_t bytes);

/** Start time of a process [ticks since boot], 0 when there is none: with the pid it is the process and no later one. */
uint64_t tool_start_time(pid_t pid);

/** State of a process as proc_pid_stat(5) gives it: 'R', 'S', 'D', 'T' = stopped, ...; 0 when there is none. */
char tool_state(pid_t pid);

/** @return the parent of a process; 0: it has none, or there is no such process. */
pid_t tool_parent(pid_t pid);

/** One line of ASCII, in place: what programs print and files are called ends up in sentences, and JSON refuses a character that was cut in two. */
void tool_plain(char *text);

/** boot_id of the kernel. @param ret at least 40 bytes */
int tool_boot_id(char *ret, size_t bytes);

/** Who logged in, whatever they have become since: the audit uid of the kernel. @return -1 = nobody (a service), or the kernel does not say */
int64_t tool_login_uid(void);

#endif
