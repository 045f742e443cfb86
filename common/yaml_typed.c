/* SPDX-License-Identifier: MIT */
/*
 * yaml_typed.c - scalars as types, and the sentence when one is something else.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "units.h"
#include "yaml.h"

#define LIST_BYTES 256
#define WORD_MAX 64

int yaml_error(const struct yaml *node, struct err *err, const char *format, ...)
{
	char said[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(said, sizeof said, format, args);
	va_end(args);
	return err_set(err, -EINVAL, "%s:%u: %s", node->file, node->line, said);
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t k = 0; k <= lb; k++)
		row[k] = k;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= lb; k++) {
			size_t above = row[k], best = diagonal + (a[i - 1] != b[k - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			diagonal = above;
			row[k] = best;
		}
	}
	return row[lb];
}

const char *yaml_nearest(const char *name, const char *const known[])
{
	size_t best = strlen(name) / 3 + 1;
	const char *found = NULL;

	for (; *known; known++) {
		size_t d = distance(name, *known);

		if (d <= best && (!found || d < best)) {
			best = d;
			found = *known;
		}
	}
	return found;
}

const char *yaml_names(const char *const names[], char *out, size_t bytes)
{
	size_t used = 0;

	out[0] = '\0';
	for (; *names && used < bytes; names++)
		used += (size_t)snprintf(out + used, bytes - used, "%s%s", used ? ", " : "", *names);
	return used < bytes ? out : NULL;
}

static int unknown(const struct yaml *node, const char *what, const char *word, const char *const known[], struct err *err)
{
	const char *near = yaml_nearest(word, known);
	char list[LIST_BYTES];

	if (near)
		return yaml_error(node, err, "unknown %s '%s'; did you mean '%s'?", what, word, near);
	if (!*known || !yaml_names(known, list, sizeof list))
		return yaml_error(node, err, "unknown %s '%s'", what, word);
	return yaml_error(node, err, "unknown %s '%s'; there are %s", what, word, list);
}

int yaml_check_keys(const struct yaml *node, const char *what, const char *const known[], struct err *err)
{
	char kind[WORD_MAX + 16];

	if (node->kind != YAML_MAPPING)
		return yaml_error(node, err, "%s must be a mapping", what);
	(void)snprintf(kind, sizeof kind, "key in %.*s", WORD_MAX, what);
	for (const struct yaml *c = node->child; c; c = c->next) {
		const char *const *k = known;

		while (*k && strcmp(*k, c->key) != 0)
			k++;
		if (!*k)
			return unknown(c, kind, c->key, known, err);
	}
	return 0;
}

static const char *name_of(const struct yaml *node)
{
	return node->key ? node->key : "this";
}

static int check_scalar(const struct yaml *node, const char *wanted, struct err *err)
{
	return node->kind == YAML_SCALAR ? 0 : yaml_error(node, err, "%s must be %s", name_of(node), wanted);
}

static int wrong(const struct yaml *node, const char *wanted, struct err *err)
{
	return yaml_error(node, err, "%s: '%s' is not %s", name_of(node), node->text, wanted);
}

int yaml_to_u64(const struct yaml *node, uint64_t min, uint64_t max, uint64_t *ret, struct err *err)
{
	unsigned long long v;
	char *end;
	int rc = check_scalar(node, "a whole number", err);

	if (rc < 0)
		return rc;
	errno = 0;
	v = strtoull(node->text, &end, 10);
	if (node->text[0] < '0' || node->text[0] > '9' || *end != '\0' || errno != 0)
		return wrong(node, "a whole number", err);
	if (v < min || v > max)
		return yaml_error(node, err, "%s: %llu is out of range; %llu to %llu can be given", name_of(node), v, (unsigned long long)min,
				  (unsigned long long)max);
	*ret = v;
	return 0;
}

int yaml_to_double(const struct yaml *node, double *ret, struct err *err)
{
	char *end;
	double v;
	int rc = check_scalar(node, "a number", err);

	if (rc < 0)
		return rc;
	v = strtod(node->text, &end);
	if (strspn(node->text, "-+.0123456789eE") != strlen(node->text) || end == node->text || *end != '\0')
		return wrong(node, "a number", err);
	*ret = v;
	return 0;
}

int yaml_to_duration(const struct yaml *node, uint64_t *ret_ns, struct err *err)
{
	int rc = check_scalar(node, "a duration such as 30s", err);

	if (rc < 0)
		return rc;
	return units_parse_duration(node->text, ret_ns) < 0 ? wrong(node, "a duration; write a number with ns, us, ms, s, m or h, as in 30s", err) : 0;
}

int yaml_to_size(const struct yaml *node, uint64_t *ret_bytes, struct err *err)
{
	int rc = check_scalar(node, "a size such as 4KiB", err);

	if (rc < 0)
		return rc;
	return units_parse_size(node->text, ret_bytes) < 0 ? wrong(node, "a size; write a number with B, kB, KiB, MB, MiB, GB or GiB, as in 4KiB", err) : 0;
}

int yaml_to_bool(const struct yaml *node, bool *ret, struct err *err)
{
	int rc = check_scalar(node, "true or false", err);

	if (rc < 0)
		return rc;
	if (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0)
		return wrong(node, "true or false", err);
	*ret = node->text[0] == 't';
	return 0;
}

int yaml_to_text(const struct yaml *node, char *ret, size_t bytes, struct err *err)
{
	int rc = check_scalar(node, "a text", err);

	if (rc < 0)
		return rc;
	if (strlen(node->text) >= bytes)
		return yaml_error(node, err, "%s: longer than %zu characters", name_of(node), bytes - 1);
	memcpy(ret, node->text, strlen(node->text) + 1);
	return 0;
}

int yaml_to_enum(const struct yaml *node, const char *const names[], unsigned int *ret, struct err *err)
{
	int rc = check_scalar(node, "a word", err);

	if (rc < 0)
		return rc;
	for (unsigned int i = 0; names[i]; i++)
		if (strcmp(names[i], node->text) == 0) {
			*ret = i;
			return 0;
		}
	return unknown(node, name_of(node), node->text, names, err);
}
