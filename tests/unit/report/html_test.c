/* SPDX-License-Identifier: MIT */
/*
 * html_test.c - report.html: well-formed, alone in the world, and with the figures of verdict.json.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fixture.h"
#include "report.h"

#define DEPTH_MAX 64

static struct record *record;
static json_t *verdict;
static char *page;

static void write_page(void)
{
	struct err err = ERR_INIT;
	size_t bytes;
	FILE *out = open_memstream(&page, &bytes);

	cr_assert_eq(report_html(record, verdict, out, &err), 0, "%s", err.text);
	fclose(out);
}

static void print(void)
{
	verdict = fixture_judge(record);
	write_page();
}

/* The fixture with a fault, a stall that nothing came back from, seconds of which nothing is known, and texts that try to be markup. */
static void make(void)
{
	record = fixture_open("  stuck: nfsd.hung_ratio >= 0.5\n  never: load.in_flight > 100 for 5s");
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59)"
			    " INSERT INTO job_seconds SELECT i, 'c', 'web', (i + 1) * 10, 10, 10, 0, 0, 3, 1, 0, 1 + i * 1000000 FROM n WHERE i NOT BETWEEN 30 AND 34");
	fixture_sql(record, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"
			    " INSERT INTO samples SELECT i * 1000000000, 's', 'nfsd.total_ns', '', i * 1000000000, '' FROM n UNION ALL"
			    " SELECT i * 1000000000, 's', 'nfsd.hung_ns', '', MIN(MAX(i - 20, 0), 20) * 900000000, '' FROM n UNION ALL"
			    " SELECT i * 1000000000, 's', 'drbd.oldest_request_ns', '', 7000000, '' FROM n");
	fixture_sql(record, "INSERT INTO intervals SELECT second, host, job, 'stat', phase, ok, 0, response, service FROM intervals");
	fixture_sql(record, "INSERT INTO faults VALUES(0, 'drbd-link-delay', 's', 'confirmed', 'confirmed', 25000000000, 35000000000, 'heal', 'a < b && \"c\" > d\x01')");
	fixture_sql(record, "INSERT INTO hung VALUES('c', 1, 2, 'read', '</td><script>alert(1)</script>', 9000000000, 'rpc_wait', '[\"a<b\"]')");
	fixture_sql(record, "INSERT INTO meta VALUES('rpcs.c', '{\"nr\": 7, \"first\": [{\"server\": \"<script>\", \"rpc\": \"nfsv3 READ\", \"xid\": \"0x1\","
			    " \"action\": \"call_status\", \"queue\": \"xprt_pending\", \"status\": 0}]}')");
	fixture_sql(record, "INSERT INTO hosts VALUES('s<1>', 'observe', 0, 0, 0, NULL), ('d', 'observe', 0, 0, 0, NULL)");
	fixture_sql(record, "INSERT INTO samples VALUES(0, 's<1>', 'config.exports', '', 1, '/a *(rw)\n</pre><script>b&c'), (0, 's<1>', 'config.nfs', '', 1, ''),"
			    " (0, 's<1>', 'config.drbd', '', 1, 'resource r0 {'), (0, 'd', 'config.exports', '', 1, '')");
	fixture_sql(record, "INSERT INTO events VALUES(25000000000, 's', 'injected', 0, 'netem <1>'), (26000000000, 's', 'verify', 0, 'confirmed: 1'),"
			    " (28000000000, 's', 'verify', 0, 'confirmed: 2'), (30000000000, 's', 'verify', 0, 'inconclusive: tc'), (32000000000, 's', 'verify', 0, 'confirmed: 3'),"
			    " (27000000000, 'c', 'back', NULL, 'the agent answers again')");
	fixture_sql(record, "INSERT INTO samples VALUES(0, 'c', 'mount.ops', 'READ', 0, ''), (9000000000, 'c', 'mount.ops', 'READ', 70, ''),"
			    " (0, 'c', 'mount.options', '', 0, 'vers=4.2,<hard>')");
	fixture_censored(record, "storm", "in_flight", 300, S, 9 * S);
	fixture_sql(record, "UPDATE totals SET due = 930, in_flight = 300, errors = '{\"EIO\": 20, \"ESTALE\": 10}'");
	fixture_sql(record, "INSERT INTO meta VALUES('engines.c', '{\"web\": {\"engine\": \"sync\", \"why\": \"web is done by sync: no io_uring here\"}}')");
	fixture_sql(record, "INSERT INTO meta VALUES('retries.c', '{\"web\": [{\"phase\": \"storm\", \"attempts\": 1000, \"failed\": 20, \"abandoned\": 80,"
			    " \"in_flight\": 300, \"late_ok\": 70, \"late_errors\": 1}]}')");
	fixture_sql(record, "INSERT INTO meta VALUES('damage.c', '{\"ops\": 3, \"first\": [{\"job\": \"web\", \"path\": \"s1/<f2>\", \"offset\": 512,"
			    " \"kind\": \"zeroes\", \"found\": \"zeroes\"}]}')");
	print();
}

static void release(void)
{
	json_decref(verdict);
	free(page);
}

static void end(void)
{
	release();
	fixture_close(record);
}

TestSuite(html, .init = make, .fini = end, .timeout = 60);

/* Attributes up to the end of a tag. @return what follows '>' */
static const char *read_attributes(const char *at, bool *ret_closed)
{
	for (;;) {
		size_t space = strspn(at, " \t\n"), name;

		at += space;
		*ret_closed = *at == '/';
		at += *ret_closed;
		if (*at == '>')
			return at + 1;
		name = strcspn(at, "= />\"<");
		cr_assert(space > 0 && name > 0 && at[name] == '=' && at[name + 1] == '"', "no attribute: %.60s", at);
		at += name + 2;
		at += strcspn(at, "\"<");
		cr_assert(*at == '"', "an attribute does not end: %.60s", at);
		at++;
	}
}

static void check_text(const char *at, size_t bytes)
{
	static const char *const known[] = { "&lt;", "&gt;", "&amp;", "&quot;" };

	for (size_t i = 0; i < bytes; i++) {
		bool fine = at[i] != '&';

		for (int k = 0; k < 4 && !fine; k++)
			fine = strncmp(at + i, known[k], strlen(known[k])) == 0;
		cr_assert(fine, "a bare ampersand: %.60s", at + i);
		cr_assert((unsigned char)at[i] >= ' ' || isspace((unsigned char)at[i]), "a control character: %.60s", at + i);
	}
}

Test(html, the_page_is_well_formed)
{
	char open[DEPTH_MAX][32];
	const char *at = page + strlen("<!DOCTYPE html>\n");
	int depth = 0;

	cr_assert_eq(strncmp(page, "<!DOCTYPE html>\n", 16), 0);
	while (*at != '\0') {
		size_t text = strcspn(at, "<"), name;
		bool closed = false;

		check_text(at, text);
		at += text;
		if (*at == '\0')
			break;
		if (at[1] == '/') {
			name = strcspn(at + 2, ">");
			cr_assert(depth > 0 && strlen(open[depth - 1]) == name && strncmp(open[depth - 1], at + 2, name) == 0, "%s is ended by %.40s",
				  depth > 0 ? open[depth - 1] : "nothing", at);
			depth--;
			at += name + 3;
			continue;
		}
		name = strcspn(at + 1, " />\n");
		cr_assert(name > 0 && name < sizeof open[0] && depth < DEPTH_MAX, "no tag: %.60s", at);
		snprintf(open[depth], sizeof open[0], "%.*s", (int)name, at + 1);
		at = read_attributes(at + 1 + name, &closed);
		depth += !closed;
	}
	cr_expect_eq(depth, 0, "%s does not end", depth > 0 ? open[depth - 1] : "");
}

Test(html, the_page_asks_nobody_for_anything)
{
	static const char *const banned[] = { "https:", "src=", "href=", "@import", "fetch(", "XMLHttpRequest", "<link", "<iframe", "alert(1)</script>", NULL };
	const char *at;

	for (int i = 0; banned[i]; i++)
		cr_expect(!strstr(page, banned[i]), "the page has %s", banned[i]);
	at = strstr(page, "http:");
	cr_expect(at && !strstr(at + 1, "http:") && strncmp(at - 7, "xmlns=\"http://www.w3.org/1999/xhtml\"", 36) == 0, "an address beside the name of the language");
	for (at = page; (at = strstr(at, "url(")); at++)
		cr_expect(strncmp(at, "url(#", 5) == 0, "%.40s", at);
	cr_expect(strstr(page, "default-src 'none'"));
	cr_expect(strstr(page, "&lt;/td&gt;&lt;script&gt;"), "the path of the hung op is not there");
}

/* "web", "web phase storm" or "web op stat" in the verdict. */
static const json_t *counts_of(const char *of)
{
	char job[64], kind[64] = "", name[64] = "";
	const json_t *counts;

	cr_assert_geq(sscanf(of, "%63s %63s %63s", job, kind, name), 1);
	counts = json_object_get(json_object_get(verdict, "jobs"), job);
	if (*kind != '\0')
		counts = json_object_get(json_object_get(counts, strcmp(kind, "phase") == 0 ? "phases" : "ops"), name);
	cr_assert(counts, "the verdict has no %s", of);
	return json_object_get(counts, "response");
}

Test(html, every_figure_is_that_of_the_verdict)
{
	size_t exact = 0, bounds = 0;

	for (const char *at = page; (at = strstr(at, "data-of=\"")); at++) {
		char of[128], quantile[16], kind[16], key[24];
		unsigned long long ns;
		const json_t *response, *value;
		char *space;

		cr_assert_eq(sscanf(at, "data-of=\"%127[^\"]\" data-%15[^=]=\"%llu\"", of, kind, &ns), 3, "%.80s", at);
		space = strrchr(of, ' ');
		cr_assert(space);
		snprintf(quantile, sizeof quantile, "%s", space + 1);
		*space = '\0';
		response = counts_of(of);
		snprintf(key, sizeof key, "%s_ns", quantile);
		value = strcmp(kind, "ns") == 0 ? json_object_get(response, key) : json_object_get(json_object_get(response, "at_least_ns"), quantile);
		cr_expect(json_is_integer(value) && (unsigned long long)json_integer_value(value) == ns, "%s %s: the page says %llu, the verdict %lld", of, quantile, ns,
			  (long long)json_integer_value(value));
		*(strcmp(kind, "ns") == 0 ? &exact : &bounds) += 1;
	}
	/* a third of the job was in flight at the end and more than half of its storm, all older than what ended */
	cr_expect_eq(exact + bounds, 5 * 5, "%zu figures", exact + bounds);
	cr_expect_eq(bounds, 4 + 5, "%zu bounds", bounds);
	cr_expect(strstr(page, "\u2265 9.00 s"));
}

static size_t count_of(const char *text)
{
	size_t n = 0;

	for (const char *at = page; (at = strstr(at, text)); at++)
		n++;
	return n;
}

Test(html, damage_is_told_before_all_else)
{
	const char *damage = strstr(page, "<strong>Damage: 3 ops read something else than what was written there</strong>");

	cr_assert_not_null(damage);
	cr_expect(damage < strstr(page, "<ul class=\"tiles\">"));
	cr_expect(strstr(damage, "<li><code>s1/&lt;f2&gt;</code> on c, job web, at byte 512: zeroes</li>"));
}

Test(html, errors_are_named_and_so_is_an_engine_that_is_not_the_one_of_the_profile)
{
	cr_expect(strstr(page, "<p>web, errors: 20 EIO, 10 ESTALE</p>"));
	cr_expect(strstr(page, "<p>c: web is done by sync: no io_uring here</p>"));
}

Test(html, what_happened_is_told_in_order_and_once)
{
	static const char *const told[] = { "<td>25.0 s</td><td class=\"text\">s</td><td class=\"text\">injected</td><td class=\"text\"></td><td class=\"text\">netem &lt;1&gt;</td>",
					    "confirmed: 1", "the agent answers again", "inconclusive: tc", "confirmed: 3" };
	const char *at = strstr(page, "<table id=\"events\">");

	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
		at = at ? strstr(at, told[i]) : NULL;
		cr_assert(at, "%s", told[i]);
	}
	cr_expect(!strstr(page, "confirmed: 2"));
}

Test(html, what_of_the_load_reached_the_server_is_shown)
{
	cr_expect(strstr(page, "<th scope=\"row\">c</th><td>600</td><td>70</td><td>0</td><td>70</td><td class=\"text\"><code>vers=4.2,&lt;hard&gt;</code></td>"));
}

Test(html, sites_that_did_not_come_back_have_a_tile)
{
	cr_expect(!strstr(page, "not back"));
	fixture_sql(record, "UPDATE pages SET outcome = 'EIO' WHERE due_ns > 20000000000");
	release();
	print();
	cr_expect(strstr(page, "<b>not back</b> 99 % of the sites were not ok again by the end of the run"));
}

Test(html, attempts_stand_in_a_table_of_their_own)
{
	cr_expect_eq(count_of("<th scope=\"row\">web</th><td>1000</td><td>20</td><td>80</td><td>70</td><td>1</td><td>1.08</td>"), 1);
	cr_expect_eq(count_of("<th scope=\"row\">storm</th><td>1000</td><td>20</td><td>80</td><td>70</td><td>1</td><td>2.00</td>"), 1);
}

Test(html, configurations_stand_below_the_hosts)
{
	cr_expect_eq(count_of("<summary>configuration of "), 1, "where nothing is set there is nothing to open");
	cr_expect(strstr(page, "<summary>configuration of s&lt;1&gt;</summary>\n<p>exports</p>\n<pre>/a *(rw)\n&lt;/pre&gt;&lt;script&gt;b&amp;c</pre>\n"
			       "<p>DRBD</p>\n<pre>resource r0 {</pre>\n</details>\n"));
}

Test(html, gaps_are_gaps_and_faults_are_shaded)
{
	char d[512] = "";
	int dots = 0;

	cr_expect_eq(count_of("<rect class=\"gap\""), 5, "30 to 34 s are not known: %zu", count_of("<rect class=\"gap\""));
	cr_expect_eq(count_of("<rect class=\"fault\""), 1);
	cr_expect_geq(count_of("<rect class=\"fault-shade\""), 2);
	cr_expect_eq(count_of("<g class=\"held\">"), 1, "one line of two is held");
	cr_expect_eq(count_of("<tr class=\"is-held\">"), 1);
	cr_expect_eq(count_of("<tr class=\"not-held\">"), 1);
	cr_expect_eq(count_of("<path class=\"threshold\""), 1, "a line of the signature asks something of nfsd");
	/* in each of three seconds something ended, none beside another: three dots, and no line */
	cr_assert_eq(sscanf(strstr(page, "<path class=\"line p50\""), "<path class=\"line p50\" d=\"%511[^\"]\"", d), 1);
	cr_expect(!strchr(d, 'L'), "a line over seconds in which nothing ended: %s", d);
	for (const char *at = d; (at = strchr(at, 'M')); at++)
		dots++;
	cr_expect_eq(dots, 3, "%s", d);
	cr_expect_eq(count_of("<th scope=\"row\">59</th>"), 1, "the table ends with the run");
}

/* One site is not 100 % of something, and 1204 are not 1e+03. */
Test(html, a_scale_of_sites_counts_them)
{
	static const struct {
		int total;
		const char *half, *all;
	} scales[] = { { 1, ">0.5</text>", ">1</text>" }, { 1204, ">602</text>", ">1204</text>" } };

	for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
		json_object_set_new(json_object_get(verdict, "sites"), "total", json_integer(scales[i].total));
		free(page);
		write_page();
		cr_expect(strstr(page, scales[i].half) && strstr(page, scales[i].all), "%d", scales[i].total);
		cr_expect_eq(count_of(">50 %</text>"), 1, "that of nfsd alone is one of shares");
	}
}

/* Values of a path of the panel of rates by their seconds, NAN where it has none. The fixture has 60 s on 960 units; `hi` lies 84 units above the foot. */
static void read_rates(const char *class, double foot, double hi, double ret[60])
{
	char mark[64];
	const char *at;
	int used;

	for (int i = 0; i < 60; i++)
		ret[i] = NAN;
	snprintf(mark, sizeof mark, "<path class=\"%s\" d=\"", class);
	at = strstr(strstr(page, "web: pages per second"), mark);
	cr_assert(at, "no %s", class);
	for (at += strlen(mark); *at != '"'; at += strcspn(at, "ML\"")) {
		double x, y, second;

		cr_assert_eq(sscanf(at, "%*[ML]%lf %lf%n", &x, &y, &used), 2, "%.40s", at);
		second = floor((x - 92) / 16);
		cr_assert(second >= 0 && second < 60, "%s at %.1f", class, x);
		ret[(int)second] = (foot - y) / 84 * hi;
		at += used;
	}
}

static double foot_of_rates(const char *hi)
{
	const char *at = strstr(strstr(page, "web: pages per second"), "<rect class=\"frame\"");
	char label[32];
	double top;

	cr_assert_eq(sscanf(at, "<rect class=\"frame\" x=\"92\" y=\"%lf\" width=\"960\" height=\"84.0\"/>", &top), 1, "%.80s", at);
	snprintf(label, sizeof label, "y=\"%.1f\">%s</text>", top + 4, hi);
	cr_expect(strstr(at, label), "the scale does not end with %s", hi);
	return top + 84;
}

Test(html, in_a_stall_what_is_done_falls_to_0_and_what_is_due_does_not)
{
	double ok[60], due[60], foot;

	fixture_sql(record, "INSERT INTO job_seconds VALUES(60, 'c', 'web', 600, 600, 600, 0, 0, 0, 0, 0, 0)");
	release();
	print();
	foot = foot_of_rates("300");
	cr_expect(strstr(page, ">150</text>"));
	read_rates("line ok", foot, 300, ok);
	read_rates("line due", foot, 300, due);
	for (int i = 0; i < 60; i++) {
		bool gap = i >= 30 && i <= 34;

		cr_expect_eq(isnan(ok[i]), gap, "%d s: %f", i, ok[i]);
		/* with the first second after it comes what was due in the gap as well */
		cr_expect_eq(isnan(due[i]), gap || i == 35, "%d s: %f", i, due[i]);
		cr_expect(gap || fabs(ok[i] - (i % 20 == 0 ? 200 : 0)) < 0.5, "%d s: %f", i, ok[i]);
		cr_expect(gap || i == 35 || fabs(due[i] - 10) < 0.5, "%d s: %f", i, due[i]);
	}
	cr_expect(strstr(page, "<th scope=\"row\">29</th><td>10</td><td>0</td><td>0</td><td>0</td><td></td>"));
	cr_expect(strstr(page, "<th scope=\"row\">30</th><td></td><td></td><td></td><td></td><td></td>"));
	cr_expect(strstr(page, "<th scope=\"row\">35</th><td></td><td>0</td><td>0</td><td>0</td><td></td>"));
}

Test(html, what_did_not_end_well_stands_in_its_second)
{
	double errors[60], bad[60], foot;

	fixture_sql(record, "UPDATE intervals SET ok = ok * 10");
	fixture_sql(record, "INSERT INTO errors VALUES(50, 'c', 'web', '', 'after', 'EIO', 300), (50, 'c', 'web', '', 'after', 'ESTALE', 100)");
	fixture_sql(record, "UPDATE job_seconds SET not_issued = 500 WHERE second >= 50");
	fixture_sql(record, "UPDATE intervals SET unknown = 200 WHERE second = 40");
	release();
	print();
	foot = foot_of_rates("3000");
	cr_expect(strstr(page, ">1500</text>"));
	read_rates("area down", foot, 3000, errors);
	read_rates("area slow", foot, 3000, bad);
	for (int i = 0; i < 60; i++) {
		cr_expect(i == 50 ? fabs(errors[i] - 400) < 5 : isnan(errors[i]), "%d s: %f", i, errors[i]);
		cr_expect(i == 50 ? fabs(bad[i] - 900) < 5 : i == 40 ? fabs(bad[i] - 200) < 5 : isnan(bad[i]), "%d s: %f", i, bad[i]);
	}
	cr_expect(strstr(page, "<th scope=\"row\">40</th><td>10</td><td>2000</td><td>0</td><td>200</td>"));
	cr_expect(strstr(page, "<th scope=\"row\">50</th><td>10</td><td>0</td><td>400</td><td>500</td>"));
}

/* 1000 s are more than there are points: one is 2 s. */
Test(html, a_step_has_the_mean_of_its_seconds_of_which_something_is_known)
{
	fixture_sql(record, "UPDATE meta SET value = '1000000000000' WHERE key = 'end_ns'");
	fixture_sql(record, "INSERT INTO errors VALUES(29, 'c', 'web', '', 'storm', 'EIO', 3), (35, 'c', 'web', '', 'storm', 'EIO', 4)");
	release();
	print();
	cr_assert(strstr(page, "data-step=\"2\""));
	cr_expect(strstr(page, "<th scope=\"row\">0</th><td>10</td><td>100</td><td>0</td><td>0</td>"));
	cr_expect(strstr(page, "<th scope=\"row\">28</th><td>10</td><td>0</td><td>1.50</td><td>0</td>"));
	cr_expect(strstr(page, "<th scope=\"row\">34</th><td></td><td>0</td><td>4</td><td>0</td>"));
}

/* Host d tells nothing of second 2. */
Test(html, a_host_that_was_silent_adds_to_what_is_due_when_it_tells_of_one_second_again)
{
	static const int due[] = { 15, 15, 10, 10, 15 };
	char row[64];

	fixture_sql(record, "INSERT INTO job_seconds SELECT second, 'd', job, (second + 1) * 5, 0, 0, 0, 0, 0, 0, 0, 0 FROM job_seconds WHERE second <> 2");
	release();
	print();
	for (int i = 0; i < 5; i++) {
		snprintf(row, sizeof row, "<th scope=\"row\">%d</th><td>%d</td>", i, due[i]);
		cr_expect(strstr(page, row), "%s", row);
	}
}

Test(html, rpcs_in_flight_stand_with_the_ops_that_hung)
{
	cr_expect(strstr(page, "<p>7 RPCs of the kernel were in flight then:</p>"));
	cr_expect(strstr(page, "<li>1 c: nfsv3 READ to &lt;script&gt;, sent, and not answered (xprt_pending, call_status)</li>"));
}

/* The load ends after 60 s. What comes then is that the hosts say so, or more. */
Test(html, the_clock_ends_with_the_load_or_with_what_is_seen_after_it)
{
	static const struct {
		const char *sql, *end;
	} after[] = {
		{ "INSERT INTO job_seconds VALUES(60, 'c', 'web', 600, 600, 600, 0, 0, 0, 0, 0, 0)", "data-end=\"60\"" },
		{ "INSERT INTO faults VALUES(1, 'none', 's', 'confirmed', 'confirmed', 0, 62000000000, 'heal', '')", "data-end=\"60\"" },
		{ "UPDATE phases SET end_ns = 59500000000 WHERE name = 'after'", "data-end=\"60\"" },
		{ "INSERT INTO errors VALUES(60, 'c', 'web', '', 'after', 5, 1)", "data-end=\"61\"" },
		{ "UPDATE job_seconds SET in_flight = 1 WHERE second = 60", "data-end=\"61\"" },
		{ "UPDATE intervals SET second = 61 WHERE second = 40", "data-end=\"62\"" },
		{ "UPDATE faults SET heal_ns = 62500000000 WHERE idx = 0", "data-end=\"63\"" },
		{ "UPDATE faults SET heal_ns = NULL WHERE idx = 0", "data-end=\"64\"" },
		{ "UPDATE meta SET value = '30500000000' WHERE key = 'end_ns'", "data-end=\"62\"" },	/* whatever is known is shown */
		{ "DELETE FROM errors; DELETE FROM intervals; DELETE FROM job_seconds", "data-end=\"31\"" },
	};

	fixture_sql(record, "UPDATE meta SET value = '63400000000' WHERE key = 'end_ns'");
	for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
		fixture_sql(record, "%s", after[i].sql);
		release();
		print();
		cr_expect(strstr(page, after[i].end), "%s: not %s but %.12s", after[i].sql, after[i].end, strstr(page, "data-end"));
	}
}
