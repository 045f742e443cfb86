/* SPDX-License-Identifier: MIT */
/*
 * record.h - run.db: everything that was measured in a run, and the only thing that the report side reads.
 *
 * Times are ns since T0 on the coordinator's clock; "host" is a name. Histograms are hist_encode() blobs. WAL while running, sealed to one file at the end.
 *
 *	meta(key PRIMARY KEY, value)   profile (effective text), profile_name, run, arm, seed, t0_utc_ns, t0_ns (clock_mono_ns of the coordinator), end_ns,
 *	                               complete ("1" when sealed), version, commit, on, capacity.JOB and rate.JOB and baseline [1/s], settle_ns, dataset_bytes,
 *	                               host.HOST.kernel, told.HOST (up to which number all is here), stopped (why), stopped_by (signal, guard),
 *	                               dropped_pages.HOST, worker_died.HOST ("1"), left.HOST (pids, JSON) and damage.HOST (JSON) when load_final() named any,
 *	                               engines.HOST: {"JOB": {"engine", "why", "submit_blocked", "submit_blocked_max_ns"}} (JSON); why only when
 *	                               the job names another one, the others of an asynchronous engine, see load_final(),
 *	                               retries.HOST: {"JOB": [...]} (JSON): "retry" of load_final(), of jobs that have one
 *	                               logged_ops.HOST: {"kept", "dropped"} (JSON) of load_final(), when a job logs its ops
 *	                               rpcs.HOST: {"nr", "first": [...]} (JSON) of load_final(), when it names any
 *	hosts(host, roles, offset_ns, offset_error_ns, start_skew_ns, lost_at_ns)                  lost_at_ns NULL = never lost
 *	phases(idx, name, start_ns, end_ns)
 *	events(t_ns, host, kind, fault_idx, evidence)      kind: condition, inject, injected, verify, vanished, heal, healing, healed, failed, lost, back, gap, clock, note, away, resumed, late, utc (by how much a clock of the day was set); fault_idx NULL = none; verdicts stand in evidence as "confirmed: ..."
 *	faults(idx, fault, host, verified, healed, inject_ns, heal_ns, healed_by, evidence)      healed_by: "heal" or the fault that took it away
 *	intervals(second, host, job, op, phase, ok, unknown, response, service)   op '' = the job
 *	errors(second, host, job, op, phase, errno, nr)
 *	job_seconds(second, host, job, due, issued, ok, errors, unknown, in_flight, waiting, not_issued, oldest_ns)   cumulative but the last four, which are momentary (not_issued cumulative)
 *	censored(host, job, op, phase, kind, ages)         kind: in_flight, unknown, not_issued
 *	pages(host, job, site, due_ns, done_ns, outcome)   outcome: ok, unknown or an errno name
 *	pages_open(t_ns, host, job, site, due_ns)          oldest open page of each site with one, once a second
 *	ops(host, job, op, path, due_ns, issued_ns, done_ns, outcome)   those that a job logs one by one; times of the host that did them, from T0
 *	samples(t_ns, host, metric, label, value, text)            of config.*: at 0 what was told last before T0, then only what is another
 *	hung(host, pid, tid, op, path, age_ns, wchan, stack)       stack: JSON array
 *	lag(host, phase, count, p99_ns, max_ns, hiccup_p99_ns, hiccup_max_ns)
 *	totals(host, job, due, ok, errors, unknown, in_flight, not_issued)        of the final message; errors is a JSON object
 *	signature(line, text, held, at_ns, evidence), verdict(json)     written by the judge; may be written again
 */
#ifndef SQUALL_RECORD_H
#define SQUALL_RECORD_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct record;

/** Make DIR/run.db with the schema; DIR is made. Errors: -ENOSPC, -EEXIST, -errno with the path. */
int record_create(const char *dir, struct record **ret_record, struct err *err);
/** Open an existing one; read-only unless write. Errors: -ENOENT, -EBADMSG not a record of squall. */
int record_open(const char *dir, bool write, struct record **ret_record, struct err *err);
/** Checkpoint, leave WAL mode, fsync; one file remains. Then record_close(). */
int record_seal(struct record *record, struct err *err);
void record_close(struct record *record);

/** For readers whose SELECTs need more than record_query(). */
sqlite3 *record_db(struct record *record);

/**
 * Call back with each row of a SELECT.
 * @param texts  bound to ?1, ?2, ...; NULL-terminated, or NULL. @param take  what it returns below 0 ends the query
 * @return 0 or what take() returned below 0, or -EIO
 */
int record_query(struct record *record, const char *sql, const char *const texts[], int (*take)(void *row, void *arg), void *arg, struct err *err);

/** A text of such a row; "" when it is NULL. */
static inline const char *record_text(void *row, int column)
{
	const unsigned char *text = sqlite3_column_text((sqlite3_stmt *)row, column);

	return text ? (const char *)text : "";
}

/** Group writes: everything between is one transaction. */
int record_begin(struct record *record, struct err *err);
int record_commit(struct record *record, struct err *err);

int record_meta(struct record *record, const char *key, const char *value, struct err *err);
int record_meta_double(struct record *record, const char *key, double value, struct err *err);
/** @return malloc'ed value or NULL. */
char *record_meta_get(struct record *record, const char *key);
int record_host(struct record *record, const char *host, const char *roles, int64_t offset_ns, int64_t error_ns, int64_t start_skew_ns, struct err *err);
int record_host_lost(struct record *record, const char *host, int64_t at_ns, struct err *err);
int record_phase(struct record *record, int idx, const char *name, int64_t start_ns, int64_t end_ns, struct err *err);
/** @param fault_idx -1 = none */
int record_event(struct record *record, int64_t t_ns, const char *host, const char *kind, int fault_idx, const char *evidence, struct err *err);
/** Insert or replace the row of a fault; an instant of -1 is stored as NULL, a text of NULL as ''. */
int record_fault(struct record *record, int idx, const char *fault, const char *host, const char *verified, const char *healed,
		 int64_t inject_ns, int64_t heal_ns, const char *healed_by, const char *evidence, struct err *err);
/** One load_interval() of a host; job_idx of its pages are turned into names by `jobs`, which ends at NULL or after JOBS_MAX. Malformed: -EBADMSG, and nothing of it is stored. */
int record_interval(struct record *record, const char *host, const json_t *interval, const char *const jobs[], struct err *err);
/** One load_final() of a host. */
int record_final(struct record *record, const char *host, const json_t *final, struct err *err);
/** One sample of observe_take(), its t_ns already since T0. */
int record_sample(struct record *record, const char *host, int64_t t_ns, const json_t *sample, struct err *err);

#endif
