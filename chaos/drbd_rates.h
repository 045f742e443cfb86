/* SPDX-License-Identifier: MIT */
/*
 * drbd_rates.h - how fast DRBD resyncs and verifies beside its clients, and how the settings of before come back.
 *
 * DRBD 8.4 gives way to its clients: with the default c-min-rate of 250 KiB/s it resyncs at 200 to 600 KiB/s under load. A storm is the same work with a
 * fixed rate that gives way to nobody. Source: drbd.conf(5), section disk.
 */
#ifndef SQUALL_CHAOS_DRBD_RATES_H
#define SQUALL_CHAOS_DRBD_RATES_H

#include <stdint.h>

#include "drbd.h"
#include "faults.h"

struct err;
struct plan;

/* As drbdsetup writes them and takes them: "250k". */
struct drbd_rates {
	char plan_ahead[DRBD_SETTING_BYTES];	/* c-plan-ahead; 0 = the rate is fixed */
	char rate[DRBD_SETTING_BYTES];		/* resync-rate */
	char min[DRBD_SETTING_BYTES];		/* c-min-rate; 0 = never give way */
};

/** Find them in what drbd_settings() gives. Errors: as drbd_parse_setting() */
int drbd_rates_parse(const char *text, struct drbd_rates *ret, struct err *err);

/** Those of a resource now. Errors: as drbd_settings(), drbd_rates_parse() */
int drbd_rates_read(const char *resource, struct drbd_rates *ret, struct err *err);

/** Set them on a resource. Errors: -EBADMSG one is no plain word; as plan_add_run() */
int drbd_rates_add(struct plan *plan, const char *resource, const struct drbd_rates *rates, struct err *err);

/** A fixed rate from now on, and the one of now as the undo. @param mib_per_s  [MiB/s]. Errors: of the above */
int drbd_rates_plan(const struct fault_run *run, uint64_t mib_per_s, struct plan *plan, struct err *err);

#endif
