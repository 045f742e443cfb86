/* SPDX-License-Identifier: MIT */
/*
 * sites.h - what visitors saw: each site ok, slow or down at a second, from the pages of the record.
 *
 * A site is slow when the median page of the last 10 s is above its limit, max(1 s, 5 x its baseline p95); down when none was finished and the oldest open one is
 * older than the limit, or when all failed; without a finished page it keeps its state until then. A failed page is an error or a timeout.
 */
#ifndef SQUALL_REPORT_SITES_H
#define SQUALL_REPORT_SITES_H

#include <stddef.h>
#include <stdint.h>

#include "metrics.h"

struct record;
struct sites;

struct site_second {
	unsigned int ok, slow, down;	/* sites */
	unsigned int failed_pages;	/* in the 10 s before */
};

/** @param from_ns, baseline_end_ns, end_ns  since T0; seconds before from_ns are not looked at but for the baseline. */
int sites_read(struct record *record, int64_t from_ns, int64_t baseline_end_ns, int64_t end_ns, struct sites **ret);
void sites_free(struct sites *sites);

/** @return NULL when no page is known at that second */
const struct site_second *sites_at(const struct sites *sites, int64_t t_ns);
void sites_totals(const struct sites *sites, struct site_totals *ret);

#endif
