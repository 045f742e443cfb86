/* SPDX-License-Identifier: MIT */
/*
 * nfs3.h - the calls of NFS version 3 (RFC 1813) that the engine makes, the one of MOUNT and those of nlm4.h: written into memory, and read from it.
 */
#ifndef SQUALL_LOADGEN_NFS3_H
#define SQUALL_LOADGEN_NFS3_H

#include "oncrpc.h"

#define NFS3_HANDLE_BYTES 64u
#define NFS3_PIECE_BYTES (32u << 10)			/* of a file or a folder, for one call */
#define NFS3_CALL_BYTES (8u << 10)			/* the longest call writes a block of 4 KiB */
#define NFS3_REPLY_BYTES (NFS3_PIECE_BYTES + 4096)	/* the longest reply has a piece in it */

enum nfs3_kind {
	NFS3_SETATTR,		/* the mode, to 0644 or 0600 */
	NFS3_LOOKUP,
	NFS3_ACCESS,		/* may it be read */
	NFS3_READLINK,
	NFS3_READ,
	NFS3_WRITE,		/* on stable storage when it is answered */
	NFS3_CREATE,		/* one that is there already is taken */
	NFS3_CREATE_NEW,	/* it must not be there */
	NFS3_REMOVE,
	NFS3_RENAME,		/* inside of a folder */
	NFS3_READDIR,
	NFS3_READDIRPLUS,
	NFS3_FSSTAT,
	NFS3_MNT,		/* the handle of an export, from the program MOUNT */
	NFS3_LOCK,		/* of the lock manager, which listens elsewhere */
	NFS3_UNLOCK,
	NFS3_KINDS_NR
};

static inline bool nfs3_is_of_locks(enum nfs3_kind kind)
{
	return kind == NFS3_LOCK || kind == NFS3_UNLOCK;
}

struct nfs3_handle {
	uint32_t bytes;
	uint8_t data[NFS3_HANDLE_BYTES];
};

/* What a call is about; each kind uses what it needs. */
struct nfs3_call {
	enum nfs3_kind kind;
	struct nfs3_handle of;		/* a file, or the folder of the names */
	const char *name, *to;		/* of mnt a path */
	uint64_t offset;		/* of a file, or the cookie of a folder */
	uint8_t verifier[8];		/* of the cookie */
	uint32_t bytes;			/* how many to read or write */
	uint32_t mode;
	const void *data;
};

/* What an answer says; each kind fills in what it has. */
struct nfs3_answer {
	struct nfs3_handle handle;	/* bytes 0: there is none */
	bool has_size, eof;
	uint64_t size;
	const void *data;		/* in the record */
	uint32_t bytes;			/* of data; that were written; of the names of a folder */
	uint64_t cookie;
	uint8_t verifier[8];
};

/** @param buffer  NFS3_CALL_BYTES. @return the length of the whole record; 0: it does not fit. */
size_t nfs3_write_call(const struct nfs3_call *call, const struct rpc_caller *who, uint32_t xid, uint8_t *buffer);

/** @param x  behind the header of the reply. @return 0, -errno as the server says it; -EPROTO: this is no answer to such a call. */
int nfs3_read_answer(struct xdr *x, enum nfs3_kind kind, struct nfs3_answer *ret);

#endif
