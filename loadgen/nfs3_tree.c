/* SPDX-License-Identifier: MIT */
/*
 * nfs3_tree.c - see nfs3_tree.h. One connection, one call at a time: there are 30 s for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "err.h"
#include "nfs3_tree.h"
#include "scratch.h"

#define ANSWER_S 10
#define USER_TIMEOUT_MS 60000u		/* a server that acknowledges nothing for so long has lost the connection */

/* What the calls before the start are made with. */
struct asker {
	int fd;
	struct rpc_caller who;
	uint32_t xid;
	uint8_t out[NFS3_CALL_BYTES], in[NFS3_REPLY_BYTES];
};

int nfs3_socket(const struct sockaddr_storage *server, int flags)
{
	int fd = socket(server->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), one = 1;
	unsigned int user_timeout = USER_TIMEOUT_MS;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	return fd;
}

/* A call with a time limit is not taken up again after a signal; a connection goes on being made. */
static int await_connected(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int rc, problem = 0;
	socklen_t bytes = sizeof problem;

	do
		rc = poll(&wait, 1, ANSWER_S * 1000);
	while (rc < 0 && errno == EINTR);
	if (rc <= 0)
		return rc < 0 ? -errno : -ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &bytes) < 0 ? -errno : -problem;
}

int nfs3_connect(const struct sockaddr_storage *server, socklen_t bytes)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int fd = nfs3_socket(server, 0), rc;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);	/* of connect(), too */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	rc = connect(fd, (const struct sockaddr *)server, bytes) == 0 ? 0 : errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	if (rc == -EINTR)
		rc = await_connected(fd);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int send_all(int fd, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		data += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int receive_record(struct asker *a, size_t *ret_bytes)
{
	struct rpc_record r = { .buffer = a->in, .max = sizeof a->in };
	uint8_t some[4096];

	while (!r.whole) {
		ssize_t n = recv(a->fd, some, sizeof some, 0);
		int64_t taken = n > 0 ? rpc_record_feed(&r, some, (size_t)n) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		if (taken < 0)
			return (int)taken;
	}
	*ret_bytes = r.have;
	return 0;
}

static int ask(struct asker *a, const struct nfs3_call *call, struct nfs3_answer *ret)
{
	size_t bytes = nfs3_write_call(call, &a->who, ++a->xid, a->out), got;
	struct xdr x = { .at = a->in };
	uint32_t xid;
	int rc = bytes > 0 ? send_all(a->fd, a->out, bytes) : -ENAMETOOLONG;

	if (rc == 0)
		rc = receive_record(a, &got);
	if (rc < 0)
		return rc;
	x.left = got;
	rc = rpc_reply(&x, &xid);
	if (rc == 0 && xid != a->xid)
		rc = -EPROTO;
	return rc < 0 ? rc : nfs3_read_answer(&x, call->kind, ret);
}

static void set_port(struct sockaddr_storage *server, unsigned int port)
{
	if (server->ss_family == AF_INET6)
		((struct sockaddr_in6 *)server)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)server)->sin_port = htons((uint16_t)port);
}

static int find_server(struct nfs3_tree *t, const struct nfs_target *n, struct err *err)
{
	const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(n->server, NULL, &wanted, &found);

	if (rc != 0)
		return err_set(err, -EHOSTUNREACH, "nfs3: server %s: %s", n->server, gai_strerror(rc));
	memcpy(&t->server, found->ai_addr, found->ai_addrlen);
	t->server_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int connect_to(struct asker *a, struct nfs3_tree *t, const struct nfs_target *n, unsigned int port, struct err *err)
{
	if (a->fd >= 0)
		close(a->fd);
	set_port(&t->server, port);
	a->fd = nfs3_connect(&t->server, t->server_bytes);
	return a->fd < 0 ? err_set(err, a->fd, "nfs3: no connection to %s, port %u: %s", n->server, port, strerror(-a->fd)) : 0;
}

static int mount_root(struct asker *a, struct nfs3_tree *t, const struct nfs_target *n, struct err *err)
{
	struct nfs3_answer answer;
	int rc = connect_to(a, t, n, n->mount_port, err);

	if (rc < 0)
		return rc;
	rc = ask(a, &(struct nfs3_call){ .kind = NFS3_MNT, .name = n->path }, &answer);
	if (rc < 0)
		return err_set(err, rc, "nfs3: %s does not let us mount %s: %s%s", n->server, n->path, strerror(-rc),
			       rc == -EACCES ? "; many connections have no reserved ports, so the export must be 'insecure'" : "");
	t->root = answer.handle;
	t->locks = t->server;
	set_port(&t->locks, n->lock_port);
	return connect_to(a, t, n, n->port, err);
}

/* The handle of a path below the root. */
static int walk(struct asker *a, const struct nfs3_tree *t, const char *path, struct nfs3_handle *ret, struct err *err)
{
	char names[DATASET_PATH_BYTES], *rest, *name;
	struct nfs3_handle at = t->root;

	(void)snprintf(names, sizeof names, "%s", path);
	for (name = strtok_r(names, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
		struct nfs3_answer answer;
		int rc = ask(a, &(struct nfs3_call){ .kind = NFS3_LOOKUP, .of = at, .name = name }, &answer);

		if (rc < 0)
			return err_set(err, rc, "nfs3: the server has no %s: %s", path, strerror(-rc));
		at = answer.handle;
	}
	*ret = at;
	return 0;
}

static int walk_folders(struct asker *a, struct nfs3_tree *t, struct err *err)
{
	uint32_t all = 1u << t->spec->depth, per_site = t->spec->files_per_site < all ? t->spec->files_per_site : all;
	char path[DATASET_PATH_BYTES];
	int rc = 0;

	t->folders_per_site = per_site;
	t->folder = calloc((size_t)t->spec->sites * per_site, sizeof *t->folder);
	if (!t->folder)
		return err_set(err, -ENOMEM, "nfs3: no memory for %u folders of each site", per_site);
	for (uint32_t site = 0; site < t->spec->sites && rc == 0; site++)
		for (uint32_t n = 0; n < per_site && rc == 0; n++) {
			dataset_folder_path(t->spec, site, n, t->spec->depth, path);
			rc = walk(a, t, path, &t->folder[(size_t)site * per_site + n], err);
		}
	return rc;
}

/* The folder in which ops of this kind work, of each site. */
static int walk_sites(struct asker *a, struct nfs3_tree *t, enum op_kind kind, struct nfs3_handle **ret, struct err *err)
{
	struct nfs3_handle *h = calloc(t->spec->sites, sizeof *h);
	char path[DATASET_PATH_BYTES];
	int rc = 0;

	if (!h)
		return err_set(err, -ENOMEM, "nfs3: no memory for the folders of %u sites", t->spec->sites);
	*ret = h;
	for (uint32_t site = 0; site < t->spec->sites && rc == 0; site++) {
		op_path(t->spec, t->files.host, &(struct op){ .kind = kind, .site = site }, path);
		*strrchr(path, '/') = '\0';
		rc = walk(a, t, path, &h[site], err);
	}
	return rc;
}

static int walk_kept(struct asker *a, struct nfs3_tree *t, struct err *err)
{
	int rc = 0;

	t->kept_nr = t->files.files_nr < FILES_KEPT_ALL_MAX ? t->files.files_nr : FILES_KEPT_ALL_MAX;
	t->kept = calloc(t->kept_nr, sizeof *t->kept);
	if (!t->kept)
		return err_set(err, -ENOMEM, "nfs3: no memory for the handles of %zu files", t->kept_nr);
	for (size_t i = 0; i < t->kept_nr && rc == 0; i++) {
		struct nfs3_call look = { .kind = NFS3_LOOKUP, .name = strrchr(files_path(&t->files, i), '/') + 1 };
		struct nfs3_answer answer;

		look.of = *nfs3_folder(t, (uint32_t)(i / t->files.files_per_site), (uint32_t)(i % t->files.files_per_site));
		rc = ask(a, &look, &answer);
		if (rc < 0)
			return err_set(err, rc, "nfs3: the server has no %s: %s", files_path(&t->files, i), strerror(-rc));
		t->kept[i] = answer.handle;
	}
	return rc;
}

static bool works_in_scratch(const struct job *job)
{
	for (int k = 0; k < OP_NR; k++)
		if (job_has(job, (enum op_kind)k) && scratch_has((enum op_kind)k))
			return true;
	return false;
}

static int walk_tree(struct asker *a, struct nfs3_tree *t, const struct engine_env *env, struct err *err)
{
	struct nfs3_handle ignored;
	int rc = mount_root(a, t, &env->job->nfs, err);

	if (rc == 0)		/* nothing is written where no dataset is */
		rc = walk(a, t, DATASET_MANIFEST, &ignored, err);
	if (rc == 0)
		rc = walk_folders(a, t, err);
	if (rc == 0 && job_has(env->job, OP_APPEND_FSYNC))
		rc = walk_sites(a, t, OP_APPEND_FSYNC, &t->log, err);
	if (rc == 0 && works_in_scratch(env->job))
		rc = walk_sites(a, t, OP_WRITE, &t->scratch, err);
	if (rc == 0 && job_has(env->job, OP_LOCK))
		rc = walk_sites(a, t, OP_LOCK, &t->locked, err);
	if (rc == 0 && job_has(env->job, OP_PREAD))
		rc = walk_kept(a, t, err);
	return rc;
}

int nfs3_tree_open(struct nfs3_tree *t, const struct engine_env *env, struct err *err)
{
	struct asker *a = calloc(1, sizeof *a);
	int rc;

	*t = (struct nfs3_tree){ .files = { .root = -1 }, .spec = &env->manifest->spec };
	if (!a)
		return err_set(err, -ENOMEM, "nfs3: no memory");
	a->fd = -1;
	a->who = (struct rpc_caller){ .uid = geteuid(), .gid = getegid() };
	(void)snprintf(a->who.machine, sizeof a->who.machine, "%s", env->host);
	rc = files_open(&t->files, env, err);
	if (rc == 0)
		rc = scratch_prepare(t->files.root, t->spec, env->host, env->job, err);
	if (rc == 0)
		rc = find_server(t, &env->job->nfs, err);
	if (rc == 0)
		rc = walk_tree(a, t, env, err);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
	return rc;
}

void nfs3_tree_release(struct nfs3_tree *t)
{
	files_release(&t->files);
	free(t->folder);
	free(t->log);
	free(t->scratch);
	free(t->locked);
	free(t->kept);
	*t = (struct nfs3_tree){ .files = { .root = -1 } };
}
