/* SPDX-License-Identifier: MIT */
/*
 * oncrpc.h - ONC RPC over TCP (RFC 5531) as a client needs it: XDR, records, the header of a call, the header of a reply.
 *
 * Works on memory alone and takes none. What a server sent is not trusted: reading beyond the end gives zeroes and makes the reader bad, which is
 * asked once, at the end.
 */
#ifndef SQUALL_LOADGEN_ONCRPC_H
#define SQUALL_LOADGEN_ONCRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_MARK_BYTES 4u
#define RPC_MACHINE_BYTES 256u		/* RFC 5531, appendix A: 255 and a NUL */

/* Of XDR (RFC 4506), both ways. */
struct xdr {
	uint8_t *at;
	size_t left;
	bool bad;			/* it was read or written beyond the end */
};

void xdr_put_u32(struct xdr *x, uint32_t value);
void xdr_put_u64(struct xdr *x, uint64_t value);
/** Length, bytes, padding. */
void xdr_put_opaque(struct xdr *x, const void *data, uint32_t bytes);
/** Bytes and padding, without a length. */
void xdr_put_fixed(struct xdr *x, const void *data, uint32_t bytes);

uint32_t xdr_u32(struct xdr *x);
uint64_t xdr_u64(struct xdr *x);
/** @return where `bytes` bytes are, of which the padding is skipped; NULL beyond the end. */
const void *xdr_fixed(struct xdr *x, uint32_t bytes);
/** As xdr_fixed(), behind a length. @param max  more of them are bad */
const void *xdr_opaque(struct xdr *x, uint32_t max, uint32_t *ret_bytes);

/* Who calls: AUTH_SYS. */
struct rpc_caller {
	char machine[RPC_MACHINE_BYTES];
	uint32_t uid, gid;
};

/** Begin a call at the start of a record: the arguments follow. @param x  the whole buffer */
void rpc_call_begin(struct xdr *x, const struct rpc_caller *who, uint32_t xid, uint32_t program, uint32_t version, uint32_t procedure);
/** End it. @param start  of the buffer. @return how many bytes are to be sent; 0: it did not fit */
size_t rpc_call_end(const struct xdr *x, uint8_t *start);

/**
 * Read the header of a reply; the results are left in `x`.
 * @return 0; -EPROTO: this is no reply; -EACCES: the server refuses the caller; -EOPNOTSUPP: it has no such program, version or procedure;
 * -EREMOTEIO: it could not read the arguments, or failed. The xid is valid but for -EPROTO.
 */
int rpc_reply(struct xdr *x, uint32_t *ret_xid);

/* A record on its way in, out of fragments, each of which may come in pieces. */
struct rpc_record {
	uint8_t *buffer;
	size_t max, have;
	uint32_t mark, left;		/* of the fragment: its mark so far, and how much of it is still to come */
	unsigned int mark_nr;		/* bytes of the mark */
	bool whole;			/* buffer[0..have) is a record */
};

/** Forget what was there: the next byte is the first one of a record. */
void rpc_record_reset(struct rpc_record *r);

/** Take what has come, to the end of the record at the most. @return how much was taken; -EMSGSIZE: the record is longer than the buffer, and the stream is lost. */
int64_t rpc_record_feed(struct rpc_record *r, const uint8_t *data, size_t bytes);

#endif
