/* SPDX-License-Identifier: MIT */
/*
 * err.h - one sentence about what went wrong, and the exit statuses of the program.
 *
 * Every function that can fail returns 0 or a count, or a negative errno. Who first sees the failure writes one sentence into
 * `struct err` that names the thing (file:line, host, key), the reason and, where there is one, the next step.
 */
#ifndef SQUALL_ERR_H
#define SQUALL_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define ERR_TEXT_BYTES 512

/* The sentence. Caller's storage, empty at the start, written at most once on the way of a failure. */
struct err {
	char text[ERR_TEXT_BYTES];
};

#define ERR_INIT { "" }

/* What the process exits with (docs/squall.1). Void beats not-as-expected. */
enum exit_status {
	EXIT_AS_EXPECTED = 0,
	EXIT_NOT_AS_EXPECTED = 1,
	EXIT_USAGE = 2,		/* usage or profile error: -EINVAL */
	EXIT_BROKEN = 3,	/* the harness or the lab broke: everything else */
	EXIT_VOID = 4,		/* inconclusive or void */
	EXIT_NEEDS = 77,	/* a package, a mount or a capability is missing: -ENOPKG */
};

/**
 * Write the sentence, unless one is there already, and hand the code through.
 * @param err  may be NULL: then the sentence is dropped.
 * @param rc   a negative errno; returned as it is.
 * @return rc
 */
int err_set(struct err *err, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/**
 * Put "context: " before a sentence that is already there (a host's name before what the host said).
 * @return rc
 */
int err_prefix(struct err *err, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Add to a list for a sentence: "a, b". @param list  a text of some bytes, "" at first; what does not fit is left out */
void err_list(char *list, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

/**
 * What somebody else has said is in many a sentence, and a terminal obeys: control characters become '?'. So do bytes that are no UTF-8, or that were cut in
 * the middle of a character: JSON would refuse the whole text. err_set() and err_prefix() do it.
 * @param lines  ends of lines may stay
 */
void err_make_harmless(char *text, bool lines);

/** The exit status that a negative errno of a command stands for; 0 and counts give EXIT_AS_EXPECTED. */
enum exit_status err_exit_status(int rc);

#endif
