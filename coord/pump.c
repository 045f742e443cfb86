/* SPDX-License-Identifier: MIT */
/*
 * pump.c - the coordinator's one loop: messages in, leases out, nothing waited for without a deadline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "clock.h"
#include "err.h"
#include "run.h"
#include "units.h"

#define START_NS (10 * NS_PER_S)	/* after T0: what is measured of a clock is of the start still, before it drifts */
#define CLOCK_DRIFT 1000		/* one part of so many: some ten times what an NTP-disciplined quartz does */
#define UTC_STEP_NS (5 * CLOCK_OFFSET_ERROR_NS)	/* what two looks at one clock of a busy host may differ by is less */
#define CONFIGS_MAX 16		/* of a host; there are three */

static void lose(struct run *run, struct host *host, const char *why);

/* After a freeze in which the broker gave its connection up: its lease stood as its clock did, and what was ordered meanwhile was sent to nobody. */
static void meet_again(struct run *run, struct host *host)
{
	if (host->thawed_ns == 0)
		return;
	host->thawed_ns = 0;
	if (host->goes_on)
		schedule_order_again(run, host);
	else
		lose(run, host, "its agent does not go on with the run");
}

static void on_hello(struct run *run, struct host *host, const json_t *body)
{
	const char *boot = json_string_value(json_object_get(body, "boot"));
	const char *kernel = json_string_value(json_object_get(body, "kernel")), *roles = json_string_value(json_object_get(body, "roles"));
	const char *version = json_string_value(json_object_get(body, "version")), *its_run = json_string_value(json_object_get(body, "run"));
	bool rebooted = host->boot[0] != '\0' && boot && strcmp(boot, host->boot) != 0;

	(void)snprintf(host->boot, sizeof host->boot, "%s", boot ? boot : "unknown");
	(void)snprintf(host->kernel, sizeof host->kernel, "%s", kernel ? kernel : "");
	(void)snprintf(host->version, sizeof host->version, "%s", version ? version : "of no version");
	host->goes_on = its_run && *its_run && strcmp(its_run, run->run_name) == 0;
	if (host->roles[0] == '\0')	/* of a fleet: what the agent was started with */
		(void)snprintf(host->roles, sizeof host->roles, "%s", roles ? roles : "");
	if (run->collecting) {
		host_ask_again(run, host);
		schedule_host_found(run, host);
	}
	if (!rebooted) {
		meet_again(run, host);
		return;
	}
	host->thawed_ns = 0;
	host->synced = false;		/* another boot, another clock */
	host->utc_offset_ns = 0;
	host->ping_best_ns = 0;
	if (!run->record)
		return;			/* it can have kept nothing of this run yet */
	host->kept_of_before = true;
	host_ask_again(run, host);
	schedule_host_back(run, host);
}

/*
 * Two looks at one clock can differ by half of each round trip, and by how far two clocks drift apart. By more: it was stopped or set, or runs at another
 * rate than ours, and no latency of that host can be believed. Said once a host: a clock at another rate differs at each look.
 */
static void check_clock(struct run *run, struct host *host, int64_t offset_ns, uint64_t error_ns, uint64_t at_ns)
{
	uint64_t apart_ns = (uint64_t)llabs(offset_ns - host->offset_ns), since_ns = at_ns - host->offset_at_ns;
	char apart[24], since[24];

	if (host->clock_wrong[0] != '\0' || apart_ns <= error_ns + (uint64_t)host->error_ns + since_ns / CLOCK_DRIFT)
		return;
	(void)snprintf(host->clock_wrong, sizeof host->clock_wrong, "the clock of %s %s %s within %s of ours: it was set, stopped, or runs at another rate", host->name,
		       offset_ns < host->offset_ns ? "gained" : "lost", units_format_ns(apart_ns, apart, sizeof apart), units_format_ns(since_ns, since, sizeof since));
	if (!run->record)
		return;		/* hosts_sync() makes it the error */
	run_note(run, host->name, "clock", -1, run_now(run), host->clock_wrong);
	progress_say(run, "%s", host->clock_wrong);
}

/*
 * Whether a host's clock of the day was set: that changes no latency, for none is taken by such a clock, but every log of that host. The kernel slews it
 * together with the monotonic one, so the two part by a step alone.
 */
static void check_utc(struct run *run, struct host *host, int64_t offset_ns)
{
	int64_t before_ns = host->utc_offset_ns, by_ns;
	char what[64], evidence[96], by[24];

	if (!host_may_read(offset_ns))
		return;
	by_ns = offset_ns - before_ns;
	if (before_ns != 0 && (uint64_t)llabs(by_ns) <= UTC_STEP_NS)
		return;
	host->utc_offset_ns = offset_ns;
	if (before_ns == 0 || !run->record || run->calibrating || run->t0_ns == 0 || host->utc_steps_nr++ >= UTC_STEPS_MAX)
		return;
	(void)snprintf(what, sizeof what, "its clock of the day was set %s by %s", by_ns < 0 ? "back" : "forward",
		       units_format_ns((uint64_t)llabs(by_ns), by, sizeof by));
	(void)snprintf(evidence, sizeof evidence, "%lld ns: %s", (long long)by_ns, what);
	run_note(run, host->name, "utc", -1, run_now(run), evidence);
	progress_say(run, "%s: %s", host->name, what);
}

/* By the quickest round trip of the first seconds. */
static void look_at_start(struct run *run, struct host *host, int64_t offset_ns, uint64_t trip_ns, uint64_t at_ns)
{
	if (!run->record || run->calibrating || run->t0_ns == 0 || at_ns < run->t0_ns || at_ns > run->t0_ns + START_NS)
		return;
	if (host->start_trip_ns != 0 && trip_ns >= host->start_trip_ns)
		return;
	host->start_trip_ns = trip_ns;
	host->start_skew_ns = offset_ns - host->start_offset_ns;
	(void)record_host(run->record, host->name, host->roles, host->start_offset_ns, host->error_ns, host->start_skew_ns, NULL);
}

/* Half of the quickest round trip is the error bound; an estimate is replaced when a better one comes, and grows old by 1 % a ping. */
static void on_pong(struct run *run, struct host *host, const json_t *body, uint64_t at_ns)
{
	uint32_t seq = (uint32_t)json_integer_value(json_object_get(body, "seq"));
	int64_t theirs = json_integer_value(json_object_get(body, "mono_ns"));
	uint64_t sent = host->ping_sent_ns[seq % PINGS], trip;
	int64_t offset;

	if (sent == 0 || at_ns < sent || !host_may_read(theirs) || run->collecting)	/* what a clock is now says nothing of the run */
		return;
	trip = at_ns - sent;
	offset = (int64_t)(sent + trip / 2) - theirs;
	host->synced = true;
	if (host->kept_of_before)	/* nor of the boot before */
		return;
	check_utc(run, host, json_integer_value(json_object_get(body, "utc_offset_ns")));
	if (host->ping_best_ns != 0)
		check_clock(run, host, offset, trip / 2, at_ns);
	look_at_start(run, host, offset, trip, at_ns);
	if (host->ping_best_ns != 0 && trip > host->ping_best_ns) {
		host->ping_best_ns += host->ping_best_ns / 100 + 1;
		return;
	}
	host->ping_best_ns = trip;
	host->offset_ns = offset;
	host->offset_at_ns = at_ns;
	host->error_ns = (int64_t)(trip / 2);
}

bool host_is_awaited(const struct host *host, uint64_t now)
{
	return host->frozen || (host->thawed_ns != 0 && now < host->thawed_ns + AGENT_LEASE_NS);
}

static void lose(struct run *run, struct host *host, const char *why)
{
	int64_t heard = (int64_t)(host->heard_ns - run->t0_ns);

	host->lost = true;
	host->thawed_ns = 0;
	json_decref(host->last);	/* what it had in flight is not known any more */
	host->last = NULL;
	schedule_host_lost(run, host);
	(void)record_host_lost(run->record, host->name, heard, NULL);
	run_note(run, host->name, "lost", -1, run_now(run), why);
	progress_say(run, "%s is lost: no word since %.1f s; the run is void", host->name, (double)heard / 1e9);
}

void host_gone(struct run *run, struct host *host)
{
	host->connected = false;
	if (host->rebooting || host->lost || run->calibrating || run->collecting || run->going_on || run->t0_ns == 0 || host_is_awaited(host, clock_mono_ns()))
		return;
	lose(run, host, "the connection to the agent ended");
}

static void host_found(struct run *run, struct host *host)
{
	host->lost = false;
	run_note(run, host->name, "back", -1, run_now(run), "the agent answers again");
	progress_say(run, "%s is back", host->name);
	host_ask_again(run, host);	/* first: it knows more than its journal, which is asked next */
	schedule_host_found(run, host);
}

static bool is_config(const json_t *sample)
{
	const char *metric = json_string_value(json_object_get(sample, "metric"));

	return metric && strncmp(metric, "config.", 7) == 0 && json_is_string(json_object_get(sample, "text"));
}

/*
 * A configuration is told over and over, for no host knows when T0 is. The record has it once: at T0, as it was last told before, and whenever it is another.
 * @return whether it is another
 */
static bool keep_config(struct host *host, const json_t *sample)
{
	const char *metric = json_string_value(json_object_get(sample, "metric"));
	json_t *text = json_object_get(sample, "text");

	if (json_equal(json_object_get(host->config, metric), text))
		return false;
	if (!host->config)
		host->config = json_object();
	if (json_object_size(host->config) < CONFIGS_MAX || json_object_get(host->config, metric))
		(void)json_object_set(host->config, metric, text);
	return true;
}

void host_store_config(const struct run *run, const struct host *host)
{
	const char *metric;
	json_t *text;

	json_object_foreach(host->config, metric, text) {
		json_t *sample = json_pack("{s:s, s:i, s:O}", "metric", metric, "value", 1, "text", text);

		(void)record_sample(run->record, host->name, 0, sample, NULL);
		json_decref(sample);
	}
}

static void on_samples(struct run *run, struct host *host, const json_t *body)
{
	size_t i;
	const json_t *sample;

	json_array_foreach(json_object_get(body, "samples"), i, sample) {
		int64_t t = host_time(run, host, json_integer_value(json_object_get(sample, "t_ns")));
		bool is_known = false;

		if (is_config(sample)) {
			is_known = !keep_config(host, sample) || !run->began;	/* host_store_config() is still to come */
			t = t < 0 ? 0 : t;
		}
		if (run->t0_ns && !run->calibrating && !is_known)	/* a calibration has a t0 of its own */
			(void)record_sample(run->record, host->name, t, sample, NULL);
		progress_sample(run, host->name, sample);
	}
}

static void on_notes(const struct run *run, const struct host *host, const json_t *body)
{
	const json_t *note;
	size_t i;

	json_array_foreach(json_object_get(body, "notes"), i, note)
		if (!run->calibrating)	/* the run's own load says it again */
			progress_say(run, "%s: %s", host->name, json_string_value(note));
}

static void on_answer(struct host *host, const json_t *body)
{
	const char *error = json_string_value(json_object_get(body, "error"));

	host->answer_rc = (int)json_integer_value(json_object_get(body, "rc"));
	(void)snprintf(host->answer_error, sizeof host->answer_error, "%s", error ? error : "");
	json_decref(host->answer);
	host->answer = json_incref((json_t *)(uintptr_t)body);
	host->answers++;
}

static void on_final(struct run *run, struct host *host, json_t *body)
{
	struct err err = ERR_INIT;

	host->has_final = true;
	if (run->calibrating) {
		json_decref(host->last);
		host->last = json_incref(body);
		return;
	}
	if (record_final(run->record, host->name, body, &err) < 0)
		host_gap(run, host, "how its load ended was not kept", &err);
	if (json_integer_value(json_object_get(body, "dataset_bytes")) > 0)
		(void)record_meta_double(run->record, "dataset_bytes", json_number_value(json_object_get(body, "dataset_bytes")), NULL);
}

void host_gap(struct run *run, const struct host *host, const char *what, const struct err *why)
{
	char text[ERR_TEXT_BYTES + 64];

	(void)snprintf(text, sizeof text, "%s: %s", what, why->text);
	run_note(run, host->name, "gap", -1, run_now(run), text);
}

void host_ask_again(struct run *run, struct host *host)
{
	(void)bus_send(run->bus, host->name, "collect", json_pack("{s:s, s:I}", "run", run->run_name, "after", (json_int_t)host->told));
}

/* Whether it was not told before. What was is told again when the host did not hear in time that it is kept. */
static bool is_news(struct run *run, struct host *host, const json_t *body)
{
	uint64_t n = (uint64_t)json_integer_value(json_object_get(body, "n"));
	char key[NAME_BYTES + 8], number[96];

	if (n == 0)
		return true;		/* it keeps nothing, or this is not kept */
	if (n <= host->told)
		return false;
	if (n > host->told + 1 && !run->calibrating) {
		(void)snprintf(number, sizeof number, "%llu messages of it are missing: they had no room in its spool", (unsigned long long)(n - host->told - 1));
		run_note(run, host->name, "gap", -1, run_now(run), number);
	}
	host->told = n;
	(void)snprintf(key, sizeof key, "told.%s", host->name);
	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)n);
	(void)record_meta(run->record, key, number, NULL);
	return true;
}

/* What a host may say before there is a record. */
static bool is_of_before(const char *kind)
{
	return strcmp(kind, "hello") == 0 || strcmp(kind, "pong") == 0 || strcmp(kind, "answer") == 0;
}

static void take(struct run *run, struct host *host, const char *kind, json_t *body, uint64_t at_ns);

/* What the host has kept of before: it is taken as if it came now, and the rest asked for. */
static void on_collected(struct run *run, struct host *host, const json_t *body)
{
	const char *error = json_string_value(json_object_get(body, "error"));
	uint64_t before = host->told;
	json_t *message;
	size_t i;

	json_array_foreach(json_object_get(body, "messages"), i, message) {
		const char *kind = json_string_value(json_object_get(message, "kind"));

		if (kind && strcmp(kind, "collected") != 0)
			take(run, host, kind, message, host->heard_ns);
	}
	if (error && *error) {
		run_note(run, host->name, "note", -1, run_now(run), error);
		progress_say(run, "%s: %s", host->name, error);
	}
	if (json_is_true(json_object_get(body, "more")) && host->told > before) {
		host_ask_again(run, host);
		return;
	}
	host->collected = true;
	if (host->kept_of_before)	/* what it sees from now on has a higher number, and is of another clock */
		(void)bus_send(run->bus, host->name, "observe", json_object());
	host->kept_of_before = false;
}

/* What was lost with it may have been heard before; nobody knows. */
static void on_torn(struct run *run, const struct host *host, const json_t *body)
{
	char text[128];

	(void)snprintf(text, sizeof text, "the end of its spool was torn, and %lld bytes of it were cut off", (long long)json_integer_value(json_object_get(body, "bytes")));
	run_note(run, host->name, "gap", -1, run_now(run), text);
	progress_say(run, "%s: %s", host->name, text);
}

static void take(struct run *run, struct host *host, const char *kind, json_t *body, uint64_t at_ns)
{
	int idx = (int)json_integer_value(json_object_get(body, "idx"));

	if (run->record ? !is_news(run, host, body) : !is_of_before(kind))
		return;
	if (strcmp(kind, "hello") == 0)
		on_hello(run, host, body);
	else if (strcmp(kind, "pong") == 0)
		on_pong(run, host, body, at_ns);
	else if (strcmp(kind, "answer") == 0)
		on_answer(host, body);
	else if (strcmp(kind, "notes") == 0)
		on_notes(run, host, body);
	else if (strcmp(kind, "interval") == 0)
		progress_interval(run, host, body);
	else if (strcmp(kind, "final") == 0)
		on_final(run, host, body);
	else if (strcmp(kind, "samples") == 0)
		on_samples(run, host, body);
	else if (strcmp(kind, "fault-event") == 0)
		schedule_event(run, host, idx, json_object_get(body, "event"));
	else if (strcmp(kind, "fault-end") == 0)
		schedule_event(run, host, idx, NULL);
	else if (strcmp(kind, "journal") == 0)
		schedule_journal(run, host, body);
	else if (strcmp(kind, "torn") == 0)
		on_torn(run, host, body);
	else if (strcmp(kind, "collected") == 0)
		on_collected(run, host, body);
}

void run_take(struct run *run, const struct bus_message *m)
{
	struct host *host = hosts_find(run, m->peer);

	if (!host)
		return;
	if (strcmp(m->kind, "gone") == 0) {
		host_gone(run, host);
		return;
	}
	host->heard_ns = m->at_ns;
	if (host->lost)
		host_found(run, host);
	take(run, host, m->kind, m->body, m->at_ns);
}

void host_frozen(struct run *run, struct host *host, uint64_t at_ns)
{
	host->frozen = true;
	host->offset_before_ns = host->offset_ns;
	host->froze_ns = (int64_t)at_ns - host->offset_ns;
	run_note(run, host->name, "note", -1, run_now(run), "its clocks are stopped with it");
}

/* The first round trip to come says how long they stood; until then it is what has gone by. What was asked before is answered too late to measure by. */
void host_thawed(struct host *host, uint64_t at_ns)
{
	host->frozen = false;
	host->thawed_ns = clock_mono_ns();
	host->offset_ns = (int64_t)at_ns - host->froze_ns;
	host->ping_best_ns = 0;
	memset(host->ping_sent_ns, 0, sizeof host->ping_sent_ns);
	host->heard_ns = host->thawed_ns;
}

static void renew_leases(struct run *run, uint64_t now)
{
	for (int i = 0; i < run->hosts_nr; i++) {
		struct host *host = &run->host[i];

		if (!host->connected || host->frozen || now < host->next_lease_ns)
			continue;
		host->next_lease_ns = now + NS_PER_S;
		host->ping_seq++;
		host->ping_sent_ns[host->ping_seq % PINGS] = clock_mono_ns();
		(void)bus_send(run->bus, host->name, "lease", json_pack("{s:I, s:I}", "seq", (json_int_t)host->ping_seq, "kept", (json_int_t)host->kept));
	}
}

int run_pump(struct run *run, bool (*until)(struct run *, void *), void *arg, uint64_t deadline_ns, struct err *err)
{
	for (;;) {
		uint64_t now = clock_mono_ns();
		struct bus_message m;
		int rc;

		if (run->stop_signal && *run->stop_signal)
			return err_set(err, -EINTR, "stopped by a signal");
		if (until && until(run, arg))
			return 1;
		if (now >= deadline_ns)
			return 0;
		renew_leases(run, now);
		hosts_retry(run, now);
		schedule_outside(run);
		if (run->record)
			(void)record_begin(run->record, NULL);
		rc = bus_next(run->bus, now + NS_PER_S / 20 < deadline_ns ? now + NS_PER_S / 20 : deadline_ns, &m);
		while (rc == 1) {
			run_take(run, &m);
			json_decref(m.body);
			rc = bus_next(run->bus, 0, &m);
		}
		if (run->record && record_commit(run->record, err) < 0)
			return -EIO;
		for (int i = 0; i < run->hosts_nr && run->record; i++)
			run->host[i].kept = run->host[i].told;
		if (rc < 0)
			return err_set(err, rc, "bus: %s", strerror(-rc));
	}
}

struct expected {
	const char *role;
	uint32_t answers[HOSTS_MAX];
};

static bool answered(struct run *run, void *arg)
{
	const struct expected *e = arg;

	for (int i = 0; i < run->hosts_nr; i++)
		if (host_has(&run->host[i], e->role) && run->host[i].connected && run->host[i].answers == e->answers[i])
			return false;
	return true;
}

int run_ask_all(struct run *run, const char *role, const char *kind, json_t *body, uint64_t timeout_ns, struct err *err)
{
	struct expected e = { .role = role };
	int rc, load_idx = 0, load_nr = 0;

	for (int i = 0; i < run->hosts_nr; i++)
		load_nr += host_has(&run->host[i], "load");
	for (int i = 0; i < run->hosts_nr; i++) {
		struct host *host = &run->host[i];
		json_t *copy;

		load_idx += i > 0 && host_has(&run->host[i - 1], "load");
		if (!host_has(host, role))
			continue;
		e.answers[i] = host->answers;
		host->answer_rc = -ECONNRESET;
		(void)snprintf(host->answer_error, sizeof host->answer_error, "the connection to the agent ended");
		copy = body ? json_deep_copy(body) : json_object();
		json_object_set_new(copy, "host", json_string(host->name));
		json_object_set_new(copy, "host_idx", json_integer(load_idx));	/* among the hosts with load: whose slice */
		json_object_set_new(copy, "hosts_nr", json_integer(load_nr));
		if (json_object_get(copy, "t0_ns"))
			json_object_set_new(copy, "t0_ns", json_integer((json_int_t)run->t0_ns - host->offset_ns));
		(void)bus_send(run->bus, host->name, kind, copy);
	}
	json_decref(body);
	rc = run_pump(run, answered, &e, clock_mono_ns() + timeout_ns, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < run->hosts_nr; i++) {
		struct host *host = &run->host[i];

		if (!host_has(host, role))
			continue;
		if (host->answers == e.answers[i])
			return err_set(err, -ETIMEDOUT, "%s: no answer to '%s'", host->name, kind);
		if (host->answer_rc < 0)
			return err_set(err, host->answer_rc, "%s: %s", host->name, host->answer_error);
	}
	return 0;
}
