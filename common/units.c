/* SPDX-License-Identifier: MIT */
/*
 * units.c - durations, sizes and rates as people write them.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

struct unit {
	const char *name;
	double factor;
};

static const struct unit durations[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 }, { NULL, 0 } };
static const struct unit sizes[] = { { "B", 1 },	  { "kB", 1e3 },	  { "MB", 1e6 },	    { "GB", 1e9 },
				     { "KiB", 1024 }, { "MiB", 1024.0 * 1024 }, { "GiB", 1024.0 * 1024 * 1024 }, { NULL, 0 } };
static const struct unit rates[] = { { "/s", 1 }, { "/m", 1.0 / 60 }, { NULL, 0 } };
static const struct unit bits[] = { { "bit", 1 }, { "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 }, { NULL, 0 } };
static const struct unit percents[] = { { "%", 0.01 }, { NULL, 0 } };

/* Digits with at most one point, then exactly one of the units. strtod() alone would take "0x1p4", "inf" and " 5". */
static int parse(const char *text, const struct unit *units, double *ret)
{
	size_t digits = strspn(text, "0123456789.");
	char *end;
	double value;

	if (digits == 0 || text[0] == '.' || text[digits - 1] == '.')
		return -EINVAL;
	errno = 0;
	value = strtod(text, &end);
	if (end != text + digits || errno == ERANGE)
		return errno == ERANGE ? -ERANGE : -EINVAL;
	for (; units->name; units++)
		if (strcmp(end, units->name) == 0) {
			*ret = value * units->factor;
			return 0;
		}
	return -EINVAL;
}

/* 2^63 is far beyond anything meant, and exact in a double. */
static int to_u64(double value, uint64_t *ret)
{
	if (!(value < 0x1p63))
		return -ERANGE;
	*ret = (uint64_t)llround(value);
	return 0;
}

int units_parse_duration(const char *text, uint64_t *ret_ns)
{
	double ns;
	int rc;

	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	rc = parse(text, durations, &ns);
	return rc < 0 ? rc : to_u64(ns, ret_ns);
}

int units_parse_size(const char *text, uint64_t *ret_bytes)
{
	double bytes;
	int rc = parse(text, sizes, &bytes);

	return rc < 0 ? rc : to_u64(bytes, ret_bytes);
}

int units_parse_rate(const char *text, double *ret_per_s)
{
	return parse(text, rates, ret_per_s);
}

int units_parse_bits(const char *text, uint64_t *ret_bits_per_s)
{
	double value;
	int rc = parse(text, bits, &value);

	return rc < 0 ? rc : to_u64(value, ret_bits_per_s);
}

int units_parse_percent(const char *text, double *ret_share)
{
	return parse(text, percents, ret_share);
}

/* Three digits, whatever the size. */
static char *format(double value, const char *unit, char *out, size_t out_bytes)
{
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

	(void)snprintf(out, out_bytes, "%.*f %s", decimals, value, unit);
	return out;
}

char *units_format_ns(uint64_t ns, char *out, size_t out_bytes)
{
	double v = (double)ns;

	if (ns < 1000) {
		(void)snprintf(out, out_bytes, "%u ns", (unsigned int)ns);
		return out;
	}
	if (v < 999.5e3)
		return format(v / 1e3, "us", out, out_bytes);
	if (v < 999.5e6)
		return format(v / 1e6, "ms", out, out_bytes);
	return format(v / 1e9, "s", out, out_bytes);
}

char *units_exact_ns(uint64_t ns, char *out, size_t out_bytes)
{
	static const struct { const char *name; uint64_t ns; } units[] = { { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 } };
	size_t i = 0;

	while (ns % units[i].ns != 0)	/* ends: everything is a whole number of ns */
		i++;
	(void)snprintf(out, out_bytes, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].name);
	return out;
}

char *units_format_bytes(uint64_t bytes, char *out, size_t out_bytes)
{
	static const char *const names[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	int i = -1;

	if (bytes < 1024) {
		(void)snprintf(out, out_bytes, "%u B", (unsigned int)bytes);
		return out;
	}
	while (i < 3 && v >= 1024) {
		v /= 1024;
		i++;
	}
	return format(v, names[i], out, out_bytes);
}
