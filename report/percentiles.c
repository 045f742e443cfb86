/* SPDX-License-Identifier: MIT */
/*
 * percentiles.c - merges histograms of the record and takes their quantiles.
 */
#include "percentiles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "hist.h"
#include "record.h"

static const struct {
	const char *key, *name;
	double q;
} quantiles[] = { { "p50_ns", "p50", 0.5 },   { "p80_ns", "p80", 0.8 },	  { "p90_ns", "p90", 0.9 },
		  { "p95_ns", "p95", 0.95 }, { "p99_ns", "p99", 0.99 }, { "p999_ns", "p999", 0.999 } };

static int merge(struct record *record, const char *sql, const struct selection *what, struct hist *into, struct err *err)
{
	const char *const texts[] = { what->job, what->op, what->phase };
	sqlite3_stmt *s = NULL;
	int rc = 0, step = SQLITE_ROW;

	if (sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) != SQLITE_OK)
		return err_set(err, -EIO, "the record cannot be read: %s", sqlite3_errmsg(record_db(record)));
	for (int i = 0; i < 3; i++)
		if (texts[i])
			(void)sqlite3_bind_text(s, i + 1, texts[i], -1, SQLITE_STATIC);
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
		if (sqlite3_column_type(s, 0) == SQLITE_BLOB)
			rc = hist_decode_merge(into, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
	if (rc < 0)
		rc = err_set(err, rc, "the record holds a histogram that is damaged");
	else if (step != SQLITE_DONE)
		rc = err_set(err, -EIO, "the record cannot be read: %s", sqlite3_errmsg(record_db(record)));
	(void)sqlite3_finalize(s);
	return rc;
}

static json_t *to_json(const struct hist *done, const struct hist *censored, uint64_t counted)
{
	json_t *json = json_pack("{s:I, s:I}", "count", (json_int_t)done->count, "censored", (json_int_t)counted), *at_least = json_object();

	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
		struct hist_quantile q = { .reached = false };

		if (done->count + (censored ? censored->count : 0) > 0)
			q = hist_quantile_censored(done, censored, quantiles[i].q);
		json_object_set_new(json, quantiles[i].key, q.reached ? json_integer((json_int_t)q.value_ns) : json_null());
		if (!q.reached && done->count + (censored ? censored->count : 0) > 0)
			json_object_set_new(at_least, quantiles[i].name, json_integer((json_int_t)q.at_least_ns));
	}
	json_object_set_new(json, "max_ns", done->count > 0 ? json_integer((json_int_t)done->max_ns) : json_null());
	if (censored && censored->count > 0 && censored->max_ns > done->max_ns)
		json_object_set_new(at_least, "max", json_integer((json_int_t)censored->max_ns));
	json_object_set_new(json, "at_least_ns", at_least);
	return json;
}

#define WHERE " WHERE (?1 IS NULL OR job = ?1) AND op = ?2 AND (?3 IS NULL OR phase = ?3)"

int percentiles_read(struct record *record, const struct selection *what, json_t **ret_response, json_t **ret_service, struct err *err)
{
	struct hist *response = hist_new(), *service = hist_new(), *censored = hist_new();
	uint64_t counted = 0;
	int rc = response && service && censored ? 0 : err_set(err, -ENOMEM, "report: no memory");

	if (rc == 0)
		rc = merge(record, "SELECT response FROM intervals" WHERE, what, response, err);
	if (rc == 0)
		rc = merge(record, "SELECT service FROM intervals" WHERE, what, service, err);
	if (rc == 0)
		rc = merge(record, "SELECT ages FROM censored" WHERE " AND kind IN ('in_flight', 'unknown')", what, censored, err);
	if (rc == 0) {
		counted = censored->count;
		rc = merge(record, "SELECT ages FROM censored" WHERE " AND kind = 'not_issued'", what, censored, err);
	}
	if (rc == 0) {
		*ret_response = to_json(response, censored, counted);
		*ret_service = to_json(service, NULL, 0);
	}
	free(response);
	free(service);
	free(censored);
	return rc;
}

int percentiles_merge(struct record *record, const struct selection *what, struct hist *done, struct hist *censored, struct err *err)
{
	int rc = merge(record, "SELECT response FROM intervals" WHERE, what, done, err);

	return rc < 0 ? rc : merge(record, "SELECT ages FROM censored" WHERE, what, censored, err);
}

int percentiles_value(const json_t *object, const char *name, uint64_t *ret_ns)
{
	const json_t *bound = json_object_get(json_object_get(object, "at_least_ns"), name);
	char key[16];

	/* Of max both are there when something unfinished is older than all that ended: then it is the bound that is true of all. */
	(void)snprintf(key, sizeof key, "%s_ns", name);
	*ret_ns = (uint64_t)json_integer_value(bound ? bound : json_object_get(object, key));
	return !bound && json_is_integer(json_object_get(object, key));
}
