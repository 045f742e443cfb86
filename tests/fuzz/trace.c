/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the file of a trace, and a packed one: what is read is in order, and comes back the same when it is printed and packed.
 */
#include "err.h"
#include "fuzz.h"
#include "trace.h"

static void check(struct trace *t)
{
	struct trace back = { .op = NULL };
	struct err err = ERR_INIT;
	char *packed = NULL;

	CHECK(t->ops_nr > 0 && t->ops_nr <= TRACE_OPS_MAX);
	for (uint32_t i = 0; i < t->ops_nr; i++)
		CHECK(t->op[i].length_bytes <= TRACE_OP_BYTES_MAX && (i == 0 || t->op[i].at_ns >= t->op[i - 1].at_ns));
	CHECK(trace_pack(t, &packed, &err) == 0);
	CHECK(trace_unpack(packed, "p", &back, &err) == 0);
	CHECK(back.ops_nr == t->ops_nr && memcmp(&back.op[t->ops_nr - 1], &t->op[t->ops_nr - 1], sizeof *t->op) == 0);
	free(packed);
	trace_release(&back);
	trace_release(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct trace t = { .op = NULL };
	struct err err = ERR_INIT;

	if (trace_parse(text, "t", &t, &err) == 0)
		check(&t);
	else
		CHECK(err.text[0] != '\0');
	err = (struct err)ERR_INIT;
	if (trace_unpack(text, "t", &t, &err) == 0)
		check(&t);
	else
		CHECK(err.text[0] != '\0');
	free(text);
	return 0;
}
