/* SPDX-License-Identifier: MIT */
/*
 * html_time.c - the run on one clock: what visitors waited, what was stuck, what the layers below did; phases and faults behind all of it.
 *
 *	phases      baseline | storm | after ...
 *	faults      one bar each
 *	signature   a mark where a line came to be held
 *	two panels a job: p50, p99, max of what ended in each second; how much was due and how much ended, and how
 *	oldest in flight, nfsd, DRBD, sites
 *
 * A second in which nothing ended breaks a line; one of which nothing is known is hatched through all panels.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "record.h"
#include "signature.h"

#define PANEL_GAP 30.0
#define LANE 20.0

/* What a panel may draw: a value of a point, or none. */
typedef bool (*value_of)(const struct point *p, double *ret);

static bool p50_of(const struct point *p, double *ret)
{
	*ret = (double)p->p50_ns;
	return p->any;
}

static bool p99_of(const struct point *p, double *ret)
{
	*ret = (double)p->p99_ns;
	return p->any;
}

static bool max_of(const struct point *p, double *ret)
{
	*ret = (double)p->max_ns;
	return p->any;
}

static bool oldest_of(const struct point *p, double *ret)
{
	*ret = (double)p->oldest_ns;
	return p->has_gauges && p->oldest_ns > 0;
}

static bool ok_of(const struct point *p, double *ret)
{
	*ret = (double)p->ok / (double)p->seconds;
	return true;
}

static bool errors_of(const struct point *p, double *ret)
{
	*ret = (double)p->errors / (double)p->seconds;
	return true;
}

/* Nobody knows how they ended, or would have. */
static bool lost_of(const struct point *p, double *ret)
{
	*ret = (double)p->unknown / (double)p->seconds + (p->due_seconds > 0 ? (double)p->not_issued / (double)p->due_seconds : 0);
	return true;
}

static bool bad_of(const struct point *p, double *ret)
{
	double lost;

	(void)lost_of(p, &lost);
	(void)errors_of(p, ret);
	*ret += lost;
	return true;
}

static bool due_of(const struct point *p, double *ret)
{
	*ret = p->due_seconds > 0 ? (double)p->due / (double)p->due_seconds : 0;
	return p->due_seconds > 0;
}

/* A line through values at the middle of their steps, broken where there is none; a lone one is a dot. */
static void draw_line(const struct page *page, const struct series *s, const struct scale *scale, value_of value, const char *class)
{
	int64_t last = INT64_MIN;

	(void)fprintf(page->out, "<path class=\"line %s\" d=\"", class);
	for (size_t i = 0; i < s->nr; i++) {
		const struct point *p = &s->point[i];
		double v;

		if (p->second >= page->end_s || !value(p, &v))
			continue;
		(void)fprintf(page->out, p->second == last + page->list.step ? "L%.1f %.1f" : "M%.1f %.1fh0", plot_x(page, (double)p->second + (double)page->list.step / 2),
			      plot_y(scale, v));
		last = p->second;
	}
	(void)fputs("\"/>\n", page->out);
}

/* A mark over each value that is a lower bound, and a red tick at the foot where something failed. */
static void draw_marks(const struct page *page, const struct series *s, const struct scale *scale)
{
	(void)fputs("<path class=\"bound-mark\" d=\"", page->out);
	for (size_t i = 0; i < s->nr; i++)
		if (s->point[i].any && !s->point[i].p99_reached)
			(void)fprintf(page->out, "M%.1f %.1fl3.5 6h-7z", plot_x(page, (double)s->point[i].second + (double)page->list.step / 2),
				      plot_y(scale, (double)s->point[i].p99_ns) - 8);
	(void)fputs("\"/>\n<path class=\"failed-mark\" d=\"", page->out);
	for (size_t i = 0; i < s->nr; i++)
		if (s->point[i].errors + s->point[i].unknown > 0)
			(void)fprintf(page->out, "M%.1f %.1fv-7", plot_x(page, (double)s->point[i].second + (double)page->list.step / 2), scale->top + scale->height);
	(void)fputs("\"/>\n", page->out);
}

static void panel_title(const struct page *page, double top, const char *title, const char *legend)
{
	(void)fprintf(page->out, "<text class=\"panel\" x=\"%.0f\" y=\"%.1f\">", PLOT_LEFT, top - 8);
	html_text(page->out, title);
	(void)fprintf(page->out, "%s</text>\n", legend);
}

/* Seconds of the run of which no host told anything of any job. */
static void draw_gaps(const struct page *page, double top, double height)
{
	for (int64_t s = 0; s < page->end_s; s += page->list.step) {
		bool known = page->list.nr == 0;

		for (size_t i = 0; i < page->list.nr && !known; i++)
			known = series_at(&page->list, i, s) != NULL;
		if (!known)
			(void)fprintf(page->out, "<rect class=\"gap\" x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>\n", plot_x(page, (double)s), top,
				      plot_x(page, (double)(s + page->list.step)) - plot_x(page, (double)s), height);
	}
}

static void extremes(const struct series *s, value_of value, double *least, double *greatest)
{
	for (size_t i = 0; i < s->nr; i++) {
		double v;

		if (!value(&s->point[i], &v))
			continue;
		*least = *least == 0 || v < *least ? v : *least;
		*greatest = v > *greatest ? v : *greatest;
	}
}

static double draw_job(const struct page *page, const struct job *job, double top)
{
	const struct series *s = html_series(page, job->name, "");
	double least = 0, greatest = 0, height = 118;
	struct scale scale;
	char title[128];

	if (!s)
		return top;
	extremes(s, p50_of, &least, &greatest);
	extremes(s, max_of, &least, &greatest);
	if (greatest == 0)
		return top;
	scale = plot_log_scale(top, height, least, greatest);
	(void)snprintf(title, sizeof title, "%s: response time of the %s that ended", job->name, job->is_page ? "pages" : "ops");
	panel_title(page, top, title, "<tspan class=\"key max\" dx=\"14\">max</tspan><tspan class=\"key p99\" dx=\"10\">p99</tspan>"
				      "<tspan class=\"key p50\" dx=\"10\">p50</tspan>");
	plot_axis(page->out, &scale);
	draw_line(page, s, &scale, max_of, "max");
	draw_line(page, s, &scale, p99_of, "p99");
	draw_line(page, s, &scale, p50_of, "p50");
	draw_marks(page, s, &scale);
	return top + height + PANEL_GAP;
}

/* Both edges are absolute: a width would be rounded apart from its neighbour, and a seam looks like a gap. */
static void put_column(const struct page *page, const struct scale *scale, int64_t s, double below, double value)
{
	double x = plot_x(page, (double)s);

	(void)fprintf(page->out, "M%.1f %.1fH%.1fV%.1fH%.1fz", x, plot_y(scale, below + value), plot_x(page, (double)(s + page->list.step)), plot_y(scale, below), x);
}

/* What is at 0 is a line and not a gap; what did not end well is there only where it is, in columns, errors before all of it. */
static double draw_rates(const struct page *page, const struct job *job, double top)
{
	static const value_of bad[] = { bad_of, errors_of };
	const struct series *s = html_series(page, job->name, "");
	double least = 0, greatest = 0, height = 84, v;
	struct scale scale;
	char title[128];

	if (!s)
		return top;
	extremes(s, ok_of, &least, &greatest);
	extremes(s, bad_of, &least, &greatest);
	extremes(s, due_of, &least, &greatest);
	if (greatest == 0)
		return top;
	scale = plot_linear_scale(top, height, greatest);
	(void)snprintf(title, sizeof title, "%s: %s per second", job->name, job->is_page ? "pages" : "ops");
	panel_title(page, top, title, "<tspan class=\"key due\" dx=\"14\">due</tspan><tspan class=\"key ok\" dx=\"10\">ok</tspan>"
				      "<tspan class=\"key down\" dx=\"10\">errors</tspan><tspan class=\"key slow\" dx=\"10\">timed out or not issued</tspan>");
	plot_axis(page->out, &scale);
	for (int k = 0; k < 2; k++) {
		(void)fprintf(page->out, "<path class=\"area %s\" d=\"", k == 0 ? "slow" : "down");
		for (size_t i = 0; i < s->nr; i++)
			if (bad[k](&s->point[i], &v) && v > 0)
				put_column(page, &scale, s->point[i].second, 0, v);
		(void)fputs("\"/>\n", page->out);
	}
	draw_line(page, s, &scale, due_of, "due");
	draw_line(page, s, &scale, ok_of, "ok");
	return top + height + PANEL_GAP;
}

static double draw_oldest(const struct page *page, double top)
{
	double least = 0, greatest = 0, height = 84;
	struct scale scale;

	for (size_t i = 0; i < page->list.nr; i++)
		extremes(&page->list.series[i], oldest_of, &least, &greatest);
	if (greatest == 0)
		return top;
	scale = plot_log_scale(top, height, least < 1e6 ? 1e6 : least, greatest);
	(void)fprintf(page->out, "<text class=\"panel\" x=\"%.0f\" y=\"%.1f\">age of the oldest in flight", PLOT_LEFT, top - 8);
	for (unsigned int j = 0; j < page->profile->jobs_nr; j++)
		if (html_series(page, page->profile->jobs[j].name, "")) {
			(void)fprintf(page->out, "<tspan class=\"key c%u\" dx=\"12\">", j % 6);
			html_text(page->out, page->profile->jobs[j].name);
			(void)fputs("</tspan>", page->out);
		}
	(void)fputs("</text>\n", page->out);
	plot_axis(page->out, &scale);
	for (unsigned int j = page->profile->jobs_nr; j-- > 0;) {
		const struct series *s = html_series(page, page->profile->jobs[j].name, "");
		char class[8];

		(void)snprintf(class, sizeof class, "c%u", j % 6);
		if (s)
			draw_line(page, s, &scale, oldest_of, class);
	}
	return top + height + PANEL_GAP;
}

/* The greatest value of a metric in a step: what is worst in these metrics is great. */
static bool at_step(const struct page *page, int metric, int64_t s, double *ret)
{
	bool any = false;
	double v;

	for (int64_t end = s + 1; end <= s + page->list.step; end++)
		if (metrics_value(page->metrics, metric, end * SECOND, &v)) {
			*ret = any && *ret > v ? *ret : v;
			any = true;
		}
	return any;
}

enum { SITES_OK, SITES_SLOW, SITES_DOWN, SITE_STATES };

/* Shares of the sites in the second of a step in which the fewest were ok, so that they add up. */
static bool sites_at_step(const struct page *page, int64_t s, double ret[SITE_STATES])
{
	static const char *const names[] = { "sites.ok_ratio", "sites.slow_ratio", "sites.down_ratio" };
	bool any = false;
	double v[SITE_STATES];

	for (int64_t end = s + 1; end <= s + page->list.step; end++) {
		bool known = true;

		for (int i = 0; i < SITE_STATES; i++)
			known = metrics_value(page->metrics, metric_find(names[i]), end * SECOND, &v[i]) && known;
		if (known && (!any || v[SITES_OK] < ret[SITES_OK]))
			memcpy(ret, v, sizeof v);
		any = any || known;
	}
	return any;
}

/* A line of the signature that names this metric is drawn where it asks for more, or less, than that. */
static void draw_thresholds(const struct page *page, int metric, const struct scale *scale)
{
	for (unsigned int i = 0; i < page->profile->signature_nr; i++) {
		struct signature_line line;

		if (signature_parse(page->profile->signature[i].text, &line, NULL) < 0)
			continue;
		for (unsigned int k = 0; k < line.main.nr; k++)
			if (line.main.term[k].metric == metric && line.main.term[k].op[0] != '\0') {
				double y = plot_y(scale, line.main.term[k].value);

				(void)fprintf(page->out, "<path class=\"threshold\" d=\"M%.0f %.1fH%.0f\"/><text class=\"threshold-name\" x=\"%.0f\" y=\"%.1f\">", PLOT_LEFT, y,
					      PLOT_RIGHT, PLOT_RIGHT - 6, y - 4);
				html_text(page->out, page->profile->signature[i].name);
				(void)fputs("</text>\n", page->out);
			}
	}
}

static double draw_metric(const struct page *page, const char *name, const char *title, const char *class, double top)
{
	int metric = metric_find(name);
	double v, least = 0, greatest = 0, height = 70;
	bool is_time = strcmp(metric_table[metric].unit, "ns") == 0, any = false;
	struct scale scale = { .top = top, .height = height, .hi = 1, .is_share = true };
	int64_t last = INT64_MIN;

	for (int64_t s = 0; s < page->end_s; s += page->list.step)
		if (at_step(page, metric, s, &v)) {
			any = true;
			least = v > 0 && (least == 0 || v < least) ? v : least;
			greatest = v > greatest ? v : greatest;
		}
	if (!any)
		return top;
	if (is_time)
		scale = plot_log_scale(top, height, least < 1e6 ? 1e6 : least, greatest < 1e6 ? 1e6 : greatest);
	panel_title(page, top, title, "");
	plot_axis(page->out, &scale);
	draw_thresholds(page, metric, &scale);
	(void)fprintf(page->out, "<path class=\"line %s\" d=\"", class);
	for (int64_t s = 0; s < page->end_s; s += page->list.step) {
		if (!at_step(page, metric, s, &v))
			continue;
		(void)fprintf(page->out, s == last + page->list.step ? "L%.1f %.1f" : "M%.1f %.1fh0", plot_x(page, (double)(s + page->list.step)), plot_y(&scale, v));
		last = s;
	}
	(void)fputs("\"/>\n", page->out);
	return top + height + PANEL_GAP;
}

static double draw_sites(const struct page *page, double top)
{
	static const char *const classes[] = { "ok", "slow", "down" };
	struct scale scale = { .top = top, .height = 84, .hi = (double)html_number(json_object_get(page->verdict, "sites"), "total") };

	if (scale.hi <= 0)
		return top;
	panel_title(page, top, "sites, by the pages of the 10 s before", "<tspan class=\"key ok\" dx=\"14\">ok</tspan><tspan class=\"key slow\" dx=\"10\">slow</tspan>"
									  "<tspan class=\"key down\" dx=\"10\">down</tspan>");
	plot_axis(page->out, &scale);
	for (int k = 0; k < SITE_STATES; k++) {
		(void)fprintf(page->out, "<path class=\"area %s\" d=\"", classes[k]);
		for (int64_t s = 0; s < page->end_s; s += page->list.step) {
			double v[SITE_STATES], below = 0;

			if (!sites_at_step(page, s, v) || v[k] <= 0)
				continue;
			for (int i = 0; i < k; i++)
				below += v[i];
			put_column(page, &scale, s, scale.hi * below, scale.hi * v[k]);
		}
		(void)fputs("\"/>\n", page->out);
	}
	return top + scale.height + PANEL_GAP;
}

/* A name in a bar, beside it when the bar is too short: 6.6 units are a letter. */
static void put_in_bar(const struct page *page, const char *text, double x, double end, double y)
{
	double needs = 6.6 * (double)strlen(text) + 8;
	bool inside = needs <= end - x, left = !inside && end + needs > PLOT_RIGHT;

	(void)fprintf(page->out, "<text class=\"bar%s\" x=\"%.1f\" y=\"%.1f\"%s>", inside ? "" : " beside", inside ? x + 5 : left ? x - 4 : end + 4, y,
		      left ? " text-anchor=\"end\"" : "");
	html_text(page->out, text);
	(void)fputs("</text>\n", page->out);
}

static double draw_phases(const struct page *page, double top)
{
	sqlite3_stmt *s = NULL;
	int i = 0;

	(void)fprintf(page->out, "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\">phases</text>\n", PLOT_LEFT - 8, top + 14);
	if (sqlite3_prepare_v2(record_db(page->record), "SELECT name, start_ns, end_ns FROM phases ORDER BY idx", -1, &s, NULL) != SQLITE_OK)
		return top + LANE;
	while (sqlite3_step(s) == SQLITE_ROW) {
		double x = plot_x(page, (double)sqlite3_column_int64(s, 1) / 1e9), end = plot_x(page, (double)sqlite3_column_int64(s, 2) / 1e9);

		(void)fprintf(page->out, "<rect class=\"phase %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\"/>\n", i++ % 2 ? "odd" : "even", x, top, end - x, LANE - 2);
		put_in_bar(page, (const char *)sqlite3_column_text(s, 0), x, end, top + 13);
	}
	(void)sqlite3_finalize(s);
	return top + LANE;
}

static double draw_faults(const struct page *page, double top)
{
	const json_t *fault, *faults = json_object_get(page->verdict, "faults");
	size_t i;

	json_array_foreach(faults, i, fault) {
		char name[160];
		double x, end;

		if (!plot_fault(page, fault, &x, &end))
			continue;
		(void)snprintf(name, sizeof name, "%s on %s", html_string(fault, "fault"), html_string(fault, "host"));
		(void)fprintf(page->out, "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\">fault</text><rect class=\"fault\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\"><title>",
			      PLOT_LEFT - 8, top + 14, x, top, end - x > 2 ? end - x : 2, LANE - 2);
		html_text(page->out, html_string(fault, "evidence"));
		(void)fputs("</title></rect>\n", page->out);
		put_in_bar(page, name, x, end, top + 13);
		top += LANE;
	}
	return top;
}

struct held {
	const char *name;
	double at_s;
	int nr;
};

static int compare_held(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

/* Where the lines of the signature came to be held, numbered as in the list of them. Marks that would lie upon each other stand side by side. */
static double draw_signature(const struct page *page, double top)
{
	struct held held[SIGNATURE_MAX];
	const json_t *line;
	const char *name;
	double last = -100;
	int nr = 0, held_nr = 0;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)page->verdict, "signature"), name, line) {
		nr++;
		if (json_is_integer(json_object_get(line, "at_ns")) && held_nr < SIGNATURE_MAX)
			held[held_nr++] = (struct held){ .name = name, .at_s = json_number_value(json_object_get(line, "at_ns")) / 1e9, .nr = nr };
	}
	if (held_nr == 0)
		return top;
	qsort(held, (size_t)held_nr, sizeof held[0], compare_held);
	(void)fprintf(page->out, "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\">held</text>\n", PLOT_LEFT - 8, top + 14);
	for (int i = 0; i < held_nr; i++) {
		double x = plot_x(page, held[i].at_s), shown = x < last + 18 ? last + 18 : x;

		(void)fprintf(page->out, "<g class=\"held\"><path d=\"M%.1f %.1fL%.1f %.1f\"/><circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\"/><text x=\"%.1f\" y=\"%.1f\">%d</text><title>", shown,
			      top + 10, x, top + LANE + 5, shown, top + 9, shown, top + 13, held[i].nr);
		html_text(page->out, held[i].name);
		(void)fprintf(page->out, ", held at %.1f s</title></g>\n", held[i].at_s);
		last = shown;
	}
	return top + LANE;
}

/* The height is known when all is drawn, and needed before: it is drawn into a buffer first. */
void html_timeline(const struct page *page)
{
	struct page inner = *page;
	char *text = NULL;
	size_t bytes = 0;
	double top = 4, plots, foot;

	inner.out = open_memstream(&text, &bytes);
	if (!inner.out)
		return;
	top = draw_phases(&inner, top);
	top = draw_faults(&inner, top);
	top = draw_signature(&inner, top);
	plots = top + 6;
	top += PANEL_GAP;
	for (unsigned int j = 0; j < page->profile->jobs_nr; j++) {
		top = draw_job(&inner, &page->profile->jobs[j], top);
		top = draw_rates(&inner, &page->profile->jobs[j], top);
	}
	top = draw_oldest(&inner, top);
	top = draw_metric(&inner, "nfsd.hung_ratio", "nfsd: share of thread-time in single waits of 500 ms and more, over 10 s", "nfsd", top);
	top = draw_metric(&inner, "drbd.oldest_request_age", "DRBD: greatest age of a request, over 10 s", "drbd", top);
	top = draw_sites(&inner, top);
	foot = top - PANEL_GAP;
	draw_gaps(&inner, plots, foot - plots);
	plot_time_axis(&inner, foot);
	(void)fclose(inner.out);
	(void)fprintf(page->out,
		      "<section id=\"clock\">\n<h2>The run on one clock</h2>\n<svg class=\"time-plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" tabindex=\"0\""
		      " aria-labelledby=\"clock-title\" data-left=\"%.0f\" data-width=\"%.0f\" data-end=\"%lld\" data-step=\"%lld\">\n<title id=\"clock-title\">Response times, rates, oldest"
		      " in flight, nfsd, DRBD and sites over the run; the same figures are in the table below</title>\n<defs><pattern id=\"hatch\" width=\"6\" height=\"6\""
		      " patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V6\"/></pattern></defs>\n",
		      VIEW_WIDTH, foot + 26, PLOT_LEFT, PLOT_WIDTH, (long long)page->end_s, (long long)page->list.step);
	plot_shades(page, plots, foot - plots);
	(void)fwrite(text, 1, bytes, page->out);
	(void)fprintf(page->out, "<path class=\"cursor\" d=\"M0 %.0fV%.1f\" visibility=\"hidden\"/>\n</svg>\n<p class=\"note\">", 4.0, foot);
	if (page->list.step > 1)
		(void)fprintf(page->out, "A point is %lld s: one histogram of them, their mean per second, and the worst of their values below. ", (long long)page->list.step);
	(void)fputs("Response times stand in the second in which it ended, and count from the instant at which it was due. Where nothing ended there is no line; then the"
		    " oldest in flight tells. \u25b2 over p99: a lower bound, too many ran into their timeout. Red ticks: errors and timeouts. Per second: what came due, and what"
		    " ended, in that second.", page->out);
	(void)fputs(" Hatched: no host told anything. Dashed: what a line of the signature asks for.</p>\n", page->out);
	free(text);
}

static void head_cells(const struct page *page)
{
	for (unsigned int j = 0; j < page->profile->jobs_nr; j++) {
		static const char *const columns[] = { "due/s", "ok/s", "errors/s", "timed out or not issued/s", "p50", "p99", "max", "oldest in flight" };

		for (size_t i = 0; html_series(page, page->profile->jobs[j].name, "") && i < sizeof columns / sizeof columns[0]; i++) {
			(void)fputs("<th scope=\"col\">", page->out);
			html_text(page->out, page->profile->jobs[j].name);
			(void)fprintf(page->out, " %s</th>", columns[i]);
		}
	}
	(void)fputs("<th scope=\"col\">nfsd hung</th><th scope=\"col\">DRBD oldest</th><th scope=\"col\">sites ok</th><th scope=\"col\">slow</th><th scope=\"col\">down</th>", page->out);
}

static void put_duration(FILE *out, bool is_there, double ns, bool bound)
{
	char text[24];

	if (is_there)
		(void)fprintf(out, "<td>%s%s</td>", bound ? "\u2265 " : "", html_duration(ns, text, sizeof text));
	else
		(void)fputs("<td></td>", out);
}

/* Of a step of one second it is whole. */
static void put_rate(FILE *out, const struct point *p, value_of value)
{
	double v;

	if (value(p, &v))
		(void)fprintf(out, "<td>%.*f</td>", v == floor(v) ? 0 : 2, v);
	else
		(void)fputs("<td></td>", out);
}

static void job_cells(FILE *out, const struct point *p)
{
	if (!p) {
		(void)fputs("<td></td><td></td><td></td><td></td><td></td><td></td><td></td><td></td>", out);
		return;
	}
	put_rate(out, p, due_of);
	put_rate(out, p, ok_of);
	put_rate(out, p, errors_of);
	put_rate(out, p, lost_of);
	put_duration(out, p->any, (double)p->p50_ns, !p->p50_reached);
	put_duration(out, p->any, (double)p->p99_ns, !p->p99_reached);
	put_duration(out, p->any, (double)p->max_ns, p->unknown > 0 && !p->p99_reached);
	put_duration(out, p->has_gauges && p->oldest_ns > 0, (double)p->oldest_ns, false);
}

static void metric_cells(const struct page *page, int64_t s)
{
	double v, of_sites[SITE_STATES], sites = (double)html_number(json_object_get(page->verdict, "sites"), "total");

	if (at_step(page, metric_find("nfsd.hung_ratio"), s, &v))
		(void)fprintf(page->out, "<td>%.0f %%</td>", v * 100);
	else
		(void)fputs("<td></td>", page->out);
	if (at_step(page, metric_find("drbd.oldest_request_age"), s, &v))
		put_duration(page->out, true, v, false);
	else
		(void)fputs("<td></td>", page->out);
	if (sites_at_step(page, s, of_sites))
		for (int i = 0; i < SITE_STATES; i++)
			(void)fprintf(page->out, "<td>%.0f</td>", of_sites[i] * sites);
	else
		(void)fputs("<td></td><td></td><td></td>", page->out);
}

void html_seconds(const struct page *page)
{
	(void)fputs("<details><summary>The same as a table</summary>\n<div class=\"scroll\"><table id=\"seconds\"><thead><tr><th scope=\"col\">second</th>", page->out);
	head_cells(page);
	(void)fputs("</tr></thead>\n<tbody>\n", page->out);
	for (int64_t s = 0; s < page->end_s; s += page->list.step) {
		(void)fprintf(page->out, "<tr><th scope=\"row\">%lld</th>", (long long)s);
		for (unsigned int j = 0; j < page->profile->jobs_nr; j++) {
			const struct series *series = html_series(page, page->profile->jobs[j].name, "");

			if (series)
				job_cells(page->out, series_at(&page->list, (size_t)(series - page->list.series), s));
		}
		metric_cells(page, s);
		(void)fputs("</tr>\n", page->out);
	}
	(void)fputs("</tbody></table></div></details>\n</section>\n", page->out);
}
