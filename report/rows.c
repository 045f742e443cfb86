/* SPDX-License-Identifier: MIT */
/*
 * rows.c - samples of one metric.
 */
#include "rows.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "record.h"

static int push(struct rows *rows, size_t *room, struct row row)
{
	struct row *grown;

	if (rows->nr == *room) {
		*room = *room ? *room * 2 : 256;
		grown = realloc(rows->row, *room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		rows->row = grown;
	}
	rows->row[rows->nr++] = row;
	return 0;
}

int rows_read(struct record *record, const char *metric, const char *label, int64_t from_ns, struct rows *ret)
{
	static const char sql[] = "SELECT t_ns, value, DENSE_RANK() OVER (ORDER BY host, label) - 1 FROM samples WHERE metric = ?1 AND t_ns >= ?2"
				  " AND (?3 IS NULL OR label = ?3) ORDER BY t_ns, rowid";
	sqlite3_stmt *s = NULL;
	size_t room = 0;
	int rc = 0, step;

	*ret = (struct rows){ 0 };
	if (sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) != SQLITE_OK)
		return -EIO;
	(void)sqlite3_bind_text(s, 1, metric, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 2, from_ns);
	if (label)
		(void)sqlite3_bind_text(s, 3, label, -1, SQLITE_STATIC);
	while (rc == 0 && (step = sqlite3_step(s)) != SQLITE_DONE) {
		struct row row = { .t_ns = sqlite3_column_int64(s, 0), .value = sqlite3_column_double(s, 1), .series = (unsigned int)sqlite3_column_int(s, 2) };

		if (row.series >= ret->series_nr)
			ret->series_nr = row.series + 1;
		rc = step == SQLITE_ROW ? push(ret, &room, row) : -EIO;
	}
	(void)sqlite3_finalize(s);
	if (rc < 0)
		rows_release(ret);
	return rc;
}

void rows_release(struct rows *rows)
{
	free(rows->row);
	*rows = (struct rows){ 0 };
}

size_t rows_after(const struct rows *rows, int64_t t_ns)
{
	size_t low = 0, high = rows->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows->row[middle].t_ns > t_ns)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct growth rows_growth(const struct rows *rows, int64_t from_ns, int64_t to_ns)
{
	struct {
		double last, grown;
		bool is;
	} *seen = calloc(rows->series_nr + 1, sizeof *seen);
	struct growth ret = { 0 };

	/* One row of each series before the window may be its first step: they lie within a few seconds. */
	for (size_t i = rows_after(rows, from_ns - (to_ns - from_ns)); seen && i < rows->nr && rows->row[i].t_ns <= to_ns; i++) {
		const struct row *row = &rows->row[i];
		double last = seen[row->series].last, step = row->value >= last ? row->value - last : row->value;

		if (seen[row->series].is && row->t_ns > from_ns) {
			seen[row->series].grown += step;
			ret.all += step;
			ret.most = seen[row->series].grown > ret.most ? seen[row->series].grown : ret.most;
			ret.steps++;
		}
		seen[row->series].is = true;
		seen[row->series].last = row->value;
	}
	free(seen);
	return ret;
}
