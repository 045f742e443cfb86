/* SPDX-License-Identifier: MIT */
/*
 * series.c - points of a step of seconds, each from the merged histogram of them.
 */
#include "series.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hist.h"
#include "intervals.h"

struct reading {
	const struct profile *profile;
	struct series_list list;
	size_t points_room;		/* of the last series */
	struct hist *done, *timed_out;	/* of the last point */
	bool open;			/* it is not finished */
	struct err *err;
};

static unsigned int heat_row(uint64_t ns)
{
	double row = ns > 0 ? floor(log10((double)ns / HEAT_FIRST_NS) * HEAT_PER_DECADE + 1e-9) : 0;

	return row < 0 ? 0 : row >= HEAT_ROWS ? HEAT_ROWS - 1 : (unsigned int)row;
}

/* A job's own, of a retry the least that it can be; not that of its ops: an op of a page ends when the page's time is over, at whatever age it has then. */
static uint64_t timeout_of(const struct reading *r, const struct series *s)
{
	for (unsigned int i = 0; s->op[0] == '\0' && r->profile && i < r->profile->jobs_nr; i++)
		if (strcmp(r->profile->jobs[i].name, s->job) == 0)
			return job_gives_up_ns(&r->profile->jobs[i]);
	return 0;
}

static void finish_point(struct reading *r)
{
	struct series *s = &r->list.series[r->list.nr - 1];
	struct point *p = &s->point[s->nr - 1];
	uint64_t timeout_ns = timeout_of(r, s);
	struct hist_quantile p50, p99;

	for (uint64_t i = 0; timeout_ns > 0 && i < p->unknown; i++)
		hist_add(r->timed_out, timeout_ns);
	p->any = r->done->count + r->timed_out->count > 0;
	if (p->any) {
		p50 = hist_quantile_censored(r->done, r->timed_out, 0.5);
		p99 = hist_quantile_censored(r->done, r->timed_out, 0.99);
		p->p50_reached = p50.reached;
		p->p99_reached = p99.reached;
		p->p50_ns = p50.reached ? p50.value_ns : p50.at_least_ns;
		p->p99_ns = p99.reached ? p99.value_ns : p99.at_least_ns;
		p->max_ns = r->done->max_ns > r->timed_out->max_ns ? r->done->max_ns : r->timed_out->max_ns;
	}
	for (uint32_t i = hist_first(r->done), end = hist_end(r->done); i < end; i++)
		p->heat[heat_row(hist_bucket_value(i))] += (uint32_t)r->done->bucket[i];
	hist_clear(r->done);
	hist_clear(r->timed_out);
	r->open = false;
}

static int new_series(struct reading *r, const struct interval *i)
{
	struct series *grown = realloc(r->list.series, (r->list.nr + 1) * sizeof *grown);

	if (!grown)
		return err_set(r->err, -ENOMEM, "report: no memory");
	r->list.series = grown;
	r->list.series[r->list.nr] = (struct series){ .nr = 0 };
	(void)snprintf(grown[r->list.nr].job, sizeof grown->job, "%s", i->job);
	(void)snprintf(grown[r->list.nr].op, sizeof grown->op, "%s", i->op);
	r->list.nr++;
	r->points_room = 0;
	return 0;
}

static int new_point(struct reading *r, int64_t second)
{
	struct series *s = &r->list.series[r->list.nr - 1];

	if (s->nr == r->points_room) {
		struct point *grown = realloc(s->point, (r->points_room ? r->points_room * 2 : 256) * sizeof *grown);

		if (!grown)
			return err_set(r->err, -ENOMEM, "report: no memory");
		s->point = grown;
		r->points_room = r->points_room ? r->points_room * 2 : 256;
	}
	s->point[s->nr++] = (struct point){ .second = second };
	r->open = true;
	return 0;
}

static int take(const struct interval *i, void *arg)
{
	struct reading *r = arg;
	struct series *s = r->list.nr > 0 ? &r->list.series[r->list.nr - 1] : NULL;
	bool same = s && strcmp(s->job, i->job) == 0 && strcmp(s->op, i->op) == 0;
	int64_t second = i->second - i->second % r->list.step;
	struct point *p;
	int rc = 0;

	if (r->open && (!same || s->point[s->nr - 1].second != second))
		finish_point(r);
	if (!same)
		rc = new_series(r, i);
	if (rc == 0 && !r->open)
		rc = new_point(r, second);
	if (rc < 0)
		return rc;
	s = &r->list.series[r->list.nr - 1];
	p = &s->point[s->nr - 1];
	p->seconds++;
	p->ok += i->ok;
	p->errors += i->errors;
	p->unknown += i->unknown;
	hist_merge(r->done, i->response);
	p->due_seconds += i->has_due;
	p->due += i->due;
	p->not_issued += i->not_issued;
	if (i->has_gauges) {
		p->has_gauges = true;
		p->due_total = i->due_total;
		p->not_issued_total = i->not_issued_total;
		p->in_flight = i->in_flight;
		p->waiting = i->waiting;
		p->oldest_ns = i->oldest_ns > p->oldest_ns ? i->oldest_ns : p->oldest_ns;
	}
	return 0;
}

int series_read(struct record *record, const struct profile *profile, int64_t step, struct series_list *ret, struct err *err)
{
	struct reading r = { .profile = profile, .list = { .step = step }, .done = hist_new(), .timed_out = hist_new(), .err = err };
	int rc = r.done && r.timed_out ? intervals_walk(record, BY_SERIES, take, &r, err) : err_set(err, -ENOMEM, "report: no memory");

	if (rc == 0 && r.open)
		finish_point(&r);
	if (rc == 0)
		*ret = r.list;
	else
		series_release(&r.list);
	free(r.done);
	free(r.timed_out);
	return rc;
}

/* At most one a step, and in order: the wanted one is at its place or before it. */
const struct point *series_at(const struct series_list *list, size_t idx, int64_t second)
{
	const struct series *s = &list->series[idx];
	size_t place = (size_t)(second / list->step), i = place < s->nr ? place + 1 : s->nr;

	while (i > 0 && s->point[i - 1].second > second)
		i--;
	return i > 0 && s->point[i - 1].second == second ? &s->point[i - 1] : NULL;
}

void series_release(struct series_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->series[i].point);
	free(list->series);
	*list = (struct series_list){ 0 };
}
