/* SPDX-License-Identifier: MIT */
/*
 * progress.c - what a user sees while it runs: a live line on a terminal, one line an interval otherwise.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "hist.h"
#include "run.h"
#include "units.h"

#define LINE_BYTES 256
#define AHEAD_MAX_NS (60 * (int64_t)NS_PER_S)	/* of a host whose clock is fast */

void progress_say(const struct run *run, const char *format, ...)
{
	char text[2 * ERR_TEXT_BYTES];
	va_list args;

	if (run->options->quiet)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	err_make_harmless(text, false);
	fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}

static void add_responses(struct run *run, struct host *host, const json_t *job)
{
	size_t i;
	const json_t *h;

	json_array_foreach(json_object_get(job, "hists"), i, h) {
		const char *text = json_string_value(json_object_get(h, "response"));
		uint8_t *bytes = NULL;
		size_t size;

		if (json_string_length(json_object_get(h, "op")) != 0)
			continue;
		host->ok += (uint64_t)json_integer_value(json_object_get(h, "ok"));
		if (text && base64_decode(text, &bytes, &size) == 0)
			(void)hist_decode_merge(run->second, bytes, size);
		free(bytes);
	}
}

void progress_interval(struct run *run, struct host *host, json_t *interval)
{
	const char *names[JOBS_MAX] = { NULL };
	struct err err = ERR_INIT;
	size_t i;
	const json_t *job;
	int rc;

	if (run->calibrating || run->t0_ns == 0)
		return;
	for (unsigned int k = 0; k < run->profile.jobs_nr; k++)
		names[k] = run->profile.jobs[k].name;
	if (json_integer_value(json_object_get(interval, "second")) > (run_now(run) + AHEAD_MAX_NS) / (int64_t)NS_PER_S)
		rc = err_set(&err, -EBADMSG, "its second is still to come");
	else
		rc = record_interval(run->record, host->name, interval, names, &err);
	if (rc < 0) {
		host_gap(run, host, "an interval was not kept", &err);
		return;
	}
	json_array_foreach(json_object_get(interval, "jobs"), i, job)
		add_responses(run, host, job);
	json_decref(host->last);
	host->last = json_incref(interval);
}

void progress_sample(struct run *run, const char *host, const json_t *sample)
{
	const char *metric = json_string_value(json_object_get(sample, "metric"));
	const char *text = json_string_value(json_object_get(sample, "text"));
	double value = json_number_value(json_object_get(sample, "value"));

	if (!metric)
		return;
	if (strcmp(metric, "drbd.role") == 0 && value == 1)
		(void)snprintf(run->primary, sizeof run->primary, "%s", host);
	if (strcmp(host, run->primary) != 0)
		return;
	if (strcmp(metric, "nfsd.threads") == 0)
		run->nfsd_threads = value;
	else if (strcmp(metric, "nfsd.blocked") == 0)
		run->nfsd_blocked = value;
	else if (strcmp(metric, "drbd.oldest_request_ns") == 0) {
		run->oldest_request_ns = value;
		if (value >= STORAGE_BUSY_NS)
			run->storage_busy_ns = clock_mono_ns();
	} else if (strcmp(metric, "drbd.connected") == 0) {
		(void)snprintf(run->drbd, sizeof run->drbd, "%s", text ? text : value > 0 ? "Connected" : "not connected");
		err_make_harmless(run->drbd, false);
	}
}

static uint64_t oldest_op(const struct run *run)
{
	uint64_t oldest = 0;

	for (int i = 0; i < run->hosts_nr; i++) {
		size_t k;
		const json_t *job;

		json_array_foreach(json_object_get(run->host[i].last, "jobs"), k, job) {
			uint64_t age = (uint64_t)json_integer_value(json_object_get(job, "oldest_ns"));

			oldest = age > oldest ? age : oldest;
		}
	}
	return oldest;
}

/* While it is away, what was last seen there is not so now. */
static bool primary_is_there(const struct run *run)
{
	for (int i = 0; i < run->hosts_nr; i++)
		if (strcmp(run->host[i].name, run->primary) == 0)
			return run->host[i].connected && !run->host[i].rebooting;
	return false;
}

/* Of the storage, what is measured. */
static void add_storage(const struct run *run, FILE *line)
{
	char text[24];

	if (run->nfsd_threads <= 0 || !primary_is_there(run))
		return;
	fprintf(line, "  nfsd blocked %.0f/%.0f", run->nfsd_blocked, run->nfsd_threads);
	if (run->drbd[0] != '\0')
		fprintf(line, "  DRBD %s", run->drbd);
	if (run->oldest_request_ns >= 0)
		fprintf(line, ", oldest request %s", units_format_ns((uint64_t)run->oldest_request_ns, text, sizeof text));
}

/* "-" of what there is none: no op was done in this second, or none is in flight. */
static const char *time_or_none(bool any, uint64_t ns, char *ret, size_t bytes)
{
	return any ? units_format_ns(ns, ret, bytes) : "-";
}

/* In which the second began that ends now. */
static const char *phase_of_second(const struct run *run, int64_t now)
{
	const struct load_plan *plan = &run->plan;
	unsigned int i = 0;

	while (i + 1 < plan->phases_nr && now - (int64_t)NS_PER_S >= (int64_t)plan->phases[i].end_ns)
		i++;
	return plan->phases[i].name;
}

static int name_columns(const struct run *run)
{
	size_t columns = 9;

	for (unsigned int i = 0; i < run->plan.phases_nr; i++)
		if (strlen(run->plan.phases[i].name) > columns)
			columns = strlen(run->plan.phases[i].name);
	return (int)columns;
}

static void write_line(const struct run *run, int64_t now, FILE *line)
{
	char p99[24], oldest[24];
	uint64_t oldest_ns = oldest_op(run);
	int64_t second = now / (int64_t)NS_PER_S * (int64_t)NS_PER_S;

	fprintf(line, "%-*s %4lld s  ", name_columns(run), phase_of_second(run, second), (long long)(second / (int64_t)NS_PER_S));
	if (second == 0) {
		fprintf(line, "the load begins, for %.0f s", (double)run->plan.phases[run->plan.phases_nr - 1].end_ns / 1e9);
		return;
	}
	fprintf(line, "%6llu done/s  p99 %-8s oldest in flight %-8s", (unsigned long long)run->second->count,
		time_or_none(run->second->count > 0, hist_quantile(run->second, 0.99), p99, sizeof p99),
		time_or_none(oldest_ns > 0, oldest_ns, oldest, sizeof oldest));
	add_storage(run, line);
}

/* One that is wider than the terminal would be left standing when the next takes its place. */
static int columns_of_terminal(void)
{
	struct winsize size = { 0 };

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

void progress_line(struct run *run, int64_t now)
{
	char text[LINE_BYTES] = "";
	FILE *line;

	if (run->options->quiet)
		return;
	line = fmemopen(text, sizeof text, "w");
	if (line) {
		write_line(run, now, line);
		fclose(line);
	}
	run->line_is_open = isatty(STDERR_FILENO);
	if (run->line_is_open)
		fprintf(stderr, "\r\033[K%.*s", columns_of_terminal(), text);
	else
		fprintf(stderr, "%s\n", text);
	hist_clear(run->second);
}

void progress_end(struct run *run)
{
	if (run->line_is_open)
		fputc('\n', stderr);
	run->line_is_open = false;
}
