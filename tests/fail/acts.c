/* SPDX-License-Identifier: MIT */
/*
 * acts.c - what is tried: the central modules that take memory and files.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../chaos/audit.h"
#include "../../chaos/journal.h"
#include "../../loadgen/dataset.h"
#include "clock.h"
#include "exec.h"
#include "fail.h"
#include "file.h"
#include "hist.h"
#include "load.h"
#include "profile.h"
#include "record.h"
#include "trace.h"
#include "yaml.h"

static const char text[] = "a: {b: [1, two, \"three 3\"], c: 4s}\nd: \"e: f\"\n";

static int run_yaml(struct err *err)
{
	struct yaml *root = NULL;
	char *printed = NULL;
	int rc = yaml_parse(text, "t.yaml", &root, err);

	if (rc == 0)
		rc = yaml_set(root, "a.b.1=changed", err);
	if (rc == 0)
		rc = yaml_set(root, "new.key={x: [1, 2]}", err);
	if (rc == 0) {
		rc = yaml_print(root, &printed);
		if (rc < 0)
			(void)err_set(err, rc, "printing");
	}
	if (rc == 0)
		CHECK(strcmp(printed, "a:\n  b: [1, changed, three 3]\n  c: 4s\nd: \"e: f\"\nnew:\n  key: {x: [1, 2]}\n") == 0, "%s", printed);
	free(printed);
	yaml_tree_free(root);
	return rc;
}

static const char profile_text[] =
	"name: p\nseed: 7\ndataset: {sites: 2, files_per_site: 10, size: {lognormal: {mu: 9.5, sigma: 2.5, max: 64KiB}}, depth: 2}\n"
	"jobs:\n  web: {page: webapp, arrival: {poisson: 40% of capacity}, timeout: 30s}\n  logs: {mix: {append_fsync: 1, stat: 2}, arrival: {constant: 4/s}}\n"
	"phases:\n  - {name: baseline, for: 30s}\n  - {name: storm, for: 60s}\n  - {name: after, for: 30s}\n"
	"faults:\n  - {fault: drbd-link-delay, at: storm+10s, for: 20s, args: {delay: 2s}}\n"
	"signature: {slow: drbd.oldest_request_age >= 1s for 10s}\nexpect: reproduced\nguards: {stop_if: [\"sites.down_ratio > 0.9\"], max_run: 15m}\n";

static void write_profile(void)
{
	struct err err = ERR_INIT;

	CHECK(file_write("p.yaml", profile_text, strlen(profile_text), 0644, &err) == 0, "%s", err.text);
}

static int run_profile(struct err *err)
{
	static const char *const sets[] = { "faults.0.args.delay=1s", NULL };
	struct profile p = PROFILE_INIT, again = PROFILE_INIT;
	char *printed = NULL;
	int rc = profile_load("p.yaml", sets, &p, err);

	if (rc == 0) {
		rc = profile_print(&p, &printed);
		if (rc < 0)
			(void)err_set(err, rc, "printing");
	}
	if (rc == 0)
		rc = profile_parse(printed, "printed", NULL, &again, err);
	if (rc == 0)
		CHECK(again.jobs_nr == 2 && again.phases_nr == 3 && again.faults_nr == 1 && again.signature_nr == 1 && strstr(printed, "delay: 1s"), "%s", printed);
	free(printed);
	profile_release(&p);
	profile_release(&again);
	return rc;
}

static const char capture[] = "5.1 1.3 2.8 T C3 a 3 lookup fh 12 name \"x y\" con\n5.2 2.8 1.3 T R3 a 3 lookup 2\n5.3 1.3 2.8 T C3 b 6 read fh 13 off 0 count 2000 con\n";

static int run_trace(struct err *err)
{
	FILE *in = fmemopen((char *)(uintptr_t)capture, sizeof capture - 1, "r");
	struct trace t = { .op = NULL }, back = { .op = NULL };
	struct trace_summary summary;
	char *packed = NULL;
	int rc = in ? trace_import_nfsdump(in, "c", &t, &summary, err) : err_set(err, -ENOMEM, "c: no memory");

	if (in)
		(void)fclose(in);
	if (rc == 0)
		rc = trace_pack(&t, &packed, err);
	if (rc == 0)
		rc = trace_unpack(packed, "p", &back, err);
	if (rc == 0)
		CHECK(back.ops_nr == 2 && back.op[0].kind == OP_STAT_MISS && back.op[1].at_ns == 200000000, "it came back as another");
	free(packed);
	trace_release(&t);
	trace_release(&back);
	return rc;
}

static int run_hist(struct err *err)
{
	struct hist *h = hist_new(), *back = hist_new();
	uint8_t *bytes = NULL;
	size_t size = 0;
	int rc = h && back ? 0 : -ENOMEM;

	for (uint64_t i = 0; rc == 0 && i < 1000; i++)
		hist_add(h, i * 12345);
	if (rc == 0)
		rc = hist_encode(h, &bytes, &size);
	if (rc == 0)
		rc = hist_decode_merge(back, bytes, size);
	if (rc == 0)
		CHECK(back->count == 1000 && back->max_ns == 999 * 12345, "it came back as another");
	free(bytes);
	free(h);
	free(back);
	return rc < 0 ? err_set(err, rc, "no memory for a histogram") : 0;
}

/* Half of what a program prints may say the opposite of all of it. */
static int run_exec(struct err *err)
{
	static const char *const argv[] = { "/bin/echo", "hello", NULL };
	struct exec_result result = EXEC_RESULT_INIT;
	int rc = exec_run(argv, NULL, 10 * NS_PER_S, &result, err);

	if (rc == 0)
		CHECK(result.status == 0 && result.out && strcmp(result.out, "hello\n") == 0, "%s", result.out ? result.out : "nothing");
	exec_result_release(&result);
	return rc;
}

static const char entry_text[] = "{\"id\": \"f-1\", \"fault\": \"drbd-link-delay\", \"undo\": [{\"op\": \"HELD_GONE\"}], \"since_ns\": %d}";

static json_t *new_entry;

static json_t *entry(int since_ns)
{
	char full[sizeof entry_text + 16];
	json_t *json;

	(void)snprintf(full, sizeof full, entry_text, since_ns);
	json = json_loads(full, 0, NULL);
	CHECK(json, "the entry of this test is no JSON");
	return json;
}

static void write_entry(void)
{
	struct err err = ERR_INIT;
	json_t *old = entry(1);

	json_decref(new_entry);
	new_entry = entry(2);
	CHECK(setenv("SQUALL_STATE", getcwd((char[256]){ 0 }, 256), 1) == 0, "%m");
	CHECK(journal_write(old, &err) == 0, "%s", err.text);
	json_decref(old);
}

static int run_journal_write(struct err *err)
{
	return journal_write(new_entry, err);
}

/* The old entry or the new one, never none and never half of one: what it says must be undone. */
static void look_journal(int rc)
{
	struct err err = ERR_INIT;
	json_t *back = NULL;
	int since;

	CHECK(journal_read("f-1", &back, &err) == 0, "%s", err.text);
	since = (int)json_integer_value(json_object_get(back, "since_ns"));
	CHECK(since == 2 || (since == 1 && rc < 0), "since_ns %d after %d", since, rc);
	json_decref(back);
}

static int run_journal_list(struct err *err)
{
	json_t *list = journal_list(err);
	size_t nr = json_array_size(list);

	json_decref(list);
	/* An entry that cannot be read is left out with a sentence. Without one all of them are there. */
	CHECK(nr == 1 || err->text[0] != '\0', "an entry is not listed, and nothing is said of it");
	return 0;
}

static int run_journal_strike(struct err *err)
{
	return journal_strike("f-1", err);
}

static const struct audit_act act = { "undo", "boot", NULL, "begun", NULL };

static void write_log(void)
{
	struct err err = ERR_INIT;

	CHECK(setenv("SQUALL_STATE", getcwd((char[256]){ 0 }, 256), 1) == 0, "%m");
	CHECK(audit_append(&act, &err) == 0, "%s", err.text);
}

static int run_audit(struct err *err)
{
	return audit_append(&act, err);
}

/* The record is there, or it is not; the log is intact. */
static void look_log(int rc)
{
	struct audit_report report;
	struct err err = ERR_INIT;
	char *log = NULL;
	size_t bytes;

	CHECK(file_read("audit.log", AUDIT_BYTES_MAX, &log, &bytes, &err) == 0, "%s", err.text);
	audit_check(log, bytes, NULL, &report);
	CHECK(!report.problem && report.records == (rc == 0 ? 2 : 1), "after %d: %d records, then %s", rc, (int)report.records, report.problem);
	free(log);
}

static const struct dataset_spec spec = { .sites = 2, .files_per_site = 3, .depth = 2, .size_bytes = 4096 };

/* As `dataset build` does it: not complete and with its sizes first, then complete. */
static int write_both(struct manifest *m, uint64_t seed, struct err *err)
{
	int root = -1, rc = manifest_draw(&spec, seed, m, err);

	if (rc == 0)
		rc = dataset_open_root(".", &root, err);
	for (int complete = 0; complete < 2 && rc == 0; complete++) {
		m->complete = complete;
		rc = manifest_write(root, ".", m, err);
	}
	if (root >= 0)
		close(root);
	return rc;
}

static int run_manifest(struct err *err)
{
	struct manifest m = MANIFEST_INIT, back = MANIFEST_INIT;
	int rc = write_both(&m, 2, err);

	if (rc == 0)
		rc = manifest_read(".", &back, err);
	if (rc == 0)
		CHECK(manifest_equal(&m, &back) && back.complete, "it came back as another");
	manifest_release(&m);
	manifest_release(&back);
	return rc;
}

/* None, or one that is not complete, until all of it is there. */
static void look_manifest(int rc)
{
	struct manifest m = MANIFEST_INIT;
	struct err err = ERR_INIT;
	int read = manifest_read(".", &m, &err);

	CHECK(rc < 0 || (read == 0 && m.complete), "after %d: %d, %s", rc, read, err.text);
	CHECK(read == 0 || read == -ENOENT, "after %d: %s", rc, err.text);
	manifest_release(&m);
}

static const char interval_text[] =
	"{\"second\": 12, \"end_ns\": 13000000001, \"jobs\": [{\"job\": \"j\", \"due\": 90, \"issued\": 80, \"ok\": 70, \"errors\": {\"EIO\": 3}, \"unknown\": 2,"
	" \"in_flight\": 4, \"waiting\": 5, \"not_issued\": 6, \"oldest_ns\": 81000000, \"hists\": [{\"op\": \"\", \"phase\": \"storm\", \"ok\": 9, \"errors\": {\"EIO\": 2},"
	" \"unknown\": 1, \"response\": \"AQID\", \"service\": \"\"}]}], \"pages\": [[0, 7, 100, 200, \"ok\"]], \"open\": [[0, 7, 300]],"
	" \"ops\": [[0, \"read\", \"s0001/a\", 100, 150, 9000, \"EIO\"]]}";
static const char final_text[] =
	"{\"jobs\": [{\"job\": \"j\", \"due\": 10, \"ok\": 5, \"errors\": {\"EIO\": 1}, \"unknown\": 2, \"in_flight\": 1, \"not_issued\": 1}],"
	" \"censored\": [{\"job\": \"j\", \"op\": \"\", \"phase\": \"storm\", \"kind\": \"in_flight\", \"ages\": \"AQ==\"}], \"hung\": [], \"lag\": [],"
	" \"dropped_pages\": 3, \"worker_died\": true, \"left\": [5]}";

static json_t *interval, *final;

static void read_messages(void)
{
	static const char *const texts[] = { interval_text, final_text };
	json_t **const into[] = { &interval, &final };

	for (int i = 0; i < 2; i++) {
		json_decref(*into[i]);
		*into[i] = json_loads(texts[i], 0, NULL);
		CHECK(*into[i], "a message of this test is no JSON");
	}
}

static int run_record(struct err *err)
{
	static const char *const jobs[] = { "j", NULL };
	struct record *r = NULL;
	int rc = record_create("r", &r, err);

	if (rc == 0)
		rc = record_begin(r, err);
	if (rc == 0)
		rc = record_meta(r, "k", "v", err);
	if (rc == 0)
		rc = record_interval(r, "h", interval, jobs, err);
	if (rc == 0)
		rc = record_final(r, "h", final, err);
	if (rc == 0)
		rc = record_commit(r, err);
	if (rc == 0)
		rc = record_seal(r, err);
	record_close(r);
	return rc;
}

static int count_pages(struct record *r)
{
	sqlite3_stmt *s = NULL;
	int nr = -1;

	if (sqlite3_prepare_v2(record_db(r), "SELECT (SELECT COUNT(*) FROM pages) + (SELECT COUNT(*) FROM totals)", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		nr = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return nr;
}

/* None, or one that can be read: with all of its group or nothing of it, and said to be complete only when it is. */
static void look_record(int rc)
{
	struct err err = ERR_INIT;
	struct record *r = NULL;
	char *complete;
	int opened = record_open("r", true, &r, &err), nr;

	/* -EBADMSG: it was just begun, and could not be taken away either. */
	CHECK(opened == 0 || ((opened == -ENOENT || opened == -EBADMSG) && rc < 0), "after %d: %s", rc, err.text);
	if (opened < 0)
		return;
	nr = count_pages(r);
	CHECK(nr == 2 || (nr == 0 && rc < 0), "%d rows after %d", nr, rc);
	complete = record_meta_get(r, "complete");
	CHECK(complete ? nr == 2 : rc < 0, "complete %s after %d", complete ? complete : "is missing", rc);
	free(complete);
	record_close(r);
}

const struct act acts[] = {
	{ .name = "yaml", .run = run_yaml },
	{ .name = "profile", .prepare = write_profile, .run = run_profile },
	{ .name = "trace", .run = run_trace },
	{ .name = "hist", .run = run_hist },
	{ .name = "exec", .run = run_exec },
	{ .name = "journal, write", .prepare = write_entry, .run = run_journal_write, .look = look_journal },
	{ .name = "journal, list", .prepare = write_entry, .run = run_journal_list },
	{ .name = "journal, strike", .prepare = write_entry, .run = run_journal_strike },
	/* A record that jansson has no memory to read is taken for none. */
	{ .name = "audit", .prepare = write_log, .run = run_audit, .look = look_log, .also = { EBADMSG } },
	/* json_unpack() takes memory, and a head that it did not take apart is taken for none of ours. */
	{ .name = "manifest", .run = run_manifest, .look = look_manifest, .also = { EBADMSG } },
	/* SQLite opens for reading what it cannot open for writing, and complains later; or it tells the errno of a call before, or, of the index of its log, none. */
	{ .name = "record", .prepare = read_messages, .run = run_record, .look = look_record, .also = { EROFS, ENOENT, EIO } },
	{ .name = NULL },
};
