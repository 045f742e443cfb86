/* SPDX-License-Identifier: MIT */
/*
 * rows.h - what a record holds after an input.
 */
#ifndef SQUALL_TESTS_FUZZ_ROWS_H
#define SQUALL_TESTS_FUZZ_ROWS_H

#include <sqlite3.h>

#include "fuzz.h"
#include "record.h"

/** @param sql  a SELECT of one number. */
static inline int rows_count(struct record *record, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int nr;

	CHECK(sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW);
	nr = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return nr;
}

#endif
