/* SPDX-License-Identifier: MIT */
/*
 * explain.c - what a fault would do, for whoever has to answer for it: actions, undo, heal class, regime, expiry. Changes and asks nothing.
 */
#include <errno.h>
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
	[HEAL_H2] = "the undo is in the journal before the first action; the holder carries it out, its guard when the holder dies, the next agent or the boot when both do",
	[HEAL_H3] = "only a reboot heals it; needs --allow-reboot outside of the lab",
};
static const char outside_words[] = "a process beside the coordinator takes it back, also when the coordinator dies; the coordinator when that process does";

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

/* A plan as a list of lines; what belongs to a line is indented below it. */
static json_t *lines_of(const struct plan *plan, const char *otherwise)
{
	char *text = plan_print(plan, ""), *rest = text, *line;
	json_t *lines = json_array();

	while ((line = strsep(&rest, "\n")))
		if (*line)
			(void)json_array_append_new(lines, json_string(line));
	if (json_array_size(lines) == 0)
		(void)json_array_append_new(lines, json_string(otherwise));
	free(text);
	return lines;
}

static void expiry_of(const struct fault *fault, uint64_t lease_ns, uint64_t max_ns, char *ret, size_t bytes)
{
	char lease[32], max[32];

	units_exact_ns(lease_ns, lease, sizeof lease);
	units_exact_ns(max_ns, max, sizeof max);
	if (fault->outside && !fault->instant)
		(void)snprintf(ret, bytes, "with the run at the latest, whatever ends it");
	else if (fault->instant)
		(void)snprintf(ret, bytes, "none: it is done in an instant");
	else
		(void)snprintf(ret, bytes, "%s after the injection at the latest, or max_time of the allow file if that is shorter (a fault that is to last longer is"
			       " refused); %s after whoever asked for it fell silent (lease); at once when that dies or squall chaos heal is run", max, lease);
}

/* Instead of commands. */
static const char *nothing_to_undo(const struct fault *fault)
{
	if (fault->outside)
		return fault->outside;
	if (fault->takes_host)
		return "nothing: it is over with the boot";
	if (fault->heal_class == HEAL_H2)
		return "nothing to run: it is looked at until it is as it was";
	return fault->instant ? "nothing: it is over when it is done" : "nothing to run: it goes with its holder";
}

int chaos_explain(const char *fault, const json_t *args, uint64_t lease_ns, uint64_t max_ns, json_t **ret_explained, struct err *err)
{
	struct fault_run run = { .fault = fault_find(fault), .args = args, .dry = true, .id = "ID" };
	struct plan plan = PLAN_INIT, heal = PLAN_INIT;
	char arguments[256], regime[SENTENCES_BYTES], expiry[SENTENCES_BYTES];
	int rc;

	if (!run.fault)
		return err_set(err, -EINVAL, "there is no fault '%s'; see squall chaos list", fault);
	rc = run.fault->plan(&run, &plan, err);
	if (rc == 0)
		rc = undo_plan(plan.undo, &heal, err);
	if (rc < 0)
		goto out;
	chaos_args_text(fault, args, arguments, sizeof arguments);
	(void)snprintf(regime, sizeof regime, "see %s", run.fault->page);
	if (run.fault->foresee)
		run.fault->foresee(&run, regime, sizeof regime);
	expiry_of(run.fault, lease_ns, max_ns, expiry, sizeof expiry);
	*ret_explained = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:b, s:I, s:I}", "fault", fault, "breaks", run.fault->breaks, "where",
				   run.fault->where, "arguments", arguments, "inject", lines_of(&plan, "nothing"), "undo",
				   lines_of(&heal, nothing_to_undo(run.fault)), "heal_class", heal_class_names[run.fault->heal_class], "heal",
				   run.fault->outside && !run.fault->takes_host ? outside_words : heal_words[run.fault->heal_class], "regime", regime, "expiry", expiry, "instant", run.fault->instant, "lease_ns",
				   (json_int_t)lease_ns, "max_ns", (json_int_t)max_ns);
	if (!*ret_explained)
		rc = err_set(err, -ENOMEM, "out of memory");
out:
	plan_release(&plan);
	plan_release(&heal);
	free(run.state);
	return rc;
}

static void print_lines(FILE *out, const char *indent, const char *label, const json_t *lines)
{
	const json_t *line;
	size_t i;

	fprintf(out, "%s%s\n", indent, label);
	json_array_foreach(lines, i, line)
		fprintf(out, "%s  %s\n", indent, json_string_value(line));
}

void chaos_explain_print(const json_t *explained, const char *indent, FILE *out)
{
	char heal[SENTENCES_BYTES];

	print_lines(out, indent, "inject:", json_object_get(explained, "inject"));
	print_lines(out, indent, "undo:", json_object_get(explained, "undo"));
	(void)snprintf(heal, sizeof heal, "%s: %s", json_string_value(json_object_get(explained, "heal_class")),
		       json_string_value(json_object_get(explained, "heal")));
	print_wrapped(out, indent, "heal class:", heal);
	print_wrapped(out, indent, "regime:", json_string_value(json_object_get(explained, "regime")));
	print_wrapped(out, indent, "expiry:", json_string_value(json_object_get(explained, "expiry")));
}

void chaos_args_text(const char *fault, const json_t *args, char *ret, size_t bytes)
{
	const struct fault *f = fault_find(fault);
	size_t used = 0;

	ret[0] = '\0';
	for (const struct fault_arg *a = f ? f->args : NULL; a && a->name && used < bytes; a++) {
		const json_t *value = json_object_get(args, a->name);
		char text[48];

		if (a->kind == ARG_ENUM)
			(void)snprintf(text, sizeof text, "%s", json_string_value(value));
		else
			fault_number_text(a, (uint64_t)json_integer_value(value), text, sizeof text);
		used += (size_t)snprintf(ret + used, bytes - used, "%s%s=%s", used ? " " : "", a->name, text);
	}
}
