/* SPDX-License-Identifier: MIT */
/*
 * rpcs.h - what the kernel's RPC clients of this host have in flight, and what each call waits for: a slot, the socket, the answer, its turn to try again.
 *
 * Source: debugfs, sunrpc/rpc_clnt/N/tasks and N/xprt/info, net/sunrpc/debugfs.c of Linux 4.0 to 6.x; for root alone. Reading it takes a spin lock and
 * never waits for a server.
 *
 *	   42 0801      0 0x4 0x9a3c51d0    60000 nfs_pgio_common_ops [nfs] nfsv3 READ a:call_status [sunrpc] q:xprt_pending
 *	   id flags status client xid timeout     ops               program, call      does next          waits in
 */
#ifndef SQUALL_LOADGEN_RPCS_H
#define SQUALL_LOADGEN_RPCS_H

#include <jansson.h>

#define RPCS_TOLD_MAX 256

/**
 * @param debugfs  where it is mounted, /sys/kernel/debug
 * @return {"nr", "first": [{"server", "rpc": "nfsv3 READ", "xid": "0x9a3c51d0", "action": "call_status", "queue": "xprt_pending", "status": 0}]}: how many there
 * are, and the first RPCS_TOLD_MAX of them, of each client the oldest first; queue "none": it is running. NULL when it cannot be read or there is none.
 */
json_t *rpcs_in_flight(const char *debugfs);

#endif
