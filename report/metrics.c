/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - the table of metrics, and how each comes out of samples.
 */
#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "rows.h"
#include "sites.h"
#include "yaml.h"

#define SOURCES_MAX 48

/* How a value comes out of the window. The greatest, the least: over all hosts. */
enum how { HOW_MAX, HOW_MIN, HOW_LAST, HOW_GROWTH_PER_S, HOW_GROWTH, HOW_RATIO_OF_GROWTH, HOW_MOST_OF_TIME, HOW_RATIO_OF_MEANS, HOW_SITES, HOW_JOBS };

const struct metric metric_table[] = {
	{ "nfsd.hung_ratio", "", "nfsd.hung_ns, nfsd.total_ns", "share of nfsd thread-time in single unbroken waits of 500 ms and more" },
	{ "nfsd.blocked_ratio", "", "nfsd.blocked, nfsd.threads", "share of nfsd threads in D; near 1 on a healthy server under writes" },
	{ "nfsd.threads", "", "nfsd.threads", "nfsd threads, at last" },
	{ "drbd.connected", "", "drbd.connected", "1 when every sample of every node said Connected, else 0" },
	{ "drbd.oldest_request_age", "ns", "drbd.oldest_request_ns", "the greatest age that a request to DRBD had" },
	{ "drbd.pending", "", "drbd.pending", "most requests sent to the peer and not answered" },
	{ "drbd.local", "", "drbd.local", "most requests at the local disk" },
	{ "sites.ok_ratio", "", "pages", "share of sites that are neither slow nor down" },
	{ "sites.slow_ratio", "", "pages", "share of sites whose median page is above max(1 s, 5 x its baseline p95)" },
	{ "sites.down_ratio", "", "pages", "share of sites with no page finished, the oldest being older than that limit, or all failed" },
	{ "sites.failed_pages", "", "pages", "pages that ended in an error or ran into their timeout" },
	{ "load.ops_per_s", "1/s", "job_seconds", "pages and single ops done, per second" },
	{ "load.error_ratio", "", "job_seconds", "share of errors and timeouts in what ended" },
	{ "load.in_flight", "", "job_seconds", "pages and ops in flight, the most of any second" },
	{ "load.oldest_op_age", "ns", "job_seconds", "the greatest age of one in flight" },
	{ "mount.rtt", "ns", "mount.rtt_ns, mount.ops", "mean round trip of an RPC" },
	{ "mount.retrans_per_s", "1/s", "mount.retrans", "RPCs sent again, per second" },
	{ "mount.connects", "", "mount.connects", "connections made anew" },
	{ "cpu.idle_ratio", "", "cpu.idle_ns, cpu.total_ns", "share of processor time that was idle, over all hosts together" },
	{ "cpu.steal_ratio", "", "cpu.steal_ns, cpu.total_ns", "share of processor time that a hypervisor took, over all hosts together" },
	{ "pressure.cpu_some", "%", "pressure.cpu", "greatest share of time in which a task waited for a processor, avg10" },
	{ "pressure.io_full", "%", "pressure.io", "greatest share of time in which all tasks waited for I/O, avg10" },
	{ "pressure.memory_full", "%", "pressure.memory", "greatest share of time in which all tasks waited for memory, avg10" },
	{ "disk.busy_ratio", "", "disk.busy_ns", "share of time in which the busiest disk of all hosts was busy" },
	{ NULL, NULL, NULL, NULL },
};

/* In the order of metric_table. a, b: metrics of samples, columns or fields; label: of pressure. */
static const struct recipe {
	enum how how;
	const char *a, *b, *label;
} recipes[] = {
	{ HOW_RATIO_OF_GROWTH, "nfsd.hung_ns", "nfsd.total_ns", NULL },
	{ HOW_RATIO_OF_MEANS, "nfsd.blocked", "nfsd.threads", NULL },
	{ HOW_LAST, "nfsd.threads", NULL, NULL },
	{ HOW_MIN, "drbd.connected", NULL, NULL },
	{ HOW_MAX, "drbd.oldest_request_ns", NULL, NULL },
	{ HOW_MAX, "drbd.pending", NULL, NULL },
	{ HOW_MAX, "drbd.local", NULL, NULL },
	{ HOW_SITES, "ok", NULL, NULL },
	{ HOW_SITES, "slow", NULL, NULL },
	{ HOW_SITES, "down", NULL, NULL },
	{ HOW_SITES, "failed", NULL, NULL },
	{ HOW_JOBS, "ops", NULL, NULL },
	{ HOW_JOBS, "errors", NULL, NULL },
	{ HOW_JOBS, "in_flight", NULL, NULL },
	{ HOW_JOBS, "oldest", NULL, NULL },
	{ HOW_RATIO_OF_GROWTH, "mount.rtt_ns", "mount.ops", NULL },
	{ HOW_GROWTH_PER_S, "mount.retrans", NULL, NULL },
	{ HOW_GROWTH, "mount.connects", NULL, NULL },
	{ HOW_RATIO_OF_GROWTH, "cpu.idle_ns", "cpu.total_ns", NULL },
	{ HOW_RATIO_OF_GROWTH, "cpu.steal_ns", "cpu.total_ns", NULL },
	{ HOW_MAX, "pressure.cpu", NULL, "some" },
	{ HOW_MAX, "pressure.io", NULL, "full" },
	{ HOW_MAX, "pressure.memory", NULL, "full" },
	{ HOW_MOST_OF_TIME, "disk.busy_ns", NULL, NULL },
};

/* What all jobs of all hosts had done by the end of a second. */
struct job_second {
	int64_t ok, bad, in_flight, oldest_ns;
	bool known;
};

struct metrics {
	struct record *record;
	int64_t from_ns, baseline_end_ns, end_ns;
	struct {
		const char *metric, *label;
		struct rows rows;
	} source[SOURCES_MAX];
	unsigned int sources_nr;
	struct sites *sites;
	struct job_second *job;		/* one a second from 0 on */
	size_t job_seconds_nr;
};

int metric_find(const char *name)
{
	for (int i = 0; metric_table[i].name; i++)
		if (strcmp(metric_table[i].name, name) == 0)
			return i;
	return -1;
}

const char *metric_nearest(const char *name)
{
	const char *names[sizeof metric_table / sizeof metric_table[0]];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		names[i] = metric_table[i].name;
	return yaml_nearest(name, names);
}

static int64_t ask(struct record *record, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t value = 0;

	if (sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		value = sqlite3_column_int64(s, 0);
	(void)sqlite3_finalize(s);
	return value;
}

int metrics_open(struct record *record, int64_t from_ns, struct metrics **ret_metrics, struct err *err)
{
	struct metrics *m = calloc(1, sizeof *m);
	int64_t last;

	(void)err;
	if (!m)
		return -ENOMEM;
	m->record = record;
	m->from_ns = from_ns;
	m->baseline_end_ns = ask(record, "SELECT end_ns FROM phases WHERE name = 'baseline'");
	m->end_ns = ask(record, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'end_ns'");
	last = ask(record, "SELECT MAX(t) FROM (SELECT MAX(t_ns) AS t FROM samples UNION SELECT (MAX(second) + 1) * 1000000000 FROM job_seconds)");
	if (m->end_ns == 0)
		m->end_ns = last;
	*ret_metrics = m;
	return 0;
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	for (unsigned int i = 0; i < m->sources_nr; i++)
		rows_release(&m->source[i].rows);
	sites_free(m->sites);
	free(m->job);
	free(m);
}

int64_t metrics_baseline_end(const struct metrics *m)
{
	return m->baseline_end_ns;
}

int64_t metrics_end(const struct metrics *m)
{
	return m->end_ns;
}

static const struct rows *source(struct metrics *m, const char *metric, const char *label)
{
	unsigned int i = 0;

	while (i < m->sources_nr && (m->source[i].metric != metric || m->source[i].label != label))
		i++;
	if (i == m->sources_nr && i < SOURCES_MAX) {
		m->source[i].metric = metric;
		m->source[i].label = label;
		(void)rows_read(m->record, metric, label, m->from_ns - 2 * METRICS_WINDOW_NS, &m->source[i].rows);
		m->sources_nr++;
	}
	return i < SOURCES_MAX ? &m->source[i].rows : NULL;
}

static bool extreme(const struct rows *rows, int64_t from, int64_t to, enum how how, double *ret)
{
	size_t i = rows_after(rows, from), end = rows_after(rows, to);
	bool any = i < end;

	if (any)
		*ret = rows->row[i].value;
	for (; i < end; i++) {
		double v = rows->row[i].value;

		if (how == HOW_LAST || (how == HOW_MAX && v > *ret) || (how == HOW_MIN && v < *ret))
			*ret = v;
	}
	return any;
}

static bool mean(const struct rows *rows, int64_t from, int64_t to, double *ret)
{
	size_t i = rows_after(rows, from), end = rows_after(rows, to), nr = end - i;

	*ret = 0;
	for (; i < end; i++)
		*ret += rows->row[i].value / (double)nr;
	return nr > 0;
}

static struct sites *sites_of(struct metrics *m)
{
	if (!m->sites)
		(void)sites_read(m->record, m->from_ns, m->baseline_end_ns, m->end_ns, &m->sites);
	return m->sites;
}

static bool site_value(struct metrics *m, const char *what, int64_t t, double *ret)
{
	const struct site_second *s = sites_of(m) ? sites_at(m->sites, t) : NULL;
	unsigned int all = s ? s->ok + s->slow + s->down : 0;

	if (all == 0)
		return false;
	*ret = strcmp(what, "failed") == 0 ? s->failed_pages :
	       (strcmp(what, "ok") == 0 ? s->ok : strcmp(what, "slow") == 0 ? s->slow : s->down) / (double)all;
	return true;
}

/* From one row of a host and job to its next: what it had done is added once, what it had in flight to each second until then. */
static void add_job(struct metrics *m, sqlite3_stmt *s)
{
	int64_t second = sqlite3_column_int64(s, 0), next = sqlite3_column_int64(s, 5), nr = (int64_t)m->job_seconds_nr;

	if (second < 0 || second >= nr)
		return;
	m->job[second].known = true;
	m->job[second].ok += sqlite3_column_int64(s, 1);
	m->job[second].bad += sqlite3_column_int64(s, 2);
	for (int64_t i = second; i < next && i < nr; i++) {
		int64_t oldest = sqlite3_column_int64(s, 4);

		m->job[i].in_flight += sqlite3_column_int64(s, 3);
		m->job[i].oldest_ns = oldest > m->job[i].oldest_ns ? oldest : m->job[i].oldest_ns;
	}
}

/* A host that is silent for a while keeps what it said last: its counters do not grow. After its last word it has nothing in flight. */
static void read_jobs(struct metrics *m)
{
	static const char sql[] = "SELECT second, ok - LAG(ok, 1, 0) OVER w, errors + unknown - LAG(errors + unknown, 1, 0) OVER w, in_flight, oldest_ns,"
				  " LEAD(second, 1, second + 1) OVER w FROM job_seconds WINDOW w AS (PARTITION BY host, job ORDER BY second)";
	size_t nr = (size_t)(m->end_ns / 1000000000) + 2;
	sqlite3_stmt *s = NULL;

	m->job = calloc(nr, sizeof *m->job);
	if (!m->job || sqlite3_prepare_v2(record_db(m->record), sql, -1, &s, NULL) != SQLITE_OK)
		return;
	m->job_seconds_nr = nr;
	while (sqlite3_step(s) == SQLITE_ROW)
		add_job(m, s);
	(void)sqlite3_finalize(s);
	for (size_t i = 1; i < nr; i++) {
		m->job[i].ok += m->job[i - 1].ok;
		m->job[i].bad += m->job[i - 1].bad;
	}
}

static bool job_value(struct metrics *m, const char *what, int64_t t, double *ret)
{
	int64_t last = t / 1000000000 - 1, first = last - 10, ok, bad;
	const struct job_second *a, *b;

	if (!m->job)
		read_jobs(m);
	first = first < 0 ? 0 : first;
	if (!m->job || last < first || last >= (int64_t)m->job_seconds_nr || !m->job[first].known || !m->job[last].known)
		return false;
	a = &m->job[first];
	b = &m->job[last];
	ok = b->ok - a->ok;
	bad = b->bad - a->bad;
	if (strcmp(what, "ops") == 0) {
		*ret = (double)ok / (double)(last - first);
		return last > first;
	}
	if (strcmp(what, "errors") == 0) {
		*ret = ok + bad > 0 ? (double)bad / (double)(ok + bad) : 0;
		return ok + bad > 0;
	}
	*ret = 0;
	for (int64_t i = first; i <= last; i++) {
		double v = (double)(strcmp(what, "in_flight") == 0 ? m->job[i].in_flight : m->job[i].oldest_ns);

		*ret = m->job[i].known && v > *ret ? v : *ret;
	}
	return true;
}

/* A wait is counted whole when it becomes a long one, which may be more than the window has: a share is 1 at the most. */
static bool quotient(const struct recipe *r, double under, double over, double *ret)
{
	if (over <= 0)
		return false;
	*ret = under / over;
	if (strcmp(metric_table[r - recipes].unit, "") == 0 && *ret > 1)
		*ret = 1;
	return true;
}

static struct growth growth_of(struct metrics *m, const char *metric, const char *label, int64_t from, int64_t to)
{
	const struct rows *rows = source(m, metric, label);

	return rows ? rows_growth(rows, from, to) : (struct growth){ 0 };
}

static bool ratio_of_growth(struct metrics *m, const struct recipe *r, int64_t from, int64_t to, double *ret)
{
	struct growth a = growth_of(m, r->a, r->label, from, to), b = growth_of(m, r->b, r->label, from, to);

	return a.steps > 0 && b.steps > 0 && quotient(r, a.all, b.all, ret);
}

bool metrics_value(struct metrics *m, int metric, int64_t t, double *ret)
{
	const struct recipe *r = &recipes[metric];
	int64_t from = t - METRICS_WINDOW_NS;
	const struct rows *rows;
	struct growth growth;
	double under;

	switch (r->how) {
	case HOW_SITES:
		return site_value(m, r->a, t, ret);
	case HOW_JOBS:
		return job_value(m, r->a, t, ret);
	case HOW_RATIO_OF_GROWTH:
		return ratio_of_growth(m, r, from, t, ret);
	case HOW_MOST_OF_TIME:
		growth = growth_of(m, r->a, r->label, from, t);
		return growth.steps > 0 && quotient(r, growth.most, (double)METRICS_WINDOW_NS, ret);
	case HOW_RATIO_OF_MEANS:
		rows = source(m, r->b, NULL);
		if (!rows || !mean(rows, from, t, &under) || under <= 0 || !mean(source(m, r->a, NULL), from, t, ret))
			return false;
		*ret /= under;
		return true;
	case HOW_GROWTH:
	case HOW_GROWTH_PER_S:
		growth = growth_of(m, r->a, r->label, from, t);
		*ret = growth.all / (r->how == HOW_GROWTH ? 1 : (double)METRICS_WINDOW_NS / 1e9);
		return growth.steps > 0;
	case HOW_MAX:
	case HOW_MIN:
	case HOW_LAST:
		rows = source(m, r->a, r->label);
		return rows && extreme(rows, from, t, r->how, ret);
	}
	return false;
}

bool metrics_measured(struct metrics *m, int metric, int64_t t)
{
	const struct recipe *r = &recipes[metric];
	const struct rows *rows;
	double v;

	if (r->how == HOW_SITES)
		return site_value(m, r->a, t, &v);
	if (r->how == HOW_JOBS) {
		if (!m->job)
			read_jobs(m);
		for (int64_t i = (t - METRICS_WINDOW_NS) / 1000000000; m->job && i < t / 1000000000 && i < (int64_t)m->job_seconds_nr; i++)
			if (i >= 0 && m->job[i].known)
				return true;
		return false;
	}
	rows = source(m, r->a, r->label);
	return rows && rows_after(rows, t - METRICS_WINDOW_NS) < rows_after(rows, t);
}

void metrics_sites(struct metrics *m, struct site_totals *ret)
{
	*ret = (struct site_totals){ 0 };
	if (sites_of(m))
		sites_totals(m->sites, ret);
}
