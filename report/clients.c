/* SPDX-License-Identifier: MIT */
/*
 * clients.c - whether each client came back by itself: its first page that was due after the act that ended the faults, and whether its mount is
 * still the one of the start (mountstats counts the age of a mount from the moment it was mounted).
 */
#include <stdio.h>

#include "judge.h"
#include "record.h"

struct clients {
	json_t *list;
	int64_t act_ns;		/* -1: no fault was ended */
};

static json_t *integer_or_null(void *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? json_null() : json_integer(sqlite3_column_int64(row, column));
}

/* host, first page done after the act, times mounted anew, connections made since the act; NULL = not measured */
static int add_client(void *row, void *arg)
{
	struct clients *c = arg;
	json_t *back = sqlite3_column_type(row, 1) == SQLITE_NULL ? json_null() : json_integer(sqlite3_column_int64(row, 1) - c->act_ns);

	json_array_append_new(c->list, json_pack("{s:s, s:o, s:o, s:o}", "host", (const char *)sqlite3_column_text(row, 0), "back_ns", back, "mounted_anew",
						 integer_or_null(row, 2), "reconnects", integer_or_null(row, 3)));
	return 0;
}

int judge_clients(struct record *record, int64_t act_ns, json_t *verdict, struct err *err)
{
	static const char sql[] =
		"SELECT host, (SELECT MIN(done_ns) FROM pages AS p WHERE p.host = h.host AND outcome = 'ok' AND due_ns > %lld),"
		" (SELECT SUM(value < before) FROM (SELECT value, LAG(value) OVER (ORDER BY t_ns) AS before FROM samples AS s"
		"  WHERE s.host = h.host AND metric = 'mount.age')),"
		" (SELECT MAX(value) - MIN(value) FROM samples AS s WHERE s.host = h.host AND metric = 'mount.connects' AND t_ns > %lld)"
		" FROM hosts AS h WHERE instr(roles, 'load') > 0 ORDER BY h.rowid";
	struct clients c = { .list = json_array(), .act_ns = act_ns };
	char text[sizeof sql + 48];
	int rc = 0;

	(void)snprintf(text, sizeof text, sql, (long long)act_ns, (long long)act_ns);
	if (act_ns >= 0)
		rc = record_query(record, text, NULL, add_client, &c, err);
	json_object_set_new(verdict, "clients", c.list);
	return rc;
}
