/* SPDX-License-Identifier: MIT */
/*
 * nlm4.h - the two calls of the Network Lock Manager, version 4 (X/Open XNFS, chapter 14), that take a lock and give it back: written into memory, and
 * read from it.
 *
 * A lock is taken without waiting, so that no server has to call us back, and without being monitored (NM_LOCK), so that none has to watch whether we are
 * restarted. It is that of one byte, which follows from the name of the caller: no two clients want the same.
 */
#ifndef SQUALL_LOADGEN_NLM4_H
#define SQUALL_LOADGEN_NLM4_H

#include "oncrpc.h"

#define NLM4_PROGRAM 100021u
#define NLM4_VERSION 4u
#define NLM4_UNLOCK 4u
#define NLM4_NM_LOCK 22u

/** @param procedure  one of these two. @param handle  of the file, as of NFSv3 */
void nlm4_put_arguments(struct xdr *x, uint32_t procedure, const struct rpc_caller *who, const void *handle, uint32_t handle_bytes);

/** @param x  behind the header of the reply. @return 0, -errno as the server says it; -EPROTO: this is no answer to such a call. */
int nlm4_read_answer(struct xdr *x);

#endif
