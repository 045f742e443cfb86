/* SPDX-License-Identifier: MIT */
/*
 * nlm4.c - see nlm4.h.
 */
#include <errno.h>
#include <string.h>

#include "nlm4.h"

#define COOKIE_BYTES_MAX 1024u

/* FNV-1a, of which a server takes 63 bits as an offset. */
static uint64_t own_byte(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return hash >> 2;
}

static void put_lock(struct xdr *x, const struct rpc_caller *who, const void *handle, uint32_t handle_bytes)
{
	uint32_t bytes = (uint32_t)strlen(who->machine);

	xdr_put_opaque(x, who->machine, bytes);
	xdr_put_opaque(x, handle, handle_bytes);
	xdr_put_opaque(x, who->machine, bytes);	/* its owner there */
	xdr_put_u32(x, 1);			/* and the process */
	xdr_put_u64(x, own_byte(who->machine));
	xdr_put_u64(x, 1);
}

void nlm4_put_arguments(struct xdr *x, uint32_t procedure, const struct rpc_caller *who, const void *handle, uint32_t handle_bytes)
{
	xdr_put_u32(x, 0);		/* no cookie: the xid tells */
	if (procedure == NLM4_NM_LOCK) {
		xdr_put_u32(x, 0);	/* without waiting */
		xdr_put_u32(x, 1);	/* exclusively */
	}
	put_lock(x, who, handle, handle_bytes);
	if (procedure == NLM4_NM_LOCK) {
		xdr_put_u32(x, 0);	/* not reclaimed */
		xdr_put_u32(x, 0);	/* our state, which nobody monitors */
	}
}

int nlm4_read_answer(struct xdr *x)
{
	/* GRANTED, DENIED, DENIED_NOLOCKS, BLOCKED, DENIED_GRACE_PERIOD, DEADLCK, ROFS, STALE_FH, FBIG, FAILED */
	static const int errors[] = { 0, EAGAIN, ENOLCK, EPROTO, EBUSY, EDEADLK, EROFS, ESTALE, EFBIG, EIO };
	uint32_t bytes, status;

	(void)xdr_opaque(x, COOKIE_BYTES_MAX, &bytes);
	status = xdr_u32(x);
	if (x->bad)
		return -EPROTO;
	return status < sizeof errors / sizeof errors[0] ? -errors[status] : -EREMOTEIO;
}
