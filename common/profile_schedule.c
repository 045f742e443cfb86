/* SPDX-License-Identifier: MIT */
/*
 * profile_schedule.c - the faults that a profile does not list one by one: repeated ones, and those drawn at random from its seed.
 *
 * They come after the listed ones, so that faults.N is the Nth of the list everywhere. Every agent expands the same text to the same faults.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "profile_parts.h"
#include "rng.h"

#define MS 1000000ULL

struct draw {
	uint64_t from_ns, until_ns, gap_ns, at_once;
	struct when from;
	struct fault_plan choice[FAULTS_MAX];
	uint64_t weight[FAULTS_MAX], weights;
	uint64_t busy_until_ns[FAULTS_MAX];	/* of each choice: it is not drawn twice at a time */
	unsigned int nr;
};

uint64_t profile_phase_start(const struct profile *p, unsigned int idx)
{
	uint64_t at = 0;

	for (unsigned int i = 0; i < idx; i++)
		at += p->phases[i].calibrate ? 0 : p->phases[i].for_ns;
	return at;
}

static int add(struct profile *p, const struct yaml *node, const struct fault_plan *fault, struct err *err)
{
	if (p->faults_nr == FAULTS_MAX)
		return yaml_error(node, err, "more than %d faults, with those that are repeated or drawn", FAULTS_MAX);
	p->faults[p->faults_nr++] = *fault;
	return 0;
}

static int repeat(struct profile *p, unsigned int idx, const struct yaml *node, struct err *err)
{
	static const char *const keys[] = { "times", "every", NULL };
	uint64_t times = 0, every_ns = 0;
	struct fault_plan again;
	int rc = yaml_check_keys(node, "repeat", keys, err);

	if (rc == 0 && (!yaml_get(node, "times") || !yaml_get(node, "every")))
		rc = yaml_error(node, err, "repeat needs a number and a distance: {times: 5, every: 30s}");
	if (rc == 0)
		rc = yaml_to_u64(yaml_get(node, "times"), 2, FAULTS_MAX, &times, err);
	if (rc == 0)
		rc = yaml_to_duration(yaml_get(node, "every"), &every_ns, err);
	if (rc == 0 && p->faults[idx].until.name[0] != '\0')
		rc = yaml_error(node, err, "a fault that is repeated lasts `for` a time, not until an event");
	if (rc == 0 && every_ns <= p->faults[idx].for_ns)
		rc = yaml_error(node, err, "it would come again before it is over: `every` must be longer than `for`");
	if (rc < 0)
		return rc;
	p->faults[idx].again = true;
	again = p->faults[idx];
	for (uint64_t i = 1; i < times && rc == 0; i++) {
		again.at.offset_ns += every_ns;
		(void)snprintf(again.key, sizeof again.key, "faults.%u (%u of %u)", idx, (unsigned int)i + 1, (unsigned int)times);
		rc = add(p, node, &again, err);
	}
	return rc;
}

static int parse_span(const struct profile *p, const struct yaml *node, struct draw *d, struct err *err)
{
	struct when until = { .phase_idx = -1 };
	int rc = profile_parse_when(p, yaml_get(node, "from"), &d->from, err);

	if (rc == 0)
		rc = profile_parse_when(p, yaml_get(node, "until"), &until, err);
	if (rc < 0)
		return rc;
	if (d->from.phase_idx < 0 || until.phase_idx < 0)
		return yaml_error(node, err, "'%s' is no phase: faults are drawn from a phase until a phase", d->from.phase_idx < 0 ? d->from.name : until.name);
	d->from_ns = profile_phase_start(p, (unsigned int)d->from.phase_idx) + d->from.offset_ns;
	d->until_ns = profile_phase_start(p, (unsigned int)until.phase_idx) + until.offset_ns;
	return d->until_ns > d->from_ns ? 0 : yaml_error(node, err, "random_faults ends before it begins");
}

static int parse_draw(const struct profile *p, const struct yaml *node, struct draw *d, struct err *err)
{
	static const char *const keys[] = { "from", "until", "gap", "at_once", "of", NULL };
	const struct yaml *of = yaml_get(node, "of");
	int rc = yaml_check_keys(node, "random_faults", keys, err);

	if (rc == 0 && (!yaml_get(node, "from") || !yaml_get(node, "until") || !yaml_get(node, "gap") || !of || of->kind != YAML_SEQUENCE || !of->child))
		rc = yaml_error(node, err, "random_faults needs a span, a mean gap and a list: {from: PHASE, until: PHASE, gap: 20s, of: [{fault: NAME, for: 5s}]}");
	if (rc == 0)
		rc = parse_span(p, node, d, err);
	if (rc == 0)
		rc = yaml_to_duration(yaml_get(node, "gap"), &d->gap_ns, err);
	d->at_once = 1;
	if (rc == 0 && yaml_get(node, "at_once"))
		rc = yaml_to_u64(yaml_get(node, "at_once"), 1, FAULTS_MAX, &d->at_once, err);
	for (const struct yaml *c = of ? of->child : NULL; c && rc == 0; c = c->next) {
		if (d->nr == FAULTS_MAX)
			return yaml_error(c, err, "more than %d faults to draw from", FAULTS_MAX);
		rc = profile_parse_choice(c, &d->choice[d->nr], &d->weight[d->nr], err);
		(void)snprintf(d->choice[d->nr].key, sizeof d->choice[d->nr].key, "random_faults.of.%u", d->nr);
		d->weights += d->weight[d->nr++];
	}
	/* Whether there is room must not hang on the seed: a series of trials has one each. */
	if (rc == 0 && (d->gap_ns == 0 || (d->until_ns - d->from_ns) / d->gap_ns > (FAULTS_MAX - p->faults_nr) / 2))
		rc = yaml_error(yaml_get(node, "gap"), err, "so many faults do not fit: %u are drawn in the mean, %u at the most",
				d->gap_ns ? (unsigned int)((d->until_ns - d->from_ns) / d->gap_ns) : 0, (FAULTS_MAX - p->faults_nr) / 2);
	return rc;
}

static unsigned int pick(struct rng *rng, const struct draw *d)
{
	uint64_t at = rng_below(rng, d->weights);
	unsigned int i = 0;

	while (at >= d->weight[i])
		at -= d->weight[i++];
	return i;
}

/* When a choice can begin: it is not in force itself, and there are fewer than at_once others. */
static uint64_t free_at(const struct draw *d, unsigned int choice, uint64_t at_ns)
{
	if (d->busy_until_ns[choice] > at_ns)
		at_ns = d->busy_until_ns[choice];
	for (;;) {
		uint64_t next = UINT64_MAX, busy = 0;

		for (unsigned int i = 0; i < d->nr; i++) {
			if (d->busy_until_ns[i] <= at_ns)
				continue;
			busy++;
			next = d->busy_until_ns[i] < next ? d->busy_until_ns[i] : next;
		}
		if (busy < d->at_once)
			return at_ns;
		at_ns = next;
	}
}

/* Poisson arrivals; one that finds no place waits for it. The first that would not be over in time is the end. */
static int draw_faults(struct profile *p, const struct yaml *node, struct draw *d, struct err *err)
{
	uint64_t at_ns = d->from_ns;
	struct rng rng;
	int rc = 0;

	rng_init(&rng, rng_subseed(p->seed, "random_faults"), 0);
	while (rc == 0) {
		unsigned int choice;
		struct fault_plan fault;

		at_ns += (uint64_t)(rng_exponential(&rng) * (double)d->gap_ns / (double)MS) * MS;
		choice = pick(&rng, d);
		fault = d->choice[choice];
		at_ns = free_at(d, choice, at_ns);
		if (at_ns + fault.for_ns > d->until_ns)
			break;
		d->busy_until_ns[choice] = at_ns + fault.for_ns;
		fault.at = d->from;
		fault.at.offset_ns += at_ns - d->from_ns;
		fault.again = true;
		rc = add(p, node, &fault, err);
	}
	return rc;
}

int profile_expand_faults(struct profile *p, struct err *err)
{
	const struct yaml *list = yaml_get(p->tree, "faults"), *drawn = yaml_get(p->tree, "random_faults"), *c = list ? list->child : NULL;
	unsigned int listed = p->faults_nr;
	struct draw d = { .from.phase_idx = -1 };
	int rc = 0;

	for (unsigned int i = 0; i < listed && rc == 0; i++, c = c->next) {
		(void)snprintf(p->faults[i].key, sizeof p->faults[i].key, "faults.%u", i);
		if (yaml_get(c, "repeat"))
			rc = repeat(p, i, yaml_get(c, "repeat"), err);
	}
	if (rc < 0 || !drawn)
		return rc;
	rc = parse_draw(p, drawn, &d, err);
	return rc < 0 ? rc : draw_faults(p, drawn, &d, err);
}
