/* SPDX-License-Identifier: MIT */
/*
 * folder.c - see fuzz_folder().
 */
#include "file.h"
#include "fuzz.h"

static char folder[] = "/tmp/squall-fuzz-XXXXXX";

static void clean_up(void)
{
	(void)file_remove_tree(folder, NULL);
}

const char *fuzz_folder(void)
{
	static const char *made;

	if (!made) {
		made = mkdtemp(folder);
		CHECK(made);
		atexit(clean_up);
	}
	return made;
}
