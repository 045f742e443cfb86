/* SPDX-License-Identifier: MIT */
/*
 * record.c - run.db by way of SQLite.
 *
 *	record_create   WAL: a kill -9 at any instant leaves a record that can be read
 *	record_begin    put, put, ... every insert is a prepared statement, made at its first use and kept
 *	record_commit   the group is in, or all of it is out
 *	record_seal     rollback journal, meta complete = 1, fsync: one file
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
#include "record_db.h"

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
	"CREATE TABLE ops(host TEXT, job TEXT, op TEXT, path TEXT, due_ns INTEGER, issued_ns INTEGER, done_ns INTEGER, outcome TEXT);"
	"CREATE TABLE samples(t_ns INTEGER, host TEXT, metric TEXT, label TEXT, value REAL, text TEXT);"
	"CREATE INDEX samples_by_metric ON samples(metric, t_ns);"
	"CREATE TABLE hung(host TEXT, pid INTEGER, tid INTEGER, op TEXT, path TEXT, age_ns INTEGER, wchan TEXT, stack TEXT);"
	"CREATE TABLE lag(host TEXT, phase TEXT, count INTEGER, p99_ns INTEGER, max_ns INTEGER, hiccup_p99_ns INTEGER, hiccup_max_ns INTEGER);"
	"CREATE TABLE totals(host TEXT, job TEXT, due INTEGER, ok INTEGER, errors TEXT, unknown INTEGER, in_flight INTEGER, not_issued INTEGER, PRIMARY KEY(host, job));"
	"CREATE TABLE signature(line INTEGER, text TEXT, held INTEGER, at_ns INTEGER, evidence TEXT);"
	"CREATE TABLE verdict(json TEXT);";

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
	[PUT_OP] = "INSERT INTO ops VALUES(?,?,?,?,?,?,?,?)",
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

int record_put(struct record *r, enum statement which, struct err *err, const char *kinds, ...)
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
		(void)err_set(err, rc, "%s: %s", r->path, rc == -ENOENT || rc == -ENOTDIR ? "there is none; the folder of one run is wanted, such as results/PROFILE/latest" :
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

int record_query(struct record *r, const char *text, const char *const texts[], int (*take)(void *row, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *s = NULL;
	int rc = 0, step = SQLITE_DONE;

	if (sqlite3_prepare_v2(r->db, text, -1, &s, NULL) != SQLITE_OK)
		return err_set(err, -EIO, "the record cannot be read: %s", sqlite3_errmsg(r->db));
	for (int i = 0; texts && texts[i]; i++)
		(void)sqlite3_bind_text(s, i + 1, texts[i], -1, SQLITE_STATIC);
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
		rc = take(s, arg);
	if (rc == 0 && step != SQLITE_DONE)
		rc = err_set(err, -EIO, "the record cannot be read: %s", sqlite3_errmsg(r->db));
	(void)sqlite3_finalize(s);
	return rc;
}

int record_begin(struct record *r, struct err *err)
{
	r->failed = 0;
	return record_put(r, BEGIN, err, "");
}

int record_commit(struct record *r, struct err *err)
{
	int failed = r->failed, rc = 0;

	if (!failed)
		rc = record_put(r, COMMIT, err, "");
	if ((failed || rc < 0) && !sqlite3_get_autocommit(r->db))
		(void)record_put(r, ROLLBACK, NULL, "");
	r->failed = 0;
	return failed ? err_set(err, failed, "%s: a write of this group failed, so none of it is in the record", r->path) : rc;
}

int record_meta(struct record *r, const char *key, const char *value, struct err *err)
{
	return record_put(r, PUT_META, err, "tt", key, value);
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
	return record_put(r, PUT_HOST, err, "ttiii", host, roles, offset_ns, error_ns, start_skew_ns);
}

int record_host_lost(struct record *r, const char *host, int64_t at_ns, struct err *err)
{
	return record_put(r, PUT_HOST_LOST, err, "ti", host, at_ns);
}

int record_phase(struct record *r, int idx, const char *name, int64_t start_ns, int64_t end_ns, struct err *err)
{
	return record_put(r, PUT_PHASE, err, "itii", (int64_t)idx, name, start_ns, end_ns);
}

int record_event(struct record *r, int64_t t_ns, const char *host, const char *kind, int fault_idx, const char *evidence, struct err *err)
{
	return record_put(r, PUT_EVENT, err, "ittnt", t_ns, host, kind, (int64_t)fault_idx, evidence);
}

int record_fault(struct record *r, int idx, const char *fault, const char *host, const char *verified, const char *healed,
		 int64_t inject_ns, int64_t heal_ns, const char *healed_by, const char *evidence, struct err *err)
{
	return record_put(r, PUT_FAULT, err, "ittttnntt", (int64_t)idx, fault, host, verified, healed, inject_ns, heal_ns, healed_by, evidence);
}
