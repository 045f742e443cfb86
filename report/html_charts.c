/* SPDX-License-Identifier: MIT */
/*
 * html_charts.c - where the latencies lay: in every second, and in every phase.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hist.h"
#include "html.h"
#include "percentiles.h"

#define HEAT_CLASSES 6
#define ROW_HEIGHT 7.0
#define CURVE_POINTS 160
#define NINES_MAX 5.0		/* 99.999 % */
#define PHASES_SHOWN 6

static double row_ns(int row)
{
	return HEAT_FIRST_NS * pow(10, (double)row / HEAT_PER_DECADE);
}

/* One path of all cells of a shade; shades are even steps of the logarithm of the count. */
static void draw_cells(const struct page *page, const struct series *s, int first, int last, double top, uint32_t most)
{
	for (int shade = 0; shade < HEAT_CLASSES; shade++) {
		(void)fprintf(page->out, "<path class=\"heat h%d\" d=\"", shade);
		for (size_t i = 0; i < s->nr; i++)
			for (int row = first; row <= last; row++) {
				uint32_t nr = s->point[i].heat[row];
				double x = plot_x(page, (double)s->point[i].second), end = plot_x(page, (double)(s->point[i].second + page->list.step));
				int is = nr == 0 ? -1 : most < 2 ? HEAT_CLASSES - 1 : (int)(log(nr) / log(most) * (HEAT_CLASSES - 1) + 0.5);

				if (is == shade)
					(void)fprintf(page->out, "M%.1f %.1fH%.1fv%.0fH%.1fz", x, top + ROW_HEIGHT * (last - row), end, ROW_HEIGHT, x);
			}
		(void)fputs("\"/>\n", page->out);
	}
}

/* What ran into its timeout has no latency; it is drawn in red at the timeout, which it exceeded. */
static void draw_timeouts(const struct page *page, const struct series *s, double y)
{
	(void)fputs("<path class=\"heat timed-out\" d=\"", page->out);
	for (size_t i = 0; i < s->nr; i++) {
		double x = plot_x(page, (double)s->point[i].second), end = plot_x(page, (double)(s->point[i].second + page->list.step));

		if (s->point[i].unknown > 0)
			(void)fprintf(page->out, "M%.1f %.1fH%.1fv%.0fH%.1fz", x, y, end, ROW_HEIGHT, x);
	}
	(void)fputs("\"/>\n", page->out);
}

static void heat_map(const struct page *page, const struct job *job)
{
	const struct series *s = html_series(page, job->name, "");
	int first = HEAT_ROWS, last = -1;
	uint64_t unknown = 0;
	uint32_t most = 0;
	struct scale scale;
	char text[24];

	for (size_t i = 0; s && i < s->nr; i++) {
		unknown += s->point[i].unknown;
		for (int row = 0; row < HEAT_ROWS; row++)
			if (s->point[i].heat[row] > 0) {
				first = row < first ? row : first;
				last = row > last ? row : last;
				most = s->point[i].heat[row] > most ? s->point[i].heat[row] : most;
			}
	}
	if (last < 0)
		return;
	first -= first % HEAT_PER_DECADE;
	last += HEAT_PER_DECADE - 1 - last % HEAT_PER_DECADE;
	scale = (struct scale){ .top = 34, .height = ROW_HEIGHT * (last - first + 1), .lo = row_ns(first), .hi = row_ns(last + 1), .is_log = 1 };
	(void)fprintf(page->out, "<svg class=\"time-plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" data-left=\"%.0f\" data-width=\"%.0f\" data-end=\"%lld\" data-step=\"%lld\">\n<title>",
		      VIEW_WIDTH, scale.top + scale.height + 26, PLOT_LEFT, PLOT_WIDTH, (long long)page->end_s, (long long)page->list.step);
	html_text(page->out, job->name);
	(void)fprintf(page->out, ": how many ended with which response time in each second, at most %u in a cell</title>\n<text class=\"panel\" x=\"%.0f\" y=\"14\">", most, PLOT_LEFT);
	html_text(page->out, job->name);
	(void)fprintf(page->out, ", at most %u in a cell", most);
	if (unknown > 0)
		(void)fprintf(page->out, "<tspan class=\"key down\" dx=\"14\">%llu were given up after %s%s</tspan>", (unsigned long long)unknown,
			      html_duration((double)job_gives_up_ns(job), text, sizeof text), job->retry.tries > 0 ? " and more" : "");
	(void)fputs("</text>\n", page->out);
	plot_shades(page, scale.top, scale.height);
	plot_axis(page->out, &scale);
	draw_cells(page, s, first, last, scale.top, most);
	if (unknown > 0)
		draw_timeouts(page, s, scale.top - ROW_HEIGHT - 2);
	plot_time_axis(page, scale.top + scale.height);
	(void)fprintf(page->out, "<path class=\"cursor\" d=\"M0 %.0fV%.1f\" visibility=\"hidden\"/>\n</svg>\n", scale.top, scale.top + scale.height);
}

void html_heat_maps(const struct page *page)
{
	(void)fputs("<section>\n<h2>Where the latencies lay, second by second</h2>\n", page->out);
	for (unsigned int j = 0; j < page->profile->jobs_nr; j++)
		heat_map(page, &page->profile->jobs[j]);
	(void)fputs("<p class=\"note\">Darker is more, in even steps of the logarithm. A row is a fifth of a power of ten.</p>\n</section>\n", page->out);
}

struct curve {
	const char *phase;
	unsigned int idx;		/* of the phase: it has the same colour in every plot */
	struct hist *done, *censored;
};

/* The axis goes as far as the longest curve, in nines. */
struct curves {
	struct curve curve[PHASES_SHOWN];
	unsigned int nr;
	double nines;
};

static double nines_of(double q)
{
	return -log10(1 - q);
}

static double curve_x(const struct curves *c, double q)
{
	return PLOT_LEFT + PLOT_WIDTH * nines_of(q) / c->nines;
}

/* No further than the data goes: of n values, the last is the quantile 1 - 1/n. */
static double last_nines(const struct curve *c)
{
	double n = (double)(c->done->count + c->censored->count), nines = log10(n < 2 ? 2 : n);

	return nines > NINES_MAX ? NINES_MAX : nines;
}

/* Reached as a line, and where it is not, the lower bound as dots. */
static void draw_curve(const struct page *page, const struct curves *all, const struct curve *c, const struct scale *scale)
{
	double end = last_nines(c);

	for (int reached = 1; reached >= 0; reached--) {
		bool open = false;

		(void)fprintf(page->out, "<path class=\"line c%u%s\" d=\"", c->idx % 6, reached ? "" : " dotted");
		for (int i = 0; i <= CURVE_POINTS; i++) {
			double q = 1 - pow(10, -end * i / CURVE_POINTS);
			struct hist_quantile v = hist_quantile_censored(c->done, c->censored, q > 0 ? q : 1e-9);

			if (v.reached != (reached == 1)) {
				open = false;
				continue;
			}
			(void)fprintf(page->out, "%s%.1f %.1f", open ? "L" : "M", curve_x(all, q), plot_y(scale, (double)(v.reached ? v.value_ns : v.at_least_ns)));
			open = true;
		}
		(void)fputs("\"/>\n", page->out);
	}
}

static void quantile_axis(const struct page *page, const struct curves *c, const struct scale *scale)
{
	static const struct {
		double q;
		const char *name;
	} ticks[] = { { 0, "least" }, { 0.5, "p50" }, { 0.8, "p80" }, { 0.9, "p90" }, { 0.95, "p95" }, { 0.99, "p99" }, { 0.999, "p99.9" }, { 0.9999, "p99.99" } };

	for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
		double x = curve_x(c, ticks[i].q);

		if (x < PLOT_RIGHT + 1)
			(void)fprintf(page->out, "<path class=\"grid\" d=\"M%.1f %.1fv%.1f\"/><text class=\"time%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x, scale->top, scale->height,
				      i == 0 ? " first" : x > PLOT_RIGHT - 20 ? " last" : "", x, scale->top + scale->height + 16, ticks[i].name);
	}
}

static void draw_curves(const struct page *page, const struct job *job, struct curves *c)
{
	double least = 0, greatest = 0;
	struct scale scale;

	c->nines = 2;
	for (unsigned int i = 0; i < c->nr; i++) {
		const struct hist *hists[] = { c->curve[i].done, c->curve[i].censored };

		for (int k = 0; k < 2; k++)
			if (hists[k]->count > 0) {
				least = least == 0 || (double)hists[k]->min_ns < least ? (double)hists[k]->min_ns : least;
				greatest = (double)hists[k]->max_ns > greatest ? (double)hists[k]->max_ns : greatest;
			}
		c->nines = last_nines(&c->curve[i]) > c->nines ? last_nines(&c->curve[i]) : c->nines;
	}
	scale = plot_log_scale(24, 190, least, greatest);
	(void)fprintf(page->out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>", VIEW_WIDTH, scale.top + scale.height + 24);
	html_text(page->out, job->name);
	(void)fprintf(page->out, ": response time by percentile, a line a phase; the figures are in the table below</title>\n<text class=\"panel\" x=\"%.0f\" y=\"14\">", PLOT_LEFT);
	html_text(page->out, job->name);
	for (unsigned int i = 0; i < c->nr; i++) {
		(void)fprintf(page->out, "<tspan class=\"key c%u\" dx=\"14\">", c->curve[i].idx % 6);
		html_text(page->out, c->curve[i].phase);
		(void)fputs("</tspan>", page->out);
	}
	(void)fputs("</text>\n", page->out);
	plot_axis(page->out, &scale);
	quantile_axis(page, c, &scale);
	for (unsigned int i = 0; i < c->nr; i++)
		draw_curve(page, c, &c->curve[i], &scale);
	(void)fputs("</svg>\n", page->out);
}

static int job_curves(const struct page *page, const struct job *job)
{
	json_t *phases = json_object_get(json_object_get(json_object_get(page->verdict, "jobs"), job->name), "phases"), *part;
	struct curves c = { .nr = 0 };
	unsigned int idx = 0;
	const char *phase;
	int rc = 0;

	json_object_foreach(phases, phase, part) {
		struct selection what = { .job = job->name, .op = "", .phase = phase };
		struct curve *one = &c.curve[c.nr];

		idx++;
		if (rc < 0 || c.nr == PHASES_SHOWN || html_number(part, "due") == 0)
			continue;
		*one = (struct curve){ .phase = phase, .idx = idx - 1, .done = hist_new(), .censored = hist_new() };
		c.nr++;
		rc = one->done && one->censored ? percentiles_merge(page->record, &what, one->done, one->censored, page->err) :
						  err_set(page->err, -ENOMEM, "report: no memory");
	}
	if (rc == 0 && c.nr > 0)
		draw_curves(page, job, &c);
	for (unsigned int i = 0; i < c.nr; i++) {
		free(c.curve[i].done);
		free(c.curve[i].censored);
	}
	return rc;
}

int html_curves(const struct page *page)
{
	int rc = 0;

	(void)fputs("<section>\n<h2>Percentiles, phase by phase</h2>\n", page->out);
	for (unsigned int j = 0; j < page->profile->jobs_nr && rc == 0; j++)
		rc = job_curves(page, &page->profile->jobs[j]);
	(void)fputs("<p class=\"note\">A phase is that in which it was due. Dotted: a lower bound, because so many were still in flight, timed out or never issued that the percentile"
		    " was not reached. Lines end where the number of values does.</p>\n", page->out);
	return rc;
}
