/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "hist.h"
#include "report.h"

static char folder[64];

static void bind_hist(struct record *record, const char *sql, const struct hist *h)
{
	sqlite3_stmt *s = NULL;
	uint8_t *bytes = NULL;
	size_t size = 0;

	cr_assert_eq(hist_encode(h, &bytes, &size), 0);
	cr_assert_eq(sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL), SQLITE_OK, "%s", sqlite3_errmsg(record_db(record)));
	for (int i = 1; i <= sqlite3_bind_parameter_count(s); i++)
		cr_assert_eq(sqlite3_bind_blob(s, i, bytes, (int)size, SQLITE_STATIC), SQLITE_OK);
	cr_assert_eq(sqlite3_step(s), SQLITE_DONE, "%s", sqlite3_errmsg(record_db(record)));
	sqlite3_finalize(s);
	free(bytes);
}

void fixture_sql(struct record *record, const char *format, ...)
{
	char *sql, *why = NULL;
	va_list args;

	va_start(args, format);
	cr_assert(vasprintf(&sql, format, args) > 0);
	va_end(args);
	cr_assert_eq(sqlite3_exec(record_db(record), sql, NULL, NULL, &why), SQLITE_OK, "%s: %s", sql, why);
	free(sql);
}

void fixture_responses(struct record *record, int second, const char *phase, unsigned int n, uint64_t ns)
{
	struct hist *h = hist_new();
	char sql[256];

	for (unsigned int i = 0; i < n; i++)
		hist_add(h, ns);
	snprintf(sql, sizeof sql, "INSERT INTO intervals VALUES(%d, 'c', 'web', '', '%s', %u, 0, ?1, ?1)", second, phase, n);
	bind_hist(record, sql, h);
	free(h);
}

void fixture_censored(struct record *record, const char *phase, const char *kind, unsigned int n, uint64_t first_ns, uint64_t last_ns)
{
	struct hist *h = hist_new();
	char sql[256];

	for (unsigned int i = 0; i < n; i++)
		hist_add(h, first_ns + (n > 1 ? (last_ns - first_ns) * i / (n - 1) : 0));
	snprintf(sql, sizeof sql, "INSERT INTO censored VALUES('c', 'web', '', '%s', '%s', ?1)", phase, kind);
	bind_hist(record, sql, h);
	free(h);
}

struct record *fixture_open(const char *signature)
{
	static const char *const phase[] = { "baseline", "storm", "after" };
	struct record *record = NULL;
	struct err err = ERR_INIT;
	char text[2048];

	snprintf(folder, sizeof folder, "/tmp/squall-report-XXXXXX");
	cr_assert(mkdtemp(folder));
	cr_assert_eq(record_create(folder, &record, &err), 0, "%s", err.text);
	snprintf(text, sizeof text,
		 "name: fixture\nseed: 7\ndataset: {sites: 2, files_per_site: 10, size: 4KiB, depth: 1}\n"
		 "jobs: {web: {page: webapp, arrival: {constant: 10/s}}}\n"
		 "phases: [{name: baseline, for: 20s}, {name: storm, for: 20s}, {name: after, for: 20s}]\n%s%s%sexpect: %s\n",
		 signature ? "signature:\n" : "", signature ? signature : "", signature ? "\n" : "", signature ? "reproduced" : "absent");
	record_meta(record, "profile", text, NULL);
	record_meta(record, "seed", "7", NULL);
	record_meta(record, "run", "r", NULL);
	record_meta(record, "complete", "1", NULL);
	record_meta_double(record, "end_ns", 60e9, NULL);
	record_host(record, "c", "load,observe", 5, 6, 0, NULL);
	for (int i = 0; i < 3; i++) {
		record_phase(record, i, phase[i], 20 * S * i, 20 * S * (i + 1), NULL);
		fixture_responses(record, 20 * i, phase[i], 200, 10000000);
		fixture_sql(record, "INSERT INTO lag VALUES('c', '%s', 200, 1000000, 2000000, 1000000, 2000000)", phase[i]);
	}
	fixture_sql(record, "INSERT INTO totals VALUES('c', 'web', 600, 600, '{}', 0, 0, 0)");
	/* two sites, five pages a second each */
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 599)"
			    " INSERT INTO pages SELECT 'c', 'web', i %% 2, i * 100000000, i * 100000000 + 10000000, 'ok' FROM n");
	return record;
}

void fixture_close(struct record *record)
{
	record_close(record);
	file_remove_tree(folder, NULL);
}

json_t *fixture_judge(struct record *record)
{
	struct err err = ERR_INIT;
	json_t *verdict = NULL;

	cr_assert_eq(report_judge(record, &verdict, &err), 0, "%s", err.text);
	return verdict;
}

void fixture_text(const json_t *verdict, char *ret, size_t bytes)
{
	FILE *out = fmemopen(ret, bytes, "w");

	cr_assert_eq(report_text(verdict, out), 0);
	(void)fclose(out);
}

const char *fixture_verdict(const json_t *verdict)
{
	return json_string_value(json_object_get(verdict, "verdict"));
}

int fixture_has_reason(const json_t *verdict, const char *text)
{
	static const char *const lists[] = { "void_reasons", "doubts" };
	const json_t *reason;
	size_t i;

	for (int k = 0; k < 2; k++)
		json_array_foreach(json_object_get(verdict, lists[k]), i, reason)
			if (strstr(json_string_value(reason), text))
				return 1;
	return 0;
}
