/* SPDX-License-Identifier: MIT */
/*
 * capture.h - what is made of a capture, in whatever format it is: a trace that its own parser takes, or a sentence.
 */
#ifndef SQUALL_TESTS_FUZZ_CAPTURE_H
#define SQUALL_TESTS_FUZZ_CAPTURE_H

#include "err.h"
#include "fuzz.h"
#include "trace.h"

typedef int import_fn(FILE *in, const char *name, struct trace *ret, struct trace_summary *ret_summary, struct err *err);

static inline void capture_imported(const struct trace *t)
{
	struct trace back = { .op = NULL };
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	CHECK(out && trace_print(t, out) == 0 && fclose(out) == 0);
	CHECK(trace_parse(text, "t", &back, &err) == 0 && back.ops_nr == t->ops_nr);
	free(text);
	trace_release(&back);
}

static inline int capture_fuzz(import_fn *how, const uint8_t *data, size_t size)
{
	FILE *in = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	struct trace t = { .op = NULL };
	struct trace_summary summary;
	struct err err = ERR_INIT;

	if (!in)
		return 0;
	if (how(in, "c", &t, &summary, &err) == 0) {
		capture_imported(&t);
		CHECK(summary.files_nr > 0 && summary.clients_nr > 0 && summary.spec.sites > 0 && summary.spec.size_bytes > 0);
	} else {
		CHECK(err.text[0] != '\0');
	}
	(void)fclose(in);
	trace_release(&t);
	return 0;
}

#endif
