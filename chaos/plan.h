/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what a fault is about to do, as data: actions in order, and the opcodes that undo them.
 */
#ifndef SQUALL_CHAOS_PLAN_H
#define SQUALL_CHAOS_PLAN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct process;

#define PLAN_ACTIONS_MAX 24
#define ACTION_ARGS_MAX 32
#define ACTION_TEXT_BYTES 8192	/* the rules of a cut link on 16 interfaces */

enum action_kind {
	ACTION_RUN,		/* a program */
	ACTION_WRITE,		/* a text into a file of /proc or of squall, in a child with a deadline */
	ACTION_HOLD,		/* something the holder does itself and lets go of when it dies; text says it */
	ACTION_CLOCK,		/* CLOCK_REALTIME, set by this process; line says it */
	ACTION_SIGNAL,		/* a signal to a process; line says it */
};

struct action {
	enum action_kind kind;
	char line[ACTION_TEXT_BYTES];	/* RUN: the words; WRITE: the path; HOLD, CLOCK, SIGNAL: what */
	char text[ACTION_TEXT_BYTES];	/* WRITE: the content; HOLD: the input; CLOCK: its offset [ns] as clock_set_utc_offset() takes it; SIGNAL: pid, start time and number */
};

struct plan {
	struct action *actions;
	size_t actions_nr;
	json_t *undo;			/* array of opcodes, in the order in which they are run; see undo.h */
};

#define PLAN_INIT { NULL, 0, NULL }

/**
 * Add an action. Words of a program are separated by one blank; '...' keeps blanks in one word.
 * Errors: -E2BIG, -ENOMEM, with a sentence.
 */
int plan_add_run(struct plan *plan, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));
int plan_add_write(struct plan *plan, const char *path, const char *text, struct err *err);
int plan_add_hold(struct plan *plan, const char *what, const char *input, struct err *err);
int plan_add_clock(struct plan *plan, const char *what, int64_t offset_ns, struct err *err);

/** @param name  of the process, for people. @param signal  one that signal(7) names */
int plan_add_signal(struct plan *plan, const char *name, const struct process *process, int signal, struct err *err);

/** Add an opcode. @param op  stolen; NULL gives -ENOMEM */
int plan_add_undo(struct plan *plan, json_t *op, struct err *err);

/** Carry out all actions but HOLD until one fails; that is the fault's own. */
int plan_run(const struct plan *plan, struct err *err);

/** Run one program now, of a fault that goes in rounds: what undoes it stands in the journal from the first round on. Errors: as plan_add_run(), plan_run() */
int plan_run_now(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Carry out all of them, whatever fails; the first failure is returned. */
int plan_run_all(const struct plan *plan, struct err *err);

/** The plan as a person reads it, one action a line. @return malloc'ed or NULL */
char *plan_print(const struct plan *plan, const char *indent);

void plan_release(struct plan *plan);

#endif
