/* SPDX-License-Identifier: MIT */
/*
 * fail.h - one call after the other fails, until an act gets by without meeting a failure. After SQLite's own tests, and by the same rule:
 * what fails must say so, with the code of what failed and a sentence, and must leave neither memory nor descriptors behind, and in the folder what is whole.
 */
#ifndef SQUALL_TESTS_FAIL_H
#define SQUALL_TESTS_FAIL_H

#include <stdbool.h>

#include "err.h"

struct act {
	const char *name;

	/** Before each try, without failures; may be NULL. The folder of the test is the current one, and empty. */
	void (*prepare)(void);

	/**
	 * What is tried. Releases all that it took.
	 * @return 0 only when all of it was done and came out right (CHECK what can be looked at); else the negative code of what failed.
	 */
	int (*run)(struct err *err);

	/** After each try, without failures: what lies in the folder must be whole, whatever `rc` was; may be NULL. */
	void (*look)(int rc);

	int also[3];	/* other codes that may stand for the failure, or 0 */
};

extern const struct act acts[];		/* ends with a NULL name */

/* A failed CHECK ends the program, and tells which call of which act had failed. */
#define CHECK(what, ...)                                                           \
	do {                                                                       \
		if (!(what))                                                       \
			fail_because(__FILE__, __LINE__, #what, __VA_ARGS__);      \
	} while (0)

_Noreturn void fail_because(const char *file, int line, const char *what, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
