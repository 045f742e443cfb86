/* SPDX-License-Identifier: MIT */
/*
 * json_text.h - JSON as text, whole or not at all.
 */
#ifndef SQUALL_JSON_TEXT_H
#define SQUALL_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

/**
 * What json_dumps() is for. That one leaves out characters in silence when memory runs out on the way (seen with jansson 2.14).
 * @param json   an object or an array. @param flags  of jansson
 * @return malloc'ed, NUL-terminated, owned by the caller; NULL: no memory, or json was NULL
 */
char *json_text(const json_t *json, size_t flags);

#endif
