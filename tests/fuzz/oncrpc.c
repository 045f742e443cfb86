/* SPDX-License-Identifier: MIT */
/*
 * oncrpc.c - what an NFS server sends: the first byte says to which call, the second in pieces of how many bytes it comes.
 */
#include "../../loadgen/nfs3.h"
#include "fuzz.h"

#define REPLY_BYTES 4096u

static void read_record(const struct rpc_record *r, enum nfs3_kind kind)
{
	uint8_t *own = malloc(r->have ? r->have : 1);	/* so that a read beyond its end is seen */
	struct xdr x = { .at = own, .left = r->have };
	struct nfs3_answer a;
	uint32_t xid;

	CHECK(own);
	memcpy(own, r->buffer, r->have);
	if (rpc_reply(&x, &xid) == 0 && nfs3_read_answer(&x, kind, &a) == 0) {
		CHECK(a.handle.bytes <= NFS3_HANDLE_BYTES);
		CHECK(!a.data || (a.data >= (void *)own && (const uint8_t *)a.data + a.bytes <= own + r->have));
	}
	free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t buffer[REPLY_BYTES];
	struct rpc_record r = { .buffer = buffer, .max = sizeof buffer };
	size_t piece, records_nr = 0;

	if (size < 2)
		return 0;
	piece = data[1] ? data[1] : 1;
	for (size_t at = 2; at < size;) {
		int64_t taken = rpc_record_feed(&r, data + at, size - at < piece ? size - at : piece);

		if (taken < 0)
			break;
		CHECK(taken > 0 && r.have <= sizeof buffer);
		at += (size_t)taken;
		if (!r.whole)
			continue;
		read_record(&r, (enum nfs3_kind)(data[0] % NFS3_KINDS_NR));
		rpc_record_reset(&r);
		records_nr++;
	}
	CHECK(records_nr <= size / RPC_MARK_BYTES);
	return 0;
}
