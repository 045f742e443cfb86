/* SPDX-License-Identifier: MIT */
/*
 * journal.c - an entry of the journal of faults, and the opcodes in it, which become actions; none is carried out here.
 */
#include "../../chaos/journal.h"
#include "../../chaos/plan.h"
#include "../../chaos/undo.h"
#include "err.h"
#include "file.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[256];
	struct err err = ERR_INIT;
	json_t *entry = NULL;

	(void)snprintf(path, sizeof path, "%s/journal", fuzz_folder());
	CHECK(setenv("SQUALL_STATE", fuzz_folder(), 1) == 0 && file_mkdirs(path, 0700, &err) == 0);
	(void)snprintf(path, sizeof path, "%s/journal/f-1.json", fuzz_folder());
	CHECK(file_write(path, data, size, 0600, &err) == 0);
	if (journal_read("f-1", &entry, &err) < 0) {
		CHECK(err.text[0] != '\0' && !entry);
	} else {
		struct plan plan = { 0 };

		if (undo_plan(json_object_get(entry, "undo"), &plan, &err) < 0)
			CHECK(err.text[0] != '\0');
		plan_release(&plan);
		json_decref(entry);
	}
	return 0;
}
