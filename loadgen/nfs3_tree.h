/* SPDX-License-Identifier: MIT */
/*
 * nfs3_tree.h - a dataset on an NFS server, as it is known before the start: the handles of its folders, and of the files that pread keeps open.
 */
#ifndef SQUALL_LOADGEN_NFS3_TREE_H
#define SQUALL_LOADGEN_NFS3_TREE_H

#include <sys/socket.h>

#include "files.h"
#include "nfs3.h"

struct nfs3_tree {
	struct files files;			/* names, sizes, checks; reached through the folder that the run is given */
	const struct dataset_spec *spec;
	struct sockaddr_storage server, locks;	/* locks: its lock manager */
	socklen_t server_bytes;
	struct nfs3_handle root;
	struct nfs3_handle *folder;		/* of each site folders_per_site */
	uint32_t folders_per_site;
	struct nfs3_handle *log, *scratch, *locked;	/* of each site, locked: where its lock file is; NULL when no op of the job wants them */
	struct nfs3_handle *kept;		/* of the first files */
	size_t kept_nr;
};

/** Ask the server for all of it. @param t  released by nfs3_tree_release() in any case. Errors: with a sentence. Context: before the start; may block. */
int nfs3_tree_open(struct nfs3_tree *t, const struct engine_env *env, struct err *err);
void nfs3_tree_release(struct nfs3_tree *t);

static inline const struct nfs3_handle *nfs3_folder(const struct nfs3_tree *t, uint32_t site, uint32_t file)
{
	return &t->folder[(size_t)site * t->folders_per_site + file % (1u << t->spec->depth)];
}

/** @param flags  SOCK_NONBLOCK or 0. @return a descriptor that is not connected yet, or -errno. */
int nfs3_socket(const struct sockaddr_storage *server, int flags);
/** A connection that stands. @return a descriptor, or -errno. Context: before the start; waits 10 s at the most. */
int nfs3_connect(const struct sockaddr_storage *server, socklen_t bytes);

#endif
