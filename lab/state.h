/* SPDX-License-Identifier: MIT */
/*
 * state.h - what runs of the lab: kept in one small file, so that any later command can find it, use it and end it.
 */
#ifndef SQUALL_LAB_STATE_H
#define SQUALL_LAB_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab.h"

struct err;

/* A process of ours: the pid alone may have been given to somebody else since. */
struct lab_process {
	pid_t pid;
	uint64_t start;		/* field 22 of /proc/PID/stat */
};

struct lab_vm {
	char name[NAME_BYTES];
	struct lab_process process;
	uint16_t control;	/* port of this host */
};

struct lab_state {
	char dir[96];		/* sockets, consoles, disks: short, for the sockets' sake */
	char program[512];	/* this one, for the processes of it that the lab has; known to the command alone that starts them */
	char key[384];		/* what was asked for: another key is another lab */
	bool kvm, ready;
	bool memory_on_file;	/* it is to be saved; known to the command alone that boots it */
	uint16_t bus;		/* port of this host where a run's broker is to be */
	struct lab_process run;	/* the run that it was restored for; pid 0 = nobody's */
	struct lab_process lan;
	struct lab_vm vm[LAB_NODES_MAX];
	unsigned int vms_nr;
};

/** Make the state's folder ($XDG_RUNTIME_DIR/squall-lab or /tmp/squall-lab-UID, 0700), empty. Errors: -EPERM somebody else's. */
int state_new(struct lab_state *state, struct err *err);

/** What an earlier command left. @return 1, 0 = nothing */
int state_load(struct lab_state *ret, struct err *err);
int state_save(const struct lab_state *state, struct err *err);

/** Whether every process of the state still runs. */
bool state_is_alive(const struct lab_state *state);

/** Whether it is the lab of a run that goes on, and not of this process. */
bool state_is_taken(const struct lab_state *state);

/** It is the lab of this process's run. */
void state_take(struct lab_state *state);

/** End what still runs, and remove the folder. */
int state_end(struct lab_state *state, struct err *err);

/** Start a program that outlives this command; its output goes to DIR/LOG. @param input  a file to be its standard input; NULL = nothing */
int state_spawn(const struct lab_state *state, const char *const argv[], const char *input, const char *log, struct lab_process *ret, struct err *err);

#endif
