/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - one target a file: a parser of what squall did not write itself, fed with anything. Linked with libFuzzer by `make fuzz`, and with
 * replay.c, which feeds the files of tests/fuzz/corpus, by every `make check`. A target aborts where a property of the parser does not hold.
 */
#ifndef SQUALL_TESTS_FUZZ_H
#define SQUALL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                     \
	do {                                                                            \
		if (!(what)) {                                                          \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/** The input as a text of its own, so that a read beyond its end is seen. @return to be freed */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/** A folder for the time of the program, removed at its end. */
const char *fuzz_folder(void);

#endif
