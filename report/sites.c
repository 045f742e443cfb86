/* SPDX-License-Identifier: MIT */
/*
 * sites.c - a window of 10 s slides over the pages, a second at a time.
 */
#include "sites.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"
#include "record.h"

#define SECOND 1000000000ll
#define LIMIT_MIN_NS SECOND
#define LIMIT_FACTOR 5
#define OPEN_FRESH_NS (3 * SECOND)	/* a host tells of its open pages once a second */
#define NONE SIZE_MAX

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
	struct site site[DATASET_SITES_MAX];
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
	int rc = 0, step = SQLITE_DONE;

	*ret = (struct pages){ 0 };
	if (sqlite3_prepare_v2(record_db(record), sql, -1, &s, NULL) != SQLITE_OK)
		return -EIO;
	(void)sqlite3_bind_int64(s, 1, from_ns);
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct page page = { .site = (unsigned int)sqlite3_column_int(s, 0), .due_ns = sqlite3_column_int64(s, 1), .at_ns = sqlite3_column_int64(s, 2),
				     .ok = sqlite3_column_int(s, 3) != 0 };

		if (page.site >= DATASET_SITES_MAX)
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
	if (rc == 0 && step != SQLITE_DONE)
		rc = -EIO;
	if (rc < 0) {
		free(ret->page);
		ret->page = NULL;
	}
	return rc;
}

/* Of values in any order. @return -1 without one */
static int64_t quantile(int64_t *values, size_t nr, double q)
{
	size_t rank = (size_t)((double)nr * q + 0.999999);

	if (nr == 0)
		return -1;
	qsort(values, nr, sizeof *values, compare_ns);
	return values[rank > 0 ? rank - 1 : 0];
}

static int64_t limit_of(int64_t p95_ns)
{
	return LIMIT_FACTOR * p95_ns > LIMIT_MIN_NS ? LIMIT_FACTOR * p95_ns : LIMIT_MIN_NS;
}

/* @param values  room for all of them. @return the p95 of those that were ok; -1 without one */
static int64_t p95_of(const struct page *page, size_t nr, int64_t *values)
{
	size_t n = 0;

	for (size_t i = 0; i < nr; i++)
		if (page[i].ok)
			values[n++] = page[i].at_ns - page[i].due_ns;
	return quantile(values, n, 0.95);
}

static int set_limits(struct sites *s, struct record *record, int64_t baseline_end_ns)
{
	struct pages pages;
	int64_t *values, all;
	int rc = read_pages(record, "SELECT site, due_ns, done_ns, outcome = 'ok' FROM pages WHERE due_ns < ?1 ORDER BY site", baseline_end_ns, &pages);

	if (rc < 0)
		return rc;
	values = malloc((pages.nr + 1) * sizeof *values);
	if (!values) {
		free(pages.page);
		return -ENOMEM;
	}
	all = p95_of(pages.page, pages.nr, values);
	for (unsigned int i = 0; i < DATASET_SITES_MAX; i++)
		s->site[i].limit_ns = limit_of(all);
	for (size_t from = 0, end = 0; from < pages.nr; from = end) {
		struct site *site = &s->site[pages.page[from].site];
		int64_t p95;

		while (end < pages.nr && pages.page[end].site == pages.page[from].site)
			end++;
		p95 = p95_of(pages.page + from, end - from, values);
		site->is_known = true;
		if (p95 >= 0)
			site->limit_ns = limit_of(p95);
	}
	free(values);
	free(pages.page);
	return 0;
}

/* What a sweep works with. */
struct bench {
	int64_t *values;	/* room for one a page */
	int64_t *age;		/* of each site's oldest open page; -1 = none */
	size_t *first, *next;	/* the pages of the window, a list a site; NONE ends it */
};

/* @param first  of its pages that were finished in the window; oldest_open_ns: -1 = none */
static void judge(struct site *site, const struct page *page, size_t first, int64_t oldest_open_ns, const struct bench *bench)
{
	bool failed = false;
	int64_t median;
	size_t n = 0;

	for (size_t i = first; i != NONE; i = bench->next[i])
		if (page[i].ok)
			bench->values[n++] = page[i].at_ns - page[i].due_ns;
		else
			failed = true;
	median = quantile(bench->values, n, 0.5);
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
	for (unsigned int i = 0; i < DATASET_SITES_MAX; i++)
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

static void sweep(struct sites *s, const struct pages *done, const struct pages *open, const struct bench *bench)
{
	size_t low = 0, high = 0, open_at = 0;

	for (size_t k = 0; k < s->seconds_nr; k++) {
		int64_t t = (s->first + (int64_t)k) * SECOND;
		struct site_second *second = &s->second[k];

		while (high < done->nr && done->page[high].at_ns <= t)
			s->site[done->page[high++].site].is_known = true;
		while (low < high && done->page[low].at_ns <= t - METRICS_WINDOW_NS)
			low++;
		oldest_open(open, &open_at, t, bench->age);
		memset(bench->first, 0xff, DATASET_SITES_MAX * sizeof *bench->first);
		for (size_t i = low; i < high; i++) {
			size_t *first = &bench->first[done->page[i].site];

			second->failed_pages += !done->page[i].ok;
			bench->next[i] = *first;
			*first = i;
		}
		for (unsigned int i = 0; i < DATASET_SITES_MAX; i++) {
			struct site *site = &s->site[i];

			if (bench->age[i] >= 0)
				site->is_known = true;
			if (!site->is_known)
				continue;
			judge(site, done->page, bench->first[i], bench->age[i], bench);
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
	struct bench bench = { .age = malloc(DATASET_SITES_MAX * sizeof *bench.age), .first = malloc(DATASET_SITES_MAX * sizeof *bench.first) };
	int rc = s && bench.age && bench.first ? set_limits(s, record, baseline_end_ns) : -ENOMEM;

	if (rc == 0)
		rc = read_pages(record, "SELECT site, due_ns, done_ns, outcome = 'ok' FROM pages WHERE done_ns >= ?1 ORDER BY done_ns",
				from_ns - METRICS_WINDOW_NS, &done);
	if (rc == 0)
		rc = read_pages(record, "SELECT site, due_ns, t_ns, 0 FROM pages_open WHERE t_ns >= ?1 ORDER BY t_ns", from_ns - METRICS_WINDOW_NS, &open);
	if (rc == 0) {
		s->first = (from_ns + SECOND - 1) / SECOND;
		s->seconds_nr = end_ns / SECOND >= s->first ? (size_t)(end_ns / SECOND - s->first + 1) : 0;
		s->second = calloc(s->seconds_nr + 1, sizeof *s->second);
		bench.values = malloc((done.nr + 1) * sizeof *bench.values);
		bench.next = malloc((done.nr + 1) * sizeof *bench.next);
		rc = s->second && bench.values && bench.next ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		sweep(s, &done, &open, &bench);
		s->pages = done.nr;
		for (unsigned int i = 0; i < DATASET_SITES_MAX; i++)
			s->known += s->site[i].is_known;
	}
	free(done.page);
	free(open.page);
	free(bench.values);
	free(bench.age);
	free(bench.first);
	free(bench.next);
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
	for (unsigned int i = 0; i < DATASET_SITES_MAX; i++) {
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
