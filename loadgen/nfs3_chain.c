/* SPDX-License-Identifier: MIT */
/*
 * nfs3_chain.c - see nfs3_chain.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nfs3_chain.h"

static void in_folder(struct nfs3_chain *c, enum nfs3_kind kind, const struct nfs3_handle *folder, const char *path)
{
	(void)snprintf(c->name, sizeof c->name, "%s", strrchr(path, '/') + 1);
	c->call.kind = kind;
	c->call.of = *folder;
	c->call.name = c->name;
}

static void begin_pread(const struct nfs3_tree *t, struct nfs3_chain *c, const struct op *op)
{
	c->idx %= t->kept_nr;
	c->left = PREAD_BYTES;
	c->call.kind = NFS3_READ;
	c->call.of = t->kept[c->idx];
	c->call.offset = files_pread_offset(&t->files, c->idx, op->draw);
	c->call.bytes = PREAD_BYTES;
}

static void begin_change(const struct nfs3_tree *t, struct nfs3_chain *c, const struct op *op)
{
	char path[DATASET_PATH_BYTES];

	op_path(t->spec, t->files.host, op, path);
	in_folder(c, NFS3_LOOKUP, op->kind == OP_LOCK ? &t->locked[op->site] : &t->scratch[op->site], path);
	c->call.mode = 0644;
	c->call.data = c->data;
	c->call.bytes = SCRATCH_BLOCK_BYTES;
	c->call.offset = op->draw % (SCRATCH_DATA_BYTES / SCRATCH_BLOCK_BYTES) * SCRATCH_BLOCK_BYTES;
	if (op->kind == OP_CHMOD) {
		c->call.mode = op->draw & 1 ? 0644 : 0640;
	} else if (op->kind == OP_CREATE) {
		c->call.kind = NFS3_CREATE_NEW;
	} else if (op->kind == OP_UNLINK) {
		c->call.kind = NFS3_REMOVE;
	} else if (op->kind == OP_RENAME) {
		c->call.kind = NFS3_RENAME;
		scratch_kept_path(op, t->files.host, path);
		(void)snprintf(c->to, sizeof c->to, "%s", strrchr(path, '/') + 1);
		c->call.to = c->to;
	} else if (op->kind != OP_READLINK && op->kind != OP_LOCK) {
		memset(c->data, (int)(op->draw & 0xff), sizeof c->data);
	}
}

static void begin_append(const struct nfs3_tree *t, struct nfs3_chain *c, const struct op *op)
{
	char path[DATASET_PATH_BYTES];

	dataset_log_path(op->site, t->files.host, path);
	in_folder(c, NFS3_LOOKUP, &t->log[op->site], path);
	c->call.mode = 0644;
	c->call.data = c->data;
	c->call.bytes = (uint32_t)files_log_line(op->draw, c->data);
}

/* Of a file or folder of the dataset. */
static void begin_read(const struct nfs3_tree *t, struct nfs3_chain *c, const struct op *op)
{
	const struct nfs3_handle *folder = nfs3_folder(t, op->site, op->file);
	char miss[FILES_PATH_BYTES];

	if (op->kind == OP_READDIR || op->kind == OP_READDIR_STAT) {
		c->call.kind = op->kind == OP_READDIR ? NFS3_READDIR : NFS3_READDIRPLUS;
		c->call.of = *folder;
	} else if (op->kind == OP_STAT_MISS) {
		files_miss_path(&t->files, c->idx, op->draw, miss);
		in_folder(c, NFS3_LOOKUP, folder, miss);
	} else {
		in_folder(c, NFS3_LOOKUP, folder, files_path(&t->files, c->idx));
		c->left = op->kind == OP_FIRST_BYTE ? 1 : t->files.size_bytes[c->idx];
	}
}

int nfs3_chain_begin(const struct nfs3_tree *t, struct nfs3_chain *c, const struct op *op)
{
	c->kind = op->kind;
	c->idx = files_idx(&t->files, op);
	c->result = 0;
	c->call.offset = 0;
	memset(c->call.verifier, 0, sizeof c->call.verifier);
	if (op->kind == OP_NR || op->kind == OP_OPEN_ONLY || op_needs_open(op->kind) || (op->kind == OP_PREAD && !t->kept) || (op->kind == OP_APPEND_FSYNC && !t->log) ||
	    (op->kind == OP_LOCK ? !t->locked : scratch_has(op->kind) && !t->scratch))
		return -ENOTSUP;
	if (op->kind == OP_PREAD)
		begin_pread(t, c, op);
	else if (op->kind == OP_APPEND_FSYNC)
		begin_append(t, c, op);
	else if (op->kind == OP_STATFS)
		c->call = (struct nfs3_call){ .kind = NFS3_FSSTAT, .of = t->root };
	else if (scratch_has(op->kind))
		begin_change(t, c, op);
	else
		begin_read(t, c, op);
	return 0;
}

static bool ends(struct nfs3_chain *c, int64_t result)
{
	c->result = result;
	return false;
}

static bool goes_on(struct nfs3_chain *c, enum nfs3_kind kind)
{
	c->call.kind = kind;
	return true;
}

static bool read_on(struct nfs3_chain *c)
{
	c->call.bytes = c->left < NFS3_PIECE_BYTES ? (uint32_t)c->left : NFS3_PIECE_BYTES;
	return goes_on(c, NFS3_READ);
}

static bool after_lookup(struct nfs3_chain *c, const struct nfs3_answer *answer)
{
	c->call.of = answer->handle;
	switch (c->kind) {
	case OP_STAT_MISS:
		return ends(c, -EEXIST);
	case OP_READ:
	case OP_FIRST_BYTE:
	case OP_OPEN:
	case OP_ACCESS:
		return goes_on(c, NFS3_ACCESS);
	case OP_READLINK:
		return goes_on(c, NFS3_READLINK);
	case OP_CHMOD:
		return goes_on(c, NFS3_SETATTR);
	case OP_WRITE:
	case OP_WRITE_FSYNC:
		return goes_on(c, NFS3_WRITE);
	case OP_LOCK:
		return goes_on(c, NFS3_LOCK);
	case OP_APPEND_FSYNC:
		if (!answer->has_size || answer->handle.bytes == 0)
			return ends(c, -EPROTO);	/* RFC 1813 leaves both open; no server is known that does */
		c->call.offset = answer->size;
		return goes_on(c, NFS3_WRITE);
	case OP_PREAD:
	case OP_STAT:
	case OP_READDIR:
	case OP_READDIR_STAT:
	case OP_STATFS:
	case OP_OPEN_ONLY:
	case OP_READ_FIRST:
	case OP_READ_ALL:
	case OP_CLOSE:
	case OP_CREATE:
	case OP_RENAME:
	case OP_UNLINK:
	case OP_NR:
		break;
	}
	return ends(c, 0);
}

static bool after_access(struct nfs3_chain *c, const struct nfs3_answer *answer)
{
	if (answer->bytes == 0)
		return ends(c, -EACCES);
	return (c->kind == OP_READ || c->kind == OP_FIRST_BYTE) && c->left > 0 ? read_on(c) : ends(c, 0);
}

/* A server may send less than it was asked for; it is at the end when it says so. */
static bool after_read(const struct nfs3_tree *t, struct nfs3_chain *c, const struct nfs3_answer *answer)
{
	bool partial = !answer->eof && answer->bytes > 0 && answer->bytes < c->call.bytes;
	int64_t n = files_check(&t->files, c->idx, c->call.offset, answer->data, answer->bytes, partial ? answer->bytes : c->call.bytes);

	if (n < 0)
		return ends(c, n);
	c->result += n;
	c->call.offset += (uint64_t)n;
	c->left -= (uint64_t)n;
	return answer->eof || c->left == 0 || n == 0 ? false : read_on(c);
}

static bool after_readdir(struct nfs3_chain *c, const struct nfs3_answer *answer)
{
	c->result += answer->bytes;
	if (!answer->eof && answer->cookie == c->call.offset)
		return ends(c, -EPROTO);	/* it would never end */
	c->call.offset = answer->cookie;
	memcpy(c->call.verifier, answer->verifier, sizeof c->call.verifier);
	return !answer->eof;
}

bool nfs3_chain_next(const struct nfs3_tree *t, struct nfs3_chain *c, int rc, const struct nfs3_answer *answer)
{
	bool is_link;

	if (c->kind == OP_STAT_MISS && rc == -ENOENT)
		return ends(c, 0);
	if (c->kind == OP_APPEND_FSYNC && c->call.kind == NFS3_LOOKUP && rc == -ENOENT)
		return goes_on(c, NFS3_CREATE);
	if (rc < 0)
		return ends(c, rc);
	switch (c->call.kind) {
	case NFS3_LOOKUP:
	case NFS3_CREATE:
		return after_lookup(c, answer);
	case NFS3_ACCESS:
		return after_access(c, answer);
	case NFS3_READ:
		return after_read(t, c, answer);
	case NFS3_WRITE:
		return ends(c, answer->bytes == c->call.bytes ? (int64_t)answer->bytes : -EIO);
	case NFS3_READDIR:
	case NFS3_READDIRPLUS:
		return after_readdir(c, answer);
	case NFS3_READLINK:
		is_link = answer->bytes == strlen(SCRATCH_LINK_TARGET) && memcmp(answer->data, SCRATCH_LINK_TARGET, answer->bytes) == 0;
		return ends(c, is_link ? (int64_t)answer->bytes : -EBADMSG);
	case NFS3_LOCK:
		return goes_on(c, NFS3_UNLOCK);
	case NFS3_UNLOCK:
	case NFS3_SETATTR:
	case NFS3_CREATE_NEW:
	case NFS3_REMOVE:
	case NFS3_RENAME:
	case NFS3_FSSTAT:
	case NFS3_MNT:
	case NFS3_KINDS_NR:
		break;
	}
	return ends(c, 0);
}
