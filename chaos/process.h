/* SPDX-License-Identifier: MIT */
/*
 * process.h - processes of this host that get signals, each known by its pid and start time: a later one with the same pid is never taken for it.
 */
#ifndef SQUALL_CHAOS_PROCESS_H
#define SQUALL_CHAOS_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct plan;

#define PROCESSES_MAX 16	/* one action and one opcode each */

struct process {
	pid_t pid;		/* 0 in a dry run */
	uint64_t start;		/* ticks since boot */
};

/**
 * Find the processes of a name that are to be stopped.
 * Errors: -ESRCH there is none; -E2BIG more than PROCESSES_MAX; -EBUSY one is stopped already; -errno
 * @return how many
 */
int process_find(const char *name, struct process ret[PROCESSES_MAX], struct err *err);

/**
 * The processes of a name whose parent has another: a service whose workers are named like it is one.
 * Errors: -E2BIG more than PROCESSES_MAX, or too many to look at; -errno
 * @return how many; one that is ending is none
 */
int process_leaders(const char *name, struct process ret[PROCESSES_MAX], struct err *err);

/**
 * Whether a signal can have an effect, by what /proc/PID/status says: threads of the kernel ignore signals, even SIGKILL, and kill(2) succeeds all the same.
 * Errors: -ENOTSUP it is ignored or blocked; -EBADMSG status does not say
 */
int process_check_heeds(const char *status, int signal, struct err *err);

/** Send a signal, by a pidfd. Errors: -ESRCH it has ended; -errno */
int process_signal(const struct process *process, int signal, struct err *err);

/** The state that proc_pid_stat(5) gives, 'T' = stopped; 0 = it has ended. Blocks on nothing. */
char process_state(const struct process *process);

/** How many of them are stopped. */
size_t process_stopped(const struct process *process, size_t nr);

/** Stop each, and let it go on as the undo. @param process  nr of them; of a dry run one, whose pid is 0. Errors: as plan_add_run() */
int process_plan_stop(const char *name, const struct process *process, size_t nr, struct plan *plan, struct err *err);

#endif
