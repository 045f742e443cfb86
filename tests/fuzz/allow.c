/* SPDX-License-Identifier: MIT */
/*
 * allow.c - the file that says what may be broken: what is taken is plain.
 */
#include "../../chaos/allow.h"
#include "err.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct err err = ERR_INIT;
	struct allow allow;

	if (allow_parse(text, "f", &allow, &err) < 0) {
		CHECK(err.text[0] != '\0');
	} else {
		for (size_t i = 0; i < allow.resources.nr; i++)
			CHECK(allow_name_is_plain(allow.resources.name[i]));
		for (size_t i = 0; i < allow.interfaces.nr; i++)
			CHECK(allow_name_is_plain(allow.interfaces.name[i]));
		for (size_t i = 0; i < allow.exports.nr; i++)
			CHECK(allow.exports.name[i][0] == '/');
	}
	free(text);
	return 0;
}
