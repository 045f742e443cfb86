/* SPDX-License-Identifier: MIT */
/*
 * record_test.c - run.db: what goes in comes out, and what befalls it - a full disk, a kill, bad input - leaves it whole.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "record.h"

static char dir[256];

static void dir_make(void)
{
	snprintf(dir, sizeof dir, "/tmp/squall-record-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void dir_remove(void)
{
	cr_assert_eq(file_remove_tree(dir, NULL), 0);
}

TestSuite(record, .init = dir_make, .fini = dir_remove);

/* The first column of a SELECT, as text; rows joined by newlines. */
static char *query(struct record *r, const char *sql)
{
	sqlite3_stmt *s = NULL;
	static char out[4096];

	out[0] = '\0';
	cr_assert_eq(sqlite3_prepare_v2(record_db(r), sql, -1, &s, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(record_db(r)));
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(s, 0);

		snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", out[0] ? "\n" : "", text ? text : "NULL");
	}
	sqlite3_finalize(s);
	return out;
}

#define expect(r, sql, text) cr_expect_str_eq(query(r, sql), text)

static struct record *create(void)
{
	struct record *r = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(record_create(dir, &r, &err), 0, "%s", err.text);
	return r;
}

static json_t *json(const char *text)
{
	json_error_t why;
	json_t *j = json_loads(text, 0, &why);

	cr_assert_not_null(j, "%s", why.text);
	return j;
}

static const char interval_text[] =
	"{\"second\": 12, \"end_ns\": 13000000001, \"jobs\": [{\"job\": \"visitors\", \"due\": 90, \"issued\": 80, \"ok\": 70, \"errors\": {\"EIO\": 3, \"ESTALE\": 1},"
	" \"unknown\": 2, \"in_flight\": 4, \"waiting\": 5, \"not_issued\": 6, \"oldest_ns\": 81000000,"
	" \"hists\": [{\"op\": \"\", \"phase\": \"storm\", \"ok\": 9, \"errors\": {\"EIO\": 2}, \"unknown\": 1, \"response\": \"AQID\", \"service\": \"\"},"
	" {\"op\": \"read\", \"phase\": \"storm\", \"ok\": 8, \"errors\": {}, \"unknown\": 0, \"response\": \"/w==\", \"service\": \"AA==\"}]}],"
	" \"pages\": [[1, 7, 100, 200, \"ok\"], [0, 8, 150, 9000000000000, \"EIO\"]], \"open\": [[1, 7, 300]],"
	" \"ops\": [[0, \"read\", \"s0001/a\", 100, 150, 9000, \"EIO\"]]}";

static const char *const jobs[] = { "writers", "visitors", NULL };

Test(record, an_interval_comes_back_as_it_went_in)
{
	struct record *r = create();
	struct err err = ERR_INIT;
	json_t *interval = json(interval_text);

	cr_assert_eq(record_begin(r, &err), 0);
	cr_assert_eq(record_interval(r, "client-1", interval, jobs, &err), 0, "%s", err.text);
	cr_assert_eq(record_commit(r, &err), 0);
	expect(r, "SELECT concat FROM (SELECT second||host||job||'|'||due||'|'||issued||'|'||ok||'|'||errors||'|'||unknown||'|'||in_flight||'|'||waiting||'|'||not_issued||'|'||oldest_ns"
		  " AS concat FROM job_seconds)", "12client-1visitors|90|80|70|4|2|4|5|6|81000000");
	expect(r, "SELECT op||'|'||phase||'|'||ok||'|'||unknown||'|'||hex(response)||'|'||hex(service)||typeof(service) FROM intervals ORDER BY op",
	       "|storm|9|1|010203|blob\nread|storm|8|0|FF|00blob");
	expect(r, "SELECT op||errno||nr||phase||second FROM errors", "EIO2storm12");
	expect(r, "SELECT job||site||'|'||due_ns||'|'||done_ns||outcome FROM pages ORDER BY site", "visitors7|100|200ok\nwriters8|150|9000000000000EIO");
	expect(r, "SELECT t_ns||host||job||site||'|'||due_ns FROM pages_open", "13000000001client-1visitors7|300");
	expect(r, "SELECT host||job||op||path||'|'||due_ns||'|'||issued_ns||'|'||done_ns||outcome FROM ops", "client-1writersreads0001/a|100|150|9000EIO");
	json_decref(interval);
	record_close(r);
}

Test(record, a_final_comes_back_as_it_went_in)
{
	struct record *r = create();
	struct err err = ERR_INIT;
	json_t *final = json(
		"{\"jobs\": [{\"job\": \"j\", \"due\": 10, \"ok\": 5, \"errors\": {\"EIO\": 1}, \"unknown\": 2, \"in_flight\": 1, \"not_issued\": 1,"
		" \"engine\": \"libaio\", \"engine_why\": \"w\", \"submit_blocked\": 8, \"submit_blocked_max_ns\": 9000000}],"
		" \"censored\": [{\"job\": \"j\", \"op\": \"read\", \"phase\": \"storm\", \"kind\": \"in_flight\", \"ages\": \"AQ==\"}],"
		" \"hung\": [{\"pid\": 5, \"tid\": 6, \"op\": \"read\", \"path\": \"/m/a\", \"age_ns\": 77, \"wchan\": \"rpc_wait\", \"stack\": [\"a\", \"b\"]}],"
		" \"lag\": [{\"phase\": \"storm\", \"count\": 1, \"p99_ns\": 2, \"max_ns\": 3, \"hiccup_p99_ns\": 4, \"hiccup_max_ns\": 5}],"
		" \"dropped_pages\": 3, \"worker_died\": true, \"left\": [5], \"damage\": {\"ops\": 2, \"first\": []}, \"logged_ops\": {\"kept\": 4}, \"rpcs\": {\"nr\": 1}}");

	cr_assert_eq(record_final(r, "client-1", final, &err), 0, "%s", err.text);
	expect(r, "SELECT host||job||due||'|'||ok||errors||unknown||in_flight||not_issued FROM totals", "client-1j10|5{\"EIO\":1}211");
	expect(r, "SELECT job||op||phase||kind||hex(ages) FROM censored", "jreadstormin_flight01");
	expect(r, "SELECT pid||tid||op||path||age_ns||wchan||stack FROM hung", "56read/m/a77rpc_wait[\"a\",\"b\"]");
	expect(r, "SELECT phase||count||p99_ns||max_ns||hiccup_p99_ns||hiccup_max_ns FROM lag", "storm12345");
	expect(r, "SELECT key||value FROM meta ORDER BY key",
	       "damage.client-1{\"ops\":2,\"first\":[]}\ndropped_pages.client-13\nengines.client-1{\"j\":{\"engine\":\"libaio\",\"why\":\"w\",\"submit_blocked\":8,\"submit_blocked_max_ns\":9000000}}\nleft.client-1[5]\nlogged_ops.client-1{\"kept\":4}\nrpcs.client-1{\"nr\":1}\nworker_died.client-11");
	json_decref(final);
	record_close(r);
}

Test(record, small_rows_come_back)
{
	struct record *r = create();
	json_t *sample = json("{\"t_ns\": 1, \"metric\": \"drbd.disk\", \"value\": 1, \"text\": \"UpToDate/UpToDate\"}");
	json_t *bare = json("{\"metric\": \"kernel.message\", \"label\": \"l\"}");
	json_t *bad = json("{\"value\": 1}");
	struct err err = ERR_INIT;
	char *value;

	cr_assert_eq(record_meta(r, "seed", "7", NULL), 0);
	cr_assert_eq(record_meta(r, "seed", "8", NULL), 0);
	cr_assert_eq(record_meta_double(r, "rate.j", 0.1, NULL), 0);
	value = record_meta_get(r, "rate.j");
	cr_expect_eq(strtod(value, NULL), 0.1);
	free(value);
	value = record_meta_get(r, "seed");
	cr_expect_str_eq(value, "8");
	free(value);
	cr_expect_null(record_meta_get(r, "absent"));
	cr_assert_eq(record_host(r, "h", "load", -5, 6, 7, NULL), 0);
	cr_assert_eq(record_host_lost(r, "h", 99, NULL), 0);
	cr_assert_eq(record_host(r, "h", "load,chaos", -5, 6, 8, NULL), 0);
	expect(r, "SELECT roles||offset_ns||start_skew_ns||lost_at_ns FROM hosts", "load,chaos-5899");
	cr_assert_eq(record_phase(r, 0, "baseline", 0, 5, NULL), 0);
	cr_assert_eq(record_event(r, 3, "h", "phase", -1, NULL, NULL), 0);
	cr_assert_eq(record_event(r, 4, "h", "inject", 0, "e", NULL), 0);
	expect(r, "SELECT kind||ifnull(fault_idx,'NULL')||'['||evidence||']' FROM events", "phaseNULL[]\ninject0[e]");
	cr_assert_eq(record_fault(r, 0, "net-delay", "h", "confirmed", NULL, 5, -1, NULL, NULL, NULL), 0);
	expect(r, "SELECT verified||'['||healed||']'||inject_ns||ifnull(heal_ns,'NULL') FROM faults", "confirmed[]5NULL");
	cr_assert_eq(record_sample(r, "h", 5, sample, NULL), 0);
	cr_assert_eq(record_sample(r, "h", 6, bare, NULL), 0);
	cr_assert_eq(record_sample(r, "h", 6, bad, &err), -EBADMSG);
	expect(r, "SELECT t_ns||metric||label||ifnull(value,'NULL')||text FROM samples", "5drbd.disk1.0UpToDate/UpToDate\n6kernel.messagelNULL");
	json_decref(sample);
	json_decref(bare);
	json_decref(bad);
	record_close(r);
}

#define JOB(due, errors)                                                                                                                              \
	("{\"second\": 1, \"end_ns\": 2, \"jobs\": [{\"job\": \"j\", \"due\": " due ", \"issued\": 1, \"ok\": 1, \"errors\": " errors ", \"unknown\": 0, \"in_flight\": 0," \
	" \"waiting\": 0, \"not_issued\": 0, \"oldest_ns\": 0, \"hists\": []}], \"pages\": [], \"open\": []}")

Test(record, a_malformed_interval_leaves_nothing_and_the_group_lives_on)
{
	static const char *const bad[] = {
		"{}", "[]",
		"{\"second\": 1, \"end_ns\": 2, \"jobs\": [], \"pages\": [[0, 1, 2, 3, \"ok\"], [2, 1, 2, 3, \"ok\"]], \"open\": []}",
		"{\"second\": 1, \"end_ns\": 2, \"jobs\": [], \"pages\": [[0, 1, 2, 3, \"ok\"]], \"open\": [[-1, 1, 2]]}",
		"{\"second\": 1, \"end_ns\": 2, \"jobs\": [], \"pages\": [[0, 1, 2, 3, \"ok\"]], \"open\": [[1000000, 1, 2]]}",
		"{\"second\": 1, \"end_ns\": 2, \"jobs\": [], \"pages\": [[0, 1, 2, 3, \"ok\"]], \"open\": 5}",
		"{\"second\": 1, \"end_ns\": 2, \"jobs\": [], \"pages\": [], \"open\": [], \"ops\": [[5, \"read\", \"a\", 1, 2, 3, \"ok\"]]}",
		"{\"second\": 1, \"end_ns\": 2, \"jobs\": [{\"job\": \"j\"}], \"pages\": [], \"open\": []}",
	JOB("-1", "{}"), JOB("1099511627777", "{}"), JOB("1", "{\"EIO\": 9223372036854775807}"), JOB("1", "{\"EIO\": \"1\"}"),
	};
	struct record *r = create();
	json_t *good = json(interval_text);

	cr_assert_eq(record_begin(r, NULL), 0);
	cr_assert_eq(record_meta(r, "before", "1", NULL), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = ERR_INIT;
		json_t *interval = json(bad[i]);

		cr_expect_eq(record_interval(r, "client-1", interval, jobs, &err), -EBADMSG, "%s", bad[i]);
		cr_expect(strstr(err.text, "client-1") != NULL, "%s", err.text);
		json_decref(interval);
	}
	cr_assert_eq(record_interval(r, "client-1", good, jobs, NULL), 0);
	json_decref(good);
	good = json(JOB("1099511627776", "{\"EIO\": 1}"));
	cr_assert_eq(record_interval(r, "client-2", good, jobs, NULL), 0);
	cr_assert_eq(record_commit(r, NULL), 0);
	expect(r, "SELECT count(*) FROM pages", "2");
	expect(r, "SELECT count(*) FROM meta", "1");
	json_decref(good);
	record_close(r);
}

Test(record, a_histogram_that_is_not_base64_is_malformed)
{
	struct record *r = create();
	json_t *interval = json(interval_text);
	json_t *hist = json_array_get(json_object_get(json_array_get(json_object_get(interval, "jobs"), 0), "hists"), 0);

	json_object_set_new(hist, "response", json_string("not base64!"));
	cr_expect_eq(record_interval(r, "client-1", interval, jobs, NULL), -EBADMSG);
	expect(r, "SELECT count(*) FROM job_seconds", "0");
	json_decref(interval);
	record_close(r);
}

Test(record, is_made_once)
{
	struct record *r = create(), *second = NULL;
	struct err err = ERR_INIT;

	cr_expect_eq(record_create(dir, &second, &err), -EEXIST);
	cr_expect_null(second);
	cr_expect(strstr(err.text, dir) != NULL);
	cr_assert_eq(record_meta(r, "still", "there", NULL), 0);
	record_close(r);
}

Test(record, what_is_no_record_is_not_opened)
{
	struct record *r = NULL;
	struct err err = ERR_INIT, other = ERR_INIT;
	char path[300];

	cr_expect_eq(record_open(dir, false, &r, &err), -ENOENT);
	snprintf(path, sizeof path, "%s/run.db", dir);
	cr_assert_eq(file_write(path, "something else, and long enough to be the header of a database of SQLite, which it is not: "
				"it is text of a hundred bytes and a few more", 130, 0644, NULL), 0);
	cr_expect_eq(record_open(dir, false, &r, &other), -EBADMSG);
	cr_expect(strstr(other.text, path) != NULL, "%s", other.text);
	cr_expect_null(r);
}

static unsigned int files_nr(void)
{
	DIR *d = opendir(dir);
	unsigned int nr = 0;
	struct dirent *e;

	while ((e = readdir(d)) != NULL)
		nr += e->d_name[0] != '.';
	closedir(d);
	return nr;
}

Test(record, sealed_is_one_file_and_complete)
{
	struct record *r = create();
	struct err err = ERR_INIT;
	json_t *interval = json(interval_text);
	char *complete;

	cr_assert_eq(record_interval(r, "client-1", interval, jobs, NULL), 0);
	cr_expect_null(record_meta_get(r, "complete"));
	cr_assert_eq(record_seal(r, &err), 0, "%s", err.text);
	cr_expect_eq(files_nr(), 1);
	record_close(r);
	cr_expect_eq(files_nr(), 1);
	cr_assert_eq(record_open(dir, false, &r, &err), 0, "%s", err.text);
	complete = record_meta_get(r, "complete");
	cr_expect_str_eq(complete, "1");
	free(complete);
	expect(r, "SELECT count(*) FROM pages", "2");
	cr_expect_eq(record_meta(r, "no", "way", NULL), -EROFS);
	record_close(r);
	cr_assert_eq(record_open(dir, true, &r, &err), 0, "%s", err.text);	/* the judge writes into a sealed record */
	cr_expect_eq(record_meta(r, "judged", "1", NULL), 0);
	record_close(r);
	cr_expect_eq(files_nr(), 1);
	json_decref(interval);
}

static void child_writes_and_dies(void)
{
	struct record *r = NULL;
	json_t *interval = json_loads(interval_text, 0, NULL);

	if (record_create(dir, &r, NULL) < 0)
		_exit(1);
	for (int i = 0; i < 20; i++) {
		if (record_begin(r, NULL) < 0 || record_interval(r, "client-1", interval, jobs, NULL) < 0 || record_commit(r, NULL) < 0)
			_exit(2);
	}
	if (record_begin(r, NULL) < 0 || record_interval(r, "client-1", interval, jobs, NULL) < 0)
		_exit(3);
	(void)kill(getpid(), SIGKILL);
}

Test(record, a_kill_in_mid_run_leaves_what_was_committed)
{
	struct record *r = NULL;
	struct err err = ERR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		child_writes_and_dies();
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "the child ended with %d", WEXITSTATUS(status));
	cr_assert_eq(record_open(dir, false, &r, &err), 0, "%s", err.text);
	expect(r, "SELECT count(*) FROM job_seconds", "20");
	cr_expect_null(record_meta_get(r, "complete"));
	record_close(r);
	cr_assert_eq(record_open(dir, true, &r, &err), 0, "%s", err.text);	/* resumed, and sealed */
	cr_expect_eq(record_seal(r, &err), 0, "%s", err.text);
	expect(r, "SELECT count(*) FROM pages", "40");
	record_close(r);
	cr_expect_eq(files_nr(), 1);
}

/* Write groups until one fails; what was committed before must still be there. */
static void fill_up(struct record *r)
{
	char text[20001], want[32];
	struct err err = ERR_INIT;
	unsigned int groups = 0;
	int rc = 0;

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (; groups < 1000; groups++) {
		rc = record_begin(r, &err);
		if (rc == 0)
			(void)record_event(r, groups, "h", "note", -1, text, NULL);	/* the commit tells of it */
		rc = rc < 0 ? rc : record_commit(r, &err);
		if (rc < 0)
			break;
	}
	cr_expect_eq(rc, -ENOSPC, "%d after %u groups: %s", rc, groups, err.text);
	cr_expect(strstr(err.text, "/run.db") != NULL, "%s", err.text);
	cr_expect_gt(groups, 3);
	snprintf(want, sizeof want, "%u", groups);
	expect(r, "SELECT count(*) FROM events", want);
}

Test(record, a_full_disk_is_said_with_the_path)
{
	struct record *r;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=1m") < 0)
		cr_skip_test("needs root for a file system of its own");
	r = create();
	fill_up(r);
	record_close(r);
	cr_assert_eq(umount(dir), 0);
}

Test(record, a_limit_of_file_size_is_a_full_disk_too)
{
	struct rlimit limit = { 1u << 20, 1u << 20 };
	struct record *r;

	signal(SIGXFSZ, SIG_IGN);
	r = create();
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	fill_up(r);
	record_close(r);
}
