/* SPDX-License-Identifier: MIT */
/*
 * signature.c - parses lines and holds them against a record.
 */
#include "signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "record.h"
#include "report.h"
#include "units.h"

#define SECOND 1000000000ll
#define WORDS_MAX 96

struct words {
	char text[LINE_BYTES * 2];
	char *word[WORDS_MAX];
	unsigned int nr, at;
};

/* Words stand apart by spaces; an operator may touch its neighbours. */
static int split(const char *text, struct words *w, struct err *err)
{
	size_t n = 0;
	char *rest = w->text, *word;

	w->nr = w->at = 0;
	for (const char *p = text; *p != '\0'; p++) {
		bool op = strchr("<>=!", *p), before_op = p > text && strchr("<>=!", p[-1]);

		if (n + 3 >= sizeof w->text)
			return err_set(err, -EINVAL, "the line is too long");
		if (p > text && op != before_op)
			w->text[n++] = ' ';
		w->text[n++] = *p == '\t' ? ' ' : *p;
	}
	w->text[n] = '\0';
	while ((word = strsep(&rest, " "))) {
		if (*word == '\0')
			continue;
		if (w->nr == WORDS_MAX)
			return err_set(err, -EINVAL, "the line has more than %d words", WORDS_MAX);
		w->word[w->nr++] = word;
	}
	return w->nr == 0 ? err_set(err, -EINVAL, "the line is empty") : 0;
}

static const char *peek(const struct words *w)
{
	return w->at < w->nr ? w->word[w->at] : "";
}

static const char *next(struct words *w)
{
	return w->at < w->nr ? w->word[w->at++] : "";
}

static int parse_value(const struct metric *metric, const char *text, double *ret, struct err *err)
{
	uint64_t ns;
	char *end;

	if (strcmp(metric->unit, "ns") == 0) {
		if (units_parse_duration(text, &ns) < 0)
			return err_set(err, -EINVAL, "'%s' is not a time, which %s is compared with; write 1s or 200ms", text, metric->name);
		*ret = (double)ns;
		return 0;
	}
	if (strchr(text, '%') && units_parse_percent(text, ret) == 0) {
		*ret *= strcmp(metric->unit, "%") == 0 ? 100 : 1;
		return 0;
	}
	*ret = strtod(text, &end);
	if (*text == '\0' || *end != '\0')
		return err_set(err, -EINVAL, "'%s' is not a number, which %s is compared with", text, metric->name);
	return 0;
}

static int parse_comparison(struct words *w, struct comparison *ret, struct err *err)
{
	static const char *const ops[] = { ">=", "<=", ">", "<", "==", "!=", NULL };
	const char *name = next(w), *near;

	ret->metric = metric_find(name);
	if (ret->metric < 0) {
		near = metric_nearest(name);
		return err_set(err, -EINVAL, "unknown metric '%s'%s%s%s; squall report --list-metrics names them", name, near ? ", did you mean '" : "", near ? near : "",
			       near ? "'" : "");
	}
	ret->op[0] = '\0';
	for (int i = 0; ops[i]; i++)
		if (strcmp(peek(w), ops[i]) == 0) {
			(void)snprintf(ret->op, sizeof ret->op, "%s", next(w));
			return parse_value(&metric_table[ret->metric], next(w), &ret->value, err);
		}
	return 0;
}

static int parse_condition(struct words *w, struct condition *ret, struct err *err)
{
	bool begins_or = false;

	for (;;) {
		struct comparison *c = &ret->term[ret->nr];
		int rc;

		if (ret->nr == COMPARISONS_MAX)
			return err_set(err, -EINVAL, "more than %d comparisons", COMPARISONS_MAX);
		rc = parse_comparison(w, c, err);
		if (rc < 0)
			return rc;
		c->begins_or = begins_or;
		ret->nr++;
		if (strcmp(peek(w), "and") != 0 && strcmp(peek(w), "or") != 0)
			return 0;
		begins_or = strcmp(next(w), "or") == 0;
	}
}

static int parse_time(struct words *w, const char *what, uint64_t *ret, struct err *err)
{
	const char *text = next(w);

	return units_parse_duration(text, ret) < 0 ? err_set(err, -EINVAL, "'%s' after '%s' is not a time; write 10s", text, what) : 0;
}

static int parse_event(struct words *w, const char *clause, char ret[NAME_BYTES], struct err *err)
{
	if (*peek(w) == '\0')
		return err_set(err, -EINVAL, "the event is missing: %s", clause);
	(void)snprintf(ret, NAME_BYTES, "%s", next(w));
	return 0;
}

static int parse_clause(struct words *w, struct signature_line *ret, struct err *err)
{
	const char *word = next(w);
	int rc;

	if (strcmp(word, "for") == 0)
		return parse_time(w, word, &ret->for_ns, err);
	if (strcmp(word, "while") == 0)
		return parse_condition(w, &ret->during, err);
	if (strcmp(word, "before") == 0)
		return parse_event(w, "before EVENT", ret->before, err);
	if (strcmp(word, "within") != 0)
		return err_set(err, -EINVAL, "'%s' is not expected here; after a condition come: for TIME, while CONDITION, within TIME of EVENT, before EVENT", word);
	rc = parse_time(w, word, &ret->within_ns, err);
	if (rc == 0 && strcmp(next(w), "of") != 0)
		rc = err_set(err, -EINVAL, "write: within TIME of EVENT");
	return rc < 0 ? rc : parse_event(w, "within TIME of EVENT", ret->event, err);
}

int signature_parse(const char *text, struct signature_line *ret, struct err *err)
{
	struct words w;
	int rc;

	*ret = (struct signature_line){ 0 };
	rc = split(text, &w, err);
	if (rc == 0)
		rc = parse_condition(&w, &ret->main, err);
	while (rc == 0 && w.at < w.nr)
		rc = parse_clause(&w, ret, err);
	return rc;
}

static bool compare(const struct comparison *c, double v)
{
	switch (c->op[0]) {
	case '>':
		return c->op[1] ? v >= c->value : v > c->value;
	case '<':
		return c->op[1] ? v <= c->value : v < c->value;
	case '=':
		return v == c->value;
	case '!':
		return v != c->value;
	default:
		return v != 0;
	}
}

bool condition_holds(const struct condition *condition, struct metrics *metrics, int64_t t_ns)
{
	bool all = true;

	for (unsigned int i = 0; i < condition->nr; i++) {
		const struct comparison *c = &condition->term[i];
		double v;

		if (c->begins_or) {
			if (all)
				return true;
			all = true;
		}
		all = all && metrics_value(metrics, c->metric, t_ns, &v) && compare(c, v);
	}
	return all;
}

/* The instant of a fault's injection or of a phase's start; -1 = it never happened. */
static int64_t event_at(struct record *record, const char *name)
{
	static const char sql[] = "SELECT inject_ns FROM faults WHERE fault = ?1 AND inject_ns IS NOT NULL UNION ALL SELECT start_ns FROM phases WHERE name = ?1";
	sqlite3_stmt *s = NULL;
	int64_t at = -1;

	if (sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
		if (sqlite3_step(s) == SQLITE_ROW)
			at = sqlite3_column_int64(s, 0);
	}
	(void)sqlite3_finalize(s);
	return at;
}

static void format_value(int metric, double v, char *ret, size_t bytes)
{
	char text[32];

	if (strcmp(metric_table[metric].unit, "ns") == 0)
		(void)snprintf(ret, bytes, "%s", units_format_ns((uint64_t)(v > 0 ? v : 0), text, sizeof text));
	else
		(void)snprintf(ret, bytes, "%.3g", v);
}

struct range {
	double low, high;
	bool any;
};

/* What the first metric of the line did in a span of time: what a reader wants to see beside "held" or "not held". */
static struct range range_of(struct metrics *metrics, int metric, int64_t from, int64_t to)
{
	struct range r = { 0 };

	for (int64_t t = (from + SECOND - 1) / SECOND * SECOND; t <= to; t += SECOND) {
		double v;

		if (!metrics_value(metrics, metric, t, &v))
			continue;
		r.low = !r.any || v < r.low ? v : r.low;
		r.high = !r.any || v > r.high ? v : r.high;
		r.any = true;
	}
	return r;
}

struct span {
	int64_t from, to;	/* of the signature, or of a window after an event */
	int64_t best_ns, best_from;	/* the longest time without a break */
};

static void tell(const struct signature_line *line, struct metrics *metrics, const struct span *span, struct signature_result *ret)
{
	char low[32], high[32];
	int metric = line->main.term[0].metric;
	int64_t from = ret->held ? span->best_from : span->from, to = ret->held ? span->best_from + span->best_ns : span->to;
	struct range r = range_of(metrics, metric, from, to);

	format_value(metric, r.low, low, sizeof low);
	format_value(metric, r.high, high, sizeof high);
	if (!r.any)
		(void)snprintf(ret->evidence, sizeof ret->evidence, "%s was not measured from %.0f to %.0f s", metric_table[metric].name, (double)from / 1e9,
			       (double)to / 1e9);
	else
		(void)snprintf(ret->evidence, sizeof ret->evidence, "%s was %s%s%s from %.0f to %.0f s%s", metric_table[metric].name, low,
			       strcmp(low, high) == 0 ? "" : " to ", strcmp(low, high) == 0 ? "" : high, (double)from / 1e9, (double)to / 1e9, ret->held ? ", and the line true all that time" : "");
	if (!ret->held && span->best_ns >= 0 && line->for_ns > 0)
		(void)snprintf(ret->evidence + strlen(ret->evidence), sizeof ret->evidence - strlen(ret->evidence), "; the line was true for %.0f s at most",
			       (double)span->best_ns / 1e9);
}

static void look(const struct signature_line *line, struct metrics *metrics, struct span *span, struct signature_result *ret)
{
	int64_t since = -1;

	span->best_ns = -1;
	for (int64_t t = (span->from + SECOND - 1) / SECOND * SECOND; t <= span->to; t += SECOND) {
		bool now = condition_holds(&line->main, metrics, t) && (line->during.nr == 0 || condition_holds(&line->during, metrics, t));

		since = now ? (since < 0 ? t : since) : -1;
		if (!now || t - since <= span->best_ns)
			continue;
		span->best_ns = t - since;
		span->best_from = since;
		if (!ret->held && span->best_ns >= (int64_t)line->for_ns) {
			ret->held = true;
			ret->at_ns = t;
		}
	}
}

int signature_evaluate(struct record *record, struct metrics *metrics, const struct named_line *line, struct signature_result *ret, struct err *err)
{
	struct signature_line parsed;
	struct span span = { .from = metrics_baseline_end(metrics), .to = metrics_end(metrics) };
	int rc = signature_parse(line->text, &parsed, err);

	*ret = (struct signature_result){ .at_ns = -1 };
	if (rc < 0)
		return err_prefix(err, rc, "%s", line->name);
	if (parsed.event[0] != '\0') {
		int64_t at = event_at(record, parsed.event);

		if (at < 0) {
			(void)snprintf(ret->evidence, sizeof ret->evidence, "%s never happened", parsed.event);
			return 0;
		}
		span.from = at;
		span.to = at + (int64_t)parsed.within_ns < span.to ? at + (int64_t)parsed.within_ns : span.to;
	}
	if (parsed.before[0] != '\0') {
		int64_t at = event_at(record, parsed.before);

		span.to = at >= 0 && at < span.to ? at : span.to;
	}
	look(&parsed, metrics, &span, ret);
	tell(&parsed, metrics, &span, ret);
	return ret->held ? 0 : gap_find(record, metrics, &parsed, span.from, span.to, ret->gap, sizeof ret->gap, err);
}

static bool is_phase(const struct profile *profile, const char *name)
{
	for (unsigned int i = 0; i < profile->phases_nr; i++)
		if (strcmp(profile->phases[i].name, name) == 0)
			return true;
	return false;
}

int report_check_line(const struct profile *profile, const struct named_line *line, bool (*is_event)(const char *name), struct err *err)
{
	struct signature_line parsed;
	int rc = signature_parse(line->text, &parsed, err);
	const char *const events[] = { parsed.event, parsed.before };

	for (int i = 0; i < 2 && rc == 0; i++)
		if (events[i][0] != '\0' && !is_event)
			rc = err_set(err, -EINVAL, "it is asked while the run goes on: leave out '%s %s'", i == 0 ? "within ... of" : "before", events[i]);
		else if (events[i][0] != '\0' && !is_phase(profile, events[i]) && !is_event(events[i]))
			rc = err_set(err, -EINVAL, "'%s' is neither a phase nor a fault", events[i]);
	return rc < 0 ? err_prefix(err, rc, "%s:%u%s%s", profile->file, line->line, line->name[0] ? ": " : "", line->name) : 0;
}

json_t *report_metrics(void)
{
	json_t *list = json_array();

	for (int i = 0; metric_table[i].name; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "metric", metric_table[i].name, "unit", metric_table[i].unit, "source",
						      metric_table[i].source, "meaning", metric_table[i].meaning));
	return list;
}

int report_guard_holds(struct record *record, const char *text, int64_t t_ns, struct err *err)
{
	struct signature_line line;
	struct metrics *metrics = NULL;
	int64_t from;
	int rc = signature_parse(text, &line, err);

	if (rc < 0)
		return rc;
	from = t_ns - (int64_t)line.for_ns;
	rc = metrics_open(record, from - METRICS_WINDOW_NS, &metrics, err);
	if (rc < 0 || from < metrics_baseline_end(metrics)) {
		metrics_close(metrics);
		return rc;
	}
	rc = 1;
	for (int64_t t = from; t <= t_ns && rc == 1; t += SECOND)
		rc = condition_holds(&line.main, metrics, t) && (line.during.nr == 0 || condition_holds(&line.during, metrics, t));
	metrics_close(metrics);
	return rc;
}
