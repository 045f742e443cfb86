/* SPDX-License-Identifier: MIT */
/*
 * profile_arms.c - the same profile with something changed: `arms` by name, `sweep` as every combination of the values of its factors.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "profile_parts.h"

#define FACTORS_MAX (sizeof((struct arm *)0)->set / sizeof((struct arm *)0)->set[0])

static int parse_arm(const struct yaml *node, struct arm *arm, struct err *err)
{
	int rc;

	if (node->kind != YAML_SEQUENCE || strlen(node->key) >= sizeof arm->name)
		return yaml_error(node, err, "an arm is a name and a list of changes: {no-fault: [\"faults=[]\"]}");
	memcpy(arm->name, node->key, strlen(node->key) + 1);
	rc = profile_parse_lines(node, arm->set, FACTORS_MAX, &arm->set_nr, err);
	for (unsigned int i = 0; i < arm->set_nr && rc == 0; i++)
		if (!strchr(arm->set[i].text, '='))
			rc = yaml_error(node, err, "'%s' of the arm '%s' changes nothing; write KEY=VALUE, as of --set", arm->set[i].text, arm->name);
	return rc;
}

/* How many combinations a sweep has; more than an arm's changes or a profile's arms is refused. */
static int count_combinations(const struct yaml *sweep, size_t *ret_nr, struct err *err)
{
	*ret_nr = 1;
	if (sweep->kind != YAML_MAPPING || sweep->children_nr == 0 || sweep->children_nr > FACTORS_MAX)
		return yaml_error(sweep, err, "sweep is a mapping of at most %zu keys and their values: {faults.0.args.delay: [200ms, 800ms]}", FACTORS_MAX);
	for (const struct yaml *factor = sweep->child; factor; factor = factor->next) {
		if (factor->kind != YAML_SEQUENCE || factor->children_nr == 0)
			return yaml_error(factor, err, "'%s' of the sweep is no list of values", factor->key);
		for (const struct yaml *value = factor->child; value; value = value->next)
			if (value->kind != YAML_SCALAR)
				return yaml_error(value, err, "a value of '%s' in the sweep is more than one word; name a key further down", factor->key);
		*ret_nr *= factor->children_nr;
		if (*ret_nr > ARMS_MAX)
			return yaml_error(sweep, err, "the sweep has more than %d combinations", ARMS_MAX);
	}
	return 0;
}

/* "delay" of faults.0.args.delay; the whole key when another factor ends alike. */
static const char *short_key(const struct yaml *sweep, const struct yaml *factor)
{
	const char *dot = strrchr(factor->key, '.'), *last = dot ? dot + 1 : factor->key;

	for (const struct yaml *other = sweep->child; other; other = other->next) {
		const char *end = strrchr(other->key, '.');

		if (other != factor && strcmp(end ? end + 1 : other->key, last) == 0)
			return factor->key;
	}
	return last;
}

/* Combination n, in which the last factor changes first. */
static int combine(const struct yaml *sweep, size_t n, struct arm *arm, struct err *err)
{
	size_t nr = arm->set_nr = (unsigned int)sweep->children_nr, used = 0;
	const struct yaml *chosen[FACTORS_MAX], *factor = sweep->child;

	for (size_t i = 0; i < nr; i++, factor = factor->next)
		chosen[i] = factor;
	for (size_t i = nr; i-- > 0; n /= chosen[i]->children_nr) {
		const struct yaml *value = chosen[i]->child;

		for (size_t k = n % chosen[i]->children_nr; k > 0; k--)
			value = value->next;
		if (snprintf(arm->set[i].text, sizeof arm->set[i].text, "%s=%s", chosen[i]->key, value->text) >= (int)sizeof arm->set[i].text)
			return yaml_error(value, err, "'%s' of the sweep and its value are longer than %d characters", chosen[i]->key, LINE_BYTES - 1);
		arm->set[i].line = value->line;
	}
	for (size_t i = 0; i < nr && used < sizeof arm->name; i++)
		used += (size_t)snprintf(arm->name + used, sizeof arm->name - used, "%s%s%s", i ? " " : "", short_key(sweep, chosen[i]), strchr(arm->set[i].text, '='));
	return used < sizeof arm->name ? 0 : yaml_error(sweep, err, "'%s...' of the sweep is longer than a name may be (%d characters)", arm->name, NAME_BYTES - 1);
}

int profile_parse_arms(struct profile *p, struct err *err)
{
	const struct yaml *arms = yaml_get(p->tree, "arms"), *sweep = yaml_get(p->tree, "sweep");
	size_t combinations = 0;
	int rc = arms ? profile_check_kind(arms, YAML_MAPPING, "arms is a mapping of names and changes: {no-fault: [\"faults=[]\"]}", err) : 0;

	if (rc == 0 && sweep)
		rc = count_combinations(sweep, &combinations, err);
	if (rc == 0 && (arms ? arms->children_nr : 0) + combinations > ARMS_MAX)
		rc = yaml_error(p->tree, err, "more than %d arms, those of the sweep among them", ARMS_MAX);
	if (rc < 0 || (!arms && !sweep))
		return rc;
	p->arms = calloc((arms ? arms->children_nr : 0) + combinations + 1, sizeof *p->arms);
	if (!p->arms)
		return err_set(err, -ENOMEM, "%s: no memory for its arms", p->file);
	for (const struct yaml *c = arms ? arms->child : NULL; c && rc == 0; c = c->next)
		rc = parse_arm(c, &p->arms[p->arms_nr++], err);
	for (size_t i = 0; i < combinations && rc == 0; i++)
		rc = combine(sweep, i, &p->arms[p->arms_nr++], err);
	return rc;
}
