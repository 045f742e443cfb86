/* SPDX-License-Identifier: MIT */
/*
 * audit_test.c - the audit log: what is written is intact, whatever is changed in it is found, and what was never finished is not trusted.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "file.h"

#include "../../../chaos/audit.h"

#define RECORDS 4

static char folder[64], path[128];

static void enter(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/squall-audit-XXXXXX");
	cr_assert(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/audit.log", folder);
	setenv("SQUALL_STATE", folder, 1);
}

static void leave(void)
{
	file_remove_tree(folder, NULL);
}

TestSuite(audit, .init = enter, .fini = leave, .timeout = 60);

static int write_one(const char *evidence, struct err *err)
{
	json_t *entry = json_pack("{s:s, s:s, s:{s:I}}", "id", "drbd-link-delay-1", "fault", "drbd-link-delay", "args", "delay", (json_int_t)300000000);
	int rc = audit_append(&(struct audit_act){ "inject", "by hand", entry, "begun", evidence }, err);

	json_decref(entry);
	return rc;
}

/* RECORDS of them. @return malloc'ed */
static char *begin(size_t *ret_bytes)
{
	struct err err = ERR_INIT;
	char *text = NULL;

	for (int i = 0; i < RECORDS; i++)
		cr_assert_eq(write_one("", &err), 0, "%s", err.text);
	cr_assert_eq(file_read(path, AUDIT_BYTES_MAX, &text, ret_bytes, &err), 0, "%s", err.text);
	return text;
}

static void put(const char *text, size_t bytes)
{
	struct err err = ERR_INIT;

	cr_assert_eq(file_write(path, text, bytes, 0600, &err), 0, "%s", err.text);
}

static struct audit_report check_file(json_t *ret_records)
{
	struct err err = ERR_INIT;
	struct audit_report report;
	char *text = NULL;
	size_t bytes;

	cr_assert_eq(file_read(path, AUDIT_BYTES_MAX, &text, &bytes, &err), 0, "%s", err.text);
	audit_check(text, bytes, ret_records, &report);
	free(text);
	return report;
}

/* The number of the record that a byte of the log belongs to. */
static uint64_t record_at(const char *text, size_t at)
{
	uint64_t nr = 1;

	for (size_t i = 0; i < at; i++)
		nr += text[i] == '\n';
	return nr;
}

Test(audit, what_is_written_is_intact_and_says_who_what_when_and_where)
{
	json_t *records = json_array(), *r;
	struct audit_report report;
	struct err err = ERR_INIT;
	struct stat st;

	cr_assert_eq(write_one("a sentence", &err), 0, "%s", err.text);
	cr_assert_eq(audit_write(&(struct audit_act){ "stop-all", "by hand", NULL, "begun", NULL }, &err), 0, "%s", err.text);
	report = check_file(records);
	cr_assert_null(report.problem, "%s", report.problem);
	cr_assert_eq(report.records, 2);
	cr_assert_eq(json_array_size(records), 2);
	r = json_array_get(records, 0);
	cr_assert_eq(json_integer_value(json_object_get(r, "uid")), getuid());
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(r, "args"), "delay")), 300000000);
	cr_assert_str_eq(json_string_value(json_object_get(r, "id")), "drbd-link-delay-1");
	cr_assert_str_eq(json_string_value(json_object_get(r, "fault")), "drbd-link-delay");
	cr_assert_str_eq(json_string_value(json_object_get(r, "why")), "by hand");
	cr_assert_str_eq(json_string_value(json_object_get(r, "evidence")), "a sentence");
	cr_assert_gt(json_string_length(json_object_get(r, "host")), 0);
	cr_assert_eq(json_string_length(json_object_get(r, "boot_id")), 36);
	cr_assert_gt(json_integer_value(json_object_get(r, "utc_ns")), 0);
	cr_assert_null(json_object_get(json_array_get(records, 1), "fault"));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	json_decref(records);
}

Test(audit, a_bit_that_is_flipped_anywhere_is_found_in_its_record)
{
	struct audit_report report;
	size_t bytes;
	char *text = begin(&bytes);

	for (size_t i = 0; i < bytes; i++) {
		uint64_t nr = record_at(text, i);

		for (int bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ 1 << bit);
			audit_check(text, bytes, NULL, &report);
			text[i] = (char)(text[i] ^ 1 << bit);
			cr_assert(report.problem, "bit %d of byte %zu", bit, i);
			cr_assert_eq(report.records + 1, nr, "bit %d of byte %zu: record %zu is broken, %zu is said to be", bit, i, (size_t)nr,
				     (size_t)report.records + 1);
		}
	}
	audit_check(text, bytes, NULL, &report);
	cr_assert_null(report.problem);
	free(text);
}

Test(audit, records_that_are_taken_out_put_in_or_exchanged_are_found)
{
	const char *line[RECORDS + 1];
	struct audit_report report;
	char other[8 * AUDIT_LINE_MAX];
	size_t bytes;
	char *text = begin(&bytes);

	line[0] = text;
	for (int i = 0; i < RECORDS; i++)
		line[i + 1] = strchr(line[i], '\n') + 1;
#define LINE(i) (int)(line[(i) + 1] - line[i]), line[i]
	(void)snprintf(other, sizeof other, "%.*s%.*s%.*s", LINE(0), LINE(2), LINE(3));
	audit_check(other, strlen(other), NULL, &report);
	cr_assert(report.problem && report.records == 1, "the second is gone");
	(void)snprintf(other, sizeof other, "%.*s%.*s%.*s", LINE(1), LINE(2), LINE(3));
	audit_check(other, strlen(other), NULL, &report);
	cr_assert(report.problem && report.records == 0, "the first is gone");
	(void)snprintf(other, sizeof other, "%.*s%.*s%.*s", LINE(0), LINE(1), LINE(1));
	audit_check(other, strlen(other), NULL, &report);
	cr_assert(report.problem && report.records == 2, "the second is there twice");
	(void)snprintf(other, sizeof other, "%.*s%.*s%.*s%.*s", LINE(0), LINE(2), LINE(1), LINE(3));
	audit_check(other, strlen(other), NULL, &report);
	cr_assert(report.problem && report.records == 1, "two are exchanged");
	(void)snprintf(other, sizeof other, "%.*s%.*s%.*s", LINE(0), LINE(1), LINE(2));
	audit_check(other, strlen(other), NULL, &report);
	cr_assert(!report.problem && report.records == 3 && memcmp(report.head, line[2], AUDIT_SHA_BYTES - 1) == 0, "what is left of a cut log is intact, by another head");
	free(text);
}

Test(audit, a_record_that_was_never_finished_is_not_trusted_and_the_next_takes_its_place)
{
	size_t bytes;
	char *text = begin(&bytes);

	for (size_t cut = 0; cut < bytes; cut += cut % 7 + 1) {
		bool torn = cut > 0 && text[cut - 1] != '\n';
		uint64_t whole = record_at(text, cut) - 1;
		json_t *records = json_array(), *last;
		struct err err = ERR_INIT;
		struct audit_report report;

		put(text, cut);
		report = check_file(NULL);
		cr_assert_eq(report.records, whole, "cut at %zu", cut);
		cr_assert(torn ? report.problem && strstr(report.problem, "unfinished") : !report.problem, "cut at %zu: %s", cut, report.problem);
		cr_assert_eq(write_one("", &err), 0, "cut at %zu: %s", cut, err.text);
		report = check_file(records);
		cr_assert_null(report.problem, "cut at %zu: %s", cut, report.problem);
		cr_assert_eq(report.records, whole + 1);
		last = json_object_get(json_array_get(records, whole), "cut_bytes");
		cr_assert(torn ? json_integer_value(last) > 0 : !last, "cut at %zu: what was cut off is not told", cut);
		json_decref(records);
	}
	free(text);
}

Test(audit, nothing_is_added_to_a_broken_log)
{
	struct err err = ERR_INIT;
	size_t bytes, after;
	char *text = begin(&bytes), *now = NULL;

	text[bytes - 10] ^= 1;
	put(text, bytes);
	cr_assert_eq(write_one("", &err), -EBADMSG);
	cr_assert(strstr(err.text, path) && strstr(err.text, "squall chaos audit"), "%s", err.text);
	cr_assert_eq(file_read(path, AUDIT_BYTES_MAX, &now, &after, &err), 0);
	cr_assert(after == bytes && memcmp(now, text, bytes) == 0, "it was touched");
	free(now);
	free(text);
}

Test(audit, what_is_longer_than_any_record_is_broken_and_not_unfinished)
{
	char *text = calloc(1, 3 * AUDIT_LINE_MAX);
	struct err err = ERR_INIT;

	cr_assert(text);
	for (size_t bytes = AUDIT_LINE_MAX; bytes <= 3 * AUDIT_LINE_MAX; bytes += AUDIT_LINE_MAX) {
		err = (struct err)ERR_INIT;
		put(text, bytes);
		cr_assert_eq(write_one("", &err), -EBADMSG, "%zu bytes: %s", bytes, err.text);
	}
	free(text);
}

Test(audit, writers_at_the_same_time_make_one_chain)
{
	struct audit_report report;

	for (int child = 0; child < 4; child++)
		if (fork() == 0) {
			struct err err = ERR_INIT;
			int rc = 0;

			for (int i = 0; i < 10 && rc == 0; i++)
				rc = write_one("", &err);
			_exit(rc != 0);
		}
	for (int child = 0; child < 4; child++) {
		int status;

		cr_assert(wait(&status) > 0 && status == 0);
	}
	report = check_file(NULL);
	cr_assert_null(report.problem, "%s", report.problem);
	cr_assert_eq(report.records, 40);
}

Test(audit, a_writer_that_does_not_let_go_is_not_waited_for_for_ever)
{
	struct err err = ERR_INIT;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
	cr_assert_eq(write_one("", &err), -EAGAIN, "%s", err.text);
	close(fd);
	cr_assert_eq(write_one("", &err), 0);
}

/* A disk that is full takes a part of a record. */
Test(audit, what_does_not_fit_is_not_in_the_log)
{
	struct err err = ERR_INIT;
	struct rlimit limit;
	struct stat st;
	size_t bytes;
	char *text = begin(&bytes);

	limit = (struct rlimit){ bytes + 100, RLIM_INFINITY };
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(write_one("", &err), -EFBIG, "%s", err.text);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq((size_t)st.st_size, bytes);
	free(text);
}

Test(audit, what_programs_printed_is_no_danger_to_a_record)
{
	json_t *records = json_array();
	struct audit_report report;
	struct err err = ERR_INIT;

	cr_assert_eq(write_one("two\nlines \x1b[31m \xff \"quoted\"", &err), 0, "%s", err.text);
	report = check_file(records);
	cr_assert_null(report.problem, "%s", report.problem);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(records, 0), "evidence")), "two lines ?[31m ? \"quoted\"");
	json_decref(records);
}
