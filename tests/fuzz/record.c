/* SPDX-License-Identifier: MIT */
/*
 * record.c - what an agent sends to be kept: an interval, a final and a sample. Malformed ones leave nothing behind.
 */
#include "err.h"
#include "fuzz.h"
#include "record.h"
#include "rows.h"

static struct record *record;

static int rows(void)
{
	static const char sql[] = "SELECT (SELECT COUNT(*) FROM intervals) + (SELECT COUNT(*) FROM errors) + (SELECT COUNT(*) FROM job_seconds) + (SELECT COUNT(*) FROM pages)"
				  " + (SELECT COUNT(*) FROM pages_open) + (SELECT COUNT(*) FROM ops) + (SELECT COUNT(*) FROM totals) + (SELECT COUNT(*) FROM censored) + (SELECT COUNT(*) FROM hung)"
				  " + (SELECT COUNT(*) FROM lag) + (SELECT COUNT(*) FROM meta) + (SELECT COUNT(*) FROM samples)";

	return rows_count(record, sql);
}

static void close_record(void)
{
	record_close(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const jobs[] = { "a", "b", NULL };
	json_t *message = json_loadb((const char *)data, size, 0, NULL);
	struct err err = ERR_INIT;

	if (!message)
		return 0;
	if (!record) {
		(void)fuzz_folder();
		atexit(close_record);
		CHECK(record_create(fuzz_folder(), &record, &err) == 0);
	}
	CHECK(record_begin(record, &err) == 0);
	if (record_interval(record, "h", message, jobs, &err) < 0)
		CHECK(rows() == 0 && err.text[0] != '\0');
	CHECK(sqlite3_exec(record_db(record), "ROLLBACK; BEGIN", NULL, NULL, NULL) == SQLITE_OK);
	err.text[0] = '\0';
	if (record_final(record, "h", message, &err) < 0)
		CHECK(rows() == 0 && err.text[0] != '\0');
	(void)record_sample(record, "h", 1, message, NULL);
	CHECK(sqlite3_exec(record_db(record), "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
	json_decref(message);
	return 0;
}
