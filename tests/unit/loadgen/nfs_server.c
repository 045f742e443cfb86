/* SPDX-License-Identifier: MIT */
/*
 * nfs_server.c - see nfs_server.h. A file handle is the path below the folder, so that the server remembers nothing.
 */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nfsc/libnfs-zdr.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw-nlm.h>

#include "../../../loadgen/oncrpc.h"
#include "clock.h"
#include "nfs_server.h"

#define RECORD_BYTES 65536
#define PATH_MAX_BYTES 256
#define EVENTS_MAX 64
#define LOST_MAX 64
#define LOCKS_MAX 64
#define NLM4_NM_LOCK 22u	/* which libnfs has not */

struct connection {
	int fd;
	struct rpc_record in;
	bool hung_up_on;
};

/* A call that came while the server was dead. */
struct held {
	struct held *next;
	struct connection *from;
	size_t bytes;
	uint8_t call[];
};

static struct shared {
	struct nfs_server_seen seen;
	_Atomic uint64_t late_ns;
	_Atomic bool hang_up;
	_Atomic unsigned int grace_ms;
	_Atomic unsigned int after_ms;
	_Atomic int for_ms;		/* 0: it does not go dead */
	char match[128];
} *shared;

static pid_t server;
static const char *root;
static uint64_t dead_ns;		/* when the window begins; 0: there was no read yet */
static uint64_t grace_ns;		/* when the grace period of the lock manager ends; 0: nobody has asked it for anything */
static struct held *held;
static uint32_t lost[LOST_MAX], lost_nr;	/* xids of calls */
static char path[PATH_MAX_BYTES], path_to[PATH_MAX_BYTES];

static void whole_path(char *out, const nfs_fh3 *h, const char *name)
{
	(void)snprintf(out, PATH_MAX_BYTES, "%s/%.*s%s%s", root, (int)h->data.data_len, h->data.data_val, name ? "/" : "", name ? name : "");
}

static void set_handle(nfs_fh3 *h, char *whole)
{
	h->data.data_val = whole + strlen(root) + 1;
	h->data.data_len = (u_int)strlen(h->data.data_val);
}

static nfsstat3 status_of(int rc)
{
	return rc < 0 ? (nfsstat3)errno : NFS3_OK;	/* those that can happen here have the same number */
}

static void set_attributes(post_op_attr *a, const char *whole)
{
	struct stat st;

	if (lstat(whole, &st) < 0)
		return;
	a->attributes_follow = 1;
	a->post_op_attr_u.attributes.type = S_ISDIR(st.st_mode) ? NF3DIR : S_ISLNK(st.st_mode) ? NF3LNK : NF3REG;
	a->post_op_attr_u.attributes.mode = st.st_mode & 07777;
	a->post_op_attr_u.attributes.size = (size3)st.st_size;
	a->post_op_attr_u.attributes.fileid = st.st_ino;
}

static void do_mnt(ZDR *in, ZDR *out)
{
	mountres3 res = { .fhs_status = MNT3_OK };
	dirpath wanted = NULL;
	int flavor = 1;

	cr_assert(zdr_dirpath(in, &wanted));
	if (strcmp(wanted, root) != 0)
		res.fhs_status = MNT3ERR_NOENT;
	res.mountres3_u.mountinfo.fhandle.fhandle3_val = (char *)(uintptr_t)".";
	res.mountres3_u.mountinfo.fhandle.fhandle3_len = 1;
	res.mountres3_u.mountinfo.auth_flavors.auth_flavors_len = 1;
	res.mountres3_u.mountinfo.auth_flavors.auth_flavors_val = &flavor;
	cr_assert(zdr_mountres3(out, &res));
}

static void do_lookup(ZDR *in, ZDR *out)
{
	LOOKUP3args args = { .what.name = NULL };
	LOOKUP3res res = { .status = NFS3_OK };
	struct stat st;

	cr_assert(zdr_LOOKUP3args(in, &args));
	whole_path(path, &args.what.dir, args.what.name);
	res.status = status_of(lstat(path, &st));
	if (res.status == NFS3_OK) {
		set_handle(&res.LOOKUP3res_u.resok.object, path);
		set_attributes(&res.LOOKUP3res_u.resok.obj_attributes, path);
	}
	cr_assert(zdr_LOOKUP3res(out, &res));
}

static void do_access(ZDR *in, ZDR *out)
{
	ACCESS3args args = { .access = 0 };
	ACCESS3res res = { .status = NFS3_OK };
	struct stat st;

	cr_assert(zdr_ACCESS3args(in, &args));
	cr_assert_eq(args.access, ACCESS3_READ);
	whole_path(path, &args.object, NULL);
	res.ACCESS3res_u.resok.access = lstat(path, &st) == 0 && st.st_mode & 0444 ? ACCESS3_READ : 0;	/* we are root, maybe */
	cr_assert(zdr_ACCESS3res(out, &res));
}

static void do_readlink(ZDR *in, ZDR *out)
{
	READLINK3args args = { .symlink.data.data_len = 0 };
	READLINK3res res = { .status = NFS3_OK };
	char target[64] = "";

	cr_assert(zdr_READLINK3args(in, &args));
	whole_path(path, &args.symlink, NULL);
	res.status = status_of((int)readlink(path, target, sizeof target - 1));
	if (res.status == NFS3_OK)
		res.READLINK3res_u.resok.data = target;
	cr_assert(zdr_READLINK3res(out, &res));
}

static void do_read(ZDR *in, ZDR *out)
{
	static char data[RECORD_BYTES];
	READ3args args = { .offset = 0 };
	READ3res res = { .status = NFS3_OK };
	/* A server may send less than it is asked for. One that goes dead answers a pread at once, so that the window is all that is seen. */
	count3 most = atomic_load(&shared->for_ms) == 0 ? 3000 : RECORD_BYTES;
	struct stat st;
	ssize_t n;
	int fd;

	cr_assert(zdr_READ3args(in, &args));
	cr_assert_leq(args.count, sizeof data - 1024);
	whole_path(path, &args.file, NULL);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, data, args.count < most ? args.count : most, (off_t)args.offset);
	res.status = status_of((int)n);
	if (n >= 0) {
		READ3resok *ok = &res.READ3res_u.resok;

		(void)fstat(fd, &st);
		ok->count = (count3)n;
		ok->eof = args.offset + (uint64_t)n >= (uint64_t)st.st_size;
		ok->data.data_len = (u_int)n;
		ok->data.data_val = data;
		set_attributes(&ok->file_attributes, path);
	}
	if (fd >= 0)
		close(fd);
	cr_assert(zdr_READ3res(out, &res));
}

static void do_write(ZDR *in, ZDR *out)
{
	WRITE3args args = { .offset = 0 };
	WRITE3res res = { .status = NFS3_OK };
	ssize_t n;
	int fd;

	cr_assert(zdr_WRITE3args(in, &args));
	cr_assert(args.stable == FILE_SYNC && args.count == args.data.data_len);
	whole_path(path, &args.file, NULL);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pwrite(fd, args.data.data_val, args.data.data_len, (off_t)args.offset);
	res.status = status_of((int)n);
	if (n >= 0) {
		res.WRITE3res_u.resok.count = (count3)n;
		res.WRITE3res_u.resok.committed = FILE_SYNC;
		set_attributes(&res.WRITE3res_u.resok.file_wcc.after, path);
	}
	if (fd >= 0)
		close(fd);
	cr_assert(zdr_WRITE3res(out, &res));
}

static void do_create(ZDR *in, ZDR *out)
{
	CREATE3args args = { .where.name = NULL };
	CREATE3res res = { .status = NFS3_OK };
	const sattr3 *a = &args.how.createhow3_u.obj_attributes;
	int fd;

	cr_assert(zdr_CREATE3args(in, &args));
	cr_assert(args.how.mode != EXCLUSIVE && a->mode.set_it && a->mode.set_mode3_u.mode == 0644 && !a->size.set_it && !a->uid.set_it);
	whole_path(path, &args.where.dir, args.where.name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (args.how.mode == GUARDED ? O_EXCL : 0), 0644);
	res.status = status_of(fd);
	if (fd >= 0) {
		res.CREATE3res_u.resok.obj.handle_follows = 1;
		set_handle(&res.CREATE3res_u.resok.obj.post_op_fh3_u.handle, path);
		set_attributes(&res.CREATE3res_u.resok.obj_attributes, path);
		close(fd);
	}
	cr_assert(zdr_CREATE3res(out, &res));
}

static void do_setattr(ZDR *in, ZDR *out)
{
	SETATTR3args args = { .guard.check = 1 };
	SETATTR3res res = { .status = NFS3_OK };

	cr_assert(zdr_SETATTR3args(in, &args));
	cr_assert(args.new_attributes.mode.set_it && !args.new_attributes.size.set_it && !args.guard.check);
	whole_path(path, &args.object, NULL);
	res.status = status_of(chmod(path, args.new_attributes.mode.set_mode3_u.mode));
	cr_assert(zdr_SETATTR3res(out, &res));
}

static void do_remove(ZDR *in, ZDR *out)
{
	REMOVE3args args = { .object.name = NULL };
	REMOVE3res res = { .status = NFS3_OK };

	cr_assert(zdr_REMOVE3args(in, &args));
	whole_path(path, &args.object.dir, args.object.name);
	res.status = status_of(unlink(path));
	cr_assert(zdr_REMOVE3res(out, &res));
}

static void do_rename(ZDR *in, ZDR *out)
{
	RENAME3args args = { .from.name = NULL };
	RENAME3res res = { .status = NFS3_OK };

	cr_assert(zdr_RENAME3args(in, &args));
	whole_path(path, &args.from.dir, args.from.name);
	whole_path(path_to, &args.to.dir, args.to.name);
	res.status = status_of(rename(path, path_to));
	cr_assert(zdr_RENAME3res(out, &res));
}

static void do_fsstat(ZDR *in, ZDR *out)
{
	FSSTAT3args args = { .fsroot.data.data_len = 0 };
	FSSTAT3res res = { .status = NFS3_OK };

	cr_assert(zdr_FSSTAT3args(in, &args));
	cr_assert(args.fsroot.data.data_len == 1 && args.fsroot.data.data_val[0] == '.');
	cr_assert(zdr_FSSTAT3res(out, &res));
}

/* One entry an answer: the cookie is its number. @return its name; NULL behind the last one */
static char *entry_name(DIR *list, uint64_t cookie, bool *ret_last)
{
	static char name[256];
	struct dirent *e = NULL;

	for (uint64_t i = 0; i <= cookie && (e = readdir(list)); i++)
		(void)snprintf(name, sizeof name, "%s", e->d_name);
	*ret_last = !e || !readdir(list);
	return e ? name : NULL;
}

static void do_readdir(ZDR *in, ZDR *out, bool plus)
{
	READDIRPLUS3args args = { .cookie = 0 };
	READDIRPLUS3res res = { .status = NFS3_OK };
	READDIR3res plain = { .status = NFS3_OK };
	entryplus3 e = { .nextentry = NULL };
	entry3 one = { .nextentry = NULL };
	READDIR3args plain_args = { .cookie = 0 };
	bool last = true;
	DIR *list;

	cr_assert(plus ? zdr_READDIRPLUS3args(in, &args) : zdr_READDIR3args(in, &plain_args));
	whole_path(path, plus ? &args.dir : &plain_args.dir, NULL);
	list = opendir(path);
	cr_assert_not_null(list, "%s", path);
	e.cookie = one.cookie = (plus ? args.cookie : plain_args.cookie) + 1;
	e.name = one.name = entry_name(list, e.cookie - 1, &last);
	closedir(list);
	if (plus) {
		set_attributes(&e.name_attributes, path);
		e.name_handle.handle_follows = 1;
		set_handle(&e.name_handle.post_op_fh3_u.handle, path);
		res.READDIRPLUS3res_u.resok.reply = (dirlistplus3){ .entries = e.name ? &e : NULL, .eof = last };
		cr_assert(zdr_READDIRPLUS3res(out, &res));
		return;
	}
	plain.READDIR3res_u.resok.reply = (dirlist3){ .entries = one.name ? &one : NULL, .eof = last };
	cr_assert(zdr_READDIR3res(out, &plain));
}

static void note_caller(const char *machine, uint32_t machine_bytes, uint32_t uid, uint32_t gid)
{
	struct nfs_server_seen *s = &shared->seen;
	char name[64];

	(void)snprintf(name, sizeof name, "%.*s", (int)machine_bytes, machine);
	for (uint32_t i = 0; i < s->callers_nr; i++)
		if (strcmp(s->caller[i].machine, name) == 0 && s->caller[i].uid == uid && s->caller[i].gid == gid)
			return;
	if (s->callers_nr == NFS_SERVER_SEEN_MAX)
		return;
	memcpy(s->caller[s->callers_nr].machine, name, sizeof name);
	s->caller[s->callers_nr].uid = uid;
	s->caller[s->callers_nr++].gid = gid;
}

/* The header of a call; the arguments are left in `x`. */
static void read_header(struct xdr *x, uint32_t *xid, uint32_t *program, uint32_t *procedure)
{
	uint32_t bytes, machine_bytes, uid, gid;
	const void *machine;

	*xid = xdr_u32(x);
	cr_assert(xdr_u32(x) == 0 && xdr_u32(x) == 2);
	*program = xdr_u32(x);
	cr_assert_eq(xdr_u32(x), *program == NLM_PROGRAM ? NLM_V4 : 3);
	*procedure = xdr_u32(x);
	cr_assert_eq(xdr_u32(x), AUTH_UNIX);
	bytes = xdr_u32(x);
	(void)xdr_u32(x);
	machine = xdr_opaque(x, 255, &machine_bytes);
	uid = xdr_u32(x);
	gid = xdr_u32(x);
	cr_assert_eq(xdr_u32(x), 0);
	cr_assert_eq(bytes, 20 + (machine_bytes + 3) / 4 * 4);
	cr_assert(xdr_u32(x) == AUTH_NONE && xdr_u32(x) == 0 && !x->bad);
	note_caller(machine, machine_bytes, uid, gid);
}

static bool in_grace(void)
{
	if (grace_ns == 0)
		grace_ns = clock_mono_ns() + atomic_load(&shared->grace_ms) * NS_PER_MS;
	if (clock_mono_ns() >= grace_ns)
		return false;
	shared->seen.grace_nr++;
	return true;
}

/* Held by one client, of a byte that it alone asks for. */
static void do_lock(uint32_t procedure, ZDR *in, ZDR *out)
{
	static char owners[LOCKS_MAX][64];
	static uint64_t offsets[LOCKS_MAX];
	NLM4_UNLOCKargs unlock = { .lock.svid = 0 };
	NLM4_LOCKargs lock = { .block = 1 };
	NLM4_LOCKres res = { .status = in_grace() ? NLM4_DENIED_GRACE_PERIOD : NLM4_GRANTED };
	const nlm4_lock *l = procedure == NLM4_UNLOCK ? &unlock.lock : &lock.lock;
	nfs_fh3 of = { .data.data_len = 0 };
	int at = 0;

	cr_assert(procedure == NLM4_UNLOCK ? zdr_NLM4_UNLOCKargs(in, &unlock) : procedure == NLM4_NM_LOCK && zdr_NLM4_LOCKargs(in, &lock));
	cr_assert(procedure == NLM4_UNLOCK || (!lock.block && lock.exclusive && !lock.reclaim));
	cr_assert_str_eq(l->caller_name, l->oh);
	cr_assert_eq(l->l_len, 1);
	of.data.data_len = l->fh.data.data_len;
	of.data.data_val = l->fh.data.data_val;
	whole_path(path, &of, NULL);
	cr_assert_eq(access(path, W_OK), 0, "%s", path);
	if (res.status != NLM4_GRANTED) {
		cr_assert(zdr_NLM4_LOCKres(out, &res));
		return;
	}
	while (at < LOCKS_MAX && (strcmp(owners[at], l->oh) != 0 || offsets[at] != l->l_offset))
		at++;
	cr_assert_eq(at < LOCKS_MAX, procedure == NLM4_UNLOCK, "%s takes or gives back a lock twice", l->oh);
	for (at = at % LOCKS_MAX; procedure != NLM4_UNLOCK && owners[at][0] != '\0'; at++)
		cr_assert_lt(at, LOCKS_MAX - 1);
	offsets[at] = l->l_offset;
	(void)snprintf(owners[at], sizeof owners[at], "%s", procedure == NLM4_UNLOCK ? "" : l->oh);
	cr_assert(zdr_NLM4_LOCKres(out, &res));
}

static void do_call(uint32_t program, uint32_t procedure, ZDR *in, ZDR *out)
{
	if (program == MOUNT_PROGRAM) {
		do_mnt(in, out);
		return;
	}
	if (program == NLM_PROGRAM) {
		do_lock(procedure, in, out);
		return;
	}
	switch (procedure) {
	case NFS3_SETATTR:
		do_setattr(in, out);
		break;
	case NFS3_LOOKUP:
		do_lookup(in, out);
		break;
	case NFS3_ACCESS:
		do_access(in, out);
		break;
	case NFS3_READLINK:
		do_readlink(in, out);
		break;
	case NFS3_READ:
		do_read(in, out);
		break;
	case NFS3_WRITE:
		do_write(in, out);
		break;
	case NFS3_CREATE:
		do_create(in, out);
		break;
	case NFS3_REMOVE:
		do_remove(in, out);
		break;
	case NFS3_RENAME:
		do_rename(in, out);
		break;
	case NFS3_READDIR:
	case NFS3_READDIRPLUS:
		do_readdir(in, out, procedure == NFS3_READDIRPLUS);
		break;
	case NFS3_FSSTAT:
		do_fsstat(in, out);
		break;
	default:
		cr_assert_fail("there is no procedure %u", procedure);
	}
}

/* @return the path that a call of NFS is about: its handle comes first. */
static const char *about(const struct xdr *arguments)
{
	static char out[PATH_MAX_BYTES];
	struct xdr x = *arguments;
	uint32_t bytes;
	const char *handle = xdr_opaque(&x, NFS3_FHSIZE, &bytes);

	(void)snprintf(out, sizeof out, "%s/%.*s", root, handle ? (int)bytes : 0, handle ? handle : "");
	return out;
}

static bool is_dead(uint32_t program, uint32_t procedure, const struct xdr *arguments)
{
	uint64_t now = clock_mono_ns();
	int for_ms = atomic_load(&shared->for_ms);

	if (for_ms == 0 || program == MOUNT_PROGRAM || !strstr(about(arguments), shared->match))
		return false;
	if (dead_ns == 0 && procedure == NFS3_READ)
		dead_ns = now + atomic_load(&shared->after_ms) * NS_PER_MS;
	return dead_ns > 0 && now >= dead_ns && (for_ms < 0 || now < dead_ns + (unsigned int)for_ms * NS_PER_MS);
}

static void hold(struct connection *c, const uint8_t *call, size_t bytes)
{
	struct held **end = &held, *h = malloc(sizeof *h + bytes);

	cr_assert_not_null(h);
	h->next = NULL;
	h->from = c;
	h->bytes = bytes;
	memcpy(h->call, call, bytes);
	while (*end)
		end = &(*end)->next;
	*end = h;
}

/* A call that is not answered; it should come again. */
static void note_lost(const uint8_t *data, size_t bytes)
{
	struct xdr x = { .at = (uint8_t *)(uintptr_t)data, .left = bytes };

	(void)xdr_u32(&x);
	if (lost_nr < LOST_MAX)
		lost[lost_nr++] = xdr_u32(&x);
}

static void note_again(uint32_t xid)
{
	for (uint32_t i = 0; i < lost_nr; i++)
		shared->seen.again_nr += lost[i] == xid;
}

static void answer(struct connection *c, uint8_t *call, size_t bytes)
{
	static uint8_t out[RECORD_BYTES];
	struct xdr x = { .at = call, .left = bytes }, head = { .at = out, .left = sizeof out };
	uint32_t xid, program, procedure, mark;
	size_t whole;
	ZDR in, to;

	read_header(&x, &xid, &program, &procedure);
	note_again(xid);
	if (is_dead(program, procedure, &x)) {
		if (atomic_load(&shared->for_ms) > 0)
			hold(c, call, bytes);
		return;
	}
	for (int i = 0; i < 7; i++)		/* mark, xid, reply, accepted, no verifier, success */
		xdr_put_u32(&head, i == 1 ? xid : i == 2);
	libnfs_zdrmem_create(&in, (caddr_t)x.at, (uint32_t)x.left, ZDR_DECODE);
	libnfs_zdrmem_create(&to, (caddr_t)head.at, (uint32_t)head.left, ZDR_ENCODE);
	do_call(program, procedure, &in, &to);
	cr_assert_eq((size_t)libnfs_zdr_getpos(&in), x.left, "procedure %u: arguments of %zu bytes, and not %u", procedure, x.left, libnfs_zdr_getpos(&in));
	whole = (size_t)(head.at - out) + libnfs_zdr_getpos(&to);
	libnfs_zdr_destroy(&in);
	libnfs_zdr_destroy(&to);
	mark = htonl(0x80000000u | (uint32_t)(whole - 4));
	memcpy(out, &mark, 4);
	(void)send(c->fd, out, whole, MSG_NOSIGNAL);
}

static void hang_up(int epoll, struct connection *c)
{
	(void)epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	c->fd = -1;		/* what is held of it is answered to nobody */
}

static void receive(int epoll, struct connection *c)
{
	uint8_t data[4096];
	ssize_t n = recv(c->fd, data, sizeof data, 0);
	int64_t taken;

	if (n <= 0 || (atomic_load(&shared->hang_up) && !c->hung_up_on)) {
		if (n > 0)
			note_lost(data, (size_t)n);
		shared->seen.lost_nr = lost_nr;
		hang_up(epoll, c);
		return;
	}
	for (ssize_t at = 0; at < n; at += taken) {
		taken = rpc_record_feed(&c->in, data + at, (size_t)(n - at));
		cr_assert_geq(taken, 0);
		if (!c->in.whole)
			continue;
		answer(c, c->in.buffer, c->in.have);
		rpc_record_reset(&c->in);
	}
}

static void accept_one(int epoll, int listener)
{
	struct connection *c = calloc(1, sizeof *c);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(c->fd, 0);
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->in = (struct rpc_record){ .buffer = malloc(8192), .max = 8192 };
	c->hung_up_on = atomic_load(&shared->hang_up);	/* that is, a connection that was made afterwards */
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e), 0);
	shared->seen.connections_nr++;
}

static void answer_held(void)
{
	uint64_t end = dead_ns + (unsigned int)atomic_load(&shared->for_ms) * NS_PER_MS, now = clock_mono_ns();

	if (!held || now < end)
		return;
	while (held) {
		struct held *h = held;

		held = h->next;
		if (h->from->fd >= 0)
			answer(h->from, h->call, h->bytes);
		free(h);
	}
	atomic_store(&shared->late_ns, clock_mono_ns() - end);
}

static _Noreturn void serve(pid_t parent, int listener)
{
	struct epoll_event e = { .events = EPOLLIN }, events[EVENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, -10);	/* as the worker */
	if (getppid() != parent || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0)
		_exit(1);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, held ? 1 : -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				receive(epoll, events[i].data.ptr);
			else
				accept_one(epoll, listener);
		}
		answer_held();
	}
}

unsigned int nfs_server_start(const char *dir)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t bytes = sizeof at;
	struct rlimit limit;
	pid_t me = getpid();

	nfs_server_end();
	root = dir;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(listen(listener, 4096), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq((void *)shared, MAP_FAILED);
	server = fork();
	if (server == 0)
		serve(me, listener);
	cr_assert_gt(server, 0);
	close(listener);
	return ntohs(at.sin_port);
}

void nfs_server_dead(unsigned int after_ms, int for_ms, const char *match)
{
	(void)snprintf(shared->match, sizeof shared->match, "%s", match);
	atomic_store(&shared->after_ms, after_ms);
	atomic_store(&shared->for_ms, for_ms);
}

uint64_t nfs_server_late_ns(void)
{
	return shared ? atomic_load(&shared->late_ns) : 0;
}

void nfs_server_grace(unsigned int for_ms)
{
	atomic_store(&shared->grace_ms, for_ms);
}

void nfs_server_hang_up(void)
{
	atomic_store(&shared->hang_up, true);
}

const struct nfs_server_seen *nfs_server_seen(void)
{
	return &shared->seen;
}

void nfs_server_end(void)
{
	if (server == 0)
		return;
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	server = 0;
	(void)munmap(shared, sizeof *shared);
	shared = NULL;
}
