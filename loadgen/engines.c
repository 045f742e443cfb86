/* SPDX-License-Identifier: MIT */
/*
 * engines.c - THE table of engines. A new one is a file engine_X.c, one line here, one in engine_traits[] and a page.
 */
#include <string.h>

#include "engine.h"
#include "engines.h"

const struct engine *const engines[] = {
	&engine_null,
	&engine_sync,
	&engine_libaio,
	NULL,
};

const struct engine *engine_find(const char *name)
{
	for (size_t i = 0; engines[i]; i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return NULL;
}
