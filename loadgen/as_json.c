/* SPDX-License-Identifier: MIT */
/*
 * as_json.c - see as_json.h.
 */
#include "as_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "hist.h"
#include "shared.h"

const char *errno_name(int error, char *out, size_t out_bytes)
{
	const char *name = error == 0 ? "EOTHER" : strerrorname_np(error);

	if (name)
		return name;
	(void)snprintf(out, out_bytes, "E%d", error);
	return out;
}

json_t *hist_to_json(const struct hist *h)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	json_t *json = NULL;
	char *text;

	if (hist_encode(h, &bytes, &size) < 0)
		return NULL;
	text = base64_encode(bytes, size);
	if (text)
		json = json_string(text);
	free(text);
	free(bytes);
	return json;
}

json_t *errors_to_json(const uint64_t *now, const uint64_t *last)
{
	json_t *json = json_object();
	char name[16];

	for (int e = 0; e < ERRNOS_NR; e++) {
		uint64_t n = now[e] - (last ? last[e] : 0);

		if (n > 0)
			json_object_set_new(json, errno_name(e, name, sizeof name), json_integer((json_int_t)n));
	}
	return json;
}
