/* SPDX-License-Identifier: MIT */
/*
 * html.c - report.html: the verdict and its evidence, the run on one clock, where the latencies lay, and what never came back.
 */
#include "html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "percentiles.h"
#include "record.h"
#include "report.h"
#include "units.h"

#define POINTS_MAX 960		/* one a pixel of the plots */

#define EMBED(name, file)                                                                                                    \
	__asm__(".section .rodata\n" #name "_data:\n.incbin \"report/page/" file "\"\n" #name "_end:\n.byte 0\n.previous\n"); \
	extern const char name##_data[] __asm__(#name "_data"), name##_end[] __asm__(#name "_end")

EMBED(page_style, "style.css");
EMBED(page_script, "script.js");

void html_text(FILE *out, const char *text)
{
	for (; text && *text != '\0'; text++)
		switch (*text) {
		case '<':
			(void)fputs("&lt;", out);
			break;
		case '>':
			(void)fputs("&gt;", out);
			break;
		case '&':
			(void)fputs("&amp;", out);
			break;
		case '"':
			(void)fputs("&quot;", out);
			break;
		default:
			/* A control character has no place in XML, not even as a number. */
			(void)fputc((unsigned char)*text < ' ' && *text != '\n' && *text != '\t' ? '?' : *text, out);
		}
}

const char *html_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

long long html_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

const char *html_duration(double ns, char *ret, size_t bytes)
{
	return units_format_ns(ns > 0 ? (uint64_t)ns : 0, ret, bytes);
}

void html_quantile(FILE *out, const char *tag, const char *of, const json_t *response, const char *name)
{
	char text[24];
	uint64_t ns;
	int reached = percentiles_value(response, name, &ns);

	if (!reached && ns == 0) {
		(void)fprintf(out, "<%s>-</%s>", tag, tag);
		return;
	}
	(void)fprintf(out, "<%s data-of=\"", tag);
	html_text(out, of);
	(void)fprintf(out, " %s\" data-%s=\"%llu\"%s>%s%s</%s>", name, reached ? "ns" : "at-least-ns", (unsigned long long)ns, reached ? "" : " class=\"bound\"",
		      reached ? "" : "\u2265 ", units_format_ns(ns, text, sizeof text), tag);
}

const struct series *html_series(const struct page *page, const char *job, const char *op)
{
	for (size_t i = 0; i < page->list.nr; i++)
		if (strcmp(page->list.series[i].job, job) == 0 && strcmp(page->list.series[i].op, op) == 0)
			return &page->list.series[i];
	return NULL;
}

static int fill(const struct page *page)
{
	FILE *out = page->out;
	int rc;

	(void)fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n"
		    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>", out);
	html_text(out, html_string(page->verdict, "profile"));
	(void)fputs(": ", out);
	html_text(out, html_string(page->verdict, "verdict"));
	(void)fputs("</title>\n<style>\n", out);
	(void)fwrite(page_style_data, 1, (size_t)(page_style_end - page_style_data), out);
	(void)fputs("</style>\n</head>\n<body>\n<main>\n", out);
	html_head(page);
	html_evidence(page);
	rc = html_events(page);
	html_timeline(page);
	html_seconds(page);
	html_heat_maps(page);
	if (rc == 0)
		rc = html_curves(page);
	html_jobs(page);
	html_layers(page);
	html_wire(page);
	html_hung(page);
	html_hosts(page);
	(void)fputs("</main>\n<script>\n", out);
	(void)fwrite(page_script_data, 1, (size_t)(page_script_end - page_script_data), out);
	(void)fputs("</script>\n</body>\n</html>\n", out);
	return rc < 0 ? rc : fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

static int take_last(void *row, void *arg)
{
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

/*
 * The clock goes to the end of the last phase, or of a run that was over before, and on to the last that there is to be seen: what ended or was in flight
 * later, a fault that was healed later, a line that was held later.
 */
static int find_end(struct page *page)
{
	static const char sql[] =
		"SELECT MAX(t) FROM (SELECT COALESCE(MIN(MAX(end_ns), ?1 + 0), ?1 + 0) AS t FROM phases"
		" UNION ALL SELECT COALESCE(heal_ns, ?1 + 0) FROM faults WHERE inject_ns IS NOT NULL AND fault <> 'none'"
		" UNION ALL SELECT (second + 1) * 1000000000 FROM intervals WHERE ok + unknown > 0 UNION ALL SELECT (second + 1) * 1000000000 FROM errors"
		" UNION ALL SELECT (second + 1) * 1000000000 FROM job_seconds WHERE in_flight + waiting > 0)";
	char run_end[24];
	int64_t end_ns = 0;
	const char *name;
	json_t *line;
	int rc;

	(void)snprintf(run_end, sizeof run_end, "%lld", (long long)metrics_end(page->metrics));
	rc = record_query(page->record, sql, (const char *const[]){ run_end, NULL }, take_last, &end_ns, page->err);
	json_object_foreach(json_object_get((json_t *)(uintptr_t)page->verdict, "signature"), name, line)
		end_ns = html_number(line, "at_ns") > end_ns ? html_number(line, "at_ns") : end_ns;
	page->end_s = end_ns > SECOND ? (end_ns + SECOND - 1) / SECOND : 1;
	return rc;
}

int report_html(struct record *record, const json_t *verdict, FILE *out, struct err *err)
{
	char *text = record_meta_get(record, "profile");
	struct profile profile = PROFILE_INIT;
	struct page page = { .out = out, .record = record, .verdict = verdict, .profile = &profile, .err = err };
	int rc = text ? profile_parse(text, "profile of the record", NULL, &profile, err) : err_set(err, -EBADMSG, "the record holds no profile");

	if (rc == 0)
		rc = metrics_open(record, 0, &page.metrics, err);
	if (rc == 0)
		rc = series_read(record, &profile, metrics_end(page.metrics) / SECOND / POINTS_MAX + 1, &page.list, err);
	if (rc == 0)
		rc = find_end(&page);
	if (rc == 0)
		rc = fill(&page);
	series_release(&page.list);
	metrics_close(page.metrics);
	profile_release(&profile);
	free(text);
	return rc;
}
