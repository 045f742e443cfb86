/* SPDX-License-Identifier: MIT */
/*
 * bus_seal_test.c - what is signed is opened as it was; what was changed, or signed by another, is not.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../../../common/bus_seal.h"

static const char parcel[] = "0123456789abcdef 0000000000000001 0000000000000002 {\"kind\": \"stop\"}";

static EVP_PKEY *new_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	cr_assert_not_null(key);
	return key;
}

Test(bus_seal, what_is_sealed_is_opened_as_it_was)
{
	EVP_PKEY *key = new_key();
	struct sealed sealed;
	char *text;
	size_t bytes;

	cr_assert_eq(seal_make(key, "client-1", 0x123456789abcdef0u, parcel, strlen(parcel), &text, &bytes), 0);
	cr_assert_eq(seal_open(key, text, bytes, &sealed), 0);
	cr_assert_str_eq(sealed.target, "client-1");
	cr_assert_eq(sealed.expiry_ns, 0x123456789abcdef0u);
	cr_assert_eq(sealed.parcel_bytes, strlen(parcel));
	cr_assert_eq(memcmp(sealed.parcel, parcel, strlen(parcel)), 0);
	free(text);
	EVP_PKEY_free(key);
}

Test(bus_seal, no_byte_of_it_can_be_changed_left_out_or_added)
{
	EVP_PKEY *key = new_key();
	struct sealed sealed;
	char *text, *longer;
	size_t bytes;

	cr_assert_eq(seal_make(key, "client-1", 7, parcel, strlen(parcel), &text, &bytes), 0);
	for (size_t i = 0; i < bytes; i++) {
		text[i] ^= 1;
		cr_assert_lt(seal_open(key, text, bytes, &sealed), 0, "byte %zu", i);
		text[i] ^= 1;
		cr_assert_lt(seal_open(key, text, i, &sealed), 0, "%zu bytes", i);
	}
	longer = calloc(1, bytes + 1);
	memcpy(longer, text, bytes);
	cr_assert_eq(seal_open(key, longer, bytes + 1, &sealed), -EKEYREJECTED);
	cr_assert_eq(seal_open(key, longer, bytes, &sealed), 0);
	free(longer);
	free(text);
	EVP_PKEY_free(key);
}

Test(bus_seal, the_key_of_another_opens_nothing)
{
	EVP_PKEY *key = new_key(), *other = new_key();
	struct sealed sealed;
	char *text;
	size_t bytes;

	cr_assert_eq(seal_make(other, "client-1", 7, parcel, strlen(parcel), &text, &bytes), 0);
	cr_assert_eq(seal_open(key, text, bytes, &sealed), -EKEYREJECTED);
	free(text);
	EVP_PKEY_free(other);
	EVP_PKEY_free(key);
}

Test(bus_seal, what_the_key_has_signed_for_another_purpose_is_no_command)
{
	EVP_PKEY *key = new_key();
	struct sealed sealed;
	const char *signed_text = "welcome client-1 0000000000000007 x";
	unsigned char signature[64];
	size_t bytes = sizeof signature;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char text[256];

	cr_assert_eq(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
	cr_assert_eq(EVP_DigestSign(context, signature, &bytes, (const unsigned char *)signed_text, strlen(signed_text)), 1);
	for (int i = 0; i < 64; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", signature[i]);
	(void)snprintf(text + 128, sizeof text - 128, " %s", signed_text);
	cr_assert_eq(seal_open(key, text, strlen(text), &sealed), -EBADMSG);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
}
