/* SPDX-License-Identifier: MIT */
/*
 * coordinator.c - messages of an agent to its coordinator, a line each: whatever they say, they change nothing of another host, nor of its faults, and leave
 * in the record no row of it.
 *
 * The first byte says in which part of a run they come.
 */
#include "../../common/bus_link.h"
#include "../../coord/fleet.h"
#include "../../coord/run.h"
#include "err.h"
#include "fuzz.h"
#include "hist.h"
#include "rows.h"

#define T0_NS 1000000000ULL
#define OTHER 1			/* the host and the fault that are not of this agent */

static struct run *run;
static struct record *record;

static void end(void)
{
	for (int i = 0; i < run->hosts_nr; i++)
		host_release(&run->host[i]);
	record_close(record);
	schedule_free(run);
	profile_release(&run->profile);
	bus_free(run->bus);
	free(run->second);
	free(run);
}

static void begin(void)
{
	static const char profile[] = "name: f\nseed: 1\ndataset: {sites: 2, files_per_site: 50, size: 4KiB, depth: 2}\n"
				      "jobs: {a: {engine: sync, mix: {read: 1}, order: random, arrival: {constant: 1/s}, slots: 1}}\n"
				      "phases: [{name: baseline, for: 10s}, {name: after, for: 1s}]\nfaults: [{fault: none, on: h, at: baseline}, {fault: none, on: other, at: baseline}]\nexpect: absent\n";
	static const struct run_options options = { .command = "run", .on = "fleet:f", .quiet = true };
	struct err err = ERR_INIT;

	(void)fuzz_folder();
	run = calloc(1, sizeof *run);
	CHECK(run);
	run->options = &options;
	run->bus = bus_new();
	run->second = hist_new();
	CHECK(run->bus && run->second && record_create(fuzz_folder(), &record, &err) == 0 && profile_parse(profile, "f", NULL, &run->profile, &err) == 0);
	atexit(end);
}

/* Two hosts, each with a fault, as they are in the middle of a run. */
static void set_up(unsigned int how)
{
	static const enum fault_state states[] = { FAULT_ASKED, FAULT_IN_FORCE, FAULT_HEALING, FAULT_LOST };
	static const char *const names[] = { "h", "other" };

	run->record = how & 128 ? NULL : record;
	run->t0_ns = how & 129 ? 0 : T0_NS;
	run->calibrating = how & 2;
	run->collecting = how & 4;
	run->primary[0] = run->drbd[0] = '\0';
	run->hosts_nr = 2;
	hist_clear(run->second);
	for (int i = 0; i < run->hosts_nr; i++) {
		host_release(&run->host[i]);
		run->host[i] = (struct host){ .connected = true, .heard_ns = T0_NS, .rebooting = how & 8, .offset_ns = T0_NS, .ping_sent_ns = { [1] = T0_NS } };
		(void)snprintf(run->host[i].name, sizeof run->host[i].name, "%s", names[i]);
		run->fault[i].state = states[how >> 4 & 3];
		run->fault[i].host = i;
		run->fault[i].takes_host = how & 64;
		run->fault[i].inject_ns = run->fault[i].heal_ns = -1;
		run->fault[i].verified[0] = run->fault[i].healed[0] = '\0';
	}
}

/* Those that are of another host, of the coordinator itself, or of the future. */
static int wrong_rows(void)
{
	static const char sql[] = "SELECT (SELECT COUNT(*) FROM events WHERE host NOT IN ('h', '')) + (SELECT COUNT(*) FROM intervals WHERE host <> 'h')"
				  " + (SELECT COUNT(*) FROM totals WHERE host <> 'h') + (SELECT COUNT(*) FROM samples WHERE host <> 'h')"
				  " + (SELECT COUNT(*) FROM events WHERE fault_idx = 1)"
				  " + (SELECT COUNT(*) FROM events WHERE fault_idx = 0 AND kind NOT IN ('injected', 'verify', 'vanished', 'healing', 'healed', 'failed'))"
				  " + (SELECT COUNT(*) FROM job_seconds WHERE second > 1000000000) + (SELECT COUNT(*) FROM samples WHERE t_ns > 1000000000000000000)";

	return rows_count(record, sql);
}

/* What is printed of it. */
static void check_status(const json_t *hello)
{
	static const char *const keys[] = { "roles", "version", "kernel" };
	json_t *status = fleet_status_of("h", hello);

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *text = json_string_value(json_object_get(status, keys[i]));

		CHECK(text);
		for (; *text; text++)
			CHECK((unsigned char)*text >= ' ' && *text != 127);
	}
	json_decref(status);
}

static void feed(const char *line, size_t bytes)
{
	struct bus_message m = { .peer = "h", .at_ns = 2 * T0_NS };
	const struct host other = run->host[OTHER];
	const struct run_fault its = run->fault[OTHER];
	uint64_t told = run->host[0].told;

	if (bus_message_parse(line, bytes, &m) < 0)
		return;
	run_take(run, &m);
	if (strcmp(m.kind, "hello") == 0)
		check_status(m.body);
	json_decref(m.body);
	CHECK(memcmp(&other, &run->host[OTHER], sizeof other) == 0 && memcmp(&its, &run->fault[OTHER], sizeof its) == 0);
	CHECK(run->host[0].told >= told && run->hosts_nr == 2 && strcmp(run->host[0].name, "h") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;

	if (size == 0)
		return 0;
	if (!run)
		begin();
	set_up(data[0]);
	CHECK(record_begin(record, &err) == 0);
	for (size_t at = 1; at < size;) {
		const uint8_t *end_of_line = memchr(data + at, '\n', size - at);
		size_t bytes = end_of_line ? (size_t)(end_of_line - data) - at : size - at;

		feed((const char *)data + at, bytes);
		at += bytes + 1;
	}
	CHECK(wrong_rows() == 0);
	CHECK(sqlite3_exec(record_db(record), "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
	return 0;
}
