/* SPDX-License-Identifier: MIT */
/*
 * nfs3.c - see nfs3.h.
 */
#include <errno.h>
#include <string.h>

#include "nfs3.h"
#include "nlm4.h"

#define PROGRAM_NFS 100003u
#define PROGRAM_MOUNT 100005u
#define VERSION 3u		/* of both */
#define ACCESS_READ 1u
#define FILE_SYNC 2u
#define FATTR_BYTES 84u		/* of which the size is at 20 */
#define FATTR_SIZE_AT 20u
#define PATH_BYTES_MAX 1024u

enum { UNCHECKED, GUARDED };

static const struct {
	uint32_t program, version, procedure;
} numbers[] = {
	[NFS3_SETATTR] = { PROGRAM_NFS, VERSION, 2 },
	[NFS3_LOOKUP] = { PROGRAM_NFS, VERSION, 3 },
	[NFS3_ACCESS] = { PROGRAM_NFS, VERSION, 4 },
	[NFS3_READLINK] = { PROGRAM_NFS, VERSION, 5 },
	[NFS3_READ] = { PROGRAM_NFS, VERSION, 6 },
	[NFS3_WRITE] = { PROGRAM_NFS, VERSION, 7 },
	[NFS3_CREATE] = { PROGRAM_NFS, VERSION, 8 },
	[NFS3_CREATE_NEW] = { PROGRAM_NFS, VERSION, 8 },
	[NFS3_REMOVE] = { PROGRAM_NFS, VERSION, 12 },
	[NFS3_RENAME] = { PROGRAM_NFS, VERSION, 14 },
	[NFS3_READDIR] = { PROGRAM_NFS, VERSION, 16 },
	[NFS3_READDIRPLUS] = { PROGRAM_NFS, VERSION, 17 },
	[NFS3_FSSTAT] = { PROGRAM_NFS, VERSION, 18 },
	[NFS3_MNT] = { PROGRAM_MOUNT, VERSION, 1 },
	[NFS3_LOCK] = { NLM4_PROGRAM, NLM4_VERSION, NLM4_NM_LOCK },
	[NFS3_UNLOCK] = { NLM4_PROGRAM, NLM4_VERSION, NLM4_UNLOCK },
};

static void put_name(struct xdr *x, const char *name)
{
	xdr_put_opaque(x, name, (uint32_t)strlen(name));
}

static void put_handle(struct xdr *x, const struct nfs3_handle *h)
{
	xdr_put_opaque(x, h->data, h->bytes);
}

/* sattr3: nothing but the mode. */
static void put_mode(struct xdr *x, uint32_t mode)
{
	xdr_put_u32(x, 1);
	xdr_put_u32(x, mode);
	for (int i = 0; i < 5; i++)	/* uid, gid, size, both times */
		xdr_put_u32(x, 0);
}

static void put_folder(struct xdr *x, const struct nfs3_call *c)
{
	xdr_put_u64(x, c->offset);
	xdr_put_fixed(x, c->verifier, sizeof c->verifier);
	if (c->kind == NFS3_READDIRPLUS)
		xdr_put_u32(x, NFS3_PIECE_BYTES / 4);	/* of names alone */
	xdr_put_u32(x, NFS3_PIECE_BYTES);
}

static void put_arguments(struct xdr *x, const struct nfs3_call *c)
{
	switch (c->kind) {
	case NFS3_SETATTR:
		put_mode(x, c->mode);
		xdr_put_u32(x, 0);	/* whatever its ctime is */
		break;
	case NFS3_LOOKUP:
	case NFS3_REMOVE:
	case NFS3_MNT:
		put_name(x, c->name);
		break;
	case NFS3_ACCESS:
		xdr_put_u32(x, ACCESS_READ);
		break;
	case NFS3_READ:
		xdr_put_u64(x, c->offset);
		xdr_put_u32(x, c->bytes);
		break;
	case NFS3_WRITE:
		xdr_put_u64(x, c->offset);
		xdr_put_u32(x, c->bytes);
		xdr_put_u32(x, FILE_SYNC);
		xdr_put_opaque(x, c->data, c->bytes);
		break;
	case NFS3_CREATE:
	case NFS3_CREATE_NEW:
		put_name(x, c->name);
		xdr_put_u32(x, c->kind == NFS3_CREATE ? UNCHECKED : GUARDED);
		put_mode(x, c->mode);
		break;
	case NFS3_RENAME:
		put_name(x, c->name);
		put_handle(x, &c->of);
		put_name(x, c->to);
		break;
	case NFS3_READDIR:
	case NFS3_READDIRPLUS:
		put_folder(x, c);
		break;
	case NFS3_READLINK:
	case NFS3_FSSTAT:
	case NFS3_LOCK:
	case NFS3_UNLOCK:
	case NFS3_KINDS_NR:
		break;
	}
}

size_t nfs3_write_call(const struct nfs3_call *call, const struct rpc_caller *who, uint32_t xid, uint8_t *buffer)
{
	struct xdr x = { .at = buffer, .left = NFS3_CALL_BYTES };

	rpc_call_begin(&x, who, xid, numbers[call->kind].program, numbers[call->kind].version, numbers[call->kind].procedure);
	if (nfs3_is_of_locks(call->kind))
		nlm4_put_arguments(&x, numbers[call->kind].procedure, who, call->of.data, call->of.bytes);
	else if (call->kind != NFS3_MNT)
		put_handle(&x, &call->of);
	put_arguments(&x, call);
	return rpc_call_end(&x, buffer);
}

/* Up to ROFS and MLINK the numbers are those of Unix. */
static int status_errno(uint32_t status)
{
	static const struct {
		uint32_t status;
		int error;
	} table[] = {
		{ 63, ENAMETOOLONG }, { 66, ENOTEMPTY }, { 69, EDQUOT }, { 70, ESTALE }, { 71, EREMOTE }, { 10001, ESTALE }, { 10004, EOPNOTSUPP },
		{ 10008, EAGAIN },	/* JUKEBOX: later, please */
	};

	if (status <= 31)
		return -(int)status;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].status == status)
			return -table[i].error;
	return -EREMOTEIO;
}

static void read_handle(struct xdr *x, struct nfs3_handle *ret)
{
	const void *data = xdr_opaque(x, NFS3_HANDLE_BYTES, &ret->bytes);

	if (data)
		memcpy(ret->data, data, ret->bytes);
	else
		ret->bytes = 0;
}

/* post_op_attr. @return the size's place, or NULL */
static const uint8_t *read_attributes(struct xdr *x)
{
	const uint8_t *fattr = xdr_u32(x) ? xdr_fixed(x, FATTR_BYTES) : NULL;

	return fattr ? fattr + FATTR_SIZE_AT : NULL;
}

static void read_size(struct xdr *x, struct nfs3_answer *ret)
{
	const uint8_t *at = read_attributes(x);
	struct xdr size = { .at = (uint8_t *)(uintptr_t)at, .left = 8 };

	ret->has_size = at;
	if (at)
		ret->size = xdr_u64(&size);
}

/* wcc_data */
static void skip_before_and_after(struct xdr *x)
{
	if (xdr_u32(x))
		(void)xdr_fixed(x, 24);
	(void)read_attributes(x);
}

static void read_entries(struct xdr *x, bool plus, struct nfs3_answer *ret)
{
	const void *verifier;
	uint32_t bytes;

	(void)read_attributes(x);
	verifier = xdr_fixed(x, sizeof ret->verifier);
	if (verifier)
		memcpy(ret->verifier, verifier, sizeof ret->verifier);
	while (xdr_u32(x)) {
		(void)xdr_u64(x);	/* its number */
		(void)xdr_opaque(x, PATH_BYTES_MAX, &bytes);
		ret->cookie = xdr_u64(x);
		ret->bytes += bytes;
		if (plus) {
			(void)read_attributes(x);
			if (xdr_u32(x))
				(void)xdr_opaque(x, NFS3_HANDLE_BYTES, &bytes);
		}
	}
	ret->eof = xdr_u32(x);
}

static void read_results(struct xdr *x, enum nfs3_kind kind, struct nfs3_answer *ret)
{
	switch (kind) {
	case NFS3_LOOKUP:
		read_handle(x, &ret->handle);
		read_size(x, ret);
		break;
	case NFS3_CREATE:
	case NFS3_CREATE_NEW:
		if (xdr_u32(x))
			read_handle(x, &ret->handle);
		read_size(x, ret);
		break;
	case NFS3_MNT:
		read_handle(x, &ret->handle);
		break;
	case NFS3_ACCESS:
		(void)read_attributes(x);
		ret->bytes = xdr_u32(x) & ACCESS_READ;
		break;
	case NFS3_READLINK:
		(void)read_attributes(x);
		ret->data = xdr_opaque(x, PATH_BYTES_MAX, &ret->bytes);
		break;
	case NFS3_READ:
		(void)read_attributes(x);
		(void)xdr_u32(x);	/* said again in front of the data */
		ret->eof = xdr_u32(x);
		ret->data = xdr_opaque(x, NFS3_PIECE_BYTES, &ret->bytes);
		break;
	case NFS3_WRITE:
		skip_before_and_after(x);
		ret->bytes = xdr_u32(x);
		break;
	case NFS3_READDIR:
	case NFS3_READDIRPLUS:
		read_entries(x, kind == NFS3_READDIRPLUS, ret);
		break;
	case NFS3_SETATTR:
	case NFS3_REMOVE:
	case NFS3_RENAME:
	case NFS3_FSSTAT:
	case NFS3_LOCK:
	case NFS3_UNLOCK:
	case NFS3_KINDS_NR:
		break;			/* the status says all that is wanted */
	}
}

int nfs3_read_answer(struct xdr *x, enum nfs3_kind kind, struct nfs3_answer *ret)
{
	uint32_t status;

	*ret = (struct nfs3_answer){ .eof = false };
	if (nfs3_is_of_locks(kind))
		return nlm4_read_answer(x);
	status = xdr_u32(x);
	if (x->bad)
		return -EPROTO;
	if (status != 0)
		return status_errno(status);
	read_results(x, kind, ret);
	return x->bad ? -EPROTO : 0;
}
