/* SPDX-License-Identifier: MIT */
/*
 * certificate.h - who is who on a bus: a certificate authority of a fleet's own, the certificates that it signs, and those that it has withdrawn.
 *
 * Keys are Ed25519, certificates X.509. A folder of a certificate, an identity, has key.pem (for its owner alone), cert.pem and ca.pem; that of an agent
 * also coordinator.pem, the certificate of whom it obeys.
 */
#ifndef SQUALL_CERTIFICATE_H
#define SQUALL_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct evp_pkey_st;		/* EVP_PKEY of libcrypto */

#define CERTIFICATE_NAME_BYTES 33	/* with the NUL */

enum certificate_use { CERTIFICATE_CLIENT, CERTIFICATE_SERVER };

/** Whether it may be the name of somebody on a bus: [a-z0-9-]{1,32}. It becomes a part of topics and of paths. */
bool certificate_name_is_fine(const char *name);

/** Make an authority in a folder that has none: ca.key, ca.pem, and crl.pem, the list of what is withdrawn. Errors: -EEXIST, -errno */
int certificate_authority(const char *folder, struct err *err);

/**
 * Make a key and a certificate.
 * @param authority  folder of certificate_authority()
 * @param addresses  IPv4 addresses under which a server is connected to, with commas between them; NULL of a client
 * @param identity   folder to write into; it is made
 * Errors: -EINVAL the name, -ENOENT no authority, -errno
 */
int certificate_issue(const char *authority, const char *name, enum certificate_use use, const char *addresses, const char *identity, struct err *err);

/** Withdraw the certificate of an identity: crl.pem of the authority names it from now on. Once more is fine. */
int certificate_revoke(const char *authority, const char *identity, struct err *err);

/** The name that the certificate of an identity carries. Errors: -ENOENT, -EBADMSG no certificate, or its name is not fine */
int certificate_name(const char *identity, char ret_name[CERTIFICATE_NAME_BYTES], struct err *err);

/** The private key of an identity, to be freed by EVP_PKEY_free(). */
int certificate_key(const char *identity, struct evp_pkey_st **ret, struct err *err);

/** Put the certificate of one identity into another, as coordinator.pem. */
int certificate_pin(const char *of, const char *identity, struct err *err);
/** The public key in coordinator.pem, to be freed by EVP_PKEY_free(). */
int certificate_pinned(const char *identity, struct evp_pkey_st **ret, struct err *err);

#endif
