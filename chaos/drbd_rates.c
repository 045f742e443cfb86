/* SPDX-License-Identifier: MIT */
/*
 * drbd_rates.c - see drbd_rates.h.
 */
#include "drbd_rates.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "plan.h"
#include "tool.h"

int drbd_rates_parse(const char *text, struct drbd_rates *ret, struct err *err)
{
	int rc = drbd_parse_setting(text, "c-plan-ahead", ret->plan_ahead, err);

	if (rc == 0)
		rc = drbd_parse_setting(text, "resync-rate", ret->rate, err);
	return rc < 0 ? rc : drbd_parse_setting(text, "c-min-rate", ret->min, err);
}

int drbd_rates_read(const char *resource, struct drbd_rates *ret, struct err *err)
{
	char *text = NULL;
	int rc = drbd_settings(resource, &text, err);

	if (rc == 0)
		rc = drbd_rates_parse(text, ret, err);
	free(text);
	return rc;
}

int drbd_rates_add(struct plan *plan, const char *resource, const struct drbd_rates *rates, struct err *err)
{
	if (!allow_name_is_plain(rates->plan_ahead) || !allow_name_is_plain(rates->rate) || !allow_name_is_plain(rates->min))
		return err_set(err, -EBADMSG, "a rate of DRBD that is no plain word");
	return plan_add_run(plan, err, "drbdadm disk-options --c-plan-ahead=%s --resync-rate=%s --c-min-rate=%s %s", rates->plan_ahead, rates->rate, rates->min,
			    resource);
}

int drbd_rates_plan(const struct fault_run *run, uint64_t mib_per_s, struct plan *plan, struct err *err)
{
	const char *resource = fault_resource(run);
	struct drbd_rates before = { "PLAN-AHEAD", "RATE", "MIN-RATE" }, storm = { .plan_ahead = "0", .min = "0" };
	int rc = run->dry ? 0 : drbd_rates_read(resource, &before, err);

	(void)snprintf(storm.rate, sizeof storm.rate, "%" PRIu64 "M", mib_per_s);
	if (rc == 0)
		rc = drbd_rates_add(plan, resource, &storm, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "DRBD_RATES", "resource", resource, "plan_ahead", before.plan_ahead,
							   "rate", before.rate, "min", before.min), err);
}
