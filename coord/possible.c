/* SPDX-License-Identifier: MIT */
/*
 * possible.c - whether the hosts can do the faults of a profile, and may: told before the load, and not after it by a verdict that is void.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chaos.h"
#include "clock.h"
#include "err.h"
#include "run.h"

#define ASK_NS (60 * NS_PER_S)	/* a host that is busy starts a program in seconds */

static int cannot(const struct run *run, const struct fault_plan *f, const char *where, const char *why, struct err *err)
{
	size_t bytes = strlen(f->fault);

	if (strncmp(why, f->fault, bytes) == 0 && strncmp(why + bytes, ": ", 2) == 0)	/* its name once is enough */
		why += bytes + 2;
	return err_set(err, -ENOPKG, "%s:%u: %s cannot be injected %s: %s", run->profile.file, f->line, f->fault, where, why);
}

int possible_here(const struct run *run, struct err *err)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		const struct fault_plan *f = &run->profile.faults[i];
		struct err why = ERR_INIT;

		if (chaos_probe(f->fault, schedule_lasts_ns(&run->profile, f), &why) < 0)
			return cannot(run, f, "here", why.text, err);
	}
	return 0;
}

/* What comes again is asked once. */
static bool is_again(const struct profile *p, unsigned int idx)
{
	for (unsigned int i = 0; i < idx; i++)
		if (strcmp(p->faults[i].fault, p->faults[idx].fault) == 0 && strcmp(p->faults[i].on, p->faults[idx].on) == 0 &&
		    schedule_lasts_ns(p, &p->faults[i]) == schedule_lasts_ns(p, &p->faults[idx]))
			return true;
	return false;
}

/* Those that agents do. @return {"faults": [{"idx", "fault", "on", "for_ns"}]} */
static json_t *question(const struct run *run)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		const struct fault_plan *f = &run->profile.faults[i];

		if (!run->fault[i].is_outside && !is_again(&run->profile, i))
			(void)json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:I}", "idx", (int)i, "fault", f->fault, "on", f->on, "for_ns",
								    (json_int_t)schedule_lasts_ns(&run->profile, f)));
	}
	return json_pack("{s:o}", "faults", list);
}

/* @return why this host cannot do it; NULL: it can */
static const char *why_not(const struct host *host, unsigned int idx)
{
	const json_t *c;
	size_t i;

	if (!host_has(host, "chaos"))
		return "its agent does not have the role chaos";
	json_array_foreach(json_object_get(host->answer, "cannot"), i, c)
		if (json_integer_value(json_object_get(c, "idx")) == (json_int_t)idx)
			return json_string_value(json_object_get(c, "error"));
	return NULL;
}

/* Where `on` is left out it goes to the primary of its moment: one that can is enough. */
static int check_fault(const struct run *run, unsigned int idx, struct err *err)
{
	const struct fault_plan *f = &run->profile.faults[idx];
	const char *why = "none of its agents has the role chaos", *last = NULL;
	char where[NAME_BYTES + 24];

	for (int i = 0; i < run->hosts_nr; i++) {
		const struct host *host = &run->host[i];

		if (f->on[0] != '\0' ? strcmp(f->on, host->name) != 0 : !host_has(host, "chaos"))
			continue;
		last = host->name;
		why = why_not(host, idx);
		if (!why)
			return 0;
	}
	if (f->on[0] != '\0' || !last)
		(void)snprintf(where, sizeof where, "on %s", last ? last : "this fleet");
	else
		(void)snprintf(where, sizeof where, "on any host, as on %s", last);
	return cannot(run, f, where, why, err);
}

int possible_there(struct run *run, struct err *err)
{
	json_t *body = question(run);
	int rc = 0;

	if (!run->fleet || json_array_size(json_object_get(body, "faults")) == 0) {
		json_decref(body);
		return 0;
	}
	rc = run_ask_all(run, "chaos", "faults", json_incref(body), ASK_NS, err);
	for (size_t i = 0; rc == 0 && i < json_array_size(json_object_get(body, "faults")); i++)
		rc = check_fault(run, (unsigned int)json_integer_value(json_object_get(json_array_get(json_object_get(body, "faults"), i), "idx")), err);
	json_decref(body);
	return rc;
}
