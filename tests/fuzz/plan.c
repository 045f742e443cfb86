/* SPDX-License-Identifier: MIT */
/*
 * plan.c - the load plan that an agent gets: one that is taken comes back the same.
 */
#include "err.h"
#include "fuzz.h"
#include "load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *message = json_loadb((const char *)data, size, 0, NULL), *back;
	struct err err = ERR_INIT;
	struct load_plan plan, again;

	if (!message)
		return 0;
	if (load_plan_from_json(message, &plan, &err) < 0) {
		CHECK(err.text[0] != '\0');
	} else {
		back = load_plan_to_json(&plan);
		CHECK(back && load_plan_from_json(back, &again, &err) == 0 && memcmp(plan.phases, again.phases, sizeof plan.phases) == 0);
		json_decref(back);
	}
	json_decref(message);
	return 0;
}
