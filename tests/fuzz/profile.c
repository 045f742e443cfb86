/* SPDX-License-Identifier: MIT */
/*
 * profile.c - a profile, with an override in its first line after "#set "; one that is taken comes back the same after it was printed.
 */
#include "err.h"
#include "fuzz.h"
#include "profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *set = NULL, *printed = NULL, *again = NULL;
	struct profile p = PROFILE_INIT, back = PROFILE_INIT;
	struct err err = ERR_INIT;

	if (strncmp(text, "#set ", 5) == 0)
		set = strndup(text + 5, strcspn(text + 5, "\n"));
	if (profile_parse(text, "f", (const char *const[]){ set, NULL }, &p, &err) < 0) {
		CHECK(err.text[0] != '\0');
	} else {
		CHECK(profile_print(&p, &printed) == 0);
		CHECK(profile_parse(printed, "f", NULL, &back, &err) == 0);
		CHECK(profile_print(&back, &again) == 0 && strcmp(printed, again) == 0);
	}
	free(again);
	free(printed);
	profile_release(&back);
	profile_release(&p);
	free(set);
	free(text);
	return 0;
}
