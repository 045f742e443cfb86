/* SPDX-License-Identifier: MIT */
/*
 * err.c - one sentence about what went wrong.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

/* How many bytes of UTF-8 the character has that begins here; 0: it is none, or not whole. */
static size_t character(const unsigned char *c)
{
	size_t bytes = *c < 0x80 ? 1 : *c < 0xc2 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < bytes; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if (bytes == 3)		/* in the shortest form, and no half of UTF-16 */
		return (*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) ? 0 : bytes;
	return (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] >= 0x90) ? 0 : bytes;
}

void err_make_harmless(char *text, bool lines)
{
	size_t bytes;

	for (unsigned char *c = (unsigned char *)text; *c; c += bytes > 0 ? bytes : 1) {
		bytes = character(c);
		if (bytes == 2 && *c == 0xc2 && c[1] < 0xa0)	/* a control character in UTF-8 */
			c[0] = c[1] = '?';
		else if (bytes == 0 || (*c < ' ' && !(lines && *c == '\n')) || *c == 127)
			*c = '?';
	}
}

int err_set(struct err *err, int rc, const char *format, ...)
{
	va_list args;

	if (!err || err->text[0] != '\0')
		return rc;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	err_make_harmless(err->text, true);
	return rc;
}

int err_prefix(struct err *err, int rc, const char *format, ...)
{
	char said[ERR_TEXT_BYTES];
	size_t used;
	va_list args;
	int n;

	if (!err)
		return rc;
	memcpy(said, err->text, sizeof said);
	va_start(args, format);
	n = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	used = n < 0 ? 0 : (size_t)n;
	if (used < sizeof err->text)
		(void)snprintf(err->text + used, sizeof err->text - used, ": %s", said);
	err_make_harmless(err->text, true);
	return rc;
}

void err_list(char *list, size_t bytes, const char *format, ...)
{
	size_t used = strlen(list);
	va_list args;

	if (used > 0 && used < bytes)
		used += (size_t)snprintf(list + used, bytes - used, ", ");
	if (used >= bytes)
		return;
	va_start(args, format);
	(void)vsnprintf(list + used, bytes - used, format, args);
	va_end(args);
}

enum exit_status err_exit_status(int rc)
{
	if (rc >= 0)
		return EXIT_AS_EXPECTED;
	if (rc == -EINVAL)
		return EXIT_USAGE;
	if (rc == -ENOPKG)
		return EXIT_NEEDS;
	return EXIT_BROKEN;
}
