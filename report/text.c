/* SPDX-License-Identifier: MIT */
/*
 * text.c - a verdict for people: what happened to the sites first, the numbers behind it after.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "judge.h"
#include "percentiles.h"
#include "record.h"
#include "report.h"
#include "units.h"

#define HOSTS_SHOWN 16
#define HUNG_SHOWN 10
#define DAMAGE_SHOWN 5
#define RPCS_SHOWN 6

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

/* Sites are known by their pages; of jobs of single ops there are none. */
static bool has_pages(const json_t *v)
{
	return number_of(json_object_get(v, "sites"), "total") > 0;
}

static void format_quantile(const json_t *latency, const char *name, char *ret, size_t bytes)
{
	char text[24];
	uint64_t ns;
	int reached = percentiles_value(latency, name, &ns);

	if (!reached && ns == 0)
		(void)snprintf(ret, bytes, "-");
	else
		(void)snprintf(ret, bytes, "%s%s", reached ? "" : ">= ", units_format_ns(ns, text, sizeof text));
}

static const char *format_instant(const json_t *ns, char *ret, size_t bytes)
{
	if (json_is_integer(ns))
		(void)snprintf(ret, bytes, "%.1f s", (double)json_integer_value(ns) / 1e9);
	else
		(void)snprintf(ret, bytes, "never");
	return ret;
}

const char *judge_start_text(const json_t *verdict, char *ret, size_t bytes)
{
	time_t start = (time_t)(number_of(verdict, "start_utc_ns") / 1000000000);
	struct tm tm;

	ret[0] = '\0';
	if (start > 0 && gmtime_r(&start, &tm))
		(void)strftime(ret, bytes, ", second 0 at %Y-%m-%d %H:%M:%S UTC", &tm);
	return ret;
}

const char *judge_expected_text(const json_t *verdict)
{
	const char *is = text_of(verdict, "verdict");

	if (strcmp(is, "void") == 0 || strcmp(is, "inconclusive") == 0)
		return "";
	if (json_is_true(json_object_get(verdict, "expected")))
		return ", as expected";
	if (strcmp(is, "reproduced") == 0)
		return "; absent was expected";
	return number_of(json_object_get(verdict, "damage"), "ops") > 0 ? ", but what was read was damaged" : "; reproduced was expected";
}

static void print_head(const json_t *v, FILE *out)
{
	size_t i;
	const json_t *reason, *away;
	char start[64];

	(void)fprintf(out, "%s: %s%s\n", text_of(v, "profile"), text_of(v, "verdict"), judge_expected_text(v));
	json_array_foreach(json_object_get(v, "void_reasons"), i, reason)
		(void)fprintf(out, "  void because %s\n", json_string_value(reason));
	json_array_foreach(json_object_get(v, "doubts"), i, reason)
		(void)fprintf(out, "  open because %s\n", json_string_value(reason));
	(void)fprintf(out, "  run %s, seed %lld%s%s%s\n", text_of(v, "run"), number_of(v, "seed"), *text_of(v, "arm") ? ", arm " : "", text_of(v, "arm"),
		      judge_start_text(v, start, sizeof start));
	json_array_foreach(json_object_get(v, "away"), i, away)
		(void)fprintf(out, "  squall run was away from %.1f to %.1f s: the run went on without it\n", (double)number_of(away, "from_ns") / 1e9,
			      (double)number_of(away, "to_ns") / 1e9);
}

static void print_damage(const json_t *v, FILE *out)
{
	const json_t *damage = json_object_get(v, "damage"), *item;
	size_t i;

	if (number_of(damage, "ops") == 0)
		return;
	(void)fprintf(out, "\nDAMAGE: %lld ops read something else than what was written there\n", number_of(damage, "ops"));
	json_array_foreach(json_object_get(damage, "first"), i, item)
		if (i < DAMAGE_SHOWN)
			(void)fprintf(out, "  %s on %s, job %s, at byte %lld: %s\n", text_of(item, "path"), text_of(item, "host"), text_of(item, "job"),
				      number_of(item, "offset"), text_of(item, "found"));
	if (number_of(damage, "ops") > DAMAGE_SHOWN)
		(void)fputs("  verdict.json names the first of each host\n", out);
}

static void print_sites(const json_t *v, FILE *out)
{
	const json_t *s = json_object_get(v, "sites");

	if (!has_pages(v))
		return;
	(void)fprintf(out, "\nsites: %lld of %lld failed, %lld were slow, %lld ok; %lld pages; %lld failed or took over 30 s while others were served\n",
		      number_of(s, "failed"), number_of(s, "total"), number_of(s, "slow"), number_of(s, "ok"), number_of(s, "pages"),
		      number_of(v, "failed_while_others_ok"));
}

static long long errors_of(const json_t *counts)
{
	long long all = 0;
	const char *name;
	const json_t *nr;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)counts, "errors"), name, nr)
		all += (long long)json_integer_value(nr);
	return all;
}

/* @return whether one of its percentiles is a lower bound */
static bool print_row(const char *name, const json_t *counts, FILE *out)
{
	const json_t *response = json_object_get(counts, "response");
	char p50[32], p99[32], p999[32], most[32];

	format_quantile(response, "p50", p50, sizeof p50);
	format_quantile(response, "p99", p99, sizeof p99);
	format_quantile(response, "p999", p999, sizeof p999);
	format_quantile(response, "max", most, sizeof most);
	(void)fprintf(out, "%-22s %8lld %8lld %6lld %7lld %7lld %10s %10s %10s %9s\n", name, number_of(counts, "due"), number_of(counts, "ok"), errors_of(counts),
		      number_of(counts, "unknown"), number_of(counts, "in_flight") + number_of(counts, "not_issued"), p50, p99, p999, most);
	return *p50 == '>' || *p99 == '>' || *p999 == '>' || *most == '>';
}

/* Which errors they were. */
static void print_errors(const json_t *job, FILE *out)
{
	const char *name, *before = "  errors: ";
	const json_t *nr;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)job, "errors"), name, nr) {
		(void)fprintf(out, "%s%lld %s", before, (long long)json_integer_value(nr), name);
		before = ", ";
	}
	if (*before == ',')
		(void)fputc('\n', out);
}

/* Jobs that another engine did than they name. */
static void print_engines(const json_t *v, FILE *out)
{
	const json_t *job, *engine;
	const char *name, *host;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)v, "jobs"), name, job)
		json_object_foreach(json_object_get((json_t *)(uintptr_t)job, "engines"), host, engine)
			if (*text_of(engine, "why"))
				(void)fprintf(out, "  %s: %s\n", host, text_of(engine, "why"));
}

static void print_logged(const json_t *v, FILE *out)
{
	const json_t *logged = json_object_get(v, "logged_ops");

	if (logged)
		(void)fprintf(out, "  %lld ops stand in run.db one by one (table ops); %lld more had no room\n", number_of(logged, "kept"), number_of(logged, "dropped"));
}

static void print_amplification(const char *label, const json_t *part, FILE *out)
{
	const json_t *ratio = json_object_get(json_object_get(part, "retry"), "amplification");

	if (json_is_number(ratio))
		(void)fprintf(out, " %s %.2f", label, json_number_value(ratio));
}

/* Jobs that try again. */
static void print_retries(const json_t *v, FILE *out)
{
	const json_t *job, *part, *retry;
	const char *name, *phase;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)v, "jobs"), name, job) {
		retry = json_object_get(job, "retry");
		if (!retry)
			continue;
		(void)fprintf(out, "  %s: %lld attempts; %lld failed, %lld were given up, of which %lld came back later with success and %lld with an error\n",
			      name, number_of(retry, "attempts"), number_of(retry, "failed"), number_of(retry, "abandoned"), number_of(retry, "late_ok"),
			      number_of(retry, "late_errors"));
		(void)fputs("    attempts for each arrival:", out);
		json_object_foreach(json_object_get((json_t *)(uintptr_t)job, "phases"), phase, part)
			print_amplification(phase, part, out);
		print_amplification("all", job, out);
		(void)fputc('\n', out);
	}
}

static void print_jobs(const json_t *v, FILE *out)
{
	const char *name, *phase;
	const json_t *job, *part;
	char label[64];
	bool bounds = false;

	(void)fprintf(out, "\n%-22s %8s %8s %6s %7s %7s %10s %10s %10s %9s\n", "response time", "due", "ok", "errors", "unknown", "waiting", "p50", "p99", "p99.9",
		      "max");
	json_object_foreach(json_object_get((json_t *)(uintptr_t)v, "jobs"), name, job) {
		bounds |= print_row(name, job, out);
		json_object_foreach(json_object_get(job, "phases"), phase, part) {
			(void)snprintf(label, sizeof label, "  %s", phase);
			if (number_of(part, "due") > 0)
				bounds |= print_row(label, part, out);
		}
		print_errors(job, out);
	}
	if (bounds)
		(void)fputs("  >= is a lower bound: so many were still in flight, timed out or never issued that the percentile was not reached\n", out);
	print_retries(v, out);
	print_engines(v, out);
	print_logged(v, out);
}

static void print_faults(const json_t *v, FILE *out)
{
	size_t i;
	const json_t *fault;
	char from[32], to[32];

	json_array_foreach(json_object_get(v, "faults"), i, fault) {
		const char *by = text_of(fault, "healed_by");

		if (i == 0)
			(void)fputs("\nfaults\n", out);
		(void)fprintf(out, "  %s on %s, from %s to %s: in force %s, healed %s%s%s\n", text_of(fault, "fault"), text_of(fault, "host"),
			      format_instant(json_object_get(fault, "inject_ns"), from, sizeof from), format_instant(json_object_get(fault, "heal_ns"), to, sizeof to),
			      text_of(fault, "verified"), text_of(fault, "healed"), *by ? " by " : "", strcmp(by, text_of(fault, "fault")) == 0 ? "itself" : by);
		if (*text_of(fault, "evidence"))
			(void)fprintf(out, "    %s\n", text_of(fault, "evidence"));
	}
}

static void print_signature(const json_t *v, FILE *out)
{
	const char *name;
	const json_t *line;
	char at[32];
	bool first = true;

	json_object_foreach(json_object_get((json_t *)(uintptr_t)v, "signature"), name, line) {
		if (first)
			(void)fputs("\nsignature\n", out);
		first = false;
		if (json_is_true(json_object_get(line, "held")))
			(void)fprintf(out, "  held at %-8s  %s: %s\n", format_instant(json_object_get(line, "at_ns"), at, sizeof at), name, text_of(line, "text"));
		else
			(void)fprintf(out, "  not held          %s: %s\n", name, text_of(line, "text"));
		(void)fprintf(out, "                    %s\n", text_of(line, "evidence"));
	}
}

static void print_ratio(const char *what, const json_t *value, const char *unit, FILE *out)
{
	if (json_is_number(value))
		(void)fprintf(out, "  %-52s %.3g%s\n", what, json_number_value(value), unit);
}

static void print_course(const json_t *v, FILE *out)
{
	const json_t *layers = json_object_get(v, "layers"), *herd = json_object_get(v, "herd"), *recovery = json_object_get(v, "recovery"), *of_job, *ratio;
	const char *job, *phase;
	bool first = true;
	char text[24];

	if (json_array_size(json_object_get(v, "faults")) == 0)
		return;
	for (const struct layer *l = layer_rows; l->key; l++) {
		const json_t *row = json_object_get(layers, l->key), *base = json_object_get(row, "baseline"), *under = json_object_get(row, "under_fault");

		if (!l->what || !json_is_number(base) || !json_is_number(under))
			continue;
		if (first)
			(void)fputs("\nlayers                                               baseline   under fault\n", out);
		first = false;
		(void)fprintf(out, "  %-50s %8.3g%-2s %9.3g%s\n", l->what, json_number_value(base) * l->scale, l->unit, json_number_value(under) * l->scale, l->unit);
	}
	(void)fputs("\nagainst the baseline\n", out);
	json_object_foreach(json_object_get((json_t *)(uintptr_t)v, "ratios"), job, of_job)
		json_object_foreach((json_t *)(uintptr_t)of_job, phase, ratio)
			(void)fprintf(out, "  %-12s %-12s p50 %s%.3g x, p99 %s%.3g x\n", job, phase, json_is_true(json_object_get(ratio, "p50_at_least")) ? ">= " : "",
				      json_number_value(json_object_get(ratio, "p50")), json_is_true(json_object_get(ratio, "p99_at_least")) ? ">= " : "",
				      json_number_value(json_object_get(ratio, "p99")));
	if (json_is_integer(json_object_get(recovery, "ns")))
		(void)fprintf(out, "  99 %% of the sites ok again %s after %s\n", units_format_ns((uint64_t)number_of(recovery, "ns"), text, sizeof text),
			      text_of(recovery, "after"));
	else if (*text_of(recovery, "after") && has_pages(v))
		(void)fprintf(out, "  the sites were not back by the end of the run\n");
	print_ratio("herd: greatest second of pages and ops done", json_object_get(herd, "done_peak_ratio"), " x the baseline", out);
	print_ratio("herd: greatest second of RPCs", json_object_get(herd, "rpc_peak_ratio"), " x the baseline", out);
}

static void print_clients(const json_t *v, FILE *out)
{
	const char *act = text_of(json_object_get(v, "recovery"), "after");
	const json_t *client;
	char back[24];
	size_t i;

	json_array_foreach(json_object_get(v, "clients"), i, client) {
		const json_t *ns = json_object_get(client, "back_ns"), *anew = json_object_get(client, "mounted_anew");

		if (!has_pages(v) && !json_is_integer(anew))
			continue;
		(void)fprintf(out, "  %s", text_of(client, "host"));
		if (json_is_integer(ns))
			(void)fprintf(out, ": first new page done %s after %s", units_format_ns((uint64_t)json_integer_value(ns), back, sizeof back), act);
		else if (has_pages(v))
			(void)fprintf(out, ": no new page done after %s", act);
		if (json_is_integer(anew))
			(void)fputs(json_integer_value(anew) == 0 ? ", still the same mount" : ", mounted anew", out);
		if (json_is_integer(json_object_get(client, "reconnects")))
			(void)fprintf(out, ", %lld reconnects", number_of(client, "reconnects"));
		(void)fputc('\n', out);
	}
}

static void print_wire(const json_t *v, FILE *out)
{
	json_t *host, *nr;
	const char *rpc;
	size_t i;

	json_array_foreach(json_object_get(v, "wire"), i, host) {
		long long reads = number_of(host, "reads"), calls = number_of(host, "read_rpcs"), ops = number_of(host, "ops");
		int shown = 0;

		if (i == 0)
			(void)fputs("\nwhat reached the server\n", out);
		(void)fprintf(out, "  %-12s %lld ops, %lld RPCs", text_of(host, "host"), ops, number_of(host, "rpcs"));
		json_object_foreach(json_object_get(host, "by_rpc"), rpc, nr)
			if (shown++ < RPCS_SHOWN)
				(void)fprintf(out, "%s %s %lld", shown == 1 ? ":" : ",", rpc, (long long)json_integer_value(nr));
		(void)fputc('\n', out);
		if (*text_of(host, "mount"))
			(void)fprintf(out, "  %-12s mounted with %s\n", "", text_of(host, "mount"));
		if (reads > calls)
			(void)fprintf(out, "  %-12s at least %.0f %% of %lld reads were answered by its own page cache\n", "", 100.0 * (double)(reads - calls) / (double)reads, reads);
	}
}

static void print_hung(const json_t *v, FILE *out)
{
	const json_t *list = json_object_get(v, "hung"), *op;
	char age[24];
	size_t i;

	json_array_foreach(list, i, op) {
		if (i == 0)
			(void)fprintf(out, "\nin flight when the run ended: %zu\n", json_array_size(list));
		if (i < HUNG_SHOWN)
			(void)fprintf(out, "  %s for %s: %s, host %s, pid %lld, tid %lld, in %s\n", text_of(op, "op"),
				      units_format_ns((uint64_t)number_of(op, "age_ns"), age, sizeof age), *text_of(op, "path") ? text_of(op, "path") : "(no path)",
				      text_of(op, "host"), number_of(op, "pid"), number_of(op, "tid"), *text_of(op, "wchan") ? text_of(op, "wchan") : "(not known)");
	}
	if (json_array_size(list) > HUNG_SHOWN)
		(void)fprintf(out, "  and %zu more in verdict.json\n", json_array_size(list) - HUNG_SHOWN);
}

static void print_rpcs(const json_t *v, FILE *out)
{
	json_t *lines = rpcs_lines(v), *nr;
	const char *line;

	if (json_object_size(lines) > 0)
		(void)fprintf(out, "\nRPCs of the kernel in flight then: %lld\n", number_of(json_object_get(v, "rpcs"), "nr"));
	json_object_foreach(lines, line, nr)
		(void)fprintf(out, "  %6lld  %s\n", (long long)json_integer_value(nr), line);
	json_decref(lines);
}

static const char *bytes_of(const json_t *object, const char *key, char *ret, size_t bytes)
{
	return units_format_bytes((uint64_t)json_integer_value(json_object_get(object, key)), ret, bytes);
}

static void print_host(const json_t *host, FILE *out)
{
	char lag[24], error[24], skew[24], cached[24], memory[24];
	long long start_ns = (long long)number_of(host, "start_skew_ns");

	(void)fprintf(out, "  %-12s clock known to %s%s%s", text_of(host, "name"),
		      units_format_ns((uint64_t)number_of(host, "offset_error_ns"), error, sizeof error),
		      json_is_integer(json_object_get(host, "lag_p99_ns")) ? ", lag p99 " : "",
		      json_is_integer(json_object_get(host, "lag_p99_ns")) ? units_format_ns((uint64_t)number_of(host, "lag_p99_ns"), lag, sizeof lag) : "");
	if (start_ns != 0)
		(void)fprintf(out, ", began %s %s", units_format_ns((uint64_t)llabs(start_ns), skew, sizeof skew), start_ns > 0 ? "late" : "early");
	if (json_is_integer(json_object_get(host, "cached_at_start_bytes")))
		(void)fprintf(out, ", %s of %s cached at the start", bytes_of(host, "cached_at_start_bytes", cached, sizeof cached),
			      bytes_of(host, "memory_bytes", memory, sizeof memory));
	(void)fputc('\n', out);
}

static void print_clock_steps(const json_t *v, FILE *out)
{
	const json_t *step;
	char by[24];
	size_t i;

	json_array_foreach(json_object_get(v, "clock_steps"), i, step)
		(void)fprintf(out, "  %-12s its clock of the day was set %s by %s at %.1f s: no latency is measured by it, but its logs are\n", text_of(step, "host"),
			      number_of(step, "by_ns") < 0 ? "back" : "forward", units_format_ns((uint64_t)llabs(number_of(step, "by_ns")), by, sizeof by),
			      (double)number_of(step, "at_ns") / 1e9);
}

/* The one of which a figure is the greatest. */
static const json_t *worst_host(const json_t *hosts, const char *key)
{
	const json_t *host, *worst = NULL;
	size_t i;

	json_array_foreach(hosts, i, host)
		if (!worst || number_of(host, key) > number_of(worst, key))
			worst = host;
	return worst;
}

/* All, or of many the worst: none is hidden by it that would make the run void. */
static void print_hosts(const json_t *v, FILE *out)
{
	const json_t *host, *dataset = json_object_get(v, "dataset"), *hosts = json_object_get(v, "hosts");
	char size[24];
	size_t i;

	(void)fputs("\nhosts\n", out);
	if (number_of(dataset, "bytes") > 0)
		(void)fprintf(out, "  dataset      %s, caches %s\n", bytes_of(dataset, "bytes", size, sizeof size), strcmp(text_of(dataset, "cache"), "cold") == 0 ? "dropped before the load" : "as they were");
	if (json_array_size(hosts) > HOSTS_SHOWN) {
		(void)fprintf(out, "  %zu; whose clock is known worst and whose lag is greatest (all are in verdict.json):\n", json_array_size(hosts));
		print_host(worst_host(hosts, "offset_error_ns"), out);
		print_host(worst_host(hosts, "lag_p99_ns"), out);
		return;
	}
	json_array_foreach(hosts, i, host)
		print_host(host, out);
}

static void print(const json_t *verdict, FILE *out)
{
	print_head(verdict, out);
	print_damage(verdict, out);
	print_sites(verdict, out);
	print_jobs(verdict, out);
	print_faults(verdict, out);
	print_signature(verdict, out);
	print_course(verdict, out);
	print_clients(verdict, out);
	print_wire(verdict, out);
	print_hung(verdict, out);
	print_rpcs(verdict, out);
	print_hosts(verdict, out);
	print_clock_steps(verdict, out);
}

int report_text(const json_t *verdict, FILE *out)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);

	if (memory)
		print(verdict, memory);
	if (!memory || fclose(memory) != 0) {
		free(text);
		return -ENOMEM;
	}
	err_make_harmless(text, true);
	(void)fputs(text, out);
	free(text);
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
