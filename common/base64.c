/* SPDX-License-Identifier: MIT */
/*
 * base64.c - bytes as text (RFC 4648, with padding).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t bytes)
{
	const uint8_t *from = data;
	char *text = malloc((bytes + 2) / 3 * 4 + 1), *to = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < bytes; i += 3) {
		uint32_t v = (uint32_t)from[i] << 16;

		if (i + 1 < bytes)
			v |= (uint32_t)from[i + 1] << 8;
		if (i + 2 < bytes)
			v |= from[i + 2];
		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = i + 1 < bytes ? alphabet[v >> 6 & 63] : '=';
		*to++ = i + 2 < bytes ? alphabet[v & 63] : '=';
	}
	*to = '\0';
	return text;
}

static int digit(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

int base64_decode(const char *text, uint8_t **ret_data, size_t *ret_bytes)
{
	size_t length = strlen(text), pad = 0, used = 0;
	uint8_t *data;

	if (length % 4 != 0)
		return -EBADMSG;
	while (pad < 2 && pad < length && text[length - 1 - pad] == '=')
		pad++;
	data = malloc(length / 4 * 3 + 1);
	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < length; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = i + k >= length - pad ? 0 : digit(text[i + k]);

			if (d < 0) {
				free(data);
				return -EBADMSG;
			}
			v = v << 6 | (uint32_t)d;
		}
		data[used++] = (uint8_t)(v >> 16);
		data[used++] = (uint8_t)(v >> 8);
		data[used++] = (uint8_t)v;
	}
	*ret_data = data;
	*ret_bytes = used - pad;
	return 0;
}
