/* SPDX-License-Identifier: MIT */
/*
 * as_json.h - what intervals and the end of a load have in common as JSON.
 */
#ifndef SQUALL_LOADGEN_AS_JSON_H
#define SQUALL_LOADGEN_AS_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct hist;

/** A histogram as base64. @return NULL without memory */
json_t *hist_to_json(const struct hist *h);
/** Counts by name of those that have grown: {"EIO": 2}. @param now, last  ERRNOS_NR of each; last may be NULL: since 0 */
json_t *errors_to_json(const uint64_t *now, const uint64_t *last);
/** "EIO". @param error  0 stands for those beyond the table. @param out  used for one without a name */
const char *errno_name(int error, char *out, size_t out_bytes);

#endif
