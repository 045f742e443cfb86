/* SPDX-License-Identifier: MIT */
/*
 * load_json.h - figures of what load_interval() and load_final() give, for the tests of loadgen and the programs under ThreadSanitizer.
 */
#ifndef SQUALL_TESTS_LOAD_JSON_H
#define SQUALL_TESTS_LOAD_JSON_H

#include <jansson.h>
#include <stdint.h>

static inline uint64_t json_u64(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/** All errors of a job or an op together. */
static inline uint64_t json_errors(const json_t *object)
{
	json_t *errors = json_object_get(object, "errors"), *value;
	const char *name;
	uint64_t n = 0;

	json_object_foreach(errors, name, value)
		n += (uint64_t)json_integer_value(value);
	return n;
}

#endif
