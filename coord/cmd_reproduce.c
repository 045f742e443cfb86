/* SPDX-License-Identifier: MIT */
/*
 * cmd_reproduce.c - `squall reproduce`: a profile and its arms, each on a fresh and identical lab, and what they say side by side.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "report.h"
#include "rng.h"
#include "run.h"
#include "units.h"

static const char help[] =
	"Usage: squall reproduce PROFILE [--trials N] [--arms LIST] [--on lab|local:DIR|fleet:DIR|FLEET.yaml] [--seed N] [--set KEY=VALUE]... [--out DIR]\n"
	"                        [--allow-reboot] [--dry-run] [--json]\n"
	"\n"
	"Run a profile, then each of its arms (the same profile with something changed), and print the verdicts side by side.\n"
	"\n"
	"  --trials N          rounds (default: 1), in each of which the profile and every arm are run once, in an order drawn from the seed, so\n"
	"                      that a drift of the host hits all alike; a void run is listed, does not count, and is run once again in its place\n"
	"  --arms LIST         the arms to run, with commas between them; '' for none (default: all)\n"
	"  --on, --seed, --set, --out, --allow-reboot, --dry-run, --json    as of squall run\n"
	"\n"
	"Exit status: 0 the profile's own runs ended as expected, 1 one of them did not, 4 one was inconclusive or void, or a signal left some out,\n"
	"2 usage or profile error, 3 broken, 77 needs missing. The arms are shown, and decide nothing but one that was void twice is 4.\n";

struct trial {
	const struct arm *arm;		/* NULL = the profile as it is written */
	char dir[512];
	json_t *verdict;
	bool replaced;			/* void, and the next of this arm stands for it */
};

struct session {
	struct run_options options;
	struct profile profile;
	const struct arm *arms[ARMS_MAX + 1];
	unsigned int arms_nr;
	struct trial *trials;
	unsigned int trials_nr, begun_nr;	/* begun: without those that are run again */
};

static bool is_wanted(const char *list, const char *name)
{
	size_t bytes = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, name, bytes) == 0 && (p[bytes] == ',' || p[bytes] == '\0'))
			return true;
	return !list;
}

static int check_names(const struct session *s, struct err *err)
{
	char list[512], *rest = list, *name;

	(void)snprintf(list, sizeof list, "%s", s->options.arms ? s->options.arms : "");
	while ((name = strsep(&rest, ","))) {
		bool known = *name == '\0';

		for (unsigned int i = 0; i < s->profile.arms_nr; i++)
			known |= strcmp(name, s->profile.arms[i].name) == 0;
		if (!known)
			return err_set(err, -EINVAL, "--arms: %s has no arm '%s'", s->options.profile, name);
	}
	return 0;
}

static int choose_arms(struct session *s, struct err *err)
{
	int rc = profile_load(s->options.profile, s->options.sets, &s->profile, err);

	if (rc == 0)
		rc = check_names(s, err);
	s->arms[s->arms_nr++] = NULL;
	for (unsigned int i = 0; i < s->profile.arms_nr; i++)
		if (is_wanted(s->options.arms, s->profile.arms[i].name))
			s->arms[s->arms_nr++] = &s->profile.arms[i];
	s->trials = calloc((size_t)s->arms_nr * s->options.trials * 2, sizeof *s->trials);
	for (unsigned int i = 1; i < s->arms_nr && rc == 0; i++)
		rc = run_check_arm(&s->options, s->arms[i], err);
	return rc == 0 && !s->trials ? err_set(err, -ENOMEM, "reproduce: no memory") : rc;
}

static int run_trial(struct session *s, struct trial *trial, struct err *err)
{
	struct run_options options = s->options;
	int rc;

	if (trial->arm)
		run_options_add_arm(&options, trial->arm);
	rc = run_profile(&options, &trial->verdict, trial->dir, sizeof trial->dir, err);
	if (rc == 0 && !options.json)
		rc = run_print(&options, trial->dir, trial->verdict, err);
	return rc < 0 && trial->arm ? err_prefix(err, rc, "arm %s", trial->arm->name) : rc;
}

static const char *verdict_of(const struct trial *t)
{
	const char *name = json_string_value(json_object_get(t->verdict, "verdict"));

	return name ? name : "";
}

/* The 95 % interval of a share (Wilson, Probable inference, J. Am. Stat. Assoc. 22, 1927), which also holds for 0 and all of n. */
static void wilson(unsigned int k, unsigned int n, double *ret_low, double *ret_high)
{
	const double z = 1.959964, share = (double)k / n, z2n = z * z / n;
	const double centre = (share + z2n / 2) / (1 + z2n), half = z * sqrt(share * (1 - share) / n + z2n / (4 * n)) / (1 + z2n);

	*ret_low = centre - half > 0 ? centre - half : 0;
	*ret_high = centre + half < 1 ? centre + half : 1;
}

static unsigned int count_reproduced(const struct session *s, const struct arm *arm, unsigned int *ret_trusted)
{
	unsigned int reproduced = 0;

	*ret_trusted = 0;
	for (unsigned int i = 0; i < s->trials_nr; i++)
		if (s->trials[i].arm == arm) {
			*ret_trusted += strcmp(verdict_of(&s->trials[i]), "reproduced") == 0 || strcmp(verdict_of(&s->trials[i]), "absent") == 0;
			reproduced += strcmp(verdict_of(&s->trials[i]), "reproduced") == 0;
		}
	return reproduced;
}

static void print_signature(const struct trial *t)
{
	const char *name;
	const json_t *line;

	json_object_foreach(json_object_get(t->verdict, "signature"), name, line)
		printf("  %s%s", json_is_true(json_object_get(line, "held")) ? "+" : "-", name);
}

static void print_recovery(const struct trial *t)
{
	const json_t *recovery = json_object_get(t->verdict, "recovery");
	const json_t *time = json_is_object(recovery) ? json_object_get(recovery, "ns") : recovery;
	size_t i;
	const json_t *fault;
	char text[24];

	json_array_foreach(json_object_get(t->verdict, "faults"), i, fault) {
		const char *by = json_string_value(json_object_get(fault, "healed_by"));
		const char *kind = json_string_value(json_object_get(fault, "fault"));

		if (by && strcmp(kind, "none") != 0 && strcmp(kind, by) != 0)
			printf("; %s ended by %s", kind, by);
	}
	if (json_is_integer(time))
		printf("; back to normal after %s", units_format_ns((uint64_t)json_integer_value(time), text, sizeof text));
}

/* What was changed, what came of it: one paragraph an arm, so that a cure is not claimed of the act that only came last. */
static void print_arms(const struct session *s)
{
	puts("\narms, side by side (+ a line of the signature held, - it did not)");
	for (unsigned int a = 0; a < s->arms_nr; a++) {
		const struct arm *arm = s->arms[a];
		unsigned int trusted, reproduced = count_reproduced(s, arm, &trusted);
		double low, high;

		printf("\n%s: ", arm ? arm->name : s->profile.name);
		if (trusted > 0) {
			wilson(reproduced, trusted, &low, &high);
			printf("reproduced in %u of %u trusted runs (95 %% interval of the rate: %.0f to %.0f %%)\n", reproduced, trusted, 100 * low, 100 * high);
		} else {
			puts("no run that can be trusted");
		}
		for (unsigned int i = 0; i < s->trials_nr; i++) {
			if (s->trials[i].arm != arm)
				continue;
			printf("  %-12s", s->trials[i].replaced ? "void, again" : verdict_of(&s->trials[i]));
			print_signature(&s->trials[i]);
			print_recovery(&s->trials[i]);
			printf("\n               %s\n", s->trials[i].dir);
		}
	}
}

static int print_json(const struct session *s)
{
	json_t *all = json_object(), *arms = json_array();
	int rc;

	for (unsigned int a = 0; a < s->arms_nr; a++) {
		unsigned int trusted, reproduced = count_reproduced(s, s->arms[a], &trusted);
		json_t *arm = json_pack("{s:s, s:i, s:i, s:n, s:[]}", "arm", s->arms[a] ? s->arms[a]->name : "", "reproduced", (int)reproduced,
					"trusted", (int)trusted, "rate_interval_95", "runs");
		double low, high;

		if (trusted > 0) {
			wilson(reproduced, trusted, &low, &high);
			json_object_set_new(arm, "rate_interval_95", json_pack("[f, f]", low, high));
		}
		for (unsigned int i = 0; i < s->trials_nr; i++)
			if (s->trials[i].arm == s->arms[a])
				json_array_append_new(json_object_get(arm, "runs"),
						      json_pack("{s:s, s:O}", "dir", s->trials[i].dir, "verdict", s->trials[i].verdict));
		json_array_append_new(arms, arm);
	}
	json_object_set_new(all, "schema", json_integer(1));
	json_object_set_new(all, "profile", json_string(s->profile.name));
	json_object_set_new(all, "arms", arms);
	rc = json_dumpf(all, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF ? -EIO : 0;
	json_decref(all);
	return rc;
}

/* A signal ends the series: what was asked for and never begun is not known to be as expected. */
static int exit_status(const struct session *s)
{
	int status = s->begun_nr < s->arms_nr * s->options.trials ? EXIT_VOID : EXIT_AS_EXPECTED;

	for (unsigned int i = 0; i < s->trials_nr; i++) {
		int of_trial = report_exit_status(s->trials[i].verdict);

		if (s->trials[i].replaced)
			continue;
		if (of_trial == EXIT_VOID || (!s->trials[i].arm && status == EXIT_AS_EXPECTED))
			status = of_trial;
	}
	return status;
}

/* A trial, and once more when it was void for another reason than a signal. */
static int run_trusted(struct session *s, const struct arm *arm, struct err *err)
{
	struct trial *trial;
	int rc, left = 2;

	s->begun_nr++;
	do {
		fprintf(stderr, "%srun %u of %u%s%s%s\n", s->trials_nr > 0 ? "\n" : "", s->begun_nr, s->arms_nr * s->options.trials, arm ? ", arm " : "",
			arm ? arm->name : "", left < 2 ? ", again: it was void" : "");
		trial = &s->trials[s->trials_nr++];
		trial->arm = arm;
		rc = run_trial(s, trial, err);
		if (rc < 0 && !trial->verdict)
			s->trials_nr--;
		left--;
		trial->replaced = rc == 0 && left > 0 && !run_was_stopped() && strcmp(verdict_of(trial), "void") == 0;
	} while (trial->replaced);
	return rc;
}

/* Fisher and Yates: what drifts, and what one run leaves to the next, is the same for all arms on the average. The very first run is the profile's own. */
static void draw_order(const struct session *s, unsigned int round, const struct arm **ret_order)
{
	struct rng rng;

	rng_init(&rng, rng_subseed(s->profile.seed, "order of the arms"), round);
	memcpy(ret_order, s->arms, s->arms_nr * sizeof(const struct arm *));
	for (unsigned int first = round == 0, i = s->arms_nr; i > first + 1; i--) {
		unsigned int k = first + (unsigned int)rng_below(&rng, i - first);
		const struct arm *drawn = ret_order[k];

		ret_order[k] = ret_order[i - 1];
		ret_order[i - 1] = drawn;
	}
}

static int reproduce(struct session *s, struct err *err)
{
	const struct arm *order[ARMS_MAX + 1];
	int rc = choose_arms(s, err);

	for (unsigned int round = 0; rc == 0 && round < s->options.trials; round++) {
		draw_order(s, round, order);
		for (unsigned int a = 0; rc == 0 && !run_was_stopped() && a < s->arms_nr; a++)
			rc = run_trusted(s, order[a], err);
	}
	if (rc == 0 && s->options.json)
		return print_json(s) < 0 ? -EIO : exit_status(s);
	if (s->trials_nr > 0 && !s->options.json)	/* what there is, where the next one broke */
		print_arms(s);
	return rc == 0 ? exit_status(s) : rc;
}

int cmd_reproduce(int argc, char **argv)
{
	struct session s = { .profile = PROFILE_INIT };
	struct err err = ERR_INIT;
	int rc = run_options_parse(argc, argv, help, &s.options, &err);

	if (rc == 1)
		return EXIT_AS_EXPECTED;
	if (rc == 0)
		rc = s.options.dry_run ? run_dry(&s.options, &err) : reproduce(&s, &err);
	for (unsigned int i = 0; i < s.trials_nr; i++)
		json_decref(s.trials[i].verdict);
	free(s.trials);
	profile_release(&s.profile);
	if (rc < 0) {
		fprintf(stderr, "squall: %s\n", err.text[0] ? err.text : strerror(-rc));
		return (int)err_exit_status(rc);
	}
	return rc;
}
