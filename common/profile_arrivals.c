/* SPDX-License-Identifier: MIT */
/*
 * profile_arrivals.c - arrivals: every way to write one comes to the same thing, a timeline of rates.
 *
 *	constant, poisson   one level, for ever
 *	spike, ramp         a line, then a level
 *	step                levels
 *	burst               two levels, again and again
 *	replay              levels, read from a file
 *	closed              none: the next op follows from the one before
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "profile_parts.h"
#include "units.h"

#define RISE_DEFAULT_NS 5000000000ull
#define REPLAY_BYTES_MAX (128u << 10)

const char *const arrival_kind_names[ARRIVAL_NR + 1] = {
	[ARRIVAL_CONSTANT] = "constant", [ARRIVAL_POISSON] = "poisson", [ARRIVAL_SPIKE] = "spike",   [ARRIVAL_RAMP] = "ramp",
	[ARRIVAL_STEP] = "step",	 [ARRIVAL_BURST] = "burst",	[ARRIVAL_REPLAY] = "replay", [ARRIVAL_CLOSED] = "closed",
};

double rate_per_s(const struct rate *rate, double capacity_per_s, double baseline_per_s)
{
	switch (rate->kind) {
	case RATE_ABSOLUTE:
		return rate->value;
	case RATE_CAPACITY:
		return rate->value * capacity_per_s;
	case RATE_BASELINE:
		return rate->value * baseline_per_s;
	}
	return 0;
}

double arrival_peak_per_s(const struct arrival *arrival, double capacity_per_s, double baseline_per_s)
{
	double peak = 0;

	for (unsigned int i = 0; i < arrival->pieces_nr; i++) {
		peak = fmax(peak, rate_per_s(&arrival->pieces[i].from, capacity_per_s, baseline_per_s));
		peak = fmax(peak, rate_per_s(&arrival->pieces[i].to, capacity_per_s, baseline_per_s));
	}
	return peak;
}

double arrival_baseline_per_s(const struct arrival *a, double capacity_per_s)
{
	double sum = 0, ns = 0;

	if (a->pieces_nr == 0)
		return 0;
	if (!a->repeats)
		return rate_per_s(&a->pieces[0].from, capacity_per_s, 0);
	for (unsigned int i = 0; i < a->pieces_nr; i++) {
		double for_ns = (double)a->pieces[i].for_ns;

		sum += for_ns * (rate_per_s(&a->pieces[i].from, capacity_per_s, 0) + rate_per_s(&a->pieces[i].to, capacity_per_s, 0)) / 2;
		ns += for_ns;
	}
	return sum / ns;
}

bool arrival_needs_capacity(const struct arrival *arrival)
{
	for (unsigned int i = 0; i < arrival->pieces_nr; i++)
		if (arrival->pieces[i].from.kind == RATE_CAPACITY || arrival->pieces[i].to.kind == RATE_CAPACITY)
			return true;
	return false;
}

/* "40% of capacity": a positive number, then exactly the unit. */
static bool is_relative(const char *text, const char *unit, double *ret)
{
	char *end;
	double x;

	if (text[0] < '0' || text[0] > '9')
		return false;
	x = strtod(text, &end);
	*ret = x;
	return isfinite(x) && x > 0 && strcmp(end, unit) == 0;
}

static int parse_rate_text(const char *text, struct rate *ret)
{
	double x;

	if (units_parse_rate(text, &x) == 0) {
		*ret = (struct rate){ RATE_ABSOLUTE, x };
		return 0;
	}
	if (is_relative(text, "% of capacity", &x)) {
		*ret = (struct rate){ RATE_CAPACITY, x / 100 };
		return 0;
	}
	if (is_relative(text, "x baseline", &x)) {
		*ret = (struct rate){ RATE_BASELINE, x };
		return 0;
	}
	return -EINVAL;
}

static int parse_rate(const struct yaml *node, struct rate *ret, struct err *err)
{
	if (node->kind == YAML_SCALAR && parse_rate_text(node->text, ret) == 0)
		return 0;
	return yaml_error(node, err, "'%s' is no rate; write 500/s, 40%% of capacity or 3x baseline", node->kind == YAML_SCALAR ? node->text : "this");
}

/* A rate that must be there. */
static int need_rate(const struct yaml *node, const char *key, struct rate *ret, struct err *err)
{
	const struct yaml *value = yaml_get(node, key);

	return value ? parse_rate(value, ret, err) : yaml_error(node, err, "%s needs a rate '%s'", node->key, key);
}

/* A time that must be there and be longer than nothing. */
static int need_time(const struct yaml *node, const char *key, uint64_t *ret_ns, struct err *err)
{
	const struct yaml *value = yaml_get(node, key);
	int rc = value ? yaml_to_duration(value, ret_ns, err) : yaml_error(node, err, "%s needs a time '%s'", node->key ? node->key : "a level", key);

	if (rc == 0 && *ret_ns == 0)
		rc = yaml_error(value, err, "'%s' must be longer than 0", key);
	return rc;
}

static int add_piece(const struct yaml *node, struct arrival *a, uint64_t for_ns, struct rate from, struct rate to, struct err *err)
{
	struct rate_piece *more;

	if (a->pieces_nr == PIECES_MAX)
		return yaml_error(node, err, "a timeline has at most %d rates", PIECES_MAX);
	more = realloc(a->pieces, (a->pieces_nr + 1) * sizeof *more);
	if (!more)
		return err_set(err, -ENOMEM, "%s:%u: no memory for a timeline", node->file, node->line);
	a->pieces = more;
	a->pieces[a->pieces_nr++] = (struct rate_piece){ .for_ns = for_ns, .from = from, .to = to };
	return 0;
}

static int parse_level(const struct yaml *node, struct arrival *a, struct err *err)
{
	struct rate rate;
	int rc = parse_rate(node, &rate, err);

	a->random = a->kind == ARRIVAL_POISSON;
	return rc == 0 ? add_piece(node, a, 0, rate, rate, err) : rc;
}

/* A line that takes for_ns, then the level to which it leads. */
static int parse_line(const struct yaml *node, struct arrival *a, const char *time_key, uint64_t for_ns, struct err *err)
{
	const char *const keys[] = { "from", "to", time_key, "poisson", NULL };
	struct rate from = { RATE_ABSOLUTE, 0 }, to = from;
	int rc = yaml_check_keys(node, node->key, keys, err);

	if (rc == 0)
		rc = need_rate(node, "from", &from, err);
	if (rc == 0)
		rc = need_rate(node, "to", &to, err);
	if (rc == 0 && yaml_get(node, time_key))
		rc = yaml_to_duration(yaml_get(node, time_key), &for_ns, err);
	if (rc == 0 && for_ns > 0)
		rc = add_piece(node, a, for_ns, from, to, err);
	return rc == 0 ? add_piece(node, a, 0, to, to, err) : rc;
}

static int parse_levels(const struct yaml *node, struct arrival *a, struct err *err)
{
	static const char *const keys[] = { "rate", "for", NULL };
	struct rate rate;
	uint64_t for_ns;
	int rc = 0;

	if (node->kind != YAML_SEQUENCE || node->children_nr == 0)
		return yaml_error(node, err, "levels is a list: [{rate: 100/s, for: 10s}, {rate: 500/s}]");
	for (const struct yaml *c = node->child; c && rc == 0; c = c->next) {
		rc = yaml_check_keys(c, "a level", keys, err);
		if (rc == 0 && !yaml_get(c, "rate"))
			rc = yaml_error(c, err, "a level needs a rate: {rate: 100/s, for: 10s}");
		if (rc == 0)
			rc = parse_rate(yaml_get(c, "rate"), &rate, err);
		for_ns = 0;
		if (rc == 0 && c->next)
			rc = need_time(c, "for", &for_ns, err);
		else if (rc == 0 && yaml_get(c, "for"))
			rc = yaml_error(yaml_get(c, "for"), err, "the last level lasts until the job ends: it has no time");
		if (rc == 0)
			rc = add_piece(c, a, for_ns, rate, rate, err);
	}
	return rc;
}

static int parse_step(const struct yaml *node, struct arrival *a, struct err *err)
{
	static const char *const two[] = { "from", "to", "at", "poisson", NULL }, *const many[] = { "levels", "poisson", NULL };
	struct rate from = { RATE_ABSOLUTE, 0 }, to = from;
	uint64_t at_ns = 0;
	int rc = yaml_check_keys(node, "step", yaml_get(node, "levels") ? many : two, err);

	if (rc == 0 && yaml_get(node, "levels"))
		return parse_levels(yaml_get(node, "levels"), a, err);
	if (rc == 0)
		rc = need_rate(node, "from", &from, err);
	if (rc == 0)
		rc = need_rate(node, "to", &to, err);
	if (rc == 0)
		rc = need_time(node, "at", &at_ns, err);
	if (rc == 0)
		rc = add_piece(node, a, at_ns, from, from, err);
	return rc == 0 ? add_piece(node, a, 0, to, to, err) : rc;
}

static int parse_burst(const struct yaml *node, struct arrival *a, struct err *err)
{
	static const char *const keys[] = { "rate", "on", "off", "idle", "poisson", NULL };
	struct rate rate = { RATE_ABSOLUTE, 0 }, idle = rate;
	uint64_t on_ns = 0, off_ns = 0;
	int rc = yaml_check_keys(node, "burst", keys, err);

	if (rc == 0)
		rc = need_rate(node, "rate", &rate, err);
	if (rc == 0 && yaml_get(node, "idle"))
		rc = parse_rate(yaml_get(node, "idle"), &idle, err);
	if (rc == 0)
		rc = need_time(node, "on", &on_ns, err);
	if (rc == 0)
		rc = need_time(node, "off", &off_ns, err);
	if (rc == 0)
		rc = add_piece(node, a, on_ns, rate, rate, err);
	if (rc == 0)
		rc = add_piece(node, a, off_ns, idle, idle, err);
	a->repeats = true;
	return rc;
}

/* "12.5,300" or "12.5,40% of capacity": from that second on this rate. */
static int parse_point(char *text, uint64_t *ret_ns, struct rate *ret)
{
	char *comma = strchr(text, ','), number[64];
	int n;

	if (!comma)
		return -EINVAL;
	*comma++ = '\0';
	if (text[strspn(text, "0123456789.")] != '\0')	/* with the "s" it may be another unit: 5m is no second */
		return -EINVAL;
	comma += strspn(comma, " \t");
	n = snprintf(number, sizeof number, "%ss", text);
	if (n < 0 || (size_t)n >= sizeof number || units_parse_duration(number, ret_ns) < 0)
		return -EINVAL;
	n = snprintf(number, sizeof number, "%s/s", comma);
	if (n > 0 && (size_t)n < sizeof number && units_parse_rate(number, &ret->value) == 0) {
		ret->kind = RATE_ABSOLUTE;
		return 0;
	}
	return parse_rate_text(comma, ret);
}

/*
 * Points of a timeline, one a line; in a profile that was written out they are separated by semicolons.
 * @param text  is taken apart. @param file  named in sentences.
 */
static int parse_points(const struct yaml *node, char *text, const char *file, struct arrival *a, struct err *err)
{
	struct rate rate = { RATE_ABSOLUTE, 0 }, before = rate;
	unsigned int line = 0, points_nr = 0;
	uint64_t at_ns, last_ns = 0;
	int rc = 0;

	for (char *next = text, *part; rc == 0 && (part = strsep(&next, "\n;"));) {
		char shown[64];

		line++;
		part += strspn(part, " \t");
		part[strcspn(part, "\r")] = '\0';
		if (part[0] == '\0' || part[0] == '#' || (line == 1 && strcmp(part, "second,rate") == 0))
			continue;
		(void)snprintf(shown, sizeof shown, "%s", part);
		if (parse_point(part, &at_ns, &rate) < 0)
			return err_set(err, -EINVAL, "%s:%u: '%s' is no second,rate; write 12.5,300 or 12.5,40%% of capacity", file, line, shown);
		if (points_nr++ > 0 && at_ns <= last_ns)
			return err_set(err, -EINVAL, "%s:%u: second '%s' is not after the one before", file, line, part);
		if (at_ns > last_ns)
			rc = add_piece(node, a, at_ns - last_ns, before, before, err);
		last_ns = at_ns;
		before = rate;
	}
	return rc == 0 ? add_piece(node, a, 0, before, before, err) : rc;
}

static int read_points(const struct profile *p, const struct yaml *node, char **ret_text, char **ret_path, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = profile_beside(p, node->text, ret_path, err);

	if (rc < 0)
		return rc;
	if (file_read(*ret_path, REPLAY_BYTES_MAX, ret_text, NULL, &why) < 0)
		return yaml_error(node, err, "the timeline cannot be read: %s", why.text);
	return 0;
}

static int parse_replay(const struct profile *p, const struct yaml *node, struct arrival *a, struct err *err)
{
	static const char *const keys[] = { "file", "points", "poisson", NULL };
	const struct yaml *file = node, *points = NULL;
	char *text = NULL, *path = NULL;
	int rc = 0;

	if (node->kind != YAML_SCALAR) {
		rc = yaml_check_keys(node, "replay", keys, err);
		file = yaml_get(node, "file");
		points = yaml_get(node, "points");
	}
	if (rc == 0 && !file == !points)
		rc = yaml_error(node, err, "replay needs the name of a file of lines second,rate, or points: '0,100; 10,300'");
	else if (rc == 0 && (file ? file : points)->kind != YAML_SCALAR)
		rc = yaml_error(node, err, "what replay takes is one text");
	if (rc < 0)
		return rc;
	if (file)
		rc = read_points(p, file, &text, &path, err);
	else if (!(text = strdup(points->text)) || asprintf(&path, "%s:%u: points", node->file, node->line) < 0)
		rc = err_set(err, -ENOMEM, "%s: no memory", p->file);
	if (rc == 0)
		rc = parse_points(node, text, path, a, err);
	free(text);
	free(path);
	return rc;
}

/* Without zeros at the end; units.h knows no exponent. */
static void print_number(FILE *out, double value)
{
	char text[400];		/* of the largest double */
	int n = snprintf(text, sizeof text, "%.10f", value);

	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	(void)fprintf(out, "%.*s", n, text);
}

int profile_print_replay(const struct arrival *a, char **ret_text)
{
	static const char *const units[] = { [RATE_ABSOLUTE] = "", [RATE_CAPACITY] = "% of capacity", [RATE_BASELINE] = "x baseline" };
	uint64_t at_ns = 0;
	size_t bytes;
	FILE *out = open_memstream(ret_text, &bytes);

	if (!out)
		return -ENOMEM;
	for (unsigned int i = 0; i < a->pieces_nr; i++) {
		const struct rate *r = &a->pieces[i].from;

		if (i > 0)
			fputc(';', out);
		print_number(out, (double)at_ns / 1e9);
		fputc(',', out);
		print_number(out, r->kind == RATE_CAPACITY ? r->value * 100 : r->value);
		fputs(units[r->kind], out);
		at_ns += a->pieces[i].for_ns;
	}
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int parse_closed(const struct yaml *node, struct arrival *a, struct err *err)
{
	static const char *const keys[] = { "think", NULL };
	int rc = yaml_check_keys(node, "closed", keys, err);

	if (rc == 0 && yaml_get(node, "think"))
		rc = yaml_to_duration(yaml_get(node, "think"), &a->think_ns, err);
	return rc;
}

static int parse_kind(const struct profile *p, const struct yaml *node, uint64_t for_ns, struct arrival *a, struct err *err)
{
	switch (a->kind) {
	case ARRIVAL_CONSTANT:
	case ARRIVAL_POISSON:
		return parse_level(node, a, err);
	case ARRIVAL_SPIKE:
		return parse_line(node, a, "rise", RISE_DEFAULT_NS, err);
	case ARRIVAL_RAMP:
		return parse_line(node, a, "for", for_ns, err);
	case ARRIVAL_STEP:
		return parse_step(node, a, err);
	case ARRIVAL_BURST:
		return parse_burst(node, a, err);
	case ARRIVAL_REPLAY:
		return parse_replay(p, node, a, err);
	case ARRIVAL_CLOSED:
	case ARRIVAL_NR:
		break;
	}
	return parse_closed(node, a, err);
}

int profile_parse_arrival(const struct profile *p, const struct yaml *node, uint64_t for_ns, struct arrival *ret, struct err *err)
{
	const struct yaml *how;
	int rc = yaml_check_keys(node, "arrival", arrival_kind_names, err);

	if (rc < 0)
		return rc;
	if (node->children_nr != 1)
		return yaml_error(node, err, "arrival takes one of constant, poisson, spike, ramp, step, burst, replay and closed");
	how = node->child;
	for (unsigned int k = 0; k < ARRIVAL_NR; k++)
		if (strcmp(arrival_kind_names[k], how->key) == 0)
			ret->kind = (enum arrival_kind)k;
	ret->random = true;
	rc = parse_kind(p, how, for_ns, ret, err);
	if (rc == 0 && yaml_get(how, "poisson"))
		rc = yaml_to_bool(yaml_get(how, "poisson"), &ret->random, err);
	if (rc == 0 && ret->kind != ARRIVAL_CLOSED && arrival_peak_per_s(ret, 1, 1) <= 0)
		rc = yaml_error(how, err, "the rate is 0 all the time: nothing ever arrives");
	return rc;
}
