/* SPDX-License-Identifier: MIT */
/*
 * gaps.c - what was not measured: a line that needs it is not false, it is unknown.
 */
#include <stdio.h>
#include <string.h>

#include "judge.h"
#include "record.h"
#include "signature.h"

#define REBOOTS_MAX 8

/* When the load ran, and when a host was away on order [ns since T0]. */
struct course {
	int64_t load_end;
	struct {
		int64_t from, to;
	} reboot[REBOOTS_MAX];
	unsigned int reboots_nr;
};

static int take_end(void *row, void *arg)
{
	((struct course *)arg)->load_end = sqlite3_column_int64(row, 0);
	return 0;
}

/* After it the window fills anew. */
static int take_reboot(void *row, void *arg)
{
	struct course *c = arg;

	if (c->reboots_nr == REBOOTS_MAX)
		return 0;
	c->reboot[c->reboots_nr].from = sqlite3_column_int64(row, 0);
	c->reboot[c->reboots_nr].to = sqlite3_column_type(row, 1) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(row, 1) + METRICS_WINDOW_NS;
	c->reboots_nr++;
	return 0;
}

static bool is_silent(struct metrics *metrics, const struct course *c, int metric, int64_t t)
{
	for (unsigned int i = 0; i < c->reboots_nr; i++)
		if (t >= c->reboot[i].from && t <= c->reboot[i].to)
			return false;
	return !metrics_measured(metrics, metric, t);
}

/* @return whether there is one. */
static bool look(const struct condition *condition, struct metrics *metrics, const struct course *c, int64_t from, int64_t to, char *ret, size_t bytes)
{
	for (unsigned int i = 0; i < condition->nr; i++) {
		int metric = condition->term[i].metric;
		int64_t t = (from + SECOND - 1) / SECOND * SECOND, end;

		while (t <= to && !is_silent(metrics, c, metric, t))
			t += SECOND;
		if (t > to)
			continue;
		for (end = t; end < to && is_silent(metrics, c, metric, end + SECOND);)
			end += SECOND;
		(void)snprintf(ret, bytes, "%s was not measured from %lld to %lld s", metric_table[metric].name,
			       (long long)((t - METRICS_WINDOW_NS > 0 ? t - METRICS_WINDOW_NS : 0) / SECOND), (long long)(end / SECOND));
		return true;
	}
	return false;
}

struct told {
	const char *metric;
	char *text;
	size_t bytes;
};

/* host, its last word before, its next [ns] */
static int take_gap(void *row, void *arg)
{
	const struct told *told = arg;

	(void)snprintf(told->text, told->bytes, "%s of %s was not measured from %lld to %lld s", told->metric, record_text(row, 0),
		       (long long)((sqlite3_column_int64(row, 1) + SECOND - 1) / SECOND), (long long)(sqlite3_column_int64(row, 2) / SECOND));
	return 0;
}

/*
 * A host that told of a metric and then did not, while others did: what is greatest or least over all hosts is not known. Not so of pages and
 * seconds of jobs: a load that is silent makes the run void. One that is away or frozen on order has nothing to tell.
 */
static int look_at_hosts(struct record *record, const struct condition *condition, int64_t from, int64_t to, char *ret, size_t bytes, struct err *err)
{
	static const char sql[] =
		"SELECT host, t_ns, next FROM (SELECT host, t_ns, MIN(?3 + 0, LEAD(t_ns, 1, ?3 + 0) OVER (PARTITION BY host ORDER BY t_ns)) AS next FROM samples"
		" WHERE metric = ?1) AS s WHERE next - t_ns > ?4 + 0 AND next > ?2 + 0 AND NOT EXISTS (SELECT 1 FROM faults AS f WHERE f.host = s.host AND"
		" fault IN (" FAULTS_THAT_TAKE_HOSTS ", 'host-freeze') AND inject_ns < next AND COALESCE(heal_ns, next) >= t_ns) ORDER BY t_ns DESC";
	char source[64], begin[24], end[24], longest[24];
	int rc = 0;

	(void)snprintf(begin, sizeof begin, "%lld", (long long)from);
	(void)snprintf(end, sizeof end, "%lld", (long long)to);
	(void)snprintf(longest, sizeof longest, "%lld", METRICS_WINDOW_NS + SECOND);
	for (unsigned int i = 0; i < condition->nr && rc == 0 && ret[0] == '\0'; i++) {
		const struct metric *m = &metric_table[condition->term[i].metric];
		struct told told = { m->name, ret, bytes };

		(void)snprintf(source, sizeof source, "%.*s", (int)strcspn(m->source, ","), m->source);
		rc = record_query(record, sql, (const char *const[]){ source, begin, end, longest, NULL }, take_gap, &told, err);
	}
	return rc;
}

int gap_find(struct record *record, struct metrics *metrics, const struct signature_line *line, int64_t from_ns, int64_t to_ns, char *ret, size_t bytes,
	     struct err *err)
{
	struct course c = { .reboots_nr = 0 };
	int rc = record_query(record, "SELECT MAX(end_ns) FROM phases", NULL, take_end, &c, err);

	ret[0] = '\0';
	if (rc == 0)
		rc = record_query(record, "SELECT inject_ns, heal_ns FROM faults WHERE fault IN (" FAULTS_THAT_TAKE_HOSTS ") AND inject_ns IS NOT NULL", NULL,
				  take_reboot, &c, err);
	if (rc < 0)
		return rc;
	to_ns = to_ns < c.load_end ? to_ns : c.load_end;
	if (look(&line->main, metrics, &c, from_ns, to_ns, ret, bytes) || look(&line->during, metrics, &c, from_ns, to_ns, ret, bytes))
		return 0;
	rc = look_at_hosts(record, &line->main, from_ns, to_ns, ret, bytes, err);
	return rc < 0 ? rc : look_at_hosts(record, &line->during, from_ns, to_ns, ret, bytes, err);
}
