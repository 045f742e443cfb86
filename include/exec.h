/* SPDX-License-Identifier: MIT */
/*
 * exec.h - run a program without a shell, and do what may hang in a child that can be left behind.
 *
 * Every child is in a process group of its own, is watched by pidfd and has a deadline: nothing here blocks for ever.
 * No shell, no PATH look-up: argv[0] is an absolute path. The environment is the C locale and a PATH of the system's folders, whoever asks.
 */
#ifndef SQUALL_EXEC_H
#define SQUALL_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct exec_result {
	int status;		/* exit status; 128 + signal when it was killed */
	bool left_behind;	/* it did not die of SIGKILL within the grace (D state): its pid is below */
	pid_t pid;
	char *out, *err_out;	/* malloc'ed, NUL-terminated; what was printed up to EXEC_OUTPUT_MAX bytes */
	size_t out_bytes;
};

#define EXEC_RESULT_INIT { 0 }
#define EXEC_OUTPUT_MAX (1u << 20)

/**
 * Run a program to its end or its deadline; at the deadline the process group gets SIGKILL.
 * @param argv      NULL-terminated, argv[0] absolute.
 * @param input     written to stdin, may be NULL (then /dev/null).
 * @param timeout_ns  from now.
 * Errors: -ETIMEDOUT (result still filled), -ENOENT with the name of the missing program, -errno. A program that ran and failed is not an
 * error here: look at status; exec_check() is for those who want it to be one.
 * Context: blocks up to the deadline.
 */
int exec_run(const char *const argv[], const char *input, uint64_t timeout_ns, struct exec_result *ret, struct err *err);

/** exec_run(), and a status other than 0 is -EIO with the program's last line of stderr in the sentence. Output is thrown away. */
int exec_check(const char *const argv[], const char *input, uint64_t timeout_ns, struct err *err);

/** The last line that says something, of what a program has printed; for a sentence. @param text  cut there; NULL is fine */
const char *exec_last_line(char *text);

void exec_result_release(struct exec_result *result);

/**
 * Run a function in a forked child, and give back what it wrote to its descriptor: for reads that may hang in the kernel.
 * @param work  runs in the child; writes to fd; its return value is the child's exit status.
 * Errors: as exec_run().
 */
int exec_child(int (*work)(int fd, void *arg), void *arg, uint64_t timeout_ns, struct exec_result *ret, struct err *err);

/**
 * Whether the file system of a path answers at all, within 10 s: asked by a child, before this process goes there itself. A path that is not there is fine.
 * Errors: -ETIMEDOUT with the sentence; -errno when there is no child.
 */
int exec_path_answers(const char *path, struct err *err);

/**
 * The absolute path of a program of the system: looked for in /usr/sbin, /usr/bin, /sbin, /bin in this order, never in PATH.
 * @return 0 or -ENOENT.
 */
int exec_find(const char *name, char *ret_path, size_t path_bytes);

/** pidfd_open(2); -errno on failure. */
int exec_pidfd(pid_t pid);

/**
 * SIGKILL for a child of this process, and wait for its end.
 * @param until_ns  clock_mono_ns: no longer than that, for one that hangs in the kernel does not die. @return whether it has ended and is reaped
 */
bool exec_kill(pid_t pid, uint64_t until_ns);

/**
 * A child of this process that is not waited for any more: one that has ended is reaped now, one that ends later when the next is left.
 * @param pid  0 and less is nobody. Context: any thread.
 */
void exec_leave(pid_t pid);

#endif
