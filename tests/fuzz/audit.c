/* SPDX-License-Identifier: MIT */
/*
 * audit.c - the audit log: what is intact stays so when the rest is cut off, and a record is added to a log that is intact, after it.
 */
#include "../../chaos/audit.h"
#include "err.h"
#include "file.h"
#include "fuzz.h"

/* @return the length of the first so many lines. */
static size_t lines_bytes(const char *text, size_t size, uint64_t lines)
{
	size_t at = 0;

	for (; lines > 0 && at < size; at++)
		lines -= text[at] == '\n';
	return at;
}

static void append(const char *text, size_t size, const struct audit_report *before)
{
	struct audit_report after;
	struct err err = ERR_INIT;
	char path[256];
	char *now = NULL;
	size_t bytes;
	int rc;

	(void)snprintf(path, sizeof path, "%s/audit.log", fuzz_folder());
	CHECK(setenv("SQUALL_STATE", fuzz_folder(), 1) == 0 && file_write(path, text, size, 0600, &err) == 0);
	rc = audit_append(&(struct audit_act){ "undo", "boot", NULL, "begun", NULL }, &err);
	CHECK(rc == 0 || err.text[0] != '\0');
	CHECK(file_read(path, AUDIT_BYTES_MAX, &now, &bytes, &err) == 0);
	audit_check(now, bytes, NULL, &after);
	if (!before->problem)
		CHECK(rc == 0 && !after.problem && after.records == before->records + 1);
	else
		CHECK(after.records >= before->records);
	free(now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	json_t *records = json_array();
	struct audit_report report, again;

	audit_check(text, size, records, &report);
	CHECK(json_array_size(records) == report.records && strlen(report.head) == AUDIT_SHA_BYTES - 1);
	CHECK(report.problem || size == 0 || (report.records > 0 && text[size - 1] == '\n'));
	audit_check(text, lines_bytes(text, size, report.records), NULL, &again);
	CHECK(!again.problem && again.records == report.records && strcmp(again.head, report.head) == 0);
	append(text, size, &report);
	json_decref(records);
	free(text);
	return 0;
}
