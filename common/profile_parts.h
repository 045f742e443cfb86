/* SPDX-License-Identifier: MIT */
/*
 * profile_parts.h - the parts of a profile's parser: private to common/profile*.c.
 */
#ifndef SQUALL_COMMON_PROFILE_PARTS_H
#define SQUALL_COMMON_PROFILE_PARTS_H

#include "profile.h"
#include "yaml.h"

/** -EINVAL with the sentence that says what is wanted, when a node is of another kind. */
int profile_check_kind(const struct yaml *node, enum yaml_kind kind, const char *wanted, struct err *err);
/** The texts of a list, or of a mapping with their keys as names. */
int profile_parse_lines(const struct yaml *node, struct named_line *to, unsigned int max, unsigned int *ret_nr, struct err *err);
int profile_parse_job(struct profile *p, const struct yaml *node, struct job *ret, struct err *err);
/**
 * The arrival of a job: its timeline, of which the pieces are malloc'ed.
 * @param for_ns  how long the job runs, all its phases together.
 */
int profile_parse_arrival(const struct profile *p, const struct yaml *node, uint64_t for_ns, struct arrival *ret, struct err *err);
/** A replayed timeline as text, so that the effective profile needs no other file. @param ret_text malloc'ed */
int profile_print_replay(const struct arrival *a, char **ret_text);
/** The trace of a job, and what follows from it: mix, arrival. At most TRACE_OPS_MAX ops in all jobs together. */
int profile_parse_trace(const struct profile *p, const struct yaml *node, struct job *ret, struct err *err);
/** The path of a file that a profile names: beside it, unless it is absolute. @param ret_path malloc'ed */
int profile_beside(const struct profile *p, const char *name, char **ret_path, struct err *err);
/** The page of a job: a list of ops, or the name of a page of the profile, or webapp. */
int profile_parse_page(const struct profile *p, const struct yaml *node, struct job *ret, struct err *err);
/** The pages of the profile, used or not. */
int profile_check_pages(const struct profile *p, struct err *err);
int profile_parse_fault(struct profile *p, const struct yaml *node, struct fault_plan *ret, struct err *err);
/** One that random_faults may draw, with its weight: it has no instant of its own. */
int profile_parse_choice(const struct yaml *node, struct fault_plan *ret, uint64_t *ret_weight, struct err *err);
/** "storm+10s" */
int profile_parse_when(const struct profile *p, const struct yaml *node, struct when *ret, struct err *err);
/** Once the listed faults are known: those that `repeat` and `random_faults` add, the same for the same seed. */
int profile_expand_faults(struct profile *p, struct err *err);
/** `arms`, and those of `sweep`. */
int profile_parse_arms(struct profile *p, struct err *err);
/** Once all faults are known: what their instants name must exist. */
int profile_check_times(struct profile *p, struct err *err);
/** @return index of a phase by name, or -1. */
int profile_phase(const struct profile *p, const char *name);

#endif
