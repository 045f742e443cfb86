/* SPDX-License-Identifier: MIT */
/*
 * audit.c - adds records to the log and verifies it.
 *
 *	lock ─> last record, verified ─> cut off what was never finished ─> write ─> fsync ─> unlock
 *
 * A writer looks at the last record alone; the whole chain is verified by who reads it (chaos_audit). All of it is done in a child that may be
 * left behind: a disk that does not answer may keep a fault from being injected, but not from being healed.
 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "chaos.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "journal.h"
#include "json_text.h"
#include "tool.h"

#define AUDIT_WRITE_NS (10 * NS_PER_S)	/* with the wait for the lock */
#define AUDIT_LOCK_NS (5 * NS_PER_S)
#define AUDIT_LOCK_LOOK_NS (10 * NS_PER_MS)
#define AUDIT_ROOM_BYTES (1u << 20)	/* an entry of the journal of at most 256 KiB, written beside its predecessor, and a few records */

static const char no_record[AUDIT_SHA_BYTES] = "0000000000000000000000000000000000000000000000000000000000000000";

/* The end of the log, as a writer needs it. */
struct tail {
	uint64_t nr;			/* of the last record; 0 = there is none */
	char sha[AUDIT_SHA_BYTES];
	off_t end;			/* of the last record; what follows was never finished */
	off_t size;			/* of the file */
};

static void audit_path(char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/audit.log", journal_state_dir());
}

/* @return false: libcrypto could not do it */
static bool sha256(const char *text, size_t bytes, char ret[AUDIT_SHA_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int nr = 0;

	if (EVP_Digest(text, bytes, digest, &nr, EVP_sha256(), NULL) != 1 || 2 * nr + 1 != AUDIT_SHA_BYTES)
		return false;
	for (unsigned int i = 0; i < nr; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return true;
}

/* A line without its newline, by itself. @return what is wrong with it, or NULL and the record */
static const char *parse_record(const char *line, size_t bytes, json_t **ret_record)
{
	char sha[AUDIT_SHA_BYTES];
	const char *text;
	json_t *record;

	if (bytes <= AUDIT_SHA_BYTES || line[AUDIT_SHA_BYTES - 1] != ' ')
		return "it is no record";
	text = line + AUDIT_SHA_BYTES;
	bytes -= AUDIT_SHA_BYTES;
	if (!sha256(text, bytes, sha) || memcmp(sha, line, AUDIT_SHA_BYTES - 1) != 0)
		return "its text is not that of its SHA-256";
	record = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
	if (json_integer_value(json_object_get(record, "nr")) < 1 || !json_is_string(json_object_get(record, "prev"))) {
		json_decref(record);
		return "it has no number, or names no record before it";
	}
	*ret_record = record;
	return NULL;
}

static const char *check_link(const json_t *record, const struct audit_report *before)
{
	if ((uint64_t)json_integer_value(json_object_get(record, "nr")) != before->records + 1)
		return "its number does not follow that of the record before";
	if (strcmp(json_string_value(json_object_get(record, "prev")), before->head) != 0)
		return "its prev is not the SHA-256 of the record before";
	return NULL;
}

void audit_check(const char *text, size_t bytes, json_t *ret_records, struct audit_report *ret_report)
{
	const char *end = text + bytes;

	*ret_report = (struct audit_report){ .records = 0 };
	memcpy(ret_report->head, no_record, sizeof no_record);
	while (text < end && !ret_report->problem) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		json_t *record = NULL;

		if (newline)
			ret_report->problem = parse_record(text, (size_t)(newline - text), &record);
		else
			ret_report->problem = "it is unfinished: the host went down while it was written, or its end was taken away; the next record takes its place";
		if (!ret_report->problem)
			ret_report->problem = check_link(record, ret_report);
		if (!ret_report->problem) {
			ret_report->records++;
			memcpy(ret_report->head, text, AUDIT_SHA_BYTES - 1);
			text = newline + 1;
			if (ret_records)
				json_array_append(ret_records, record);
		}
		json_decref(record);
	}
}

/* flock(2) knows no deadline. Who holds it writes a line and fsyncs it. */
static int lock(int fd, int how, struct err *err)
{
	uint64_t end_ns = clock_mono_ns() + AUDIT_LOCK_NS;

	while (flock(fd, how | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(err, -errno, "it cannot be locked: %s", strerror(errno));
		if (clock_mono_ns() >= end_ns)
			return err_set(err, -EAGAIN, "another process holds it and does not let go; lslocks names it");
		clock_sleep_until_ns(clock_mono_ns() + AUDIT_LOCK_LOOK_NS);
	}
	return 0;
}

static int open_locked(const char *path, int *ret_fd, struct err *err)
{
	*ret_fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? err_set(err, -errno, "%s", strerror(errno)) : lock(*ret_fd, LOCK_EX, err);
}

static int broken(struct err *err, const char *problem)
{
	return err_set(err, -EBADMSG, "the last record is broken (%s): squall chaos audit says since when; moved aside, a new log begins", problem);
}

/* Takes the last record in a piece of the log that ends where the log does. @param whole  the piece is all of the log */
static int parse_tail(const char *piece, size_t bytes, bool whole, struct tail *tail, struct err *err)
{
	const char *newline = memrchr(piece, '\n', bytes), *begin, *problem;
	size_t unfinished = newline ? bytes - (size_t)(newline + 1 - piece) : bytes;
	json_t *record = NULL;

	tail->end = tail->size - (off_t)unfinished;
	if (unfinished >= AUDIT_LINE_MAX || (!newline && !whole))
		return broken(err, "it is longer than any");
	if (!newline)
		return 0;
	begin = memrchr(piece, '\n', (size_t)(newline - piece));
	begin = begin ? begin + 1 : piece;
	problem = parse_record(begin, (size_t)(newline - begin), &record);
	if (problem)
		return broken(err, problem);
	tail->nr = (uint64_t)json_integer_value(json_object_get(record, "nr"));
	memcpy(tail->sha, begin, AUDIT_SHA_BYTES - 1);
	json_decref(record);
	return 0;
}

static int read_tail(int fd, struct tail *tail, struct err *err)
{
	char piece[2 * AUDIT_LINE_MAX];
	size_t bytes = sizeof piece;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	if (st.st_size > 2 * (off_t)AUDIT_BYTES_MAX)
		return err_set(err, -EFBIG, "it has more than %u MiB; moved aside, a new log begins", 2 * (AUDIT_BYTES_MAX >> 20));
	tail->size = st.st_size;
	if (st.st_size < (off_t)bytes)
		bytes = (size_t)st.st_size;
	if (pread(fd, piece, bytes, st.st_size - (off_t)bytes) != (ssize_t)bytes)
		return err_set(err, -EIO, "its end cannot be read");
	return parse_tail(piece, bytes, st.st_size == (off_t)bytes, tail, err);
}

static json_t *plain(const char *text)
{
	char copy[ERR_TEXT_BYTES];

	(void)snprintf(copy, sizeof copy, "%s", text ? text : "");
	tool_plain(copy);
	return json_string(copy);
}

/* Who, where and when; then what. */
static json_t *record_of(const struct audit_act *act, const struct tail *tail)
{
	static const char *const of_fault[] = { "id", "fault", "args" };
	int64_t login = tool_login_uid();
	char boot_id[64] = "";
	struct utsname host;
	json_t *record;
	int rc;

	(void)uname(&host);
	(void)tool_boot_id(boot_id, sizeof boot_id);
	record = json_pack("{s:I, s:s, s:I, s:I, s:s, s:o, s:I, s:o, s:s, s:s, s:s, s:o}", "nr", (json_int_t)tail->nr + 1, "prev", tail->sha, "utc_ns",
			   (json_int_t)clock_utc_ns(), "mono_ns", (json_int_t)clock_mono_ns(), "boot_id", boot_id, "host", plain(host.nodename), "uid",
			   (json_int_t)getuid(), "login_uid", login < 0 ? json_null() : json_integer(login), "act", act->act, "why", act->why, "result",
			   act->result, "evidence", plain(act->evidence));
	rc = record ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < sizeof of_fault / sizeof of_fault[0]; i++)
		if (json_object_get(act->entry, of_fault[i]))
			rc = json_object_set(record, of_fault[i], json_object_get(act->entry, of_fault[i]));
	if (rc == 0 && tail->end < tail->size)
		rc = json_object_set_new(record, "cut_bytes", json_integer(tail->size - tail->end));
	if (rc == 0)
		return record;
	json_decref(record);
	return NULL;
}

static int format_line(const json_t *record, char *ret, size_t bytes, struct err *err)
{
	char *text = json_text(record, JSON_COMPACT | JSON_SORT_KEYS);
	char sha[AUDIT_SHA_BYTES];
	int rc = 0;

	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	if (!sha256(text, strlen(text), sha))
		rc = err_set(err, -EIO, "libcrypto makes no SHA-256");
	else if (snprintf(ret, bytes, "%s %s\n", sha, text) >= (int)bytes)
		rc = err_set(err, -E2BIG, "a record of more than %zu bytes", bytes);
	free(text);
	return rc;
}

/* Whole and on the disk, or not there. */
static int append(int fd, const char *line, const struct tail *tail, struct err *err)
{
	int rc;

	if (tail->end < tail->size && ftruncate(fd, tail->end) < 0)
		return err_set(err, -errno, "the unfinished record at its end cannot be cut off: %s", strerror(errno));
	rc = file_write_all(fd, line, strlen(line));
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc < 0) {
		err_set(err, rc, "%s", strerror(-rc));
		(void)!ftruncate(fd, tail->end);
	}
	return rc;
}

int audit_append(const struct audit_act *act, struct err *err)
{
	struct tail tail = { .nr = 0 };
	struct err e = ERR_INIT;
	char path[600], line[AUDIT_LINE_MAX];
	json_t *record;
	int fd = -1, rc = file_mkdirs(journal_state_dir(), 0700, err);

	if (rc < 0)
		return rc;
	memcpy(tail.sha, no_record, sizeof no_record);
	audit_path(path, sizeof path);
	rc = open_locked(path, &fd, &e);
	if (rc == 0)
		rc = read_tail(fd, &tail, &e);
	if (rc == 0) {
		record = record_of(act, &tail);
		rc = format_line(record, line, sizeof line, &e);
		json_decref(record);
	}
	if (rc == 0)
		rc = append(fd, line, &tail, &e);
	if (rc == 0 && tail.size == 0)
		rc = file_sync_folder(journal_state_dir(), &e);
	if (fd >= 0)
		close(fd);
	return rc < 0 ? err_set(err, rc, "%s: %s", path, e.text) : 0;
}

struct said {
	int rc;
	struct err err;
};

static int append_child(int fd, void *arg)
{
	struct said said = { .err = ERR_INIT };

	said.rc = audit_append(arg, &said.err);
	return file_write_all(fd, &said, sizeof said) < 0;
}

int audit_write(const struct audit_act *act, struct err *err)
{
	struct said said = { .rc = -EIO, .err = { "the process that writes the audit log died" } };
	struct exec_result result = EXEC_RESULT_INIT;
	struct err e = ERR_INIT;
	int rc = exec_child(append_child, (void *)(uintptr_t)act, AUDIT_WRITE_NS, &result, &e);

	if (rc == 0 && result.out_bytes == sizeof said)
		memcpy(&said, result.out, sizeof said);
	exec_result_release(&result);
	if (rc < 0)
		return err_set(err, rc, "the audit log in %s cannot be written: %s", journal_state_dir(), e.text);
	return said.rc < 0 ? err_set(err, said.rc, "%s", said.err.text) : 0;
}

/* Of the folder, or of the nearest above it that is there: it is made with the first entry. */
static int free_bytes(uint64_t *ret, struct err *err)
{
	struct statvfs v;
	char path[512];
	char *slash;

	(void)snprintf(path, sizeof path, "%s", journal_state_dir());
	while (statvfs(path, &v) < 0) {
		slash = strrchr(path, '/');
		if (errno != ENOENT || !slash || slash[1] == '\0')
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
		slash[slash == path] = '\0';
	}
	*ret = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

int audit_room(struct err *err)
{
	uint64_t bytes = 0;
	char path[600];
	struct stat st;
	int rc = free_bytes(&bytes, err);

	if (rc == 0 && bytes < AUDIT_ROOM_BYTES)
		return err_set(err, -ENOSPC, "%s has %" PRIu64 " KiB free, and journal and audit log want %u: make room", journal_state_dir(), bytes >> 10,
			       AUDIT_ROOM_BYTES >> 10);
	audit_path(path, sizeof path);
	if (rc == 0 && stat(path, &st) == 0 && st.st_size > (off_t)AUDIT_BYTES_MAX)
		return err_set(err, -EFBIG, "%s has more than %u MiB; moved aside, a new log begins", path, AUDIT_BYTES_MAX >> 20);
	return rc;
}

/* The text as it stands between two writers; "" when there is no log. @param ret_text malloc'ed */
static int read_log(const char *path, char **ret_text, size_t *ret_bytes, struct err *err)
{
	struct err e = ERR_INIT;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0 && errno == ENOENT) {
		*ret_bytes = 0;
		*ret_text = strdup("");
		return *ret_text ? 0 : err_set(err, -ENOMEM, "out of memory");
	}
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = lock(fd, LOCK_SH, &e);
	if (rc < 0)
		(void)err_set(err, rc, "%s: %s", path, e.text);
	else
		rc = file_read(path, 2 * AUDIT_BYTES_MAX + AUDIT_LINE_MAX, ret_text, ret_bytes, err);
	close(fd);
	return rc;
}

int chaos_audit(json_t **ret_audit, struct err *err)
{
	struct audit_report report;
	json_t *records;
	char path[600];
	char *text = NULL;
	size_t bytes;
	int rc;

	audit_path(path, sizeof path);
	rc = read_log(path, &text, &bytes, err);
	if (rc < 0)
		return rc;
	records = json_array();
	audit_check(text, bytes, records, &report);
	free(text);
	*ret_audit = NULL;
	if (json_array_size(records) == report.records)
		*ret_audit = json_pack("{s:s, s:O, s:b, s:s, s:s}", "path", path, "records", records, "intact", !report.problem, "problem",
				       report.problem ? report.problem : "", "head", report.head);
	json_decref(records);
	return *ret_audit ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int chaos_audit_refused(const char *evidence, struct err *err)
{
	return audit_write(&(struct audit_act){ "command", "agent", NULL, "refused", evidence }, err);
}
