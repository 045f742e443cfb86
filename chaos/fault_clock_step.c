/* SPDX-License-Identifier: MIT */
/*
 * fault_clock_step.c - the time of day jumps, and jumps back at the heal. What goes by the monotonic clocks notices nothing.
 *
 * The clock is not stepped by so much, it is set to a distance from CLOCK_BOOTTIME: done twice it is the same, and the distance of before is
 * the undo and the proof of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "confine.h"
#include "err.h"
#include "plan.h"
#include "tool.h"
#include "units.h"

#include "faults.h"

struct step {
	int64_t before_ns, wanted_ns;	/* of clock_utc_offset_ns() */
};

static const char *const direction_names[] = { "forward", "back", NULL };

/* As /proc/PID/comm has them, cut at 15 bytes. A daemon that the list does not know, or of another container, has told the kernel what it does. */
static int probe(const struct allow *allow, struct err *err)
{
	static const char *const daemons[] = { "chronyd", "ntpd", "systemd-timesyn", "ptp4l", "phc2sys", NULL };

	(void)allow;
	for (const char *const *d = daemons; *d; d++)
		if (tool_processes(*d, NULL) > 0)
			return err_set(err, -ENOPKG, "%s keeps this clock and would set it back: stop it first", *d);
	if (clock_is_synchronised())
		return err_set(err, -ENOPKG, "the kernel says that something keeps this clock synchronised, and would set it back: stop it first");
	return 0;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	bool back = strcmp(fault_arg_text(run, "direction"), "back") == 0;
	int64_t by_ns = (int64_t)fault_arg_u64(run, "by");
	struct step *step = calloc(1, sizeof *step);
	char by[32], what[96];
	int rc;

	run->state = step;
	if (!step)
		return err_set(err, -ENOMEM, "out of memory");
	step->before_ns = run->dry ? 0 : clock_utc_offset_ns();
	step->wanted_ns = step->before_ns + (back ? -by_ns : by_ns);
	(void)snprintf(what, sizeof what, "set CLOCK_REALTIME %s by %s", back ? "back" : "forward", units_exact_ns((uint64_t)by_ns, by, sizeof by));
	rc = plan_add_clock(plan, what, step->wanted_ns, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:I}", "op", "CLOCK_OFFSET", "offset_ns", (json_int_t)step->before_ns), err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const struct step *step = run->state;
	int64_t now_ns = clock_utc_offset_ns();

	(void)snprintf(evidence, bytes, "CLOCK_REALTIME is %.6f s from where it would be, %.6f s wanted", (double)(now_ns - step->before_ns) / 1e9,
		       (double)(step->wanted_ns - step->before_ns) / 1e9);
	return llabs(now_ns - step->wanted_ns) < (int64_t)CLOCK_OFFSET_ERROR_NS ? FAULT_CONFIRMED : FAULT_VANISHED;
}

static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	char by[32];

	units_exact_ns(fault_arg_u64(run, "by"), by, sizeof by);
	(void)snprintf(ret, bytes, "DRBD is not touched and stays Connected: its timers, and those of nfsd and of NFS clients, go by clocks that do not jump. The times of"
		       " files do: what is written meanwhile is %s off, and may look older or newer than what it is compared with, by make, rsync or a cache", by);
}

static const struct fault_arg args[] = {
	{ "by", ARG_DURATION, 100 * NS_PER_MS, 3600 * NS_PER_S, NULL, NULL, NULL, "how far the clock jumps" },
	{ "direction", ARG_ENUM, 0, 0, "forward", direction_names, NULL, "which way" },
	{ .name = NULL },
};
static const char *const needs[] = { NULL };

const struct fault fault_clock_step = {
	.name = "clock-step",
	.breaks = "makes the time of day jump",
	.where = "any host",
	.page = "docs/faults/clock-step.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(SYS_TIME),
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
