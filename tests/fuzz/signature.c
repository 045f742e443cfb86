/* SPDX-License-Identifier: MIT */
/*
 * signature.c - a line of a signature or a guard.
 */
#include "../../report/signature.h"
#include "err.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct signature_line line;
	struct err err = ERR_INIT;

	if (signature_parse(text, &line, &err) < 0)
		CHECK(err.text[0] != '\0');
	else
		CHECK(line.main.nr > 0 && line.main.nr <= COMPARISONS_MAX);
	free(text);
	return 0;
}
