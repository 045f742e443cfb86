/* SPDX-License-Identifier: MIT */
/*
 * nfs3_chain.h - an op as the calls that it takes, one after the other.
 *
 *	stat, stat_miss			lookup
 *	open, access			lookup ─ access
 *	read, first_byte		lookup ─ access ─ read, read, ...
 *	pread				read
 *	readdir, readdir_stat		readdir, ... or readdirplus, ...
 *	statfs				fsstat
 *	readlink, chmod			lookup ─ readlink or setattr
 *	write, write_fsync		lookup ─ write
 *	append_fsync			lookup ─ create when it is not there ─ write at its end
 *	create, rename, unlink		one call
 *	lock				lookup ─ lock ─ unlock
 *
 * A lookup is in a folder whose handle is known, as a client with warm folders and cold files does it. A write is on stable storage when it is
 * answered, which is what a client does with a block that is written back by close or fsync.
 */
#ifndef SQUALL_LOADGEN_NFS3_CHAIN_H
#define SQUALL_LOADGEN_NFS3_CHAIN_H

#include "nfs3_tree.h"
#include "scratch.h"

struct nfs3_chain {
	enum op_kind kind;
	size_t idx;			/* of its file */
	struct nfs3_call call;		/* the one to be made, or under way */
	uint64_t left;			/* bytes of a read still to come */
	int64_t result;			/* so far */
	char name[FILES_PATH_BYTES], to[32], data[SCRATCH_BLOCK_BYTES];
};

/** @return 0: c->call is to be made; -ENOTSUP. */
int nfs3_chain_begin(const struct nfs3_tree *t, struct nfs3_chain *c, const struct op *op);

/** @param rc  of the call: 0 or -errno. @return whether c->call is to be made again, being the next one; else c->result is that of the op. */
bool nfs3_chain_next(const struct nfs3_tree *t, struct nfs3_chain *c, int rc, const struct nfs3_answer *answer);

#endif
