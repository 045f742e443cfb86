/* SPDX-License-Identifier: MIT */
/*
 * dm.h - the device-mapper device under DRBD, made slow, suspended or failing: what the faults of a disk share.
 *
 * Another table is put in place under DRBD's feet: load, suspend, resume. It is loaded before the suspend, so that a table that the kernel
 * refuses leaves nothing suspended. Source: dmsetup(8); the kernel's admin-guide/device-mapper/delay.rst, dm-flakey.rst.
 */
#ifndef SQUALL_CHAOS_DM_H
#define SQUALL_CHAOS_DM_H

#include <stddef.h>

#include "faults.h"

struct plan;

extern const char *const dm_needs[];
extern const struct fault_arg dm_slow_args[];	/* delay, io */
extern const struct fault_arg dm_error_args[];	/* io */

/**
 * Delay the requests of the disk. The run has the arguments of dm_slow_args.
 * Errors: -ENOTBLK the disk is no dm device; -ENOTSUP its table is not one linear target; as tool_output().
 */
int dm_slow_plan(struct fault_run *run, struct plan *plan, struct err *err);
enum fault_verdict dm_slow_verify(struct fault_run *run, char *evidence, size_t bytes);

/** Suspend the disk. Errors: as dm_slow_plan() */
int dm_freeze_plan(struct fault_run *run, struct plan *plan, struct err *err);
enum fault_verdict dm_freeze_verify(struct fault_run *run, char *evidence, size_t bytes);

/** Fail the requests of the disk. The run has an argument `io`. Errors: as dm_slow_plan() */
int dm_error_plan(struct fault_run *run, struct plan *plan, struct err *err);
enum fault_verdict dm_error_verify(struct fault_run *run, char *evidence, size_t bytes);

/**
 * The table of before, as the undo. What dmsetup shows of another target may not be all of it: of dm-crypt it shows a key of zeros.
 * Errors: -ENOTSUP it is not one linear target
 */
int dm_add_undo(struct plan *plan, const char *name, const char *table, struct err *err);

/** The table that fails what `table` maps. @param all  reads too. Errors: -ENOTSUP it is not one linear target */
int dm_error_table(const char *table, bool all, char *ret, size_t bytes, struct err *err);

/** The table that delays what `table` maps. @param all  reads too. Errors: -ENOTSUP it is not one linear target */
int dm_delay_table(const char *table, bool all, uint64_t delay_ms, char *ret, size_t bytes, struct err *err);

#endif
