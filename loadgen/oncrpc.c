/* SPDX-License-Identifier: MIT */
/*
 * oncrpc.c - see oncrpc.h.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "oncrpc.h"

#define LAST_FRAGMENT 0x80000000u
#define AUTH_BYTES_MAX 400u		/* RFC 5531, section 8.2 */

enum { CALL, REPLY };
enum { MSG_ACCEPTED, MSG_DENIED };
enum { SUCCESS, PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL };
enum { AUTH_NONE, AUTH_SYS };

static size_t padded(uint32_t bytes)
{
	return ((size_t)bytes + 3) & ~(size_t)3;
}

/* @return NULL when there is not so much. */
static uint8_t *advance(struct xdr *x, size_t bytes)
{
	uint8_t *at = x->at;

	x->bad = x->bad || bytes > x->left;
	if (x->bad)
		return NULL;
	x->at += bytes;
	x->left -= bytes;
	return at;
}

void xdr_put_u32(struct xdr *x, uint32_t value)
{
	uint32_t big = htobe32(value);

	xdr_put_fixed(x, &big, sizeof big);
}

void xdr_put_u64(struct xdr *x, uint64_t value)
{
	uint64_t big = htobe64(value);

	xdr_put_fixed(x, &big, sizeof big);
}

void xdr_put_fixed(struct xdr *x, const void *data, uint32_t bytes)
{
	uint8_t *at = advance(x, padded(bytes));

	if (!at || bytes == 0)
		return;
	memcpy(at, data, bytes);
	memset(at + bytes, 0, padded(bytes) - bytes);
}

void xdr_put_opaque(struct xdr *x, const void *data, uint32_t bytes)
{
	xdr_put_u32(x, bytes);
	xdr_put_fixed(x, data, bytes);
}

uint32_t xdr_u32(struct xdr *x)
{
	const uint8_t *at = advance(x, 4);
	uint32_t big = 0;

	if (at)
		memcpy(&big, at, sizeof big);
	return be32toh(big);
}

uint64_t xdr_u64(struct xdr *x)
{
	uint64_t high = xdr_u32(x);

	return high << 32 | xdr_u32(x);
}

const void *xdr_fixed(struct xdr *x, uint32_t bytes)
{
	return advance(x, padded(bytes));
}

const void *xdr_opaque(struct xdr *x, uint32_t max, uint32_t *ret_bytes)
{
	*ret_bytes = xdr_u32(x);
	x->bad = x->bad || *ret_bytes > max;
	return xdr_fixed(x, *ret_bytes);
}

void rpc_call_begin(struct xdr *x, const struct rpc_caller *who, uint32_t xid, uint32_t program, uint32_t version, uint32_t procedure)
{
	uint32_t machine_bytes = (uint32_t)strlen(who->machine);

	xdr_put_u32(x, 0);		/* the mark, see rpc_call_end() */
	xdr_put_u32(x, xid);
	xdr_put_u32(x, CALL);
	xdr_put_u32(x, 2);		/* of RPC */
	xdr_put_u32(x, program);
	xdr_put_u32(x, version);
	xdr_put_u32(x, procedure);
	xdr_put_u32(x, AUTH_SYS);
	xdr_put_u32(x, 5 * 4 + (uint32_t)padded(machine_bytes));
	xdr_put_u32(x, 0);		/* a stamp of our choice */
	xdr_put_opaque(x, who->machine, machine_bytes);
	xdr_put_u32(x, who->uid);
	xdr_put_u32(x, who->gid);
	xdr_put_u32(x, 0);		/* no further groups */
	xdr_put_u32(x, AUTH_NONE);	/* the verifier */
	xdr_put_u32(x, 0);
}

size_t rpc_call_end(const struct xdr *x, uint8_t *start)
{
	size_t bytes = (size_t)(x->at - start);
	uint32_t mark;

	if (x->bad)
		return 0;
	assert(bytes > RPC_MARK_BYTES && bytes - RPC_MARK_BYTES < LAST_FRAGMENT);
	mark = htobe32(LAST_FRAGMENT | (uint32_t)(bytes - RPC_MARK_BYTES));
	memcpy(start, &mark, sizeof mark);
	return bytes;
}

static int accepted(uint32_t stat)
{
	switch (stat) {
	case SUCCESS:
		return 0;
	case PROG_UNAVAIL:
	case PROG_MISMATCH:
	case PROC_UNAVAIL:
		return -EOPNOTSUPP;
	default:
		return -EREMOTEIO;
	}
}

int rpc_reply(struct xdr *x, uint32_t *ret_xid)
{
	uint32_t xid = xdr_u32(x), type = xdr_u32(x), status = xdr_u32(x), ignored, stat;

	if (x->bad || type != REPLY || status > MSG_DENIED)
		return -EPROTO;
	if (status == MSG_DENIED) {
		*ret_xid = xid;
		return -EACCES;
	}
	(void)xdr_u32(x);
	(void)xdr_opaque(x, AUTH_BYTES_MAX, &ignored);
	stat = xdr_u32(x);
	if (x->bad)
		return -EPROTO;
	*ret_xid = xid;
	return accepted(stat);
}

void rpc_record_reset(struct rpc_record *r)
{
	*r = (struct rpc_record){ .buffer = r->buffer, .max = r->max };
}

/* @return how much of the mark was there. */
static size_t feed_mark(struct rpc_record *r, const uint8_t *data, size_t bytes)
{
	size_t n = 0;

	for (; n < bytes && r->mark_nr < RPC_MARK_BYTES; n++, r->mark_nr++)
		r->mark = r->mark << 8 | data[n];
	if (r->mark_nr == RPC_MARK_BYTES)
		r->left = r->mark & ~LAST_FRAGMENT;
	return n;
}

int64_t rpc_record_feed(struct rpc_record *r, const uint8_t *data, size_t bytes)
{
	size_t taken = 0;

	assert(!r->whole);
	while (taken < bytes && !r->whole) {
		size_t n = bytes - taken;

		if (r->mark_nr < RPC_MARK_BYTES) {
			taken += feed_mark(r, data + taken, n);
			if (r->mark_nr < RPC_MARK_BYTES)
				break;
			if (r->left > r->max - r->have)
				return -EMSGSIZE;
			n = bytes - taken;
		}
		n = n < r->left ? n : r->left;
		memcpy(r->buffer + r->have, data + taken, n);
		r->have += n;
		r->left -= (uint32_t)n;
		taken += n;
		if (r->left == 0) {
			r->mark_nr = 0;
			r->whole = (r->mark & LAST_FRAGMENT) != 0;
			r->mark = 0;
		}
	}
	return (int64_t)taken;
}
