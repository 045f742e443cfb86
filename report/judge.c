/* SPDX-License-Identifier: MIT */
/*
 * judge.c - the verdict of a record: void before inconclusive before reproduced, and absent otherwise.
 */
#include "judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "json_text.h"
#include "record.h"
#include "report.h"
#include "signature.h"

static json_t *integer_or_null(void *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? json_null() : json_integer(sqlite3_column_int64(row, column));
}

static int add_fault(void *row, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "fault", record_text(row, 0), "host", record_text(row, 1), "verified", record_text(row, 2),
					     "healed", record_text(row, 3), "inject_ns", integer_or_null(row, 4), "heal_ns", integer_or_null(row, 5), "healed_by",
					     record_text(row, 6), "evidence", record_text(row, 7)));
	return 0;
}

static int add_hung(void *row, void *arg)
{
	json_t *stack = json_loads(record_text(row, 7), 0, NULL);

	json_array_append_new(arg, json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:s, s:o}", "host", record_text(row, 0), "pid", (json_int_t)sqlite3_column_int64(row, 1), "tid",
					     (json_int_t)sqlite3_column_int64(row, 2), "op", record_text(row, 3), "path", record_text(row, 4), "age_ns",
					     (json_int_t)sqlite3_column_int64(row, 5), "wchan", record_text(row, 6), "stack", stack ? stack : json_array()));
	return 0;
}

static int add_away(void *row, void *arg)
{
	json_array_append_new(arg, json_pack("{s:o, s:o}", "from_ns", integer_or_null(row, 0), "to_ns", integer_or_null(row, 1)));
	return 0;
}

static int add_clock_step(void *row, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s, s:o, s:o}", "host", record_text(row, 0), "at_ns", integer_or_null(row, 1), "by_ns", integer_or_null(row, 2)));
	return 0;
}

static json_t *split_roles(const char *text)
{
	char copy[128], *rest = copy, *role;
	json_t *roles = json_array();

	(void)snprintf(copy, sizeof copy, "%s", text);
	while ((role = strsep(&rest, ",")))
		if (*role != '\0')
			json_array_append_new(roles, json_string(role));
	return roles;
}

/* What a host was configured with, as it was told last; NULL of one that told nothing, or of before there was a probe for it. */
static json_t *config_of(void *row, int first_column)
{
	static const char *const keys[] = { "exports", "nfs", "drbd" };
	json_t *config = NULL;

	for (int i = 0; i < 3; i++) {
		if (sqlite3_column_type(row, first_column + i) == SQLITE_NULL)
			continue;
		config = config ? config : json_object();
		json_object_set_new(config, keys[i], json_string(record_text(row, first_column + i)));
	}
	return config;
}

static int add_host(void *row, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o*}", "name", record_text(row, 0), "roles", split_roles(record_text(row, 1)), "offset_ns",
					     (json_int_t)sqlite3_column_int64(row, 2), "offset_error_ns", (json_int_t)sqlite3_column_int64(row, 3), "start_skew_ns",
					     (json_int_t)sqlite3_column_int64(row, 4), "lag_p99_ns", integer_or_null(row, 6), "lost_at_ns",
					     integer_or_null(row, 5), "memory_bytes", integer_or_null(row, 7), "cached_at_start_bytes", integer_or_null(row, 8),
					     "config", config_of(row, 9)));
	return 0;
}

static void add_meta(struct record *record, json_t *verdict)
{
	char *version = record_meta_get(record, "version"), *commit = record_meta_get(record, "commit"), *run = record_meta_get(record, "run");
	char *seed = record_meta_get(record, "seed"), *start = record_meta_get(record, "t0_utc_ns"), *arm = record_meta_get(record, "arm");

	json_object_set_new(verdict, "schema", json_integer(1));
	json_object_set_new(verdict, "squall", json_pack("{s:s, s:s}", "version", version ? version : "", "commit", commit ? commit : ""));
	json_object_set_new(verdict, "run", json_string(run ? run : ""));
	json_object_set_new(verdict, "seed", json_integer(seed ? (json_int_t)strtoull(seed, NULL, 10) : 0));
	json_object_set_new(verdict, "start_utc_ns", json_integer(start ? (json_int_t)strtoull(start, NULL, 10) : 0));
	if (arm)
		json_object_set_new(verdict, "arm", json_string(arm));
	free(version);
	free(commit);
	free(run);
	free(seed);
	free(start);
	free(arm);
}

/*
 * Each line into the verdict. False is stronger than unknown, and unknown than true: where a line surely did not hold, it does not matter
 * that another one cannot be told; else the run is in doubt.
 * @return 1 all hold, 0 one does not, or there is none
 */
static int add_signature(struct record *record, struct metrics *metrics, const struct profile *profile, json_t *verdict, json_t *doubts, struct err *err)
{
	json_t *lines = json_object(), *unknown = json_array();
	bool all = profile->signature_nr > 0, denied = false;
	int rc = 0;

	for (unsigned int i = 0; i < profile->signature_nr && rc == 0; i++) {
		struct signature_result result;

		rc = signature_evaluate(record, metrics, &profile->signature[i], &result, err);
		json_object_set_new(lines, profile->signature[i].name,
				    json_pack("{s:b, s:o, s:s, s:s}", "held", result.held, "at_ns", result.held ? json_integer(result.at_ns) : json_null(), "text",
					      profile->signature[i].text, "evidence", result.evidence));
		all = all && result.held;
		denied = denied || (!result.held && result.gap[0] == '\0');
		if (!result.held && result.gap[0] != '\0')
			judge_because(unknown, "%s may have held: %s", profile->signature[i].name, result.gap);
	}
	if (!denied)
		json_array_extend(doubts, unknown);
	json_decref(unknown);
	json_object_set_new(verdict, "signature", lines);
	return rc < 0 ? rc : all;
}

#define LAST_TEXT(metric) \
	" (SELECT text FROM samples AS s WHERE metric = '" metric "' AND s.host = hosts.host AND t_ns >= 0 ORDER BY t_ns DESC, rowid DESC LIMIT 1)"

static int add_tables(struct record *record, json_t *verdict, struct err *err)
{
	static const struct {
		const char *key, *sql;
		int (*take)(void *row, void *arg);
	} tables[] = {
		{ "faults", "SELECT fault, host, verified, healed, inject_ns, heal_ns, healed_by, evidence FROM faults ORDER BY idx", add_fault },
		{ "hung", "SELECT host, pid, tid, op, path, age_ns, wchan, stack FROM hung ORDER BY age_ns DESC", add_hung },
		{ "away",
		  "SELECT t_ns, (SELECT MIN(t_ns) FROM events AS r WHERE kind = 'resumed' AND r.rowid > events.rowid) FROM events WHERE kind = 'away' ORDER BY rowid", add_away },
		{ "clock_steps", "SELECT host, t_ns, CAST(evidence AS INTEGER) FROM events WHERE kind = 'utc' ORDER BY t_ns", add_clock_step },
		{ "hosts",
		  "SELECT host, roles, offset_ns, offset_error_ns, start_skew_ns, lost_at_ns, (SELECT MAX(p99_ns) FROM lag WHERE lag.host = hosts.host),"
		  " (SELECT value FROM samples AS s WHERE metric = 'memory.total' AND s.host = hosts.host LIMIT 1),"
		  " (SELECT value FROM samples AS s WHERE metric = 'memory.cached' AND s.host = hosts.host AND t_ns >= 0 ORDER BY t_ns LIMIT 1),"
		  LAST_TEXT("config.exports") "," LAST_TEXT("config.nfs") "," LAST_TEXT("config.drbd")
		  " FROM hosts ORDER BY hosts.rowid",
		  add_host },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof tables / sizeof tables[0] && rc == 0; i++) {
		json_t *list = json_array();

		rc = record_query(record, tables[i].sql, NULL, tables[i].take, list, err);
		json_object_set_new(verdict, tables[i].key, list);
	}
	return rc;
}

struct firsts {
	json_t *all;
	const char *count;
};

static int add_firsts(void *row, void *arg)
{
	const struct firsts *f = arg;
	json_t *of_host = json_loads(record_text(row, 1), 0, NULL), *first = json_object_get(of_host, "first"), *item;
	size_t i;

	json_object_set_new(f->all, f->count, json_integer(json_integer_value(json_object_get(f->all, f->count)) + json_integer_value(json_object_get(of_host, f->count))));
	json_array_foreach(first, i, item)
		json_object_set_new(item, "host", json_string(record_text(row, 0)));
	json_array_extend(json_object_get(f->all, "first"), first);
	json_decref(of_host);
	return 0;
}

int judge_firsts(struct record *record, const char *what, const char *count, json_t **ret, struct err *err)
{
	static const char sql[] = "SELECT substr(key, length(?1) + 2), value FROM meta WHERE key LIKE ?1 || '.%' ORDER BY key";
	struct firsts f = { .all = json_pack("{s:i, s:[]}", count, 0, "first"), .count = count };

	*ret = f.all;
	return record_query(record, sql, (const char *const[]){ what, NULL }, add_firsts, &f, err);
}

/* What checks of reads found. */
static int judge_damage(struct record *record, json_t *verdict, struct err *err)
{
	json_t *damage;
	int rc = judge_firsts(record, "damage", "ops", &damage, err);

	json_object_set_new(verdict, "damage", damage);
	return rc;
}

static int add_logged(void *row, void *arg)
{
	json_t *logged = arg, *of_host = json_loads(record_text(row, 0), 0, NULL);

	for (unsigned int i = 0; i < 2; i++) {
		const char *key = ((const char *const[]){ "kept", "dropped" })[i];

		json_object_set_new(logged, key, json_integer(json_integer_value(json_object_get(logged, key)) + json_integer_value(json_object_get(of_host, key))));
	}
	json_decref(of_host);
	return 0;
}

/* meta logged_ops.HOST: how many ops stand in the record one by one. Without a job that logs them there is no key. */
static int judge_logged(struct record *record, json_t *verdict, struct err *err)
{
	json_t *logged = json_object();
	int rc = record_query(record, "SELECT value FROM meta WHERE key LIKE 'logged!_ops.%' ESCAPE '!'", NULL, add_logged, logged, err);

	if (json_object_size(logged) > 0)
		json_object_set(verdict, "logged_ops", logged);
	json_decref(logged);
	return rc;
}

static void add_sites(struct metrics *metrics, json_t *verdict)
{
	struct site_totals s;

	metrics_sites(metrics, &s);
	json_object_set_new(verdict, "sites", json_pack("{s:i, s:i, s:i, s:i, s:I}", "total", (int)s.total, "slow", (int)s.slow, "failed", (int)s.failed, "ok",
							(int)s.ok, "pages", (json_int_t)s.pages));
}

static void conclude(json_t *verdict, const struct profile *profile, bool all_held, json_t *reasons, json_t *doubts)
{
	enum verdict is = json_array_size(reasons) > 0 ? VERDICT_VOID : json_array_size(doubts) > 0 ? VERDICT_INCONCLUSIVE :
			  all_held ? VERDICT_REPRODUCED : VERDICT_ABSENT;
	bool damaged = json_integer_value(json_object_get(json_object_get(verdict, "damage"), "ops")) > 0;

	json_object_set_new(verdict, "verdict", json_string(verdict_names[is]));
	/* A tree that lost what was written to it is not a healthy one, whatever the signature says. */
	json_object_set_new(verdict, "expected", json_boolean(is == profile->expect && !(is == VERDICT_ABSENT && damaged)));
	json_object_set(verdict, "void_reasons", reasons);
	json_object_set(verdict, "doubts", doubts);
}

/* The working set, to be held against the memory of the hosts. */
static void add_dataset(struct record *record, const struct profile *profile, json_t *verdict)
{
	char *bytes = record_meta_get(record, "dataset_bytes");

	json_object_set_new(verdict, "dataset", json_pack("{s:o, s:s}", "bytes", bytes ? json_integer((json_int_t)strtod(bytes, NULL)) : json_null(), "cache",
							  profile->cold ? "cold" : "as-is"));
	free(bytes);
}

static int fill(struct record *record, struct metrics *metrics, const struct profile *profile, json_t *verdict, struct err *err)
{
	json_t *reasons = json_array(), *doubts = json_array(), *jobs = NULL;
	int held = 0, rc = judge_jobs(record, &jobs, err);

	/* The first keys of verdict.json are those that a reader looks for first. */
	add_meta(record, verdict);
	json_object_set_new(verdict, "profile", json_string(profile->name));
	json_object_set_new(verdict, "verdict", json_null());
	json_object_set_new(verdict, "expected", json_false());
	json_object_set(verdict, "void_reasons", reasons);
	json_object_set_new(verdict, "jobs", jobs ? jobs : json_object());
	if (rc == 0) {
		add_sites(metrics, verdict);
		add_dataset(record, profile, verdict);
		rc = add_tables(record, verdict, err);
	}
	if (rc == 0)
		rc = judge_damage(record, verdict, err);
	if (rc == 0)
		rc = judge_rpcs(record, verdict, err);
	if (rc == 0)
		rc = judge_logged(record, verdict, err);
	if (rc == 0)
		rc = held = add_signature(record, metrics, profile, verdict, doubts, err);
	if (rc >= 0)
		rc = judge_gates(record, profile, verdict, reasons, doubts, err);
	if (rc == 0)
		rc = judge_course(record, metrics, verdict, err);
	if (rc == 0)
		rc = judge_wire(record, verdict, err);
	if (rc == 0)
		conclude(verdict, profile, held == 1, reasons, doubts);
	json_decref(reasons);
	json_decref(doubts);
	return rc;
}

int report_judge(struct record *record, json_t **ret_verdict, struct err *err)
{
	char *text = record_meta_get(record, "profile");
	struct profile profile = PROFILE_INIT;
	struct metrics *metrics = NULL;
	json_t *verdict = json_object();
	int rc = text ? profile_parse(text, "profile of the record", NULL, &profile, err) : err_set(err, -EBADMSG, "the record holds no profile");

	if (rc == 0)
		rc = metrics_open(record, 0, &metrics, err);
	if (rc == 0)
		rc = fill(record, metrics, &profile, verdict, err);
	metrics_close(metrics);
	profile_release(&profile);
	free(text);
	if (rc < 0) {
		json_decref(verdict);
		return rc;
	}
	*ret_verdict = verdict;
	return 0;
}

int report_write(const char *dir, const json_t *verdict, struct err *err)
{
	char *text = json_text(verdict, JSON_INDENT(1)), path[4200];
	int rc;

	(void)snprintf(path, sizeof path, "%s/verdict.json", dir);
	rc = text ? file_write(path, text, strlen(text), 0644, err) : err_set(err, -ENOMEM, "report: no memory");
	free(text);
	return rc;
}

int report_exit_status(const json_t *verdict)
{
	const char *is = json_string_value(json_object_get(verdict, "verdict"));

	if (!is || strcmp(is, "void") == 0 || strcmp(is, "inconclusive") == 0)
		return EXIT_VOID;
	return json_is_true(json_object_get(verdict, "expected")) ? EXIT_AS_EXPECTED : EXIT_NOT_AS_EXPECTED;
}
