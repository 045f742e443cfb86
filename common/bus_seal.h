/* SPDX-License-Identifier: MIT */
/*
 * bus_seal.h - what the coordinator sends over a broker is signed: private to common/.
 *
 * A broker decides who may publish what. An agent that acts as root does not rely on that: it obeys what is signed with the key of the coordinator,
 * which was in its identity from the beginning, for it, and not too late. A sealed parcel is
 *
 *	SIGNATURE command TARGET EXPIRY PARCEL
 *
 * an Ed25519 signature as 128 hexadecimal digits, over all that follows the space behind it; the name of the agent; 16 hexadecimal digits.
 *
 * EXPIRY is in ns since the agent has offered the session of the parcel (bus_mqtt.c), on its monotonic clock: the time of day may be wrong on a host, and
 * squall has a fault that makes it so. The agent draws the session at random, so a parcel of another time is of no session that it knows.
 */
#ifndef SQUALL_BUS_SEAL_H
#define SQUALL_BUS_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "certificate.h"

struct evp_pkey_st;

struct sealed {
	char target[CERTIFICATE_NAME_BYTES];
	uint64_t expiry_ns;
	const char *parcel;		/* in the text that was opened */
	size_t parcel_bytes;
};

/** @param ret_text  malloc'ed. Errors: -ENOMEM, -EIO */
int seal_make(struct evp_pkey_st *key, const char *target, uint64_t expiry_ns, const char *parcel, size_t bytes, char **ret_text, size_t *ret_bytes);

/** What is signed with the key. Errors: -EBADMSG no sealed parcel, -EKEYREJECTED not signed with it */
int seal_open(struct evp_pkey_st *key, const char *text, size_t bytes, struct sealed *ret);

#endif
