/* SPDX-License-Identifier: MIT */
/*
 * profile_parts.h - the parts of a profile's parser: private to common/profile*.c.
 */
#ifndef SQUALL_COMMON_PROFILE_PARTS_H
#define SQUALL_COMMON_PROFILE_PARTS_H

#include "profile.h"
#include "yaml.h"

int profile_parse_job(struct profile *p, const struct yaml *node, struct job *ret, struct err *err);
int profile_parse_fault(struct profile *p, const struct yaml *node, struct fault_plan *ret, struct err *err);
/** Once all faults are known: what their instants name must exist. */
int profile_check_times(struct profile *p, struct err *err);
/** @return index of a phase by name, or -1. */
int profile_phase(const struct profile *p, const char *name);

#endif
