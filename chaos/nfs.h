/* SPDX-License-Identifier: MIT */
/*
 * nfs.h - the NFS of this host: connections as ss sees them, exports as exportfs does, listeners as nfsd does. Nothing here changes anything.
 */
#ifndef SQUALL_CHAOS_NFS_H
#define SQUALL_CHAOS_NFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "allow.h"

struct err;
struct fault_run;
struct plan;

#define NFS_PORT 2049
#define NFS_CONNECTIONS_MAX 4096
#define NFS_EXPORTS_MAX 16	/* of one path, to clients that are named differently */

/* Where the connections run. */
struct nfs_link {
	char dev[16];		/* an interface of the allow file */
	char address[16];	/* of this host, IPv4 */
};

struct nfs_connection {
	char peer[16];		/* IPv4 */
	uint64_t cookie;	/* of the socket; the kernel gives it to no other. Source: sock_diag(7), idiag_cookie */
};

/* For ss: the connections over an address of this host. The numbers are NFS_PORT twice, the text is the address. */
#define NFS_CONNECTIONS "state established ( sport = :%d or dport = :%d ) and src %s"

/**
 * Find the interface of the allow file that NFS runs over.
 * Errors: -ENOTCONN there is no connection; -EINVAL more than one address has some; as tool_output().
 */
int nfs_link_find(const struct allow *allow, struct nfs_link *ret, struct err *err);

/** Read connections from the output of ss -tneH. @return how many were found, up to max + 1 */
size_t nfs_parse_connections(const char *text, struct nfs_connection *ret, size_t max);

/** The connections over an address of this host now. @return how many, or as tool_output(); -E2BIG more than max */
int nfs_connections(const char *address, struct nfs_connection *ret, size_t max, struct err *err);

/** Sort connections by the addresses of their peers, each kept once. @return how many are left */
size_t nfs_peers(struct nfs_connection *connections, size_t nr);

struct nfs_export {
	char client[ALLOW_NAME_BYTES];	/* "*", a name, a network, "@netgroup" */
	char options[512];
};

/** The lines of `exportfs -s` about a path, such as "/srv/home  *(rw,sync)". @param ret_lines  malloc'ed; "" = it is not exported. Errors: as tool_output() */
int nfs_exports(const char *path, char **ret_lines, struct err *err);

/** What such lines say. @return how many. Errors: -EBADMSG a line that is none, or has a word that is none; -E2BIG more than max */
int nfs_parse_exports(const char *lines, const char *path, struct nfs_export *ret, size_t max, struct err *err);

#define NFSD_CLIENTS "/proc/fs/nfsd/clients"	/* of NFSv4, a directory each */
#define NFSD_CLIENTS_MAX 4096

/**
 * The NFSv4 clients that nfsd knows, by their numbers; one that lives and was forgotten comes back under another. Names alone: to read what is in there
 * can crash the server. Context: takes no lock of nfsd's.
 * @param ret  the first max of them that were found, in rising order. @return how many there are. Errors: -errno
 */
int nfsd_clients(unsigned long *ret, size_t max, struct err *err);

/** How many locks of /proc/locks a process holds; those that wait are none. Source: proc_locks(5) */
size_t nfs_parse_locks(const char *text, pid_t holder);

/**
 * Locks that lockd holds, for NFSv3 clients: told from those of others by its pid in /proc/locks, which is read without waiting for any lock.
 * @return how many. Errors: as tool_read(); -errno
 */
int nfs_locks(struct err *err);

/** @param mode  as of access(2). Errors: -ENOPKG a file of nfsd's is missing: it does not run here */
int nfsd_check_file(const char *path, int mode, struct err *err);

/**
 * Whether nfsd threads can be killed. Those of 5.15.154 to .159 end in "kernel BUG at net/sunrpc/svc.c:570", and which of its fixes the 5.15 of a
 * distribution has, its number does not say: none of that series is let in.
 * @param release  of the kernel, as uname(2) has it. @param status  of a thread, from /proc/PID/status
 * Errors: -ENOTSUP they cannot; -EBADMSG status does not say
 */
int nfsd_check_kill(const char *release, const char *status, struct err *err);

/**
 * Of a fault that stops nfsd: it is healed when nfsd has the threads and the listeners of now.
 * Errors: -EBUSY lockd, which ends with it, holds locks of NFSv3 clients; -EINVAL it does not run, or has a listener that could not be made again as it is; as tool_read()
 */
int nfsd_add_serving(const struct fault_run *run, struct plan *plan, struct err *err);

#endif
