/* SPDX-License-Identifier: MIT */
/*
 * sysrq.h - one key of the kernel's: what the faults share that take the whole host away. Each proves itself from outside alone: another boot id.
 */
#ifndef SQUALL_CHAOS_SYSRQ_H
#define SQUALL_CHAOS_SYSRQ_H

#include "faults.h"

struct err;
struct plan;

/** Errors: -ENOPKG the kernel takes no key */
int sysrq_probe(struct err *err);

/** A plan of one action, the key, and no undo: it is over with the boot. */
int sysrq_plan(struct plan *plan, const char *key, struct err *err);

/** @return FAULT_MISMATCH: who can still ask is on a host that is still there. */
enum fault_verdict sysrq_verify(struct fault_run *run, char *evidence, size_t bytes);

/** Of a reset at once, whoever gives it. */
void sysrq_foresee_reset(const struct fault_run *run, char *ret, size_t bytes);

#endif
