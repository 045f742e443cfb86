/* SPDX-License-Identifier: MIT */
/*
 * sites.c - a window of 10 s slides over the pages, a second at a time.
 */
#include "sites.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define SECOND 1000000000ll
#define SITES_MAX 4096
#define LIMIT_MIN_NS SECOND
#define LIMIT_FACTOR 5
#define OPEN_FRESH_NS (3 * SECOND)	/* a host tells of its open pages once a second */

enum state { STATE_OK, STATE_SLOW, STATE_DOWN };

struct page {
	int64_t due_ns, at_ns;		/* at: when it was done, or when it was seen open */
	unsigned int site;
	bool ok;
};

struct pages {
	struct page *page;
	size_t nr;
};

struct site {
	bool is_known, was_slow, was_failed;
	enum state state;
	int64_t limit_ns;
};

struct sites {
	struct site site[SITES_MAX];
	unsigned int known;
	struct site_second *second;
	int64_t first;			/* second[0] is this second */
	size_t seconds_nr;
	uint64_t pages;
};

static int compare_ns(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int read_pages(struct record *record, const char *sql, int64_t from_ns, struct pages *ret)
{
	sqlite3_stmt *s = NULL;
	size_t room = 0;
	int rc = 0;

	*ret = (struct pages){ 0 };
	if (sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) != SQLITE_OK)
		return -EIO;
	(void)sqlite3_bind_int64(s, 1, from_ns);
	while (rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
		struct page page = { .site = (unsigned int)sqlite3_column_int(s, 0), .due_ns = sqlite3_column_int64(s, 1), .at_ns = sqlite3_column_int64(s, 2),
				     .ok = sqlite3_column_int(s, 3) != 0 };

		if (page.site >= SITES_MAX)
			continue;
		if (ret->nr == room) {
			struct page *grown = realloc(ret->page, (room ? room * 2 : 1024) * sizeof *grown);

			if (!grown) {
				rc = -ENOMEM;
				continue;
			}
			ret->page = grown;
			room = room ? room * 2 : 1024;
		}
		ret->page[ret->nr++] = page;
	}
	(void)sqlite3_finalize(s);
	if (rc < 0)
		free(ret->page);
	return rc;
}

/* The quantile of a site's finished pages; values is room for all. @return -1 without one */
static int64_t quantile(const struct page *page, size_t nr, unsigned int site, bool any_site, double q, int64_t *values)
{
	size_t n = 0, rank;

	for (size_t i = 0; i < nr; i++)
		if (page[i].ok && (any_site || page[i].site == site))
			values[n++] = page[i].at_ns - page[i].due_ns;
	if (n == 0)
		return -1;
	qsort(values, n, sizeof *values, compare_ns);
	rank = (size_t)((double)n * q + 0.999999);
	return values[rank > 0 ? rank - 1 : 0];
}

/* Baseline pages are few thousands, sites some tens: one pass a site is quick enough. */
static int set_limits(struct sites *s, struct record *record, int64_t baseline_end_ns)
{
	struct pages pages;
	int64_t *values, all;
	int rc = read_pages(record, "SELECT site, due_ns, done_ns, outcome = 'ok' FROM pages WHERE due_ns < ?1", baseline_end_ns, &pages);

	if (rc < 0)
		return rc;
	values = malloc((pages.nr + 1) * sizeof *values);
	if (!values) {
		free(pages.page);
		return -ENOMEM;
	}
	for (size_t i = 0; i < pages.nr; i++)
		s->site[pages.page[i].site].is_known = true;
	all = quantile(pages.page, pages.nr, 0, true, 0.95, values);
	for (unsigned int i = 0; i < SITES_MAX; i++) {
		int64_t p95 = s->site[i].is_known ? quantile(pages.page, pages.nr, i, false, 0.95, values) : -1;

		p95 = p95 < 0 ? all : p95;
		s->site[i].limit_ns = LIMIT_FACTOR * p95 > LIMIT_MIN_NS ? LIMIT_FACTOR * p95 : LIMIT_MIN_NS;
	}
	free(values);
	free(pages.page);
	return 0;
}

/* @param done  the pages finished in the window; oldest_open_ns: -1 = none */
static void judge(struct site *site, unsigned int idx, const struct page *done, size_t nr, int64_t oldest_open_ns, int64_t *values)
{
	int64_t median = quantile(done, nr, idx, false, 0.5, values);
	bool failed = false;

	for (size_t i = 0; i < nr && !failed; i++)
		failed = done[i].site == idx && !done[i].ok;
	if (median >= 0)
		site->state = median > site->limit_ns ? STATE_SLOW : STATE_OK;
	else if (failed || oldest_open_ns > site->limit_ns)
		site->state = STATE_DOWN;
	site->was_failed |= failed;
	site->was_slow |= site->state != STATE_OK;
}

/* The oldest open page of each site as told last before t; hosts tell at different instants of the second. */
static void oldest_open(const struct pages *open, size_t *at, int64_t t_ns, int64_t *age)
{
	for (unsigned int i = 0; i < SITES_MAX; i++)
		age[i] = -1;
	while (*at < open->nr && open->page[*at].at_ns <= t_ns - OPEN_FRESH_NS)
		(*at)++;
	for (size_t i = *at; i < open->nr && open->page[i].at_ns <= t_ns; i++) {
		const struct page *p = &open->page[i];

		/* Told within the last second; an older telling counts only until the next. */
		if (p->at_ns > t_ns - SECOND && t_ns - p->due_ns > age[p->site])
			age[p->site] = t_ns - p->due_ns;
	}
}

static void sweep(struct sites *s, const struct pages *done, const struct pages *open, int64_t *values, int64_t *age)
{
	size_t low = 0, high = 0, open_at = 0;

	for (size_t k = 0; k < s->seconds_nr; k++) {
		int64_t t = (s->first + (int64_t)k) * SECOND;
		struct site_second *second = &s->second[k];

		while (high < done->nr && done->page[high].at_ns <= t)
			s->site[done->page[high++].site].is_known = true;
		while (low < high && done->page[low].at_ns <= t - METRICS_WINDOW_NS)
			low++;
		oldest_open(open, &open_at, t, age);
		for (size_t i = low; i < high; i++)
			second->failed_pages += !done->page[i].ok;
		for (unsigned int i = 0; i < SITES_MAX; i++) {
			struct site *site = &s->site[i];

			if (age[i] >= 0)
				site->is_known = true;
			if (!site->is_known)
				continue;
			judge(site, i, done->page + low, high - low, age[i], values);
			second->ok += site->state == STATE_OK;
			second->slow += site->state == STATE_SLOW;
			second->down += site->state == STATE_DOWN;
		}
	}
}

int sites_read(struct record *record, int64_t from_ns, int64_t baseline_end_ns, int64_t end_ns, struct sites **ret)
{
	struct sites *s = calloc(1, sizeof *s);
	struct pages done = { 0 }, open = { 0 };
	int64_t *values = NULL, *age = malloc(SITES_MAX * sizeof *age);
	int rc = s && age ? set_limits(s, record, baseline_end_ns) : -ENOMEM;

	if (rc == 0)
		rc = read_pages(record, "SELECT site, due_ns, done_ns, outcome = 'ok' FROM pages WHERE done_ns >= ?1 ORDER BY done_ns",
				from_ns - METRICS_WINDOW_NS, &done);
	if (rc == 0)
		rc = read_pages(record, "SELECT site, due_ns, t_ns, 0 FROM pages_open WHERE t_ns >= ?1 ORDER BY t_ns", from_ns - METRICS_WINDOW_NS, &open);
	if (rc == 0) {
		s->first = (from_ns + SECOND - 1) / SECOND;
		s->seconds_nr = end_ns / SECOND >= s->first ? (size_t)(end_ns / SECOND - s->first + 1) : 0;
		s->second = calloc(s->seconds_nr + 1, sizeof *s->second);
		values = malloc((done.nr + 1) * sizeof *values);
		rc = s->second && values ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		sweep(s, &done, &open, values, age);
		s->pages = done.nr;
		for (unsigned int i = 0; i < SITES_MAX; i++)
			s->known += s->site[i].is_known;
	}
	free(done.page);
	free(open.page);
	free(values);
	free(age);
	if (rc < 0) {
		sites_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void sites_free(struct sites *sites)
{
	if (sites)
		free(sites->second);
	free(sites);
}

const struct site_second *sites_at(const struct sites *sites, int64_t t_ns)
{
	int64_t k = t_ns / SECOND - sites->first;

	return sites->known > 0 && k >= 0 && k < (int64_t)sites->seconds_nr ? &sites->second[k] : NULL;
}

void sites_totals(const struct sites *sites, struct site_totals *ret)
{
	*ret = (struct site_totals){ .total = sites->known, .pages = sites->pages };
	for (unsigned int i = 0; i < SITES_MAX; i++) {
		if (!sites->site[i].is_known)
			continue;
		if (sites->site[i].was_failed)
			ret->failed++;
		else if (sites->site[i].was_slow)
			ret->slow++;
		else
			ret->ok++;
	}
}
