/* SPDX-License-Identifier: MIT */
/*
 * html_plot.c - scales, axes and shades that the plots of a page have in common.
 */
#include <math.h>
#include <string.h>

#include "html.h"

double plot_x(const struct page *page, double s)
{
	double x = PLOT_LEFT + PLOT_WIDTH * s / (double)page->end_s;

	return x < PLOT_LEFT ? PLOT_LEFT : x > PLOT_RIGHT ? PLOT_RIGHT : x;
}

double plot_y(const struct scale *scale, double value)
{
	double share = scale->is_log ? (log10(value > scale->lo ? value : scale->lo) - log10(scale->lo)) / (log10(scale->hi) - log10(scale->lo)) :
				       (value - scale->lo) / (scale->hi - scale->lo);

	return scale->top + scale->height * (1 - (share < 0 ? 0 : share > 1 ? 1 : share));
}

struct scale plot_log_scale(double top, double height, double least_ns, double greatest_ns)
{
	double lo = floor(log10(least_ns < 1000 ? 1000 : least_ns)), hi = ceil(log10(greatest_ns < 1000 ? 1000 : greatest_ns));

	if (hi < lo + 1)
		hi = lo + 1;
	return (struct scale){ .top = top, .height = height, .lo = pow(10, lo), .hi = pow(10, hi), .is_log = true };
}

struct scale plot_linear_scale(double top, double height, double greatest)
{
	static const double shorts[] = { 1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10, 12 };
	double decade = pow(10, floor(log10(greatest)));
	size_t i = 0;

	/* A twentieth is left above the greatest, so that its line does not lie on the frame. */
	while (shorts[i] * decade < greatest * 1.05)
		i++;
	return (struct scale){ .top = top, .height = height, .hi = shorts[i] * decade };
}

static void line_at(FILE *out, double y, const char *label)
{
	(void)fprintf(out, "<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/><text class=\"tick\" x=\"%.0f\" y=\"%.1f\">%s</text>\n", PLOT_LEFT, y, PLOT_RIGHT,
		      PLOT_LEFT - 8, y + 4, label);
}

/* "10 ms" of a power of ten in ns. */
static void format_decade(double ns, char *ret, size_t bytes)
{
	static const char *const units[] = { "ns", "\u00b5s", "ms", "s", "000 s" };
	int decade = (int)lround(log10(ns)), unit = decade / 3 > 3 ? 3 : decade / 3;

	(void)snprintf(ret, bytes, "%.0f %s", pow(10, decade - 3 * unit), units[unit]);
}

void plot_axis(FILE *out, const struct scale *scale)
{
	char label[24];
	/* Labels need 14 units each. */
	double decades = log10(scale->hi) - log10(scale->lo), every = decades * 14 > scale->height ? 2 : 1;

	(void)fprintf(out, "<rect class=\"frame\" x=\"%.0f\" y=\"%.1f\" width=\"%.0f\" height=\"%.1f\"/>\n", PLOT_LEFT, scale->top, PLOT_WIDTH, scale->height);
	for (double d = log10(scale->lo); scale->is_log && d <= log10(scale->hi) + 0.01; d += every) {
		format_decade(pow(10, d), label, sizeof label);
		line_at(out, plot_y(scale, pow(10, d)), label);
	}
	for (int i = 0; !scale->is_log && i <= 2; i++) {
		double value = scale->lo + (scale->hi - scale->lo) * i / 2;

		(void)snprintf(label, sizeof label, scale->is_share ? "%.0f %%" : "%g", scale->is_share ? value * 100 : value);
		line_at(out, plot_y(scale, value), label);
	}
}

void plot_time_axis(const struct page *page, double y)
{
	static const int64_t steps[] = { 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200 };
	int64_t step = 86400;
	size_t i = sizeof steps / sizeof steps[0];

	while (i-- > 0)
		if (page->end_s / steps[i] <= 14)
			step = steps[i];
	for (int64_t s = 0; s <= page->end_s; s += step) {
		double x = plot_x(page, (double)s);

		(void)fprintf(page->out, "<path class=\"axis\" d=\"M%.1f %.1fv5\"/><text class=\"time\" x=\"%.1f\" y=\"%.1f\">", x, y, x, y + 18);
		if (step < 60)
			(void)fprintf(page->out, "%lld%s</text>\n", (long long)s, s == 0 ? " s" : "");
		else
			(void)fprintf(page->out, "%lld:%02lld%s</text>\n", (long long)(s / 60), (long long)(s % 60), s == 0 ? " min" : "");
	}
}

bool plot_fault(const struct page *page, const json_t *fault, double *ret_x, double *ret_end)
{
	const json_t *from = json_object_get(fault, "inject_ns"), *to = json_object_get(fault, "heal_ns");

	if (!json_is_integer(from) || strcmp(html_string(fault, "fault"), "none") == 0)
		return false;
	*ret_x = plot_x(page, json_number_value(from) / 1e9);
	*ret_end = json_is_integer(to) ? plot_x(page, json_number_value(to) / 1e9) : PLOT_RIGHT;
	return true;
}

void plot_shades(const struct page *page, double top, double height)
{
	const json_t *fault, *faults = json_object_get(page->verdict, "faults");
	size_t i;

	json_array_foreach(faults, i, fault) {
		double x, end;

		if (plot_fault(page, fault, &x, &end))
			(void)fprintf(page->out, "<rect class=\"fault-shade\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", x, top, end - x, height);
	}
}
