/* SPDX-License-Identifier: MIT */
/*
 * record_db.h - the statements that write run.db: private to common/.
 */
#ifndef SQUALL_RECORD_DB_H
#define SQUALL_RECORD_DB_H

#include "record.h"

enum statement {
	PUT_META, GET_META, PUT_HOST, PUT_HOST_LOST, PUT_PHASE, PUT_EVENT, PUT_FAULT, PUT_INTERVAL, PUT_ERROR, PUT_JOB_SECOND,
	PUT_CENSORED, PUT_PAGE, PUT_PAGE_OPEN, PUT_OP, PUT_SAMPLE, PUT_HUNG, PUT_LAG, PUT_TOTAL, SAVE, RELEASE, UNDO, BEGIN, COMMIT, ROLLBACK,
	STATEMENTS_NR
};

/**
 * Run a statement that gives no rows. `kinds` has a letter a column: i int64_t, n int64_t or NULL when -1, d double, t text, b pointer and
 * uint64_t bytes, 0 NULL (no argument). Integers must be passed as int64_t.
 */
int record_put(struct record *r, enum statement which, struct err *err, const char *kinds, ...);

#endif
