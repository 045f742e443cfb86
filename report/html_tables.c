/* SPDX-License-Identifier: MIT */
/*
 * html_tables.c - what of the verdict is words and figures.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "judge.h"
#include "record.h"
#include "units.h"

#define HUNG_SHOWN 200
#define DAMAGE_SHOWN 50
#define EVENTS_SHOWN 500

static json_t *get(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

static void put(FILE *out, const char *before, const char *text, const char *after)
{
	(void)fputs(before, out);
	html_text(out, text);
	(void)fputs(after, out);
}

static void put_list(FILE *out, const json_t *list, const char *title)
{
	size_t i;
	const json_t *text;

	if (json_array_size(list) == 0)
		return;
	(void)fprintf(out, "<div class=\"reasons\"><strong>%s</strong><ul>\n", title);
	json_array_foreach(list, i, text)
		put(out, "<li>", json_string_value(text), "</li>\n");
	(void)fputs("</ul></div>\n", out);
}

/* What was read is not what was written: whatever the verdict is, this comes first. */
static void put_damage(const struct page *page)
{
	const json_t *damage = get(page->verdict, "damage"), *item;
	size_t i;

	if (html_number(damage, "ops") == 0)
		return;
	(void)fprintf(page->out, "<div class=\"reasons damage\"><strong>Damage: %lld ops read something else than what was written there</strong><ul>\n", html_number(damage, "ops"));
	json_array_foreach(get(damage, "first"), i, item) {
		if (i == DAMAGE_SHOWN)
			break;
		put(page->out, "<li><code>", html_string(item, "path"), "</code>");
		put(page->out, " on ", html_string(item, "host"), "");
		put(page->out, ", job ", html_string(item, "job"), "");
		(void)fprintf(page->out, ", at byte %lld: ", html_number(item, "offset"));
		put(page->out, "", html_string(item, "found"), "</li>\n");
	}
	(void)fprintf(page->out, "</ul>%s</div>\n", json_array_size(get(damage, "first")) > DAMAGE_SHOWN ? "<p>verdict.json names the first of each host.</p>" : "");
}

static void put_tile(FILE *out, const char *class, const char *value, const char *what)
{
	(void)fprintf(out, "<li class=\"%s\"><b>", class);
	html_text(out, value);
	(void)fprintf(out, "</b> %s</li>\n", what);
}

static void put_tiles(const struct page *page)
{
	const json_t *sites = get(page->verdict, "sites"), *recovery = get(page->verdict, "recovery"), *peak = get(get(page->verdict, "herd"), "rpc_peak_ratio");
	static const char *const states[] = { "failed", "slow", "ok" };
	char value[64], what[128], text[24];

	if (html_number(sites, "total") == 0)
		return;
	(void)fputs("<ul class=\"tiles\">\n", page->out);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(value, sizeof value, "%lld", html_number(sites, states[i]));
		(void)snprintf(what, sizeof what, "of %lld sites %s", html_number(sites, "total"),
			       i == 0 ? "failed" : i == 1 ? "were slow" : "ok all the time");
		put_tile(page->out, i == 0 ? "down" : states[i], value, what);
	}
	(void)snprintf(value, sizeof value, "%lld", html_number(page->verdict, "failed_while_others_ok"));
	(void)snprintf(what, sizeof what, "of %lld pages failed or took over 30 s while others were served", html_number(sites, "pages"));
	put_tile(page->out, "", value, what);
	if (json_is_integer(get(recovery, "ns"))) {
		(void)snprintf(what, sizeof what, "from %.60s to 99 %% of the sites ok", html_string(recovery, "after"));
		put_tile(page->out, "", html_duration((double)html_number(recovery, "ns"), text, sizeof text), what);
	} else if (*html_string(recovery, "after") != '\0') {
		put_tile(page->out, "down", "not back", "99 % of the sites were not ok again by the end of the run");
	}
	if (json_is_number(peak)) {
		(void)snprintf(value, sizeof value, "%.3g x", json_number_value(peak));
		put_tile(page->out, "", value, "the baseline's RPCs in the greatest second of the herd");
	}
	(void)fputs("</ul>\n", page->out);
}

void html_head(const struct page *page)
{
	const json_t *v = page->verdict;
	const char *verdict = html_string(v, "verdict");
	bool judged = strcmp(verdict, "void") != 0 && strcmp(verdict, "inconclusive") != 0;
	const json_t *away;
	char start[64];
	size_t i;

	put(page->out, "<header>\n<p class=\"profile\">", html_string(v, "profile"), "</p>\n");
	(void)fprintf(page->out, "<h1 class=\"verdict %s\">", judged ? (json_is_true(get(v, "expected")) ? "as-expected" : "unexpected") : "open");
	html_text(page->out, verdict);
	(void)fprintf(page->out, "<small>%s</small></h1>\n", judge_expected_text(v));
	put(page->out, "<p class=\"run\">run ", html_string(v, "run"), "");
	(void)fprintf(page->out, ", seed %lld", html_number(v, "seed"));
	if (*html_string(v, "arm") != '\0')
		put(page->out, ", arm ", html_string(v, "arm"), "");
	(void)fprintf(page->out, "%s, squall ", judge_start_text(v, start, sizeof start));
	html_text(page->out, html_string(get(v, "squall"), "version"));
	put(page->out, " ", html_string(get(v, "squall"), "commit"), "</p>\n");
	json_array_foreach(get(v, "away"), i, away)
		(void)fprintf(page->out, "<p class=\"run\">squall run was away from %.1f to %.1f s: the run went on without it</p>\n", (double)html_number(away, "from_ns") / 1e9,
			      (double)html_number(away, "to_ns") / 1e9);
	put_damage(page);
	put_list(page->out, get(v, "void_reasons"), "Void, because");
	put_list(page->out, get(v, "doubts"), "Open, because");
	put_tiles(page);
	(void)fputs("</header>\n", page->out);
}

static void put_instant(FILE *out, const json_t *ns)
{
	if (json_is_integer(ns))
		(void)fprintf(out, "<td>%.1f s</td>", json_number_value(ns) / 1e9);
	else
		(void)fputs("<td>-</td>", out);
}

static void put_signature(const struct page *page)
{
	const json_t *line;
	const char *name;
	int nr = 0;

	if (json_object_size(get(page->verdict, "signature")) == 0)
		return;
	(void)fputs("<table class=\"signature\"><thead><tr><th></th><th class=\"text\">line</th><th>held at</th><th class=\"text\">asks for, and what was seen</th></tr></thead>\n<tbody>\n", page->out);
	json_object_foreach(get(page->verdict, "signature"), name, line) {
		bool held = json_is_true(get(line, "held"));

		(void)fprintf(page->out, "<tr class=\"%s\"><td class=\"mark\">%s</td><th scope=\"row\">%d. ", held ? "is-held" : "not-held", held ? "\u2713" : "\u2717", ++nr);
		put(page->out, "", name, "</th>");
		put_instant(page->out, get(line, "at_ns"));
		put(page->out, "<td class=\"text\"><code>", html_string(line, "text"), "</code><br/>");
		put(page->out, "", html_string(line, "evidence"), "</td></tr>\n");
	}
	(void)fputs("</tbody></table>\n", page->out);
}

static void put_faults(const struct page *page)
{
	size_t i;
	const json_t *fault;

	if (json_array_size(get(page->verdict, "faults")) == 0)
		return;
	(void)fputs("<table><thead><tr><th>fault</th><th>host</th><th>from</th><th>to</th><th>in force</th><th>healed</th><th class=\"text\">evidence</th></tr></thead>\n<tbody>\n",
		    page->out);
	json_array_foreach(get(page->verdict, "faults"), i, fault) {
		put(page->out, "<tr><th scope=\"row\">", html_string(fault, "fault"), "</th>");
		put(page->out, "<td>", html_string(fault, "host"), "</td>");
		put_instant(page->out, get(fault, "inject_ns"));
		put_instant(page->out, get(fault, "heal_ns"));
		put(page->out, "<td>", html_string(fault, "verified"), "</td>");
		put(page->out, "<td>", html_string(fault, "healed"), "");
		if (*html_string(fault, "healed_by") != '\0')
			put(page->out, " by ", strcmp(html_string(fault, "healed_by"), html_string(fault, "fault")) == 0 ? "itself" : html_string(fault, "healed_by"), "");
		put(page->out, "</td><td class=\"text\">", html_string(fault, "evidence"), "</td></tr>\n");
	}
	(void)fputs("</tbody></table>\n", page->out);
}

void html_evidence(const struct page *page)
{
	if (json_object_size(get(page->verdict, "signature")) == 0 && json_array_size(get(page->verdict, "faults")) == 0)
		return;
	(void)fputs("<section>\n<h2>The evidence</h2>\n", page->out);
	put_signature(page);
	put_faults(page);
	(void)fputs("</section>\n", page->out);
}

struct events {
	const struct page *page;
	unsigned int nr;
};

/* t_ns, host, kind, fault_idx, evidence */
static int put_event(void *row, void *arg)
{
	struct events *events = arg;
	const struct profile *profile = events->page->profile;
	int fault = sqlite3_column_type(row, 3) == SQLITE_NULL ? -1 : sqlite3_column_int(row, 3);
	FILE *out = events->page->out;

	if (events->nr++ >= EVENTS_SHOWN)
		return 0;
	if (events->nr == 1)
		(void)fputs("<details><summary>What was done and what happened, in order</summary>\n<div class=\"scroll\"><table id=\"events\"><thead><tr><th scope=\"col\">at</th>"
			    "<th class=\"text\" scope=\"col\">host</th><th class=\"text\" scope=\"col\">what</th><th class=\"text\" scope=\"col\">fault</th><th class=\"text\" scope=\"col\"></th>"
			    "</tr></thead>\n<tbody>\n", out);
	(void)fprintf(out, "<tr><td>%.1f s</td>", (double)sqlite3_column_int64(row, 0) / 1e9);
	put(out, "<td class=\"text\">", record_text(row, 1), "</td>");
	put(out, "<td class=\"text\">", record_text(row, 2), "</td>");
	put(out, "<td class=\"text\">", fault >= 0 && fault < (int)profile->faults_nr ? profile->faults[fault].fault : "", "</td>");
	put(out, "<td class=\"text\">", record_text(row, 4), "</td></tr>\n");
	return 0;
}

/* A fault that is as it was found to be before is not told of again. */
int html_events(const struct page *page)
{
	static const char sql[] = "SELECT t_ns, host, kind, fault_idx, evidence FROM (SELECT rowid AS nr, *, substr(evidence, 1, instr(evidence, ':')) IS"
				  " LAG(substr(evidence, 1, instr(evidence, ':'))) OVER (PARTITION BY fault_idx, kind ORDER BY rowid) AS again FROM events)"
				  " WHERE kind <> 'utc' AND NOT (kind = 'verify' AND again) ORDER BY t_ns, nr";
	struct events events = { .page = page };
	int rc = record_query(page->record, sql, NULL, put_event, &events, page->err);

	if (events.nr > 0)
		(void)fputs("</tbody></table></div>\n", page->out);
	if (events.nr > EVENTS_SHOWN)
		(void)fprintf(page->out, "<p class=\"note\">%u more are in run.db (table events).</p>\n", events.nr - EVENTS_SHOWN);
	if (events.nr > 0)
		(void)fputs("</details>\n", page->out);
	return rc;
}

static long long errors_of(const json_t *counts)
{
	long long all = 0;
	const char *name;
	const json_t *nr;

	json_object_foreach(get(counts, "errors"), name, nr)
		all += (long long)json_integer_value(nr);
	return all;
}

static void put_job_row(const struct page *page, const char *class, const char *name, const char *of, const json_t *counts)
{
	static const char *const names[] = { "p50", "p90", "p99", "p999", "max" };

	(void)fprintf(page->out, "<tr class=\"%s\"><th scope=\"row\">", class);
	html_text(page->out, name);
	(void)fprintf(page->out, "</th><td>%lld</td><td>%lld</td><td>%lld</td><td>%lld</td><td>%lld</td>", html_number(counts, "due"), html_number(counts, "ok"), errors_of(counts),
		      html_number(counts, "unknown"), html_number(counts, "in_flight") + html_number(counts, "not_issued"));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		html_quantile(page->out, "td", of, get(counts, "response"), names[i]);
	(void)fputs("</tr>\n", page->out);
}

static void put_retry_row(const struct page *page, const char *class, const char *name, const json_t *retry)
{
	static const char *const keys[] = { "attempts", "failed", "abandoned", "late_ok", "late_errors" };
	const json_t *ratio = get(retry, "amplification");

	if (html_number(retry, "attempts") == 0)
		return;
	(void)fprintf(page->out, "<tr class=\"%s\"><th scope=\"row\">", class);
	html_text(page->out, name);
	(void)fputs("</th>", page->out);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		(void)fprintf(page->out, "<td>%lld</td>", html_number(retry, keys[i]));
	(void)fprintf(page->out, "<td>%.2f</td></tr>\n", json_number_value(ratio));
}

/* Nothing when no job tries again. */
static void put_retries(const struct page *page)
{
	const char *name, *phase;
	const json_t *job, *part;
	bool any = false;

	json_object_foreach(get(page->verdict, "jobs"), name, job)
		any = any || get(job, "retry");
	if (!any)
		return;
	(void)fputs("<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">attempts</th><th scope=\"col\">begun</th><th scope=\"col\">failed</th>"
		    "<th scope=\"col\">given up</th><th scope=\"col\">late, ok</th><th scope=\"col\">late, error</th><th scope=\"col\">an arrival</th></tr></thead>\n<tbody>\n",
		    page->out);
	json_object_foreach(get(page->verdict, "jobs"), name, job) {
		put_retry_row(page, "job", name, get(job, "retry"));
		json_object_foreach(get(job, "phases"), phase, part)
			put_retry_row(page, "part", phase, get(part, "retry"));
	}
	(void)fputs("</tbody></table></div>\n", page->out);
}

/* Which errors they were, and which jobs another engine did than they name. */
static void put_job_notes(const struct page *page)
{
	const char *name, *other;
	const json_t *job, *value;

	json_object_foreach(get(page->verdict, "jobs"), name, job) {
		bool first = true;

		json_object_foreach(get(job, "errors"), other, value) {
			put(page->out, first ? "<p>" : "", first ? name : "", first ? ", errors: " : ", ");
			(void)fprintf(page->out, "%lld ", (long long)json_integer_value(value));
			html_text(page->out, other);
			first = false;
		}
		(void)fputs(first ? "" : "</p>\n", page->out);
		json_object_foreach(get(job, "engines"), other, value)
			if (*html_string(value, "why") != '\0') {
				put(page->out, "<p>", other, ": ");
				put(page->out, "", html_string(value, "why"), "</p>\n");
			}
	}
}

void html_jobs(const struct page *page)
{
	const char *name, *phase, *op;
	const json_t *job, *part;
	char of[3 * NAME_BYTES];

	(void)fputs("<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">response time</th><th scope=\"col\">due</th><th scope=\"col\">ok</th><th scope=\"col\">errors</th>"
		    "<th scope=\"col\">timed out</th><th scope=\"col\">never done</th><th scope=\"col\">p50</th><th scope=\"col\">p90</th><th scope=\"col\">p99</th>"
		    "<th scope=\"col\">p99.9</th><th scope=\"col\">max</th></tr></thead>\n<tbody>\n", page->out);
	json_object_foreach(get(page->verdict, "jobs"), name, job) {
		put_job_row(page, "job", name, name, job);
		json_object_foreach(get(job, "phases"), phase, part) {
			(void)snprintf(of, sizeof of, "%s phase %s", name, phase);
			if (html_number(part, "due") > 0)
				put_job_row(page, "part", phase, of, part);
		}
		json_object_foreach(get(job, "ops"), op, part) {
			(void)snprintf(of, sizeof of, "%s op %s", name, op);
			put_job_row(page, "part op", op, of, part);
		}
	}
	(void)fputs("</tbody></table></div>\n", page->out);
	put_job_notes(page);
	put_retries(page);
	(void)fputs("</section>\n", page->out);
}

static void put_cell(const struct page *page, const json_t *value, double unit, const char *format)
{
	(void)fputs("<td>", page->out);
	if (json_is_number(value))
		(void)fprintf(page->out, "%.3g%s", json_number_value(value) * unit, format);
	(void)fputs("</td>", page->out);
}

void html_layers(const struct page *page)
{
	if (json_array_size(get(page->verdict, "faults")) == 0)
		return;
	(void)fputs("<section>\n<h2>The layers, before and under the faults</h2>\n<table class=\"numbers\"><thead><tr><th></th><th scope=\"col\">baseline</th><th scope=\"col\">under fault</th>"
		    "</tr></thead>\n<tbody>\n", page->out);
	for (const struct layer *l = layer_rows; l->key; l++) {
		const json_t *row = get(get(page->verdict, "layers"), l->key);

		if (!l->what)
			continue;
		(void)fprintf(page->out, "<tr><th scope=\"row\">%s</th>", l->what);
		put_cell(page, get(row, "baseline"), l->scale, l->unit);
		put_cell(page, get(row, "under_fault"), l->scale, l->unit);
		(void)fputs("</tr>\n", page->out);
	}
	(void)fputs("</tbody></table>\n</section>\n", page->out);
}

static void put_stack(FILE *out, const json_t *stack)
{
	size_t i;
	const json_t *frame;

	if (json_array_size(stack) == 0) {
		(void)fputs("<td></td>", out);
		return;
	}
	(void)fputs("<td class=\"text\"><details><summary>stack</summary><pre>", out);
	json_array_foreach(stack, i, frame)
		put(out, "", json_string_value(frame), "\n");
	(void)fputs("</pre></details></td>", out);
}

static void put_rpcs(const struct page *page)
{
	json_t *lines = rpcs_lines(page->verdict), *nr;
	const char *line;

	if (json_object_size(lines) > 0) {
		(void)fprintf(page->out, "<p>%lld RPCs of the kernel were in flight then:</p>\n<ul class=\"rpcs\">\n", html_number(get(page->verdict, "rpcs"), "nr"));
		json_object_foreach(lines, line, nr) {
			(void)fprintf(page->out, "<li>%lld ", (long long)json_integer_value(nr));
			put(page->out, "", line, "</li>\n");
		}
		(void)fputs("</ul>\n", page->out);
	}
	json_decref(lines);
}

void html_hung(const struct page *page)
{
	const json_t *list = get(page->verdict, "hung"), *op;
	char age[24];
	size_t i;

	(void)fputs("<section>\n<h2>In flight when the run ended</h2>\n", page->out);
	if (json_array_size(list) == 0) {
		/* In a void run a host may have been lost before it told. */
		(void)fprintf(page->out, "<p>%s</p>\n</section>\n", strcmp(html_string(page->verdict, "verdict"), "void") == 0 ? "None is recorded; the run is void, so it is not known." :
			      "Nothing: everything that was begun had ended.");
		return;
	}
	(void)fprintf(page->out, "<p>%zu ops had not come back.</p>\n<div class=\"scroll\"><table class=\"hung\"><thead><tr><th scope=\"col\">op</th><th scope=\"col\">for</th><th scope=\"col\">host</th>"
				 "<th scope=\"col\">pid, tid</th><th scope=\"col\">waits in</th><th class=\"text\" scope=\"col\">path</th><th></th></tr></thead>\n<tbody>\n", json_array_size(list));
	json_array_foreach(list, i, op) {
		if (i == HUNG_SHOWN)
			break;
		put(page->out, "<tr><th scope=\"row\">", html_string(op, "op"), "</th>");
		(void)fprintf(page->out, "<td>%s</td>", html_duration((double)html_number(op, "age_ns"), age, sizeof age));
		put(page->out, "<td>", html_string(op, "host"), "</td>");
		(void)fprintf(page->out, "<td>%lld, %lld</td>", html_number(op, "pid"), html_number(op, "tid"));
		put(page->out, "<td><code>", html_string(op, "wchan"), "</code></td>");
		put(page->out, "<td class=\"text\"><code>", html_string(op, "path"), "</code></td>");
		put_stack(page->out, get(op, "stack"));
		(void)fputs("</tr>\n", page->out);
	}
	(void)fputs("</tbody></table></div>\n", page->out);
	if (json_array_size(list) > HUNG_SHOWN)
		(void)fprintf(page->out, "<p class=\"note\">%zu more are in verdict.json.</p>\n", json_array_size(list) - HUNG_SHOWN);
	put_rpcs(page);
	(void)fputs("</section>\n", page->out);
}

/* Of what the page cache of a client answers, the server under test knows nothing. */
void html_wire(const struct page *page)
{
	const json_t *wire = get(page->verdict, "wire"), *dataset = get(page->verdict, "dataset"), *host;
	char size[24];
	size_t i;

	if (json_array_size(wire) == 0)
		return;
	(void)fputs("<section>\n<h2>What reached the server</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">host</th><th scope=\"col\">ops</th><th scope=\"col\">RPCs</th>"
		    "<th scope=\"col\">reads</th><th scope=\"col\">READ calls</th><th class=\"text\" scope=\"col\">mounted with</th></tr></thead>\n<tbody>\n", page->out);
	json_array_foreach(wire, i, host) {
		put(page->out, "<tr><th scope=\"row\">", html_string(host, "host"), "</th>");
		(void)fprintf(page->out, "<td>%lld</td><td>%lld</td><td>%lld</td><td>%lld</td>", html_number(host, "ops"), html_number(host, "rpcs"), html_number(host, "reads"),
			      html_number(host, "read_rpcs"));
		put(page->out, "<td class=\"text\"><code>", html_string(host, "mount"), "</code></td></tr>\n");
	}
	(void)fputs("</tbody></table></div>\n<p class=\"note\">Reads that made no READ call were answered by the page cache of the host.", page->out);
	if (html_number(dataset, "bytes") > 0)
		(void)fprintf(page->out, " The dataset has %s; caches %s.", units_format_bytes((uint64_t)html_number(dataset, "bytes"), size, sizeof size),
			      strcmp(html_string(dataset, "cache"), "cold") == 0 ? "were dropped before the load" : "were as they were");
	(void)fputs("</p>\n</section>\n", page->out);
}

static const json_t *client_of(const struct page *page, const char *host)
{
	const json_t *client;
	size_t i;

	json_array_foreach(get(page->verdict, "clients"), i, client)
		if (strcmp(html_string(client, "host"), host) == 0)
			return client;
	return NULL;
}

static void put_duration(FILE *out, const json_t *ns)
{
	char text[24];

	(void)fprintf(out, "<td>%s</td>", json_is_integer(ns) ? html_duration(json_number_value(ns), text, sizeof text) : "");
}

/* Nothing of a host that told nothing, or only that nothing is set. */
static void put_config(FILE *out, const json_t *host)
{
	static const char *const parts[][2] = { { "exports", "exports" }, { "nfs", "nfs.conf" }, { "drbd", "DRBD" } };
	const json_t *config = get(host, "config");
	bool any = false;

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const char *text = html_string(config, parts[i][0]);

		if (*text == '\0')
			continue;
		if (!any)
			put(out, "<details class=\"config\"><summary>configuration of ", html_string(host, "name"), "</summary>\n");
		any = true;
		(void)fprintf(out, "<p>%s</p>\n", parts[i][1]);
		put(out, "<pre>", text, "</pre>\n");
	}
	if (any)
		(void)fputs("</details>\n", out);
}

void html_hosts(const struct page *page)
{
	const json_t *host, *role, *client, *step;
	size_t i, k;
	char by[24];

	(void)fputs("<section>\n<h2>Hosts</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">host</th><th scope=\"col\">roles</th><th scope=\"col\">clock known to</th><th scope=\"col\">lag p99</th>"
		    "<th scope=\"col\">lost at</th><th scope=\"col\">first new page after the cure</th><th scope=\"col\">mount</th><th scope=\"col\">reconnects</th></tr></thead>\n<tbody>\n",
		    page->out);
	json_array_foreach(get(page->verdict, "hosts"), i, host) {
		put(page->out, "<tr><th scope=\"row\">", html_string(host, "name"), "</th><td>");
		json_array_foreach(get(host, "roles"), k, role)
			put(page->out, k > 0 ? ", " : "", json_string_value(role), "");
		(void)fputs("</td>", page->out);
		put_duration(page->out, get(host, "offset_error_ns"));
		put_duration(page->out, get(host, "lag_p99_ns"));
		put_instant(page->out, get(host, "lost_at_ns"));
		client = client_of(page, html_string(host, "name"));
		put_duration(page->out, get(client, "back_ns"));
		(void)fprintf(page->out, "<td>%s</td>", !json_is_integer(get(client, "mounted_anew")) ? "" : html_number(client, "mounted_anew") == 0 ? "still the same" : "anew");
		put_cell(page, get(client, "reconnects"), 1, "");
		(void)fputs("</tr>\n", page->out);
	}
	(void)fputs("</tbody></table></div>\n", page->out);
	json_array_foreach(get(page->verdict, "hosts"), i, host)
		put_config(page->out, host);
	json_array_foreach(get(page->verdict, "clock_steps"), i, step) {
		put(page->out, "<p>", html_string(step, "host"), "");
		(void)fprintf(page->out, ": its clock of the day was set %s by %s at %.1f s: no latency is measured by it, but its logs are</p>\n",
			      html_number(step, "by_ns") < 0 ? "back" : "forward", html_duration((double)llabs(html_number(step, "by_ns")), by, sizeof by),
			      (double)html_number(step, "at_ns") / 1e9);
	}
	(void)fputs("</section>\n", page->out);
}
