/* SPDX-License-Identifier: MIT */
/*
 * explain.c - what a fault would do, for whoever has to answer for it: actions, undo, heal class, regime, expiry. Changes and asks nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drbd.h"
#include "err.h"
#include "faults.h"
#include "plan.h"
#include "undo.h"
#include "units.h"

#define COLUMN 12		/* where the text of "regime:" and the like begins */
#define WIDTH 150		/* [columns] of a line, its indent not counted */
#define SENTENCES_BYTES 1024

static const char *const heal_words[] = {
	[HEAL_H0] = "the kernel takes it away with the process that holds it, whatever ends that",
	[HEAL_H1] = "the kernel ends it by itself",
	[HEAL_H2] = "the undo is in the journal before the first action; the holder carries it out, its guard when the holder dies, the next agent or the"
		    " boot when both do",
	[HEAL_H3] = "only a reboot heals it; needs --allow-reboot outside of the lab",
};

/* "label:    text", cut at blanks so that no line is longer than WIDTH. */
static void print_wrapped(FILE *f, const char *indent, const char *label, const char *text)
{
	const char *lead = label;

	while (*text || lead) {
		size_t n = strlen(text), room = WIDTH - COLUMN;

		if (n > room)
			for (n = room; n > 0 && text[n] != ' '; n--)
				;
		if (n == 0)	/* one word that is longer than a line */
			n = strcspn(text, " ");
		fprintf(f, "%s%-*s%.*s\n", indent, COLUMN, lead ? lead : "", (int)n, text);
		lead = NULL;
		text += n;
		text += strspn(text, " ");
	}
}

static void print_plan(FILE *f, const char *indent, const struct plan *plan, const char *otherwise)
{
	char deeper[64], *text;

	(void)snprintf(deeper, sizeof(deeper), "%s  ", indent);
	text = plan_print(plan, deeper);
	if (text && *text)
		fputs(text, f);
	else
		fprintf(f, "%s%s\n", deeper, otherwise);
	free(text);
}

static void print_expiry(FILE *f, const char *indent, const struct fault *fault, uint64_t lease_ns, uint64_t max_ns)
{
	char lease[32], max[32], text[SENTENCES_BYTES];

	units_exact_ns(lease_ns, lease, sizeof(lease));
	units_exact_ns(max_ns, max, sizeof(max));
	if (fault->instant)
		(void)snprintf(text, sizeof(text), "none: it is done in an instant");
	else
		(void)snprintf(text, sizeof(text), "%s after the injection at the latest, or max_time of the allow file if that is shorter; %s after whoever"
			       " asked for it fell silent (lease); at once when that dies or squall chaos heal is run", max, lease);
	print_wrapped(f, indent, "expiry:", text);
}

int chaos_explain(const char *fault, const json_t *args, const char *indent, uint64_t lease_ns, uint64_t max_ns, FILE *out, struct err *err)
{
	struct fault_run run = { .fault = fault_find(fault), .args = args, .dry = true, .id = "ID" };
	struct plan plan = PLAN_INIT, heal = PLAN_INIT;
	char text[SENTENCES_BYTES] = "";
	int rc;

	if (!run.fault)
		return err_set(err, -EINVAL, "there is no fault '%s'; see squall chaos list", fault);
	rc = run.fault->plan(&run, &plan, err);
	if (rc == 0)
		rc = undo_plan(plan.undo, &heal, err);
	if (rc < 0)
		goto out;
	fprintf(out, "%sinject:\n", indent);
	print_plan(out, indent, &plan, "nothing");
	fprintf(out, "%sundo:\n", indent);
	print_plan(out, indent, &heal, run.fault->heal_class == HEAL_H3 ? "nothing: it is over with the boot" : "nothing to run: it goes with its holder");
	(void)snprintf(text, sizeof(text), "%s: %s", heal_class_names[run.fault->heal_class], heal_words[run.fault->heal_class]);
	print_wrapped(out, indent, "heal class:", text);
	(void)snprintf(text, sizeof(text), "see %s", run.fault->page);
	if (run.fault->foresee)
		run.fault->foresee(&run, text, sizeof(text));
	print_wrapped(out, indent, "regime:", text);
	print_expiry(out, indent, run.fault, lease_ns, max_ns);
out:
	plan_release(&plan);
	plan_release(&heal);
	free(run.state);
	return rc;
}

void chaos_args_text(const char *fault, const json_t *args, char *ret, size_t bytes)
{
	const struct fault *f = fault_find(fault);
	size_t used = 0;

	ret[0] = '\0';
	for (const struct fault_arg *a = f ? f->args : NULL; a && a->name && used < bytes; a++) {
		const json_t *value = json_object_get(args, a->name);
		uint64_t n = (uint64_t)json_integer_value(value);
		char text[48];

		if (a->kind == ARG_DURATION)
			units_exact_ns(n, text, sizeof(text));
		else if (a->kind == ARG_ENUM)
			(void)snprintf(text, sizeof(text), "%s", json_string_value(value));
		else
			(void)snprintf(text, sizeof(text), "%" PRIu64 "%s", a->kind == ARG_BITS && n % 1000 == 0 ? n / 1000 : n,
				       a->kind != ARG_BITS ? "" : n % 1000 == 0 ? "kbit" : "bit");
		used += (size_t)snprintf(ret + used, bytes - used, "%s%s=%s", used ? " " : "", a->name, text);
	}
}
