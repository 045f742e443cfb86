/* SPDX-License-Identifier: MIT */
/*
 * record.c - run.db by way of SQLite.
 *
 *	record_create   WAL: a kill -9 at any instant leaves a record that can be read
 *	record_begin    put, put, ... every insert is a prepared statement, made at its first use and kept
 *	record_commit   the group is in, or all of it is out
 *	record_seal     rollback journal, meta complete = 1, fsync: one file
 *
 * Intervals and finals are savepoints: a malformed one leaves nothing of itself behind, and the group around it lives on.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "json_text.h"
#include "profile.h"
#include "record.h"

#define APPLICATION_ID 0x53514c4c	/* "SQLL", in the header of the file: tells our databases from others */
#define SCHEMA_VERSION 1
#define BUSY_MS 5000			/* a reader that checkpoints beside us */

static const char schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT);"
	"CREATE TABLE hosts(host TEXT PRIMARY KEY, roles TEXT, offset_ns INTEGER, offset_error_ns INTEGER, start_skew_ns INTEGER, lost_at_ns INTEGER);"
	"CREATE TABLE phases(idx INTEGER PRIMARY KEY, name TEXT, start_ns INTEGER, end_ns INTEGER);"
	"CREATE TABLE events(t_ns INTEGER, host TEXT, kind TEXT, fault_idx INTEGER, evidence TEXT);"
	"CREATE TABLE faults(idx INTEGER PRIMARY KEY, fault TEXT, host TEXT, verified TEXT, healed TEXT, inject_ns INTEGER, heal_ns INTEGER, healed_by TEXT, evidence TEXT);"
	"CREATE TABLE intervals(second INTEGER, host TEXT, job TEXT, op TEXT, phase TEXT, ok INTEGER, unknown INTEGER, response BLOB, service BLOB);"
	"CREATE TABLE errors(second INTEGER, host TEXT, job TEXT, op TEXT, phase TEXT, errno TEXT, nr INTEGER);"
	"CREATE TABLE job_seconds(second INTEGER, host TEXT, job TEXT, due INTEGER, issued INTEGER, ok INTEGER, errors INTEGER, unknown INTEGER,"
	" in_flight INTEGER, waiting INTEGER, not_issued INTEGER, oldest_ns INTEGER);"
	"CREATE TABLE censored(host TEXT, job TEXT, op TEXT, phase TEXT, kind TEXT, ages BLOB);"
	"CREATE TABLE pages(host TEXT, job TEXT, site INTEGER, due_ns INTEGER, done_ns INTEGER, outcome TEXT);"
	"CREATE TABLE pages_open(t_ns INTEGER, host TEXT, job TEXT, site INTEGER, due_ns INTEGER);"
	"CREATE TABLE samples(t_ns INTEGER, host TEXT, metric TEXT, label TEXT, value REAL, text TEXT);"
	"CREATE INDEX samples_by_metric ON samples(metric, t_ns);"
	"CREATE TABLE hung(host TEXT, pid INTEGER, tid INTEGER, op TEXT, path TEXT, age_ns INTEGER, wchan TEXT, stack TEXT);"
	"CREATE TABLE lag(host TEXT, phase TEXT, count INTEGER, p99_ns INTEGER, max_ns INTEGER, hiccup_p99_ns INTEGER, hiccup_max_ns INTEGER);"
	"CREATE TABLE totals(host TEXT, job TEXT, due INTEGER, ok INTEGER, errors TEXT, unknown INTEGER, in_flight INTEGER, not_issued INTEGER, PRIMARY KEY(host, job));"
	"CREATE TABLE signature(line INTEGER, text TEXT, held INTEGER, at_ns INTEGER, evidence TEXT);"
	"CREATE TABLE verdict(json TEXT);";

enum statement {
	PUT_META, GET_META, PUT_HOST, PUT_HOST_LOST, PUT_PHASE, PUT_EVENT, PUT_FAULT, PUT_INTERVAL, PUT_ERROR, PUT_JOB_SECOND,
	PUT_CENSORED, PUT_PAGE, PUT_PAGE_OPEN, PUT_SAMPLE, PUT_HUNG, PUT_LAG, PUT_TOTAL, SAVE, RELEASE, UNDO, BEGIN, COMMIT, ROLLBACK,
	STATEMENTS_NR
};

static const char *const sql[STATEMENTS_NR] = {
	[PUT_META] = "INSERT OR REPLACE INTO meta VALUES(?,?)",
	[GET_META] = "SELECT value FROM meta WHERE key = ?",
	[PUT_HOST] = ("INSERT INTO hosts VALUES(?,?,?,?,?,NULL) ON CONFLICT(host) DO UPDATE SET roles = excluded.roles, offset_ns = excluded.offset_ns,"
		      " offset_error_ns = excluded.offset_error_ns, start_skew_ns = excluded.start_skew_ns"),
	[PUT_HOST_LOST] = "INSERT INTO hosts(host, roles, lost_at_ns) VALUES(?,'',?) ON CONFLICT(host) DO UPDATE SET lost_at_ns = excluded.lost_at_ns",
	[PUT_PHASE] = "INSERT OR REPLACE INTO phases VALUES(?,?,?,?)",
	[PUT_EVENT] = "INSERT INTO events VALUES(?,?,?,?,?)",
	[PUT_FAULT] = "INSERT OR REPLACE INTO faults VALUES(?,?,?,?,?,?,?,?,?)",
	[PUT_INTERVAL] = "INSERT INTO intervals VALUES(?,?,?,?,?,?,?,?,?)",
	[PUT_ERROR] = "INSERT INTO errors VALUES(?,?,?,?,?,?,?)",
	[PUT_JOB_SECOND] = "INSERT INTO job_seconds VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
	[PUT_CENSORED] = "INSERT INTO censored VALUES(?,?,?,?,?,?)",
	[PUT_PAGE] = "INSERT INTO pages VALUES(?,?,?,?,?,?)",
	[PUT_PAGE_OPEN] = "INSERT INTO pages_open VALUES(?,?,?,?,?)",
	[PUT_SAMPLE] = "INSERT INTO samples VALUES(?,?,?,?,?,?)",
	[PUT_HUNG] = "INSERT INTO hung VALUES(?,?,?,?,?,?,?,?)",
	[PUT_LAG] = "INSERT INTO lag VALUES(?,?,?,?,?,?,?)",
	[PUT_TOTAL] = "INSERT OR REPLACE INTO totals VALUES(?,?,?,?,?,?,?,?)",
	[SAVE] = "SAVEPOINT item",
	[RELEASE] = "RELEASE item",
	[UNDO] = "ROLLBACK TO item",
	[BEGIN] = "BEGIN",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};

struct record {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS_NR];	/* NULL until the first use */
	char dir[PATH_MAX], path[PATH_MAX];
	int failed;		/* -errno of the first write that SQLite refused since record_begin(): that group cannot be committed */
};

static bool is_full(int system)
{
	return system == ENOSPC || system == EDQUOT || system == EFBIG;
}

/* SQLite calls a full disk SQLITE_FULL, but a full quota an I/O error: the errno is kept at the file, of the database or of its log. */
static bool db_is_full(struct record *r)
{
	sqlite3_file *log = NULL;
	int system = 0;

	(void)sqlite3_file_control(r->db, "main", SQLITE_FCNTL_LAST_ERRNO, &system);
	if (is_full(system))
		return true;
	(void)sqlite3_file_control(r->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (log && log->pMethods)
		(void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &system);
	return is_full(system);
}

/* The -errno of SQLite's last failure on this record, with the sentence. */
static int fail(struct record *r, struct err *err)
{
	int code = sqlite3_errcode(r->db), rc = -EIO;

	if (code == SQLITE_FULL || (code == SQLITE_IOERR && db_is_full(r)))
		rc = -ENOSPC;
	else if (code == SQLITE_NOMEM)
		rc = -ENOMEM;
	else if (code == SQLITE_READONLY || code == SQLITE_PERM)
		rc = -EROFS;
	else if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
		rc = -EBADMSG;
	else if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		rc = -EBUSY;
	else if (code == SQLITE_CANTOPEN && sqlite3_system_errno(r->db) > 0)
		rc = -sqlite3_system_errno(r->db);
	if (!r->failed)
		r->failed = rc;
	return err_set(err, rc, "%s: %s", r->path, rc == -ENOSPC ? "the disk is full" : sqlite3_errmsg(r->db));
}

static int statement_get(struct record *r, enum statement which, sqlite3_stmt **ret, struct err *err)
{
	if (!r->statements[which] &&
	    sqlite3_prepare_v3(r->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &r->statements[which], NULL) != SQLITE_OK)
		return fail(r, err);
	*ret = r->statements[which];
	return 0;
}

/* Blobs and texts are bound without a copy: they outlive the step, and the bindings are cleared after it. */
static int bind_one(sqlite3_stmt *s, int i, char kind, va_list *args)
{
	const void *data;
	const char *text;
	int64_t n;

	switch (kind) {
	case 'i':
		return sqlite3_bind_int64(s, i, va_arg(*args, int64_t));
	case 'n':	/* -1 stands for NULL */
		n = va_arg(*args, int64_t);
		return n == -1 ? sqlite3_bind_null(s, i) : sqlite3_bind_int64(s, i, n);
	case 'd':
		return sqlite3_bind_double(s, i, va_arg(*args, double));
	case '0':
		return sqlite3_bind_null(s, i);
	case 't':	/* NULL stands for '' */
		text = va_arg(*args, const char *);
		return sqlite3_bind_text(s, i, text ? text : "", -1, SQLITE_STATIC);
	case 'b':
		data = va_arg(*args, const void *);
		return sqlite3_bind_blob64(s, i, data ? data : "", va_arg(*args, uint64_t), SQLITE_STATIC);
	default:
		assert(false);	/* a kind of column that does not exist */
		return SQLITE_MISUSE;
	}
}

/*
 * Run a statement that gives no rows. `kinds` has a letter a column: i int64_t, n int64_t or NULL when -1, d double, t text, b pointer and
 * uint64_t bytes, 0 NULL (no argument). Integers must be passed as int64_t.
 */
static int put(struct record *r, enum statement which, struct err *err, const char *kinds, ...)
{
	sqlite3_stmt *s = NULL;
	va_list args;
	int rc, bound = SQLITE_OK;

	rc = statement_get(r, which, &s, err);
	if (rc < 0)
		return rc;
	va_start(args, kinds);
	for (int i = 0; kinds[i] != '\0' && bound == SQLITE_OK; i++)
		bound = bind_one(s, i + 1, kinds[i], &args);
	va_end(args);
	if (bound != SQLITE_OK || sqlite3_step(s) != SQLITE_DONE)
		rc = fail(r, err);
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
	return rc;
}

static int run_sql(struct record *r, const char *text, struct err *err)
{
	return sqlite3_exec(r->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(r, err);
}

/* The first column of the first row of a pragma. */
static int pragma_get(struct record *r, const char *text, char *out, size_t out_bytes, struct err *err)
{
	sqlite3_stmt *s = NULL;
	const unsigned char *value;
	int rc = 0;

	if (sqlite3_prepare_v2(r->db, text, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW) {
		rc = fail(r, err);
	} else {
		value = sqlite3_column_text(s, 0);
		if (!value && sqlite3_errcode(r->db) == SQLITE_NOMEM)
			rc = fail(r, err);
		(void)snprintf(out, out_bytes, "%s", value ? (const char *)value : "");
	}
	(void)sqlite3_finalize(s);
	return rc;
}

static int record_new(const char *dir, struct record **ret, struct err *err)
{
	struct record *r = calloc(1, sizeof *r);
	int n;

	if (!r)
		return err_set(err, -ENOMEM, "%s: no memory for the record", dir);
	n = snprintf(r->path, sizeof r->path, "%s/run.db", dir);
	if (n < 0 || (size_t)n >= sizeof r->path) {
		free(r);
		return err_set(err, -ENAMETOOLONG, "%s: the path of the record is too long", dir);
	}
	memcpy(r->dir, dir, strlen(dir) + 1);
	*ret = r;
	return 0;
}

static int db_open(struct record *r, int flags, struct err *err)
{
	if (sqlite3_open_v2(r->path, &r->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return r->db ? fail(r, err) : err_set(err, -ENOMEM, "%s: no memory to open it", r->path);
	(void)sqlite3_extended_result_codes(r->db, 0);
	(void)sqlite3_busy_timeout(r->db, BUSY_MS);
	return 0;
}

/* SQLite would open a file that is there; a record is made once. */
static int file_create(const char *path, struct err *err)
{
	int rc, fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0) {
		rc = -errno;
		return err_set(err, rc, "%s: %s", path, rc == -EEXIST ? "there is a record already" : strerror(-rc));
	}
	(void)close(fd);
	return 0;
}

static int schema_create(struct record *r, struct err *err)
{
	char mode[16] = "", head[128];
	int rc;

	rc = pragma_get(r, "PRAGMA journal_mode=WAL", mode, sizeof mode, err);
	if (rc < 0)
		return rc;
	if (strcmp(mode, "wal") != 0)
		return err_set(err, -ENOTSUP, "%s: this file system cannot hold a write-ahead log (no shared memory maps)", r->path);
	(void)snprintf(head, sizeof head, "PRAGMA synchronous=NORMAL; BEGIN; PRAGMA application_id=%d; PRAGMA user_version=%d;", APPLICATION_ID,
		       SCHEMA_VERSION);
	rc = run_sql(r, head, err);
	if (rc == 0)
		rc = run_sql(r, schema, err);
	if (rc == 0)
		rc = run_sql(r, "COMMIT", err);
	return rc;
}

int record_create(const char *dir, struct record **ret_record, struct err *err)
{
	struct record *r = NULL;
	char made[PATH_MAX] = "";
	int rc;

	rc = record_new(dir, &r, err);
	if (rc < 0)
		goto out;
	rc = file_mkdirs(dir, 0755, err);
	if (rc < 0)
		goto out;
	rc = file_create(r->path, err);
	if (rc < 0)
		goto out;
	memcpy(made, r->path, sizeof made);
	rc = db_open(r, SQLITE_OPEN_READWRITE, err);
	if (rc < 0)
		goto out;
	rc = schema_create(r, err);
	if (rc < 0)
		goto out;
	*ret_record = r;
	r = NULL;
out:
	record_close(r);
	if (rc < 0 && made[0] != '\0')
		(void)unlink(made);
	return rc;
}

static int schema_check(struct record *r, struct err *err)
{
	char id[16] = "", version[16] = "";
	struct err said = ERR_INIT;
	int rc;

	rc = pragma_get(r, "PRAGMA application_id", id, sizeof id, &said);
	if (rc == 0)
		rc = pragma_get(r, "PRAGMA user_version", version, sizeof version, &said);
	if (sqlite3_errcode(r->db) == SQLITE_NOTADB || (rc == 0 && strtol(id, NULL, 10) != APPLICATION_ID))
		return err_set(err, -EBADMSG, "%s: not a record of squall", r->path);
	if (rc < 0)
		return err_set(err, rc, "%s", said.text);
	if (strtol(version, NULL, 10) > SCHEMA_VERSION)
		return err_set(err, -EBADMSG, "%s: a newer squall wrote it (version %s of the record; this one reads %d); use that one", r->path, version,
			       SCHEMA_VERSION);
	if (strtol(version, NULL, 10) != SCHEMA_VERSION)
		return err_set(err, -EBADMSG, "%s: a record of version %s; this squall reads version %d", r->path, version, SCHEMA_VERSION);
	return 0;
}

int record_open(const char *dir, bool write, struct record **ret_record, struct err *err)
{
	struct record *r = NULL;
	int rc;

	rc = record_new(dir, &r, err);
	if (rc < 0)
		goto out;
	if (access(r->path, F_OK) != 0) {
		rc = -errno;
		(void)err_set(err, rc, "%s: %s", r->path, rc == -ENOENT ? "there is none; the folder of one run is wanted, such as results/PROFILE/latest" :
			      strerror(-rc));
		goto out;
	}
	rc = db_open(r, write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, err);
	if (rc < 0)
		goto out;
	rc = schema_check(r, err);
	if (rc < 0)
		goto out;
	if (write)
		rc = run_sql(r, "PRAGMA synchronous=NORMAL", err);
	if (rc < 0)
		goto out;
	*ret_record = r;
	r = NULL;
out:
	record_close(r);
	return rc;
}

static int sync_path(const char *path, int flags, struct err *err)
{
	int rc = 0, fd = open(path, flags | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		rc = -errno;
	if (fd >= 0)
		(void)close(fd);
	return rc < 0 ? err_set(err, rc, "%s: cannot be synced: %s", path, strerror(-rc)) : 0;
}

int record_seal(struct record *r, struct err *err)
{
	char mode[16] = "";
	int rc;

	r->failed = 0;
	rc = run_sql(r, "PRAGMA wal_checkpoint(TRUNCATE)", err);
	if (rc == 0)
		rc = pragma_get(r, "PRAGMA journal_mode=DELETE", mode, sizeof mode, err);
	if (rc < 0)
		return rc;
	if (strcmp(mode, "delete") != 0)
		return err_set(err, -EBUSY, "%s: cannot be sealed: somebody still reads it", r->path);
	/* The mark goes in last, and whole: a seal that was cut short is not a sealed record. */
	rc = run_sql(r, "PRAGMA synchronous=FULL", err);
	if (rc == 0)
		rc = record_meta(r, "complete", "1", err);
	if (rc == 0)
		rc = sync_path(r->path, O_RDONLY, err);
	if (rc == 0)
		rc = sync_path(r->dir, O_RDONLY | O_DIRECTORY, err);
	return rc;
}

void record_close(struct record *r)
{
	if (!r)
		return;
	for (int i = 0; i < STATEMENTS_NR; i++)
		(void)sqlite3_finalize(r->statements[i]);
	(void)sqlite3_close_v2(r->db);
	free(r);
}

sqlite3 *record_db(struct record *r)
{
	return r->db;
}

int record_begin(struct record *r, struct err *err)
{
	r->failed = 0;
	return put(r, BEGIN, err, "");
}

int record_commit(struct record *r, struct err *err)
{
	int failed = r->failed, rc = 0;

	if (!failed)
		rc = put(r, COMMIT, err, "");
	if ((failed || rc < 0) && !sqlite3_get_autocommit(r->db))
		(void)put(r, ROLLBACK, NULL, "");
	r->failed = 0;
	return failed ? err_set(err, failed, "%s: a write of this group failed, so none of it is in the record", r->path) : rc;
}

int record_meta(struct record *r, const char *key, const char *value, struct err *err)
{
	return put(r, PUT_META, err, "tt", key, value);
}

int record_meta_double(struct record *r, const char *key, double value, struct err *err)
{
	char text[40];

	(void)snprintf(text, sizeof text, "%.17g", value);
	return record_meta(r, key, text, err);
}

char *record_meta_get(struct record *r, const char *key)
{
	const unsigned char *value;
	sqlite3_stmt *s = NULL;
	char *copy = NULL;

	if (statement_get(r, GET_META, &s, NULL) < 0)
		return NULL;
	if (sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
		value = sqlite3_column_text(s, 0);
		copy = value ? strdup((const char *)value) : NULL;
	}
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
	return copy;
}

int record_host(struct record *r, const char *host, const char *roles, int64_t offset_ns, int64_t error_ns, int64_t start_skew_ns,
		struct err *err)
{
	return put(r, PUT_HOST, err, "ttiii", host, roles, offset_ns, error_ns, start_skew_ns);
}

int record_host_lost(struct record *r, const char *host, int64_t at_ns, struct err *err)
{
	return put(r, PUT_HOST_LOST, err, "ti", host, at_ns);
}

int record_phase(struct record *r, int idx, const char *name, int64_t start_ns, int64_t end_ns, struct err *err)
{
	return put(r, PUT_PHASE, err, "itii", (int64_t)idx, name, start_ns, end_ns);
}

int record_event(struct record *r, int64_t t_ns, const char *host, const char *kind, int fault_idx, const char *evidence, struct err *err)
{
	return put(r, PUT_EVENT, err, "ittnt", t_ns, host, kind, (int64_t)fault_idx, evidence);
}

int record_fault(struct record *r, int idx, const char *fault, const char *host, const char *verified, const char *healed,
		 int64_t inject_ns, int64_t heal_ns, const char *healed_by, const char *evidence, struct err *err)
{
	return put(r, PUT_FAULT, err, "ittttnntt", (int64_t)idx, fault, host, verified, healed, inject_ns, heal_ns, healed_by, evidence);
}

int record_sample(struct record *r, const char *host, int64_t t_ns, const json_t *sample, struct err *err)
{
	const char *metric = json_string_value(json_object_get(sample, "metric"));
	const char *label = json_string_value(json_object_get(sample, "label"));
	const char *text = json_string_value(json_object_get(sample, "text"));
	const json_t *value = json_object_get(sample, "value");

	if (!metric)
		return err_set(err, -EBADMSG, "host %s: a sample without a metric", host);
	if (json_is_number(value))
		return put(r, PUT_SAMPLE, err, "itttdt", t_ns, host, metric, label, json_number_value(value), text);
	return put(r, PUT_SAMPLE, err, "ittt0t", t_ns, host, metric, label, text);
}

/* What the walks below share: whose message it is, and where failures go. */
struct message {
	struct record *record;
	const char *host, *what;	/* what: "interval" or "final" */
	const char *const *jobs;	/* names by job_idx; ends at NULL or JOBS_MAX */
	int64_t second, end_ns;
	struct err *err;
};

static int malformed(const struct message *m, const char *where)
{
	return err_set(m->err, -EBADMSG, "host %s: malformed %s: %s", m->host, m->what, where);
}

static int unpack(const struct message *m, const json_t *json, const char *where, const char *format, ...)
{
	json_error_t why;
	va_list args;
	int rc;

	va_start(args, format);
	rc = json_vunpack_ex((json_t *)(uintptr_t)json, &why, 0, format, args);	/* the API lacks the const; unpacking changes nothing */
	va_end(args);
	if (rc == 0)
		return 0;
	rc = json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	return err_set(m->err, rc, "host %s: %s %s: %s: %s", m->host, rc == -ENOMEM ? "no memory for the" : "malformed", m->what, where, why.text);
}

/* @param flags  of jansson. @param ret malloc'ed text of an object or an array */
static int dump(const struct message *m, const json_t *json, const char *where, size_t flags, char **ret)
{
	if (!json_is_object(json) && !json_is_array(json))
		return malformed(m, where);
	*ret = json_text(json, JSON_COMPACT | flags);
	return *ret ? 0 : err_set(m->err, -ENOMEM, "host %s: no memory for the %s: %s", m->host, m->what, where);
}

static int put_each(const struct message *m, const json_t *array, const char *where, int (*one)(const struct message *m, const json_t *item))
{
	int rc = 0;

	if (!json_is_array(array))
		return malformed(m, where);
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++)
		rc = one(m, json_array_get(array, i));
	return rc;
}

static int64_t errors_sum(const json_t *errors)
{
	int64_t sum = 0;
	const char *name;
	json_t *nr;

	json_object_foreach((json_t *)(uintptr_t)errors, name, nr)
		sum += json_integer_value(nr);
	return sum;
}

static int blob_get(const struct message *m, const char *base64, uint8_t **ret, size_t *ret_bytes)
{
	int rc = base64_decode(base64, ret, ret_bytes);

	return rc < 0 ? err_set(m->err, rc, "host %s: malformed %s: a histogram is not base64", m->host, m->what) : 0;
}

static int put_hist(const struct message *m, const char *job, const json_t *hist)
{
	const char *op, *phase, *response64, *service64, *name;
	uint8_t *response = NULL, *service = NULL;
	size_t response_bytes = 0, service_bytes = 0;
	json_t *errors = NULL, *nr;
	json_int_t ok, unknown;
	int rc;

	rc = unpack(m, hist, "hists", "{s:s, s:s, s:I, s:o, s:I, s:s, s:s}", "op", &op, "phase", &phase, "ok", &ok, "errors", &errors,
		    "unknown", &unknown, "response", &response64, "service", &service64);
	if (rc < 0)
		goto out;
	rc = blob_get(m, response64, &response, &response_bytes);
	if (rc < 0)
		goto out;
	rc = blob_get(m, service64, &service, &service_bytes);
	if (rc < 0)
		goto out;
	rc = put(m->record, PUT_INTERVAL, m->err, "ittttiibb", m->second, m->host, job, op, phase, (int64_t)ok, (int64_t)unknown,
		 (const void *)response, (uint64_t)response_bytes, (const void *)service, (uint64_t)service_bytes);
	json_object_foreach(errors, name, nr) {
		if (rc == 0)
			rc = put(m->record, PUT_ERROR, m->err, "ittttti", m->second, m->host, job, op, phase, name,
				 (int64_t)json_integer_value(nr));
	}
out:
	free(response);
	free(service);
	return rc;
}

static int put_job(const struct message *m, const json_t *item)
{
	json_int_t due, issued, ok, unknown, in_flight, waiting, not_issued, oldest_ns;
	json_t *errors = NULL, *hists = NULL;
	const char *job;
	int rc;

	rc = unpack(m, item, "jobs", "{s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "job", &job, "due", &due, "issued", &issued,
		    "ok", &ok, "errors", &errors, "unknown", &unknown, "in_flight", &in_flight, "waiting", &waiting, "not_issued", &not_issued,
		    "oldest_ns", &oldest_ns, "hists", &hists);
	if (rc < 0)
		return rc;
	rc = put(m->record, PUT_JOB_SECOND, m->err, "ittiiiiiiiii", m->second, m->host, job, (int64_t)due, (int64_t)issued, (int64_t)ok,
		 errors_sum(errors), (int64_t)unknown, (int64_t)in_flight, (int64_t)waiting, (int64_t)not_issued, (int64_t)oldest_ns);
	if (rc == 0 && !json_is_array(hists))
		rc = malformed(m, "hists");
	for (size_t i = 0; rc == 0 && i < json_array_size(hists); i++)
		rc = put_hist(m, job, json_array_get(hists, i));
	return rc;
}

static const char *job_name(const struct message *m, json_int_t idx)
{
	if (idx < 0 || idx >= JOBS_MAX || !m->jobs)
		return NULL;
	for (json_int_t i = 0; i < idx; i++) {
		if (!m->jobs[i])
			return NULL;
	}
	return m->jobs[idx];
}

static int put_page(const struct message *m, const json_t *item)
{
	json_int_t idx, site, due_ns, done_ns;
	const char *outcome, *job;
	int rc;

	rc = unpack(m, item, "pages", "[I, I, I, I, s]", &idx, &site, &due_ns, &done_ns, &outcome);
	if (rc < 0)
		return rc;
	job = job_name(m, idx);
	if (!job)
		return malformed(m, "a page of a job that does not exist");
	return put(m->record, PUT_PAGE, m->err, "ttiiit", m->host, job, (int64_t)site, (int64_t)due_ns, (int64_t)done_ns, outcome);
}

static int put_page_open(const struct message *m, const json_t *item)
{
	json_int_t idx, site, due_ns;
	const char *job;
	int rc;

	rc = unpack(m, item, "open", "[I, I, I]", &idx, &site, &due_ns);
	if (rc < 0)
		return rc;
	job = job_name(m, idx);
	if (!job)
		return malformed(m, "an open page of a job that does not exist");
	return put(m->record, PUT_PAGE_OPEN, m->err, "ittii", m->end_ns, m->host, job, (int64_t)site, (int64_t)due_ns);
}

/* The end of a savepoint: keep it, or leave nothing of it. SQLite has undone it already when it gave up the whole transaction. */
static int item_end(struct record *r, int rc, struct err *err)
{
	if (rc == 0)
		return put(r, RELEASE, err, "");
	if (!sqlite3_get_autocommit(r->db)) {
		(void)put(r, UNDO, NULL, "");
		(void)put(r, RELEASE, NULL, "");
	}
	return rc;
}

int record_interval(struct record *r, const char *host, const json_t *interval, const char *const jobs[], struct err *err)
{
	struct message m = { .record = r, .host = host, .what = "interval", .jobs = jobs, .err = err };
	json_t *job_items = NULL, *pages = NULL, *open_pages = NULL;
	json_int_t second, end_ns;
	int rc;

	rc = unpack(&m, interval, "its head", "{s:I, s:I, s:o, s:o, s:o}", "second", &second, "end_ns", &end_ns, "jobs", &job_items, "pages",
		    &pages, "open", &open_pages);
	if (rc < 0)
		return rc;
	m.second = second;
	m.end_ns = end_ns;
	rc = put(r, SAVE, err, "");
	if (rc < 0)
		return rc;
	rc = put_each(&m, job_items, "jobs", put_job);
	if (rc == 0)
		rc = put_each(&m, pages, "pages", put_page);
	if (rc == 0)
		rc = put_each(&m, open_pages, "open", put_page_open);
	return item_end(r, rc, err);
}

static int put_total(const struct message *m, const json_t *item)
{
	json_int_t due, ok, unknown, in_flight, not_issued;
	json_t *errors = NULL;
	const char *job;
	char *text;
	int rc;

	rc = unpack(m, item, "jobs", "{s:s, s:I, s:I, s:o, s:I, s:I, s:I}", "job", &job, "due", &due, "ok", &ok, "errors", &errors, "unknown",
		    &unknown, "in_flight", &in_flight, "not_issued", &not_issued);
	if (rc < 0)
		return rc;
	rc = dump(m, errors, "errors", JSON_SORT_KEYS, &text);
	if (rc < 0)
		return rc;
	rc = put(m->record, PUT_TOTAL, m->err, "ttiitiii", m->host, job, (int64_t)due, (int64_t)ok, text, (int64_t)unknown, (int64_t)in_flight,
		 (int64_t)not_issued);
	free(text);
	return rc;
}

static int put_censored(const struct message *m, const json_t *item)
{
	const char *job, *op, *phase, *kind, *ages64;
	uint8_t *ages = NULL;
	size_t bytes = 0;
	int rc;

	rc = unpack(m, item, "censored", "{s:s, s:s, s:s, s:s, s:s}", "job", &job, "op", &op, "phase", &phase, "kind", &kind, "ages", &ages64);
	if (rc == 0)
		rc = blob_get(m, ages64, &ages, &bytes);
	if (rc == 0)
		rc = put(m->record, PUT_CENSORED, m->err, "tttttb", m->host, job, op, phase, kind, (const void *)ages, (uint64_t)bytes);
	free(ages);
	return rc;
}

static int put_hung(const struct message *m, const json_t *item)
{
	const char *op, *path, *wchan;
	json_int_t pid, tid, age_ns;
	json_t *stack = NULL;
	char *text;
	int rc;

	rc = unpack(m, item, "hung", "{s:I, s:I, s:s, s:s, s:I, s:s, s:o}", "pid", &pid, "tid", &tid, "op", &op, "path", &path, "age_ns", &age_ns,
		    "wchan", &wchan, "stack", &stack);
	if (rc < 0)
		return rc;
	rc = dump(m, stack, "stack", 0, &text);
	if (rc < 0)
		return rc;
	rc = put(m->record, PUT_HUNG, m->err, "tiittitt", m->host, (int64_t)pid, (int64_t)tid, op, path, (int64_t)age_ns, wchan, text);
	free(text);
	return rc;
}

static int put_lag(const struct message *m, const json_t *item)
{
	json_int_t count, p99_ns, max_ns, hiccup_p99_ns, hiccup_max_ns;
	const char *phase;
	int rc;

	rc = unpack(m, item, "lag", "{s:s, s:I, s:I, s:I, s:I, s:I}", "phase", &phase, "count", &count, "p99_ns", &p99_ns, "max_ns", &max_ns,
		    "hiccup_p99_ns", &hiccup_p99_ns, "hiccup_max_ns", &hiccup_max_ns);
	if (rc < 0)
		return rc;
	return put(m->record, PUT_LAG, m->err, "ttiiiii", m->host, phase, (int64_t)count, (int64_t)p99_ns, (int64_t)max_ns, (int64_t)hiccup_p99_ns,
		   (int64_t)hiccup_max_ns);
}

/* meta WHAT.HOST as JSON; nothing when there is none. */
static int put_meta_json(const struct message *m, const char *what, const json_t *json)
{
	char key[160], *text;
	int rc;

	if (!json)
		return 0;
	rc = dump(m, json, what, 0, &text);
	if (rc < 0)
		return rc;
	(void)snprintf(key, sizeof key, "%s.%s", what, m->host);
	rc = record_meta(m->record, key, text, m->err);
	free(text);
	return rc;
}

/* meta engines.HOST, when the host named any. */
static int put_engines(const struct message *m, const json_t *jobs)
{
	json_t *engines = json_object();
	int rc = engines ? 0 : err_set(m->err, -ENOMEM, "record: no memory");

	for (size_t i = 0; i < json_array_size(jobs) && rc == 0; i++) {
		const char *job, *engine = NULL, *why = NULL;

		rc = unpack(m, json_array_get(jobs, i), "jobs", "{s:s, s?s, s?s}", "job", &job, "engine", &engine, "engine_why", &why);
		if (rc == 0 && engine && json_object_set_new(engines, job, json_pack("{s:s, s:s*}", "engine", engine, "why", why)) < 0)
			rc = err_set(m->err, -ENOMEM, "record: no memory");
	}
	if (rc == 0 && json_object_size(engines) > 0)
		rc = put_meta_json(m, "engines", engines);
	json_decref(engines);
	return rc;
}

/* meta retries.HOST: the attempts of each job that has a retry. */
static int put_retries(const struct message *m, const json_t *jobs)
{
	json_t *retries = json_object();
	int rc = retries ? 0 : err_set(m->err, -ENOMEM, "record: no memory");

	for (size_t i = 0; i < json_array_size(jobs) && rc == 0; i++) {
		json_t *retry = NULL;
		const char *job;

		rc = unpack(m, json_array_get(jobs, i), "jobs", "{s:s, s?o}", "job", &job, "retry", &retry);
		if (rc == 0 && retry && json_object_set(retries, job, retry) < 0)
			rc = err_set(m->err, -ENOMEM, "record: no memory");
	}
	if (rc == 0 && json_object_size(retries) > 0)
		rc = put_meta_json(m, "retries", retries);
	json_decref(retries);
	return rc;
}

/* What has no table: pages that did not fit their ring, a worker that died, processes that could not be ended, damaged files. Only when there were any. */
static int put_leftovers(const struct message *m, json_int_t dropped_pages, bool died, const json_t *left, const json_t *damage)
{
	char key[160], value[32];
	int rc = 0;

	if (dropped_pages > 0) {
		(void)snprintf(key, sizeof key, "dropped_pages.%s", m->host);
		(void)snprintf(value, sizeof value, "%lld", (long long)dropped_pages);
		rc = record_meta(m->record, key, value, m->err);
	}
	if (rc == 0 && died) {
		(void)snprintf(key, sizeof key, "worker_died.%s", m->host);
		rc = record_meta(m->record, key, "1", m->err);
	}
	if (rc == 0 && json_array_size(left) > 0)
		rc = put_meta_json(m, "left", left);
	return rc < 0 ? rc : put_meta_json(m, "damage", damage);
}

int record_final(struct record *r, const char *host, const json_t *final, struct err *err)
{
	struct message m = { .record = r, .host = host, .what = "final", .err = err };
	json_t *jobs = NULL, *censored = NULL, *hung = NULL, *lag = NULL, *left = NULL, *damage = NULL;
	json_int_t dropped_pages = 0;
	int rc, died = 0;

	rc = unpack(&m, final, "its head", "{s:o, s:o, s:o, s:o, s?I, s?b, s?o, s?o}", "jobs", &jobs, "censored", &censored, "hung", &hung, "lag", &lag,
		    "dropped_pages", &dropped_pages, "worker_died", &died, "left", &left, "damage", &damage);
	if (rc < 0)
		return rc;
	rc = put(r, SAVE, err, "");
	if (rc < 0)
		return rc;
	rc = put_each(&m, jobs, "jobs", put_total);
	if (rc == 0)
		rc = put_each(&m, censored, "censored", put_censored);
	if (rc == 0)
		rc = put_each(&m, hung, "hung", put_hung);
	if (rc == 0)
		rc = put_each(&m, lag, "lag", put_lag);
	if (rc == 0)
		rc = put_leftovers(&m, dropped_pages, died, left, damage);
	if (rc == 0)
		rc = put_engines(&m, jobs);
	if (rc == 0)
		rc = put_retries(&m, jobs);
	return item_end(r, rc, err);
}
