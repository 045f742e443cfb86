/* SPDX-License-Identifier: MIT */
/*
 * trace_gather.h - calls and replies of NFS become a trace: private to common/trace_*.c.
 *
 * All of it is in memory, at most TRACE_OPS_MAX ops, so that a reply finds its call whenever it comes: only it tells a name that is not there.
 */
#ifndef SQUALL_COMMON_TRACE_GATHER_H
#define SQUALL_COMMON_TRACE_GATHER_H

#include "trace.h"

#define NFS_LEFT_OUT (-1)	/* an op_kind of a procedure that is not replayed */

/* From a key to a number. */
struct trace_table {
	struct { uint64_t key, value; } *cell;	/* value 0: free */
	uint32_t used_nr;
};

struct trace_gather {
	const char *name;		/* of the input */
	uint64_t line;			/* where it is; for sentences */
	struct trace trace;
	struct trace_table calls, clients, files;	/* (client, xid) to op + 1; address to number + 1; file to its size + 1 */
	struct trace_summary summary;
};

struct nfs_call {
	uint64_t at_ns;
	uint64_t client;		/* hash of the address */
	uint64_t xid;
	int kind;			/* enum op_kind, or NFS_LEFT_OUT */
	uint64_t file;			/* hash */
	uint64_t offset_bytes, length_bytes;
};

struct nfs_reply {
	uint64_t client, xid;
	bool missing;			/* NFS3ERR_NOENT, which has the same number in all versions */
	uint64_t file;			/* hash of the handle that a lookup gave; 0: none */
	uint64_t size_bytes;		/* 0: not told */
};

int trace_gather_init(struct trace_gather *g, const char *name, struct err *err);
int trace_gather_call(struct trace_gather *g, const struct nfs_call *call, struct err *err);
int trace_gather_reply(struct trace_gather *g, const struct nfs_reply *reply, struct err *err);
/** In order of time, from 0 on. Errors: -EINVAL none. */
int trace_gather_finish(struct trace_gather *g, struct trace *ret, struct trace_summary *ret_summary, struct err *err);
void trace_gather_release(struct trace_gather *g);

/** Never 0. @param more  0, or what is to be hashed with it */
uint64_t trace_hash(const char *text, uint64_t more);
/** The op of a procedure of version 2 or 3. @return false when there is no such procedure. */
bool trace_procedure(const char *name, int *ret_kind);
/** "1006231501.391115". @return false when it is none */
bool trace_seconds(const char *text, uint64_t *ret_ns);

#endif
