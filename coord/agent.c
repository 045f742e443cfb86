/* SPDX-License-Identifier: MIT */
/*
 * agent.c - the loop of an agent.
 *
 * The rule that holds it together: every wait is the poll in agent_serve(), so the agent answers however the storage is.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent.h"
#include "bus.h"
#include "chaos.h"
#include "clock.h"
#include "err.h"
#include "errand.h"
#include "file.h"
#include "load.h"
#include "observe.h"
#include "profile.h"
#include "told.h"

#define STOP_GRACE_NS (2 * NS_PER_S)
#define EVENT_BYTES 65536
#define BUSY_MS 100		/* between two looks at what tells nobody: probes that are due, ops that end after the stop */
#define REST_MS 500		/* at the lease */
#define ERRANDS_NR 3
#define HOLDS_MAX 16		/* at a time, on one host */

struct hold {
	int idx;			/* of the fault in the profile; -1 = free */
	struct chaos_hold hold;
	char text[EVENT_BYTES];		/* an unfinished line */
	size_t bytes;
};

struct agent {
	const struct agent_options *options;
	struct bus *bus;
	struct profile profile;
	bool has_profile;
	char host[NAME_BYTES];
	unsigned int host_idx, hosts_nr;
	uint64_t seed;
	struct load_plan plan;
	struct load *load;
	bool load_begins;		/* it is not ready yet, and the coordinator waits for that */
	struct observe *observe;
	uint64_t next_interval_ns;	/* 0 = the load has not been started */
	uint64_t cutoff_ns;		/* 0 = the load was not asked to stop */
	uint64_t heard_ns;
	struct hold holds[HOLDS_MAX];
	struct errand errand[ERRANDS_NR];
	struct told told;
	bool in_run;			/* since it was named; told has its spool */
	bool alone;			/* the coordinator of the run has gone; what it has begun goes on until the lease is over */
	bool gone;
};

static bool has_role(const struct agent *a, const char *role)
{
	return strstr(a->options->roles, role) != NULL;
}

/* It may be back before the lease is over, and go on with the run. */
static void lose_coordinator(struct agent *a)
{
	bus_detach(a->bus, BUS_COORDINATOR);
	a->alone = a->in_run;
	a->gone = !a->alone;
}

static void say(struct agent *a, const char *kind, json_t *body)
{
	if (a->alone)
		json_decref(body);
	else if (bus_send(a->bus, BUS_COORDINATOR, kind, body) < 0)
		lose_coordinator(a);
}

/* What is to be kept, whichever of us ends before it is. */
static void tell(struct agent *a, const char *kind, json_t *body)
{
	told_number(&a->told, kind, body);
	say(a, kind, body);
}

static void answer(struct agent *a, const char *to, int rc, const struct err *err)
{
	say(a, "answer", json_pack("{s:s, s:i, s:s}", "to", to, "rc", rc, "error", rc < 0 ? err->text : ""));
}

/* The cut-off and what was done up to it belong together: an op that ends between two looks would be in the sum alone. */
static void tell_final(struct agent *a)
{
	json_t *final = load_final(a->load), *last = json_incref(json_object_get(final, "interval"));

	(void)json_object_del(final, "interval");
	tell(a, "interval", last);
	tell(a, "final", final);
}

static void end_load(struct agent *a)
{
	load_free(a->load);
	a->load = NULL;
	a->load_begins = false;
	a->next_interval_ns = 0;
	a->cutoff_ns = 0;
}

const char *agent_version(void)
{
	return SQUALL_VERSION " " SQUALL_COMMIT;
}

static void on_hello(struct agent *a)
{
	char *boot = NULL;
	struct utsname u = { 0 };

	(void)uname(&u);
	if (file_read("/proc/sys/kernel/random/boot_id", 4096, &boot, NULL, NULL) == 0)
		boot[strcspn(boot, "\n")] = '\0';
	say(a, "hello", json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "name", a->options->name, "roles", a->options->roles, "boot", boot ? boot : "",
				  "kernel", u.release, "version", agent_version(), "run", a->in_run ? a->told.run : "", "mono_ns", (json_int_t)clock_mono_ns()));
	free(boot);
}

static int take_profile(struct agent *a, const json_t *body, struct err *err)
{
	const char *text = NULL, *file = NULL, *host = NULL;
	json_int_t idx, nr, seed;
	int rc;

	if (!has_role(a, "load"))
		return 0;	/* it is for the load alone: an agent that is root of a storage host takes no YAML apart */
	if (json_unpack((json_t *)body, "{s:s, s:s, s:s, s:I, s:I, s:I}", "text", &text, "file", &file, "host", &host, "host_idx", &idx,
			"hosts_nr", &nr, "seed", &seed) < 0)
		return err_set(err, -EBADMSG, "agent: a profile message without its fields");
	end_load(a);
	if (a->has_profile)
		profile_release(&a->profile);
	a->has_profile = false;
	rc = profile_parse(text, file, NULL, &a->profile, err);
	if (rc < 0)
		return rc;
	a->has_profile = true;
	(void)snprintf(a->host, sizeof a->host, "%s", host);
	a->host_idx = (unsigned int)idx;
	a->hosts_nr = (unsigned int)nr;
	a->seed = (uint64_t)seed;
	return 0;
}

static int begin_load(struct agent *a, const json_t *body, struct err *err)
{
	int rc;

	if (!a->has_profile || !a->options->dir || !has_role(a, "load"))
		return err_set(err, -EINVAL, "agent: this host has no profile, no dataset folder or not the role load");
	end_load(a);
	rc = load_plan_from_json(json_object_get(body, "plan"), &a->plan, err);
	if (rc < 0)
		return rc;
	a->plan.profile = &a->profile;
	a->plan.host = a->host;
	a->plan.dir = a->options->dir;
	a->plan.host_idx = a->host_idx;
	a->plan.hosts_nr = a->hosts_nr;
	a->plan.seed = a->seed;
	rc = load_begin(&a->plan, &a->load, err);
	a->load_begins = rc == 0;
	return rc;
}

/* The answer comes when the workers are ready, which they are not while the storage hangs. */
static void take_load(struct agent *a, const json_t *body)
{
	struct err err = ERR_INIT;
	int rc = begin_load(a, body, &err);

	if (rc < 0)
		answer(a, "load", rc, &err);
}

static void look_whether_ready(struct agent *a)
{
	struct err err = ERR_INIT;
	int rc = load_ready(a->load, &err);

	if (rc == 0)
		return;
	a->load_begins = false;
	if (rc < 0)
		end_load(a);
	else
		say(a, "notes", json_pack("{s:o}", "notes", load_notes(a->load)));
	answer(a, "load", rc < 0 ? rc : 0, &err);
}

static int take_start(struct agent *a, const json_t *body, struct err *err)
{
	uint64_t t0 = (uint64_t)json_integer_value(json_object_get(body, "t0_ns"));
	int rc;

	if (!a->load)
		return err_set(err, -EINVAL, "agent: start without a load");
	rc = load_start(a->load, t0, err);
	if (rc == 0)
		a->next_interval_ns = t0 + NS_PER_S;
	return rc;
}

static int take_keep(struct agent *a, const json_t *body, struct err *err)
{
	const char *run = json_string_value(json_object_get(body, "run"));
	int rc = run ? told_begin(&a->told, run, err) : err_set(err, -EBADMSG, "agent: a run without its name");

	a->in_run = rc == 0 && a->told.spool != NULL;
	return rc;
}

static void take_collect(struct agent *a, const json_t *body)
{
	const char *run = json_string_value(json_object_get(body, "run"));
	json_t *again = told_again(&a->told, run ? run : "", (uint64_t)json_integer_value(json_object_get(body, "after")));

	if (again)
		say(a, "collected", again);
}

static int take_observe(struct agent *a, const json_t *body, struct err *err)
{
	(void)body;
	if (a->observe || !has_role(a, "observe"))
		return 0;
	return observe_start(a->options->dir, &a->observe, err);
}

static int hold_fault(struct agent *a, int idx, const json_t *body, struct err *err)
{
	const char *fault = json_string_value(json_object_get(body, "fault"));
	const json_t *args = json_object_get(body, "args");
	uint64_t max_ns = (uint64_t)json_integer_value(json_object_get(body, "max_ns"));

	if (!fault || !has_role(a, "chaos"))
		return err_set(err, -EINVAL, "agent: this host does not have the role chaos");
	for (int i = 0; i < HOLDS_MAX; i++)
		if (a->holds[i].idx == idx)
			return 0;	/* who goes on with a run does not know whether it was ordered */
	for (int i = 0; i < HOLDS_MAX; i++) {
		struct hold *h = &a->holds[i];
		int rc;

		if (h->idx >= 0)
			continue;
		rc = chaos_hold_start(fault, args, AGENT_LEASE_NS, max_ns, "agent", &h->hold, err);
		if (rc == 0) {
			h->idx = idx;
			h->bytes = 0;
		}
		return rc;
	}
	return err_set(err, -ENOSPC, "agent: more than %d faults at a time", HOLDS_MAX);
}

/* What becomes of a fault is told in events; also that there is no holder for it. */
static void take_fault(struct agent *a, const json_t *body)
{
	const json_t *number = json_object_get(body, "idx");
	json_int_t idx = json_integer_value(number);
	struct err err = ERR_INIT;

	if (!json_is_integer(number) || idx < 0 || idx >= FAULTS_MAX)
		answer(a, "fault", err_set(&err, -EBADMSG, "agent: a fault without its number"), &err);
	else if (hold_fault(a, (int)idx, body, &err) < 0)
		tell(a, "fault-event", json_pack("{s:I, s:{s:s, s:I, s:s}}", "idx", idx, "event", "event", "failed", "t_ns", (json_int_t)clock_mono_ns(), "error", err.text));
}

static void take_heal(struct agent *a, const json_t *body)
{
	int idx = (int)json_integer_value(json_object_get(body, "idx"));

	for (int i = 0; i < HOLDS_MAX; i++)
		if (a->holds[i].idx >= 0 && (a->holds[i].idx == idx || idx < 0))
			(void)chaos_hold_heal(&a->holds[i].hold);
}

static const struct {
	const char *asked, *answer;
	json_t *(*work)(const json_t *);
} errands[ERRANDS_NR] = { { "cold", "answer", errand_cold }, { "journal", "journal", errand_journal }, { "faults", "answer", errand_faults } };

static void cannot_do(struct agent *a, unsigned int i, const struct err *err)
{
	say(a, errands[i].answer, json_pack("{s:s, s:i, s:s}", "to", errands[i].asked, "rc", -EIO, "error", err->text));
}

/* The answer comes when it is done. */
static bool take_errand(struct agent *a, const struct bus_message *m)
{
	struct err err = ERR_INIT;

	for (unsigned int i = 0; i < ERRANDS_NR; i++)
		if (strcmp(m->kind, errands[i].asked) == 0) {
			if (errand_start(&a->errand[i], errands[i].work, m->body, &err) < 0)
				cannot_do(a, i, &err);
			return true;
		}
	return false;
}

static void end_errand(struct agent *a, unsigned int i)
{
	struct err err = ERR_INIT;
	json_t *said = errand_end(&a->errand[i], &err);

	if (said)
		say(a, errands[i].answer, said);
	else
		cannot_do(a, i, &err);
}

static void take_lease(struct agent *a, const struct bus_message *m)
{
	for (int i = 0; i < HOLDS_MAX; i++)
		if (a->holds[i].idx >= 0)
			(void)chaos_hold_renew(&a->holds[i].hold, AGENT_LEASE_NS);
	told_kept(&a->told, (uint64_t)json_integer_value(json_object_get(m->body, "kept")));
	say(a, "pong", json_pack("{s:I, s:I, s:I}", "seq", json_integer_value(json_object_get(m->body, "seq")), "mono_ns", (json_int_t)clock_mono_ns(), "utc_offset_ns",
				 (json_int_t)clock_utc_offset_ns()));
}

static void on_message(struct agent *a, const struct bus_message *m)
{
	static const struct {
		const char *kind;
		int (*take)(struct agent *, const json_t *, struct err *);
	} asked[] = { { "profile", take_profile }, { "start", take_start }, { "observe", take_observe }, { "keep", take_keep } };
	struct err err = ERR_INIT;

	if (strcmp(m->kind, "gone") != 0)
		a->heard_ns = clock_mono_ns();
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
		if (strcmp(m->kind, asked[i].kind) == 0) {
			int rc = asked[i].take(a, m->body, &err);

			answer(a, m->kind, rc, &err);
			return;
		}
	if (take_errand(a, m))
		return;
	if (strcmp(m->kind, "hello") == 0)
		on_hello(a);
	else if (strcmp(m->kind, "load") == 0)
		take_load(a, m->body);
	else if (strcmp(m->kind, "lease") == 0)
		take_lease(a, m);
	else if (strcmp(m->kind, "fault") == 0)
		take_fault(a, m->body);
	else if (strcmp(m->kind, "heal") == 0)
		take_heal(a, m->body);
	else if (strcmp(m->kind, "collect") == 0)
		take_collect(a, m->body);
	else if (strcmp(m->kind, "stop") == 0 && a->load && !a->load_begins && a->cutoff_ns == 0) {
		load_stop(a->load);
		a->cutoff_ns = clock_mono_ns() + STOP_GRACE_NS;
	} else if (strcmp(m->kind, "gone") == 0) {
		lose_coordinator(a);
	} else if (strcmp(m->kind, "bye") == 0) {
		told_kept(&a->told, (uint64_t)json_integer_value(json_object_get(m->body, "kept")));
		a->gone = true;
	}
}

static void tick(struct agent *a, uint64_t now)
{
	if (a->heard_ns + AGENT_LEASE_NS < now)
		a->gone = true;
	if (a->load_begins)
		look_whether_ready(a);
	if (a->load && a->next_interval_ns && now >= a->next_interval_ns) {
		tell(a, "interval", load_interval(a->load));
		while (a->next_interval_ns <= now)
			a->next_interval_ns += NS_PER_S;
	}
	if (a->load && a->cutoff_ns && (now >= a->cutoff_ns || load_in_flight(a->load) == 0)) {
		tell_final(a);
		end_load(a);
	}
	if (a->observe) {
		json_t *samples = observe_take(a->observe);

		if (json_array_size(samples) > 0)
			tell(a, "samples", json_pack("{s:O}", "samples", samples));
		json_decref(samples);
	}
}

static void read_events(struct agent *a, struct hold *h)
{
	ssize_t n = read(h->hold.event_fd, h->text + h->bytes, sizeof h->text - 1 - h->bytes);
	char *line = h->text, *newline;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		tell(a, "fault-end", json_pack("{s:i}", "idx", h->idx));
		chaos_hold_close(&h->hold);
		h->idx = -1;
		return;
	}
	h->bytes += (size_t)n;
	h->text[h->bytes] = '\0';
	while ((newline = strchr(line, '\n'))) {
		json_t *event;

		*newline = '\0';
		event = json_loads(line, 0, NULL);
		if (event)
			tell(a, "fault-event", json_pack("{s:i, s:o}", "idx", h->idx, "event", event));
		line = newline + 1;
	}
	h->bytes -= (size_t)(line - h->text);
	memmove(h->text, line, h->bytes + 1);
}

static int wait_for_anything(struct agent *a)
{
	struct pollfd fds[1 + OBSERVE_FDS_MAX + HOLDS_MAX + ERRANDS_NR + 1];
	int probe[OBSERVE_FDS_MAX], nr, probes, first_hold, first_errand;
	struct hold *of[HOLDS_MAX];
	uint64_t now = clock_mono_ns();
	int timeout_ms = a->observe || a->cutoff_ns != 0 ? BUSY_MS : bus_patience_ms(a->bus);

	if (timeout_ms > REST_MS)
		timeout_ms = REST_MS;
	if (a->next_interval_ns > now && (a->next_interval_ns - now) / NS_PER_MS < (uint64_t)timeout_ms)
		timeout_ms = (int)((a->next_interval_ns - now) / NS_PER_MS) + 1;
	nr = bus_pollfds(a->bus, fds, 1);
	probes = a->observe ? observe_fds(a->observe, probe) : 0;
	for (int i = 0; i < probes; i++)
		fds[nr++] = (struct pollfd){ .fd = probe[i], .events = POLLIN };
	first_hold = nr;
	for (int i = 0; i < HOLDS_MAX; i++)
		if (a->holds[i].idx >= 0) {
			of[nr - first_hold] = &a->holds[i];
			fds[nr++] = (struct pollfd){ .fd = a->holds[i].hold.event_fd, .events = POLLIN };
		}
	first_errand = nr;
	for (int i = 0; i < ERRANDS_NR; i++)
		fds[nr++] = (struct pollfd){ .fd = a->errand[i].pidfd, .events = POLLIN };	/* one below 0 is left out */
	fds[nr++] = (struct pollfd){ .fd = a->load_begins ? load_ready_fd(a->load) : -1, .events = POLLIN };	/* tick() looks at it */
	if (poll(fds, (nfds_t)nr, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	for (unsigned int i = 0; i < ERRANDS_NR; i++)
		if (fds[first_errand + (int)i].revents)
			end_errand(a, i);
	for (int i = first_hold; i < first_errand; i++)
		if (fds[i].revents)
			read_events(a, of[i - first_hold]);
	return 0;
}

/* All that was begun for a run ends. What is told of that is kept, for nobody hears it. */
static void let_go(struct agent *a)
{
	for (int i = 0; i < HOLDS_MAX; i++)
		if (a->holds[i].idx >= 0) {
			chaos_hold_close(&a->holds[i].hold);	/* heals */
			a->holds[i].idx = -1;
		}
	if (a->load && a->next_interval_ns != 0 && a->told.spool) {
		load_stop(a->load);
		tell_final(a);
	}
	told_end(&a->told);
	a->in_run = false;
	for (int i = 0; i < ERRANDS_NR; i++)
		errand_release(&a->errand[i]);
	end_load(a);
	if (a->observe)
		observe_stop(a->observe);
	a->observe = NULL;
	if (a->has_profile)
		profile_release(&a->profile);
	a->has_profile = false;
}

/* All that it has not kept, before anything that is told from now on. */
static void tell_again(struct agent *a, uint64_t after)
{
	json_t *again;
	bool more = true;

	while (more && (again = told_again(&a->told, a->told.run, after))) {
		const json_t *messages = json_object_get(again, "messages");
		uint64_t last = (uint64_t)json_integer_value(json_object_get(json_array_get(messages, json_array_size(messages) - 1), "n"));

		more = json_is_true(json_object_get(again, "more")) && last > after;
		after = last;
		say(a, "collected", again);
	}
}

/* The first word of a coordinator while a run goes on without one: it goes on with this run, or finds an agent that does nothing. */
static void meet(struct agent *a, const struct bus_message *m)
{
	const char *run = json_string_value(json_object_get(m->body, "run"));
	bool goes_on = run && strcmp(m->kind, "hello") == 0 && strcmp(run, a->told.run) == 0;

	if (strcmp(m->kind, "gone") == 0)
		return;
	if (!goes_on)
		let_go(a);
	a->alone = false;
	if (goes_on)
		tell_again(a, (uint64_t)json_integer_value(json_object_get(m->body, "after")));
}

int agent_serve(const struct agent_options *options, struct bus *bus, struct err *err)
{
	struct agent a = { .options = options, .bus = bus, .profile = PROFILE_INIT, .heard_ns = clock_mono_ns(), .told = { .dir = options->spool } };
	int rc = 0;

	for (int i = 0; i < HOLDS_MAX; i++)
		a.holds[i].idx = -1;
	for (int i = 0; i < ERRANDS_NR; i++)
		a.errand[i] = (struct errand)ERRAND_INIT;
	while (rc == 0 && !a.gone) {
		struct bus_message m;

		rc = wait_for_anything(&a);
		if (rc < 0)
			(void)err_set(err, rc, "agent: poll: %s", strerror(-rc));
		if (a.alone)
			(void)bus_accept(a.bus, 0, NULL);
		while (rc == 0 && !a.gone && bus_next(a.bus, 0, &m) == 1) {
			if (a.alone)
				meet(&a, &m);
			on_message(&a, &m);
			json_decref(m.body);
		}
		if (!a.gone)
			tick(&a, clock_mono_ns());
	}
	a.alone = true;		/* nobody hears the rest, but who comes to collect it */
	let_go(&a);
	return rc;
}
