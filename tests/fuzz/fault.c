/* SPDX-License-Identifier: MIT */
/*
 * fault.c - a fault as its holder is asked for it, by name and arguments: what the check lets through becomes actions and their undo; none is carried
 * out here.
 */
#include "../../chaos/faults.h"
#include "chaos.h"
#include "err.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *asked = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL), *args = json_object_get(asked, "args"), *explained = NULL;
	const char *name = json_string_value(json_object_get(asked, "fault"));
	const struct fault *fault = name ? fault_find(name) : NULL;
	struct err err = ERR_INIT;

	if (fault && json_is_object(args)) {
		if (fault_check_json(fault, args, &err) < 0)
			CHECK(err.text[0] != '\0');
		else
			CHECK(chaos_explain(name, args, 1, 1, &explained, &err) == 0 && json_array_size(json_object_get(explained, "inject")) > 0 &&
			      json_array_size(json_object_get(explained, "undo")) > 0);
	}
	json_decref(explained);
	json_decref(asked);
	return 0;
}
