/* SPDX-License-Identifier: MIT */
/*
 * formats_test.c - csv and OpenMetrics of a record, read again by small strict readers of our own.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fixture.h"
#include "report.h"

TestSuite(formats, .timeout = 60);

/* The fixture answers in seconds 0, 20 and 40. Here it is watched in all but 30 to 34, and nfsd hangs by half from 20 s to 40 s. */
static struct record *watched(void)
{
	struct record *record = fixture_open(NULL);

	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59)"
			    " INSERT INTO job_seconds SELECT i, 'c', 'web', (i + 1) * 10, 10, 10, 0, 0, 3, 1, i / 50, i * 1000 FROM n WHERE i NOT BETWEEN 30 AND 34");
	fixture_sql(record, "INSERT INTO errors VALUES(20, 'c', 'web', '', 'storm', 'EIO', 4), (20, 'c', 'web', '', 'storm', 'ESTALE', 3)");
	fixture_sql(record, "UPDATE intervals SET unknown = 2 WHERE second = 40");
	fixture_sql(record, "INSERT INTO intervals SELECT second, 'd', job, 'stat', phase, 7, 0, response, service FROM intervals WHERE second = 20");
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'drbd-link-delay', 's \"x\"', 'confirmed', 'confirmed', 25000000000, 35000000000, 'heal', 'seen')");
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"
			    " INSERT INTO samples SELECT i * 1000000000, 's', 'nfsd.total_ns', '', i * 1000000000, '' FROM n UNION ALL"
			    " SELECT i * 1000000000, 's', 'nfsd.hung_ns', '', MIN(MAX(i - 20, 0), 20) * 500000000, '' FROM n UNION ALL"
			    " SELECT i * 1000000000, 's', 'drbd.oldest_request_ns', '', 7000000, '' FROM n");
	return record;
}

static char *text_of(struct record *record, bool csv)
{
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	json_t *verdict = fixture_judge(record);

	cr_assert_eq(csv ? report_csv(record, verdict, out, &err) : report_openmetrics(record, verdict, out, &err), 0, "%s", err.text);
	fclose(out);
	json_decref(verdict);
	return text;
}

/* A cell of a row; the names of this record hold no comma. */
static const char *cell(const char *head, const char *row, const char *column)
{
	static char value[64];
	size_t bytes = strlen(column), n = 0;
	const char *at = head;

	while (strncmp(at, column, bytes) != 0 || (at[bytes] != ',' && at[bytes] != '\n')) {
		at = strchr(at, ',');
		cr_assert(at, "no column %s", column);
		at++;
		n++;
	}
	for (; n > 0; n--)
		row = strchr(row, ',') + 1;
	snprintf(value, sizeof value, "%.*s", (int)strcspn(row, ",\n"), row);
	return value;
}

static const char *row_of(const char *csv, const char *begin)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof wanted, "\n%s,", begin);
	at = strstr(csv, wanted);
	cr_assert(at, "no row %s", begin);
	return at + 1;
}

Test(formats, the_table_has_every_second_and_what_the_layers_did_in_it)
{
	static const struct {
		const char *row, *column, *value;
	} cells[] = {
		{ "0,baseline,web,", "ok", "200" }, { "0,baseline,web,", "errors", "0" }, { "0,baseline,web,", "p50_ns", "10000000" },
		{ "0,baseline,web,", "max_ns", "10000000" }, { "0,baseline,web,", "due_total", "10" }, { "0,baseline,web,", "in_flight", "3" },
		{ "1,baseline,web,", "ok", "0" }, { "1,baseline,web,", "p50_ns", "" }, { "1,baseline,web,", "oldest_in_flight_ns", "1000" },
		{ "20,storm,web,", "errors", "7" }, { "20,storm,web,stat", "ok", "7" }, { "20,storm,web,stat", "due_total", "" },
		{ "40,after,web,", "unknown", "2" }, { "55,after,web,", "not_issued_total", "1" }, { "55,after,web,", "waiting", "1" },
		/* over the 10 s to the end of the second */
		{ "9,baseline,web,", "nfsd.hung_ratio", "0" }, { "24,storm,web,", "nfsd.hung_ratio", "0.25" }, { "39,storm,web,", "nfsd.hung_ratio", "0.5" },
		{ "24,storm,web,", "drbd.oldest_request_age_ns", "7000000" }, { "24,storm,web,", "drbd.connected", "" },
	};
	struct record *record = watched();
	char *csv = text_of(record, true);
	size_t lines = 0, columns = 1;

	for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
		const char *value = cell(csv, row_of(csv, cells[i].row), cells[i].column);

		cr_expect_str_eq(value, cells[i].value, "%s %s: %s instead of %s", cells[i].row, cells[i].column, value, cells[i].value);
	}
	cr_expect(!strstr(csv, "\n30,"), "a second of which nothing is known has a row");
	for (const char *c = csv; *c != '\n'; c++)
		columns += *c == ',';
	for (const char *at = csv; *at != '\0'; at = strchr(at, '\n') + 1, lines++) {
		size_t n = 1;

		for (const char *c = at; *c != '\n'; c++)
			n += *c == ',';
		cr_expect_eq(n, columns, "line %zu has %zu of %zu columns", lines + 1, n, columns);
	}
	cr_expect_eq(lines, 1 + 2 * 55);
	free(csv);
	fixture_close(record);
}

/* Host d skips second 2, and ends with second 4. */
Test(formats, a_total_does_not_fall_when_a_host_says_nothing)
{
	struct record *record = watched();
	char *csv;

	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4)"
			    " INSERT INTO job_seconds SELECT i, 'd', 'web', (i + 1) * 5, 0, 0, 0, 0, 1, 0, i + 1, 0 FROM n WHERE i <> 2");
	csv = text_of(record, true);
	cr_expect_str_eq(cell(csv, row_of(csv, "2,baseline,web,"), "due_total"), "40");
	cr_expect_str_eq(cell(csv, row_of(csv, "2,baseline,web,"), "not_issued_total"), "2");
	cr_expect_str_eq(cell(csv, row_of(csv, "4,baseline,web,"), "due_total"), "75");
	cr_expect_str_eq(cell(csv, row_of(csv, "5,baseline,web,"), "due_total"), "85");
	cr_expect_str_eq(cell(csv, row_of(csv, "5,baseline,web,"), "not_issued_total"), "5");
	cr_expect_str_eq(cell(csv, row_of(csv, "5,baseline,web,"), "in_flight"), "3");
	free(csv);
	fixture_close(record);
}

/* What a reader of OpenMetrics holds a text to. */
struct reader {
	char family[96], type[16], series[256], seen[64][96];
	unsigned int families;
	double last_s;
	size_t values;
};

static bool is_name(const char *at, size_t bytes)
{
	if (bytes == 0 || isdigit((unsigned char)*at))
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (!isalnum((unsigned char)at[i]) && at[i] != '_' && at[i] != ':')
			return false;
	return true;
}

/* {name="value",...}; @return what follows it, NULL when malformed */
static const char *skip_labels(const char *at)
{
	if (*at != '{')
		return at;
	do {
		size_t bytes = strcspn(++at, "=");

		if (!is_name(at, bytes) || at[bytes] != '=' || at[bytes + 1] != '"')
			return NULL;
		for (at += bytes + 2; *at != '"'; at++) {
			if (*at == '\n' || *at == '\0' || (*at == '\\' && !strchr("n\"\\", *++at)))
				return NULL;
		}
		at++;
	} while (*at == ',');
	return *at == '}' ? at + 1 : NULL;
}

static void read_comment(struct reader *r, const char *line)
{
	char word[16], name[96], rest[16];
	int n = sscanf(line, "# %15s %95s %15s", word, name, rest);

	cr_assert(n == 3 || strcmp(word, "HELP") == 0, "%s", line);
	if (strcmp(word, "TYPE") == 0) {
		for (unsigned int i = 0; i < r->families; i++)
			cr_assert(strcmp(r->seen[i], name), "family %s comes twice", name);
		cr_assert_lt(r->families, 64);
		snprintf(r->seen[r->families++], sizeof r->seen[0], "%s", name);
		snprintf(r->family, sizeof r->family, "%s", name);
		snprintf(r->type, sizeof r->type, "%s", rest);
		r->series[0] = '\0';
	} else if (strcmp(word, "UNIT") == 0) {
		size_t bytes = strlen(name), unit = strlen(rest);

		cr_expect(bytes > unit && name[bytes - unit - 1] == '_' && strcmp(name + bytes - unit, rest) == 0, "the name %s does not end with its unit %s", name, rest);
	}
	cr_expect_str_eq(name, r->family, "%s stands in the family %s", line, r->family);
}

static void read_sample(struct reader *r, const char *line)
{
	size_t bytes = strcspn(line, "{ ");
	const char *after = skip_labels(line + bytes), *suffix = strcmp(r->type, "counter") == 0 ? "_total" : strcmp(r->type, "info") == 0 ? "_info" : "";
	char wanted[128], *end;
	double at_s;

	cr_assert(after && is_name(line, bytes), "malformed: %s", line);
	snprintf(wanted, sizeof wanted, "%s%s", r->family, suffix);
	cr_expect(strlen(wanted) == bytes && strncmp(line, wanted, bytes) == 0, "%s does not belong to the %s %s", line, r->type, r->family);
	cr_assert(*after == ' ' && strtod(after, &end) >= 0 && end > after, "no value: %s", line);
	if (*end == ' ') {
		at_s = strtod(end, &end);
		if (strncmp(r->series, line, (size_t)(after - line)) == 0 && r->series[after - line] == '\0')
			cr_expect_gt(at_s, r->last_s, "the instants do not rise: %s", line);
		r->last_s = at_s;
	}
	cr_assert_eq(*end, '\0', "more than a sample: %s", line);
	snprintf(r->series, sizeof r->series, "%.*s", (int)(after - line), line);
	r->values++;
}

Test(formats, openmetrics_is_what_the_standard_asks_for)
{
	struct reader r = { .families = 0 };
	struct record *record = watched();
	char *text, *rest, *line;

	record_meta(record, "t0_utc_ns", "1600000000250000000", NULL);
	text = rest = text_of(record, false);
	cr_expect(strstr(text, "\nsquall_job_ended_total{job=\"web\",outcome=\"ok\"} 200 1600000001.250\n"));
	cr_expect(strstr(text, "\nsquall_job_ended_total{job=\"web\",outcome=\"ok\"} 600 1600000060.250\n"));
	cr_expect(strstr(text, "\nsquall_job_ended_total{job=\"web\",outcome=\"error\"} 7 1600000021.250\n"));
	cr_expect(strstr(text, "\nsquall_op_ended_total{job=\"web\",op=\"stat\",outcome=\"ok\"} 7 1600000021.250\n"));
	cr_expect(strstr(text, "\nsquall_job_response_seconds{job=\"web\",quantile=\"1\"} 0.01 1600000001.250\n"));
	cr_expect(!strstr(text, "quantile=\"1\"} 0.01 1600000002.250\n"), "a second without answers has a quantile");
	cr_expect(strstr(text, "\nsquall_nfsd_hung_ratio 0.5 1600000040.250\n"));
	cr_expect(strstr(text, "\nsquall_drbd_oldest_request_age_seconds 0.007 1600000025.250\n"));
	cr_expect(strstr(text, "\nsquall_fault_in_force{idx=\"0\",fault=\"drbd-link-delay\",host=\"s \\\"x\\\"\"} 0 1600000024.250\n"));
	cr_expect(strstr(text, "\nsquall_fault_in_force{idx=\"0\",fault=\"drbd-link-delay\",host=\"s \\\"x\\\"\"} 1 1600000025.250\n"));
	cr_expect(strstr(text, "\nsquall_fault_in_force{idx=\"0\",fault=\"drbd-link-delay\",host=\"s \\\"x\\\"\"} 0 1600000035.250\n"));
	cr_expect(strstr(text, "\nsquall_verdict{squall_verdict=\"void\"} 1\n"));
	while ((line = strsep(&rest, "\n")) && strcmp(line, "# EOF") != 0)
		if (*line == '#')
			read_comment(&r, line);
		else
			read_sample(&r, line);
	cr_expect(line && rest && *rest == '\0', "# EOF is not the end");
	cr_expect_gt(r.families, 20);
	cr_expect_gt(r.values, 500);
	free(text);
	fixture_close(record);
}
