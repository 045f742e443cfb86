/* SPDX-License-Identifier: MIT */
/*
 * bus_seal.c - signatures over parcels. Nothing of a text is looked at before its signature is.
 */
#include "bus_seal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_BYTES 64
#define SIGNED_AT (2 * SIGNATURE_BYTES + 1)	/* where what is signed begins */
#define HEAD_BYTES_MAX (SIGNED_AT + sizeof "command " + CERTIFICATE_NAME_BYTES + 16 + 2)

static const char digits[] = "0123456789abcdef";

static int value_of(char digit)
{
	const char *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

int seal_make(struct evp_pkey_st *key, const char *target, uint64_t expiry_ns, const char *parcel, size_t bytes, char **ret_text, size_t *ret_bytes)
{
	char *text = malloc(HEAD_BYTES_MAX + bytes + 1);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[SIGNATURE_BYTES];
	size_t signature_bytes = sizeof signature, head;
	int rc = -ENOMEM;

	if (!text || !context)
		goto out;
	head = SIGNED_AT + (size_t)snprintf(text + SIGNED_AT, HEAD_BYTES_MAX - SIGNED_AT, "command %.32s %016llx ", target, (unsigned long long)expiry_ns);
	memcpy(text + head, parcel, bytes);
	text[head + bytes] = '\0';
	rc = -EIO;
	if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(context, signature, &signature_bytes, (const unsigned char *)text + SIGNED_AT, head + bytes - SIGNED_AT) != 1 ||
	    signature_bytes != SIGNATURE_BYTES)
		goto out;
	for (int i = 0; i < SIGNATURE_BYTES; i++) {
		text[2 * i] = digits[signature[i] >> 4];
		text[2 * i + 1] = digits[signature[i] & 15];
	}
	text[SIGNED_AT - 1] = ' ';
	*ret_text = text;
	*ret_bytes = head + bytes;
	text = NULL;
	rc = 0;
out:
	EVP_MD_CTX_free(context);
	free(text);
	return rc;
}

static int check(struct evp_pkey_st *key, const char *text, size_t bytes)
{
	unsigned char signature[SIGNATURE_BYTES];
	EVP_MD_CTX *context;
	int fine;

	if (bytes <= SIGNED_AT || text[SIGNED_AT - 1] != ' ')
		return -EBADMSG;
	for (int i = 0; i < SIGNATURE_BYTES; i++) {
		int high = value_of(text[2 * i]), low = value_of(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		signature[i] = (unsigned char)(high << 4 | low);
	}
	context = EVP_MD_CTX_new();
	fine = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
	       EVP_DigestVerify(context, signature, sizeof signature, (const unsigned char *)text + SIGNED_AT, bytes - SIGNED_AT) == 1;
	EVP_MD_CTX_free(context);
	return fine ? 0 : -EKEYREJECTED;
}

int seal_open(struct evp_pkey_st *key, const char *text, size_t bytes, struct sealed *ret)
{
	const char *at, *space;
	size_t left, name;
	int rc = check(key, text, bytes);

	if (rc < 0)
		return rc;
	at = text + SIGNED_AT;
	left = bytes - SIGNED_AT;
	if (left < 8 || memcmp(at, "command ", 8) != 0)
		return -EBADMSG;
	at += 8;
	left -= 8;
	space = memchr(at, ' ', left);
	name = space ? (size_t)(space - at) : left;
	if (name >= CERTIFICATE_NAME_BYTES || left < name + 1 + 16 + 1 || at[name + 17] != ' ')
		return -EBADMSG;
	memcpy(ret->target, at, name);
	ret->target[name] = '\0';
	ret->expiry_ns = 0;
	for (size_t i = name + 1; i < name + 17; i++) {
		int value = value_of(at[i]);

		if (value < 0)
			return -EBADMSG;
		ret->expiry_ns = ret->expiry_ns << 4 | (unsigned int)value;
	}
	ret->parcel = at + name + 18;
	ret->parcel_bytes = left - name - 18;
	return 0;
}
