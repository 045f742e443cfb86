/* SPDX-License-Identifier: MIT */
/*
 * json_text.c - into room of our own, taken beforehand.
 */
#include "json_text.h"

#include <stdlib.h>

char *json_text(const json_t *json, size_t flags)
{
	size_t bytes = json_dumpb(json, NULL, 0, flags);
	char *text = bytes > 0 ? malloc(bytes + 1) : NULL;

	if (text && json_dumpb(json, text, bytes, flags) != bytes) {
		free(text);
		return NULL;
	}
	if (text)
		text[bytes] = '\0';
	return text;
}
