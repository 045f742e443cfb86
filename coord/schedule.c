/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - when faults are injected and healed, and what is known of each.
 *
 *	WAITING --at--> ASKED --injected--> IN_FORCE --until--> HEALING --healed--> OVER
 *	                  ├──failed──────────────────────────────────────────────────^
 *	                  └──host lost──> LOST --host back, its journal--------------^
 *
 * A fault that a reboot takes with it goes from IN_FORCE to OVER through the journal of the rebooted host (schedule_journal). An instant goes the
 * same way by itself, its holder tells when; one that takes the host away is watched from here, until the host is back (watch_return).
 * A host that is lost heals its faults when the lease is over, and there is nobody left to tell: they are not proved healed unless it comes back.
 * A coordinator that goes on with a run finds IN_FORCE what the record says is, and WAITING what was ASKED and of which no word has come.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chaos.h"
#include "clock.h"
#include "err.h"
#include "fleet.h"
#include "lab.h"
#include "report.h"
#include "run.h"
#include "units.h"
#include "yaml.h"

static int fault_by_name(const struct profile *p, const char *name)
{
	for (unsigned int i = 0; i < p->faults_nr; i++)
		if (strcmp(p->faults[i].fault, name) == 0)
			return (int)i;
	return -1;
}

/* As resolve() will look it up, with every event in its planned place. @param depth  events may wait for each other */
static uint64_t instant_of(const struct profile *p, const struct when *when, unsigned int depth)
{
	uint64_t at = INSTANT_UNKNOWN;
	int event;

	if (when->phase_idx >= 0)
		return profile_phase_start(p, (unsigned int)when->phase_idx) + when->offset_ns;
	event = fault_by_name(p, when->name);
	if (event >= 0 && depth < FAULTS_MAX)
		at = instant_of(p, &p->faults[event].at, depth + 1);
	return at == INSTANT_UNKNOWN ? at : at + when->offset_ns;
}

void schedule_planned(const struct profile *p, const struct fault_plan *plan, uint64_t *ret_at, uint64_t *ret_until)
{
	uint64_t at = instant_of(p, &plan->at, 0);

	*ret_at = *ret_until = at;
	if (chaos_is_instant(plan->fault))
		return;
	if (plan->for_ns > 0)
		*ret_until = at == INSTANT_UNKNOWN ? at : at + plan->for_ns;
	else if (plan->until.name[0] != '\0')
		*ret_until = instant_of(p, &plan->until, 0);
	else
		*ret_until = profile_phase_start(p, p->phases_nr);
}

uint64_t schedule_lasts_ns(const struct profile *p, const struct fault_plan *plan)
{
	uint64_t at, until;

	if (plan->for_ns > 0)
		return plan->for_ns;
	schedule_planned(p, plan, &at, &until);
	return at == INSTANT_UNKNOWN || until == INSTANT_UNKNOWN || until < at ? 0 : until - at;
}

/*
 * Whether these two at once would hit both peers. A host that goes down takes its copy along, but not every host has one: that counts where the two are known
 * to be peers, or no client could go down while a disk is slow.
 */
static bool would_hit_both(const struct run *run, const char *fault, const char *on, const char *other, const char *other_on)
{
	bool takes_host = chaos_takes_host(fault), other_takes_host = chaos_takes_host(other);

	if (!(takes_host || chaos_breaks_storage(fault)) || !(other_takes_host || chaos_breaks_storage(other)))
		return false;
	return takes_host || other_takes_host ? fleet_are_peers(run->fleet, on, other_on) : fleet_may_be_peers(run->fleet, on, other_on);
}

/* Where `on` is left out, the host is not known before the injection: see hit_on_other_peer(). */
int schedule_check_peers(const struct run *run, struct err *err)
{
	const struct profile *p = &run->profile;

	for (unsigned int i = 0; i < p->faults_nr; i++)
		for (unsigned int k = 0; k < i; k++) {
			const struct fault_plan *f = &p->faults[i], *other = &p->faults[k];
			uint64_t at, until, other_at, other_until;

			if (f->on[0] == '\0' || other->on[0] == '\0' || strcmp(f->on, other->on) == 0 || !would_hit_both(run, f->fault, f->on, other->fault, other->on))
				continue;
			schedule_planned(p, f, &at, &until);
			schedule_planned(p, other, &other_at, &other_until);
			if (at <= other_until && other_at <= until)	/* a heal takes its time */
				return err_set(err, -EINVAL, "%s:%u: %s on %s overlaps %s on %s (line %u): never both peers of DRBD at once; let one end before the"
					       " other begins", p->file, f->line, f->fault, f->on, other->fault, other->on, other->line);
		}
	return 0;
}

/* A run that its own guard ends is inconclusive, and that can be known now. */
static int check_length(const struct profile *p, struct err *err)
{
	uint64_t load_ns = profile_phase_start(p, p->phases_nr);
	char load[32], max[32];

	return load_ns <= p->max_run_ns ? 0 :
	       yaml_error(yaml_get(p->tree, "phases"), err, "the phases last %s, and guards.max_run ends the run after %s: raise it, or shorten them",
			  units_exact_ns(load_ns, load, sizeof load), units_exact_ns(p->max_run_ns, max, sizeof max));
}

int schedule_check(struct run *run, struct err *err)
{
	const struct profile *p = &run->profile;
	int rc = check_length(p, err);

	for (unsigned int i = 0; i < p->faults_nr && rc >= 0; i++) {
		const struct fault_plan *f = &p->faults[i];
		struct run_fault *r = &run->fault[i];

		*r = (struct run_fault){ .host = -1, .inject_ns = -1, .heal_ns = -1, .verified = "inconclusive", .healed = "inconclusive" };
		/* "none" stands in for any fault, whose arguments may still be there. */
		rc = chaos_check(f->fault, strcmp(f->fault, "none") == 0 ? NULL : f->args, f->args, &r->args, err);
		if (rc < 0)
			return f->args ? rc : err_prefix(err, rc, "%s:%u", p->file, f->line);
		r->takes_host = chaos_takes_host(f->fault);
		r->is_outside = chaos_is_outside(f->fault);
		if (r->is_outside && strcmp(run->options->on, "lab") != 0)
			return err_set(err, -EINVAL, "%s:%u: only the hypervisor of the lab does %s; --on lab", p->file, f->line, f->fault);
		if (r->is_outside && !r->takes_host && strncmp(f->on, "client-", 7) == 0)	/* whose clock measures the load, and who has no disk */
			return err_set(err, -EINVAL, "%s:%u: %s is for the stores of the lab", p->file, f->line, f->fault);
		r->ripe = f->condition.text[0] == '\0';
		if (f->again && !chaos_is_instant(f->fault) && f->for_ns == 0)
			return err_set(err, -EINVAL, "%s:%u: %s is repeated and must be over before it comes again; add `for`", p->file, f->line, f->fault);
		if (f->condition.text[0] != '\0')
			rc = report_check_line(p, &f->condition, NULL, err);
		if (chaos_heal_class(f->fault) == HEAL_H3 && !run->options->allow_reboot && strcmp(run->options->on, "lab") != 0)
			return err_set(err, -EINVAL, "%s:%u: %s is healed by a reboot alone; add --allow-reboot if that is meant", p->file, f->line,
				       f->fault);
	}
	for (unsigned int i = 0; i < p->signature_nr && rc >= 0; i++)
		rc = report_check_line(p, &p->signature[i], chaos_is_known, err);
	for (unsigned int i = 0; i < p->guards_nr && rc >= 0; i++)
		rc = report_check_line(p, &p->guards[i], NULL, err);
	return rc;
}

/* An instant since T0, or -1 when its event has not happened. A plan's phases are looked up by name: calibration is not among them. */
static int64_t resolve(const struct run *run, const struct when *when)
{
	for (unsigned int i = 0; i < run->plan.phases_nr; i++)
		if (strcmp(run->plan.phases[i].name, when->name) == 0)
			return (int64_t)(run->plan.phases[i].start_ns + when->offset_ns);
	for (unsigned int i = 0; i < run->profile.faults_nr; i++)
		if (strcmp(run->profile.faults[i].fault, when->name) == 0 && run->fault[i].inject_ns >= 0)
			return run->fault[i].inject_ns + (int64_t)when->offset_ns;
	return -1;
}

static int64_t end_of(const struct run *run, unsigned int idx)
{
	const struct fault_plan *f = &run->profile.faults[idx];
	int64_t at;

	if (f->for_ns > 0)
		return run->fault[idx].inject_ns + (int64_t)f->for_ns;
	if (f->until.name[0] != '\0') {
		at = resolve(run, &f->until);
		return at < 0 ? INT64_MAX : at;
	}
	return (int64_t)run->plan.phases[run->plan.phases_nr - 1].end_ns;
}

/* The evidence of a fault, whatever it says of it. */
__attribute__((format(printf, 2, 3))) static void tell_why(struct run_fault *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(f->evidence, sizeof f->evidence, format, args);
	va_end(args);
}

static void finish(struct run *run, unsigned int idx, int64_t at, const char *healed, const char *by, const char *evidence)
{
	struct run_fault *f = &run->fault[idx];

	f->state = FAULT_OVER;
	f->heal_ns = at;
	(void)snprintf(f->healed, sizeof f->healed, "%s", healed);
	(void)snprintf(f->healed_by, sizeof f->healed_by, "%s", by);
	if (evidence && *evidence)
		tell_why(f, "%s", evidence);
	schedule_store(run);
}

/* The other faults on this host go down with it: they are judged by its journal after the boot. */
static void take_host(struct run *run, unsigned int idx, struct host *host)
{
	host->rebooting = true;
	run->nfsd_threads = 0;
	run->fault[idx].state = FAULT_IN_FORCE;
	run->fault[idx].inject_ns = run_now(run);
}

/* @return a fault that is or may be in force on the other peer of DRBD, where this one may not be beside it, or NULL. */
static const char *hit_on_other_peer(const struct run *run, unsigned int idx, const struct host *host)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		const struct run_fault *f = &run->fault[i];
		bool in_force = f->state != FAULT_WAITING && f->state != FAULT_OVER;

		if (in_force && &run->host[f->host] != host &&
		    would_hit_both(run, run->profile.faults[idx].fault, host->name, run->profile.faults[i].fault, run->host[f->host].name))
			return run->profile.faults[i].fault;
	}
	return NULL;
}

/* What cannot be injected is over; its evidence says why. */
static void refuse(struct run *run, unsigned int idx)
{
	struct run_fault *f = &run->fault[idx];

	f->state = FAULT_OVER;
	(void)snprintf(f->verified, sizeof f->verified, "mismatch");
	run_note(run, "", "failed", (int)idx, run_now(run), f->evidence);
	schedule_store(run);
}

static int order(struct run *run, unsigned int idx, struct host *host, struct err *err)
{
	const char *fault = run->profile.faults[idx].fault;
	struct run_fault *f = &run->fault[idx];

	if (f->is_outside && f->takes_host)
		return lab_reset(host->name, err);
	if (f->is_outside)
		return outside_start(&f->outside, fault, host->name, f->args, run->profile.max_run_ns, err);
	(void)bus_send(run->bus, host->name, "fault",
		       json_pack("{s:i, s:s, s:O, s:I}", "idx", (int)idx, "fault", fault, "args", f->args, "max_ns",
				 (json_int_t)run->profile.max_run_ns));
	return 0;
}

static void order_heal(struct run *run, unsigned int idx)
{
	struct run_fault *f = &run->fault[idx];

	if (f->is_outside)
		outside_heal(&f->outside);
	else
		(void)bus_send(run->bus, run->host[f->host].name, "heal", json_pack("{s:i}", "idx", (int)idx));
}

static void inject(struct run *run, unsigned int idx)
{
	const struct fault_plan *plan = &run->profile.faults[idx];
	struct run_fault *f = &run->fault[idx];
	struct host *host = hosts_find(run, plan->on[0] != '\0' ? plan->on : run->primary);
	struct err err = ERR_INIT;
	const char *other;

	if (!host && plan->on[0] == '\0' && strcmp(plan->fault, "none") == 0)
		host = &run->host[0];
	if (!host || !host->connected) {
		tell_why(f, "no host '%s' to inject it on", plan->on[0] != '\0' ? plan->on : "(DRBD primary)");
		refuse(run, idx);
		return;
	}
	other = hit_on_other_peer(run, idx, host);
	if (other) {
		tell_why(f, "%s is in force on the other peer of DRBD: never both at once", other);
		refuse(run, idx);
		return;
	}
	f->host = (int)(host - run->host);
	f->state = FAULT_ASKED;
	run_note(run, host->name, "inject", (int)idx, run_now(run), plan->fault);	/* first: whoever dies now, it is known that it may be there */
	schedule_store(run);
	if (order(run, idx, host, &err) < 0) {
		tell_why(f, "%s", err.text);
		refuse(run, idx);
		return;
	}
	if (f->takes_host)
		take_host(run, idx, host);
	progress_say(run, "fault: %s on %s", plan->fault, host->name);
}

/* Of a reboot: healed when nfsd serves again and every client has finished an op since. */
static void watch_return(struct run *run, unsigned int idx)
{
	struct run_fault *f = &run->fault[idx];
	char text[160];

	if (!f->back || run->nfsd_threads <= 0)
		return;
	for (int i = 0; i < run->hosts_nr; i++)
		if (host_has(&run->host[i], "load") && run->host[i].ok <= f->ok_at_back[i])
			return;
	(void)snprintf(text, sizeof text, "boot id changed; nfsd serves with %.0f threads and every client finished an op %.1f s after the injection",
		       run->nfsd_threads, (double)(run_now(run) - f->inject_ns) / 1e9);
	run_note(run, run->host[f->host].name, "healed", (int)idx, run_now(run), text);
	progress_say(run, "healed: %s", text);
	finish(run, idx, run_now(run), "confirmed", run->profile.faults[idx].fault, text);
}

/* @return the fault that took the host and this one with it, which the journal of the host that came back judges (schedule_journal), or NULL. */
static const char *taken_by(const struct run *run, unsigned int idx)
{
	for (unsigned int i = 0; i < run->profile.faults_nr && !run->fault[idx].is_outside; i++)
		if (run->fault[i].takes_host && run->fault[i].host == run->fault[idx].host && run->fault[i].inject_ns >= run->fault[idx].inject_ns)
			return run->profile.faults[i].fault;
	return NULL;
}

void schedule_tick(struct run *run, int64_t now)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];
		int64_t at = resolve(run, &run->profile.faults[i].at);

		if (f->state == FAULT_WAITING && f->ripe && at >= 0 && now >= at)
			inject(run, i);
		else if (f->state == FAULT_IN_FORCE && f->takes_host)
			watch_return(run, i);
		else if (f->state == FAULT_IN_FORCE && !taken_by(run, i) && now >= end_of(run, i)) {
			f->state = FAULT_HEALING;
			order_heal(run, i);
			run_note(run, run->host[f->host].name, "heal", (int)i, now, "its time is over");
		}
	}
}

/* The last phase is clean: nothing begins in it any more. */
void schedule_look(struct run *run, int64_t now)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		const struct named_line *condition = &run->profile.faults[i].condition;
		int64_t at = resolve(run, &run->profile.faults[i].at);

		if (run->fault[i].state != FAULT_WAITING || run->fault[i].ripe || at < 0 || now < at || now >= (int64_t)run->plan.phases[run->plan.phases_nr - 1].start_ns)
			continue;
		run->fault[i].ripe = report_guard_holds(run->record, condition->text, run_told_until(now), NULL) == 1;
		if (run->fault[i].ripe)
			run_note(run, "", "condition", (int)i, now, condition->text);
	}
}

static void on_end(struct run *run, unsigned int idx)
{
	struct run_fault *f = &run->fault[idx];

	if (f->state == FAULT_OVER || f->takes_host)
		return;
	finish(run, idx, run_now(run), "inconclusive", "", "the holder ended without a word");
}

/* What a holder says. All other kinds are of the coordinator itself. */
static bool is_of_holder(const char *kind)
{
	static const char *const kinds[] = { "injected", "verify", "vanished", "healing", "healed", "failed" };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

void schedule_event(struct run *run, struct host *host, int idx, const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "event"));
	const char *verdict = json_string_value(json_object_get(event, "verdict"));
	const char *evidence = json_string_value(json_object_get(event, "evidence"));
	const char *name;
	int64_t at = event ? host_time(run, host, json_integer_value(json_object_get(event, "t_ns"))) : run_now(run);
	struct run_fault *f;
	char text[512];

	if (idx < 0 || idx >= (int)run->profile.faults_nr || run->fault[idx].host != (int)(host - run->host))
		return;		/* nobody speaks for another host */
	f = &run->fault[idx];
	name = run->profile.faults[idx].fault;
	if (!kind) {
		on_end(run, (unsigned int)idx);
		return;
	}
	if (!is_of_holder(kind))
		return;
	if (strcmp(kind, "failed") == 0)	/* why; its evidence is how it was undone */
		evidence = json_string_value(json_object_get(event, "error"));
	(void)snprintf(text, sizeof text, "%s%s%s", verdict ? verdict : "", verdict ? ": " : "", evidence ? evidence : "");
	run_note(run, host->name, kind, idx, at, text);
	if (strcmp(kind, "verify") != 0 || strcmp(f->verified, verdict ? verdict : "") != 0)
		progress_say(run, "fault: %s on %s: %s %s", name, host->name, kind, text);
	if (strcmp(kind, "injected") == 0 && f->state == FAULT_ASKED) {
		f->state = FAULT_IN_FORCE;
		f->inject_ns = at;
	} else if (strcmp(kind, "verify") == 0 && verdict && (strcmp(f->verified, "confirmed") != 0 || strcmp(verdict, "confirmed") == 0)) {
		(void)snprintf(f->verified, sizeof f->verified, "%s", verdict);
		tell_why(f, "%s", evidence ? evidence : "");
	} else if (strcmp(kind, "healed") == 0 && f->state != FAULT_OVER)
		finish(run, (unsigned int)idx, at, verdict ? verdict : "inconclusive", chaos_is_instant(name) ? name : f->state == FAULT_LOST ? "lease" : "heal", NULL);
	else if (strcmp(kind, "failed") == 0) {
		const char *undone = json_string_value(json_object_get(event, "undone"));	/* where nothing was begun, nothing is left */

		(void)snprintf(f->verified, sizeof f->verified, "mismatch");
		if (f->takes_host) {	/* it is still there, and nothing was injected: undoes take_host() */
			f->inject_ns = -1;
			host->rebooting = false;
		}
		finish(run, (unsigned int)idx, at, undone ? undone : "confirmed", "heal", evidence);
	}
	schedule_store(run);
}

/* Its process knows our clock; events are of the host's. */
static void take_outside(struct run *run, unsigned int idx, json_t *event)
{
	struct host *host = &run->host[run->fault[idx].host];
	const char *kind = json_string_value(json_object_get(event, "event"));
	uint64_t at_ns = (uint64_t)json_integer_value(json_object_get(event, "t_ns"));
	bool freezes = strcmp(run->profile.faults[idx].fault, "host-freeze") == 0;

	if (freezes && kind && strcmp(kind, "injected") == 0)
		host_frozen(run, host, at_ns);
	if (freezes && kind && strcmp(kind, "healed") == 0)
		host_thawed(host, at_ns);
	json_object_set_new(event, "t_ns", json_integer((json_int_t)at_ns - host->offset_ns));
	schedule_event(run, host, (int)idx, event);
}

void schedule_outside(struct run *run)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];
		struct err err = ERR_INIT;
		json_t *event;
		int rc;

		while ((rc = outside_event(&f->outside, &event)) == 1) {
			take_outside(run, i, event);
			json_decref(event);
		}
		if (rc == -ECHILD && f->state != FAULT_OVER && outside_restart(&f->outside, run->profile.faults[i].fault, run->host[f->host].name, &err) == 0)
			continue;
		if (rc < 0) {
			schedule_event(run, &run->host[f->host], (int)i, NULL);
			outside_close(&f->outside);
		}
	}
}

void schedule_host_back(struct run *run, struct host *host)
{
	int64_t now = run_now(run);

	host->rebooting = false;
	run_note(run, host->name, "back", -1, now, "the agent answers again, the boot id has changed");
	progress_say(run, "back: %s", host->name);
	(void)bus_send(run->bus, host->name, "journal", NULL);
	run->nfsd_threads = 0;
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];

		if (!f->takes_host || f->state != FAULT_IN_FORCE || &run->host[f->host] != host)
			continue;
		f->back = true;
		(void)snprintf(f->verified, sizeof f->verified, "confirmed");
		run_note(run, host->name, "verify", (int)i, now, "confirmed: the boot id has changed");
		for (int k = 0; k < run->hosts_nr; k++)
			f->ok_at_back[k] = run->host[k].ok;
	}
	schedule_store(run);
}

/* Whether it is or may be in force there. */
static bool is_open_on(const struct run *run, const struct run_fault *f, const struct host *host)
{
	if (f->is_outside && !f->takes_host)
		return false;	/* what becomes of the host does not matter to it */
	return f->host >= 0 && &run->host[f->host] == host && f->state != FAULT_OVER && f->state != FAULT_WAITING;
}

/* What the reboot took with it, or the lease ended: that host looked, and its journal is empty. */
void schedule_journal(struct run *run, struct host *host, const json_t *body)
{
	size_t left = json_array_size(json_object_get(body, "left"));
	bool clean = json_integer_value(json_object_get(body, "rc")) >= 0 && left == 0;

	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];
		const char *by = f->state == FAULT_LOST ? "lease" : taken_by(run, i);

		if (f->takes_host || !is_open_on(run, f, host))
			continue;
		run_note(run, host->name, "healed", (int)i, run_now(run),
			 clean ? "confirmed: the host is back, and its journal is empty" : "mismatch: the host is back, and its journal still names it");
		finish(run, i, run_now(run), clean ? "confirmed" : "mismatch", by ? by : "", NULL);
	}
}

void schedule_host_lost(struct run *run, struct host *host)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];

		if (!is_open_on(run, f, host))
			continue;
		f->state = f->takes_host ? FAULT_OVER : FAULT_LOST;
		tell_why(f, "the host was lost; it heals by itself when the lease is over");
	}
	schedule_store(run);
}

void schedule_host_found(struct run *run, struct host *host)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++)
		if (run->fault[i].state == FAULT_LOST && &run->host[run->fault[i].host] == host) {
			(void)bus_send(run->bus, host->name, "journal", NULL);
			return;
		}
}

/* An agent does not begin twice what it has begun, nor heal it. */
void schedule_order_again(struct run *run, struct host *host)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];

		if (f->is_outside || f->host < 0 || &run->host[f->host] != host)
			continue;
		if (f->state == FAULT_ASKED)
			f->state = FAULT_WAITING;
		else if (f->state == FAULT_HEALING)
			order_heal(run, i);
	}
}

void schedule_heal_all(struct run *run)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];

		if (f->state == FAULT_WAITING) {
			f->state = FAULT_OVER;
			if (!f->ripe)
				tell_why(f, "it was never true that %s", run->profile.faults[i].condition.text);
		}
		if (f->state != FAULT_ASKED && f->state != FAULT_IN_FORCE)
			continue;
		if (!f->takes_host)
			order_heal(run, i);
	}
}

bool schedule_is_over(struct run *run, void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		if (run->fault[i].state == FAULT_IN_FORCE && run->fault[i].takes_host)
			watch_return(run, i);
		if (run->fault[i].state != FAULT_OVER && !(run->fault[i].state == FAULT_LOST && run->host[run->fault[i].host].lost))
			return false;
	}
	return true;
}

void schedule_go_on(struct run *run)
{
	int64_t now = run_now(run);

	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		struct run_fault *f = &run->fault[i];
		int64_t at = resolve(run, &run->profile.faults[i].at);
		bool in_force = f->state == FAULT_IN_FORCE && !f->takes_host;
		char text[160];

		if (f->state == FAULT_ASKED) {	/* no word of it: its agent does not begin twice what it has begun */
			f->state = FAULT_WAITING;
			f->ripe = true;
		}
		if (!(f->state == FAULT_WAITING && at >= 0 && at <= now) && !(in_force && end_of(run, i) <= now))
			continue;
		(void)snprintf(text, sizeof text, "%s was to be %s while squall run was away: it came late", run->profile.faults[i].fault, in_force ? "healed" : "injected");
		run_note(run, "", "late", (int)i, now, text);
	}
}

void schedule_store(struct run *run)
{
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		const struct run_fault *f = &run->fault[i];

		(void)record_fault(run->record, (int)i, run->profile.faults[i].fault, f->host >= 0 ? run->host[f->host].name : run->profile.faults[i].on,
				   f->verified, f->healed, f->inject_ns, f->heal_ns, f->healed_by, f->evidence, NULL);
	}
}

void schedule_free(struct run *run)
{
	for (unsigned int i = 0; i < FAULTS_MAX; i++) {
		json_decref(run->fault[i].args);
		run->fault[i].args = NULL;
	}
}
