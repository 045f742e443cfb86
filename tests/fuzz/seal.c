/* SPDX-License-Identifier: MIT */
/*
 * seal.c - what claims to be a command: nothing is one that the key has not signed; and what it has signed is opened within its bounds, whatever it is.
 */
#include <openssl/evp.h>

#include "../../common/bus_seal.h"
#include "fuzz.h"

#define SIGNATURE_BYTES 64

static char *sign(EVP_PKEY *key, const uint8_t *data, size_t size)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[SIGNATURE_BYTES];
	size_t bytes = sizeof signature;
	char *text = malloc(2 * SIGNATURE_BYTES + 1 + size + 1);

	CHECK(text && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(context, signature, &bytes, data, size) == 1);
	for (int i = 0; i < SIGNATURE_BYTES; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", signature[i]);
	text[2 * SIGNATURE_BYTES] = ' ';
	memcpy(text + 2 * SIGNATURE_BYTES + 1, data, size);
	EVP_MD_CTX_free(context);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static EVP_PKEY *key;
	struct sealed sealed;
	char *text = fuzz_text(data, size), *exact;

	if (!key)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	CHECK(key && seal_open(key, text, size, &sealed) < 0);
	free(text);
	text = sign(key, data, size);
	exact = malloc(2 * SIGNATURE_BYTES + 1 + size);		/* so that a read beyond its end is seen */
	CHECK(exact);
	memcpy(exact, text, 2 * SIGNATURE_BYTES + 1 + size);
	if (seal_open(key, exact, 2 * SIGNATURE_BYTES + 1 + size, &sealed) == 0)
		CHECK(strlen(sealed.target) < sizeof sealed.target && sealed.parcel + sealed.parcel_bytes == exact + 2 * SIGNATURE_BYTES + 1 + size);
	free(exact);
	free(text);
	return 0;
}
