/* SPDX-License-Identifier: MIT */
/*
 * nfs_server.h - a small NFSv3 server of a folder, in a process of its own, which goes dead when that is wanted. Its XDR is libnfs's, so that what
 * squall sends is held against somebody else's reading of RFC 1813.
 */
#ifndef SQUALL_TESTS_LOADGEN_NFS_SERVER_H
#define SQUALL_TESTS_LOADGEN_NFS_SERVER_H

#include <stdint.h>

#define NFS_SERVER_SEEN_MAX 64

/* What the server has seen; shared with it. */
struct nfs_server_seen {
	uint32_t connections_nr;
	uint32_t lost_nr, again_nr;	/* calls that it hung up on; those of them that came again */
	uint32_t grace_nr;		/* calls that were refused because of the grace period */
	uint32_t callers_nr;		/* those that differ */
	struct {
		char machine[64];
		uint32_t uid, gid;
	} caller[NFS_SERVER_SEEN_MAX];
};

/** Serve `dir`; one that runs is ended. @return the port of both NFS and MOUNT, on 127.0.0.1. */
unsigned int nfs_server_start(const char *dir);
/** From so long after the first read on, calls about a path that has `match` in it are answered at the end of the window. @param for_ms  -1: never */
void nfs_server_dead(unsigned int after_ms, int for_ms, const char *match);
/** How much later than at the end of the window it had answered all that it held, because this machine was busy with something else. */
uint64_t nfs_server_late_ns(void);
/** From the first call to its lock manager on, that is in its grace period for so long. */
void nfs_server_grace(unsigned int for_ms);
/** Each connection that stands is closed at its next call, which is not answered; later ones are not. */
void nfs_server_hang_up(void);
const struct nfs_server_seen *nfs_server_seen(void);
/** It ends by itself when the test does. */
void nfs_server_end(void);

#endif
