/* SPDX-License-Identifier: MIT */
/*
 * engine_nfs3.c - NFS version 3 without a mount: each slot is a client of its own, with a connection, a name and, if wanted, a user of its own.
 *
 *	          connect                      lost: closed, reset, or no record of ours
 *	DOWN ───────────────> CONNECTING ─> UP ───────────────> DOWN
 *	     when it has a call to make, and not sooner than
 *	     RECONNECT_NS after the attempt before
 *
 * A client has one call under way at a time. A call whose connection is lost is made again on the next one with the same xid, as a hard mount
 * does it, so that the server's cache of replies knows it. With a deadline it is given up at that age, as a soft mount does it; its answer is known
 * by its xid, should it come later, and dropped. What a lock manager does not do yet, because it is in its grace period, is asked of it again, as the
 * kernel's client does it; the deadline is that of all the attempts.
 *
 * A connection is a link. Of a job with lock each client has a second one, to the server's lock manager: that of slot n is link slots_nr + n.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"
#include "engines.h"
#include "err.h"
#include "nfs3_chain.h"

#define RECONNECT_NS (500 * NS_PER_MS)
#define TICK_NS (10 * NS_PER_MS)	/* deadlines, lost connections and grace periods are looked at so often */
#define GRACE_NS NS_PER_S	/* the kernel's client asks every 5 s (fs/lockd/clntproc.c); a grace period is to be measured better than that */
#define EVENTS_MAX 256
#define INPUT_BYTES (64u << 10)

enum state { DOWN, CONNECTING, UP };

struct client {
	int fd;				/* -1: DOWN */
	enum state state;
	bool busy;			/* a call is under way here */
	bool unsent;			/* it is in the list of those that have something to send */
	bool wants_out;			/* epoll tells when there is room */
	uint32_t xid;
	uint64_t connected_ns;		/* the last attempt to connect */
	uint64_t called_ns;		/* the first time, of one that is asked again */
	uint64_t again_ns;		/* not 0: the server is in its grace period, and is asked again then */
	size_t out_bytes, out_sent;
	struct rpc_caller who;
	struct rpc_record in;
	struct nfs3_chain chain;	/* of the op; only in the link of NFS */
	uint8_t out[NFS3_CALL_BYTES];
};

struct nfs3 {
	struct nfs3_tree tree;
	const struct nfs_target *target;
	bool locks;			/* the job has lock */
	_Atomic uint32_t clients_nr;	/* of all loops so far */
};

struct loop {
	struct nfs3 *n;
	int epoll;
	uint32_t slots_nr, links_nr, unsent_nr, down_nr, grace_nr, ready_nr;
	struct client *client;		/* of each link; mapped, because most of it is never touched */
	uint8_t *record;		/* of each link NFS3_REPLY_BYTES */
	uint32_t *unsent;
	struct completion *ready;	/* done, and not reaped yet */
	uint64_t tick_ns;		/* the last look at the clients */
	uint8_t input[INPUT_BYTES];
};

static void nfs3_close(void *ctx)
{
	struct nfs3 *n = ctx;

	if (!n)
		return;
	nfs3_tree_release(&n->tree);
	free(n);
}

static int nfs3_open(const struct engine_env *env, void **ret_ctx, struct err *err)
{
	struct nfs3 *n = calloc(1, sizeof *n);
	int rc;

	if (!n)
		return err_set(err, -ENOMEM, "nfs3: no memory");
	n->target = &env->job->nfs;
	n->locks = job_has(env->job, OP_LOCK);
	rc = nfs3_tree_open(&n->tree, env, err);
	if (rc < 0)
		goto out;
	(void)files_keep_max(&n->tree.files);	/* a client has a descriptor */
	*ret_ctx = n;
	n = NULL;
out:
	nfs3_close(n);
	return rc;
}

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void loop_close(void *loop)
{
	struct loop *o = loop;

	if (!o)
		return;
	for (uint32_t i = 0; o->client && i < o->links_nr; i++)
		if (o->client[i].fd >= 0)
			close(o->client[i].fd);
	if (o->epoll >= 0)
		close(o->epoll);
	if (o->client)
		munmap(o->client, o->links_nr * sizeof *o->client);
	if (o->record)
		munmap(o->record, (size_t)o->links_nr * NFS3_REPLY_BYTES);
	free(o->unsent);
	free(o->ready);
	free(o);
}

/* @return 0 or -errno */
static int watch(const struct loop *o, uint32_t link, int how, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u32 = link };

	return epoll_ctl(o->epoll, how, o->client[link].fd, &e) < 0 ? -errno : 0;
}

static void name_client(const struct loop *o, struct client *c)
{
	uint32_t number = atomic_fetch_add(&o->n->clients_nr, 1);
	const struct nfs_target *target = o->n->target;

	(void)snprintf(c->who.machine, sizeof c->who.machine, "%s-%u", o->n->tree.files.host, number);
	c->who.uid = target->own_users ? target->first_uid + number : geteuid();
	c->who.gid = target->own_users ? target->first_uid + number : getegid();
}

static const struct sockaddr_storage *peer_of(const struct loop *o, uint32_t link)
{
	return link < o->slots_nr ? &o->n->tree.server : &o->n->tree.locks;
}

/* All of them are connected before the start: the load of a run is not that of its own arrival. */
static int connect_clients(struct loop *o, struct err *err)
{
	for (uint32_t i = 0; i < o->links_nr; i++) {
		struct client *c = &o->client[i];
		int rc;

		if (i < o->slots_nr)
			name_client(o, c);
		else
			c->who = o->client[i - o->slots_nr].who;
		c->xid = (uint32_t)clock_mono_ns();	/* not those of a client of this name before us */
		c->in = (struct rpc_record){ .buffer = o->record + (size_t)i * NFS3_REPLY_BYTES, .max = NFS3_REPLY_BYTES };
		c->fd = nfs3_connect(peer_of(o, i), o->n->tree.server_bytes);
		rc = c->fd;
		if (rc >= 0)
			rc = fcntl(c->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 ? -errno : watch(o, i, EPOLL_CTL_ADD, EPOLLIN);
		if (rc < 0)
			return err_set(err, rc, "nfs3: connection %u of %u to %s: %s", i + 1, o->links_nr, o->n->target->server, strerror(-rc));
		c->state = UP;
	}
	return 0;
}

static int loop_open(void *ctx, uint32_t slots_nr, void **ret_loop, struct err *err)
{
	struct loop *o = calloc(1, sizeof *o);
	int rc;

	if (!o)
		return err_set(err, -ENOMEM, "nfs3: no memory");
	o->n = ctx;
	o->slots_nr = slots_nr;
	o->links_nr = o->n->locks ? 2 * slots_nr : slots_nr;
	o->client = map(o->links_nr * sizeof *o->client);
	o->record = map((size_t)o->links_nr * NFS3_REPLY_BYTES);
	o->unsent = calloc(o->links_nr, sizeof *o->unsent);
	o->ready = calloc(slots_nr, sizeof *o->ready);
	o->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t i = 0; o->client && i < o->links_nr; i++)
		o->client[i].fd = -1;
	if (!o->client || !o->record || !o->unsent || !o->ready || o->epoll < 0) {
		rc = err_set(err, -ENOMEM, "nfs3: no memory for %u clients", slots_nr);
		goto out;
	}
	rc = connect_clients(o, err);
	if (rc < 0)
		goto out;
	*ret_loop = o;
	o = NULL;
out:
	loop_close(o);
	return rc;
}

/* The op of a link's client has ended, or was given up. */
static void finish(struct loop *o, uint32_t link, int64_t result)
{
	o->client[link].busy = false;
	o->ready[o->ready_nr++] = (struct completion){ .slot = link % o->slots_nr, .result = result };
}

/* The list of those that flush() looks at. */
static void to_send(struct loop *o, uint32_t link)
{
	struct client *c = &o->client[link];

	if (c->unsent)
		return;
	c->unsent = true;
	o->unsent[o->unsent_nr++] = link;
}

static void write_call(struct loop *o, uint32_t link)
{
	const struct nfs3_call *call = &o->client[link % o->slots_nr].chain.call;
	struct client *c = &o->client[link];

	c->out_sent = 0;
	c->out_bytes = nfs3_write_call(call, &c->who, ++c->xid, c->out);
	if (c->out_bytes == 0)
		finish(o, link, -ENAMETOOLONG);
	else
		to_send(o, link);
}

/* The one that is next in the chain of the slot, on the link that it belongs to. */
static void make_call(struct loop *o, uint32_t slot)
{
	uint32_t link = nfs3_is_of_locks(o->client[slot].chain.call.kind) ? slot + o->slots_nr : slot;

	o->client[link].busy = true;
	o->client[link].called_ns = clock_mono_ns();
	write_call(o, link);
}

static void wait_for_grace(struct loop *o, struct client *c)
{
	c->again_ns = clock_mono_ns() + GRACE_NS;
	o->grace_nr++;
}

static void grace_waited(struct loop *o, struct client *c)
{
	c->again_ns = 0;
	o->grace_nr--;
}

static void lose(struct loop *o, uint32_t link)
{
	struct client *c = &o->client[link];

	close(c->fd);
	c->fd = -1;
	c->state = DOWN;
	c->out_sent = 0;
	c->wants_out = false;
	rpc_record_reset(&c->in);
	o->down_nr++;
}

static void reconnect(struct loop *o, uint32_t link)
{
	const struct sockaddr_storage *peer = peer_of(o, link);
	struct client *c = &o->client[link];

	c->connected_ns = clock_mono_ns();
	c->fd = nfs3_socket(peer, SOCK_NONBLOCK);
	if (c->fd < 0)
		return;
	o->down_nr--;
	c->state = CONNECTING;
	if ((connect(c->fd, (const struct sockaddr *)peer, o->n->tree.server_bytes) < 0 && errno != EINPROGRESS) ||
	    watch(o, link, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT) < 0)
		lose(o, link);
	else
		c->wants_out = true;
}

static bool has_to_send(const struct client *c)
{
	return c->busy && c->again_ns == 0 && c->out_sent < c->out_bytes;
}

static void send_call(struct loop *o, uint32_t link)
{
	struct client *c = &o->client[link];
	bool all;
	ssize_t n;

	if (c->state == DOWN && clock_mono_ns() >= c->connected_ns + RECONNECT_NS)
		reconnect(o, link);
	if (c->state != UP)
		return;
	n = has_to_send(c) ? send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL) : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		lose(o, link);
		return;
	}
	c->out_sent += n > 0 ? (size_t)n : 0;
	all = !has_to_send(c);
	if (all == c->wants_out) {
		c->wants_out = !all;
		(void)watch(o, link, EPOLL_CTL_MOD, all ? EPOLLIN : EPOLLIN | EPOLLOUT);
	}
}

static int nfs3_submit(void *loop, uint32_t slot, const struct op *op)
{
	struct loop *o = loop;
	int rc = nfs3_chain_begin(&o->n->tree, &o->client[slot].chain, op);

	if (rc < 0)
		return rc;
	make_call(o, slot);
	return 0;
}

static void nfs3_flush(void *loop)
{
	struct loop *o = loop;

	for (uint32_t i = 0; i < o->unsent_nr; i++) {
		o->client[o->unsent[i]].unsent = false;
		send_call(o, o->unsent[i]);
	}
	o->unsent_nr = 0;
}

/* @return false: what came is no answer of an NFS server */
static bool take_record(struct loop *o, uint32_t link)
{
	uint32_t slot = link % o->slots_nr;
	struct nfs3_chain *chain = &o->client[slot].chain;
	struct client *c = &o->client[link];
	struct xdr x = { .at = c->in.buffer, .left = c->in.have };
	struct nfs3_answer answer = { .eof = false };
	uint32_t xid;
	int rc = rpc_reply(&x, &xid);

	if (rc == -EPROTO)
		return false;
	if (!c->busy || xid != c->xid || c->again_ns > 0)
		return true;			/* of a call that was given up, or the same again */
	if (rc == 0)
		rc = nfs3_read_answer(&x, chain->call.kind, &answer);
	if (rc == -EBUSY && nfs3_is_of_locks(chain->call.kind)) {
		wait_for_grace(o, c);
		return true;
	}
	c->busy = false;
	if (nfs3_chain_next(&o->n->tree, chain, rc, &answer))
		make_call(o, slot);
	else
		finish(o, link, chain->result);
	return true;
}

/* What has come, as far as it fits; epoll tells of the rest again. @return false: the connection is lost */
static bool receive(struct loop *o, uint32_t link)
{
	struct client *c = &o->client[link];
	ssize_t n = recv(c->fd, o->input, sizeof o->input, 0);
	int64_t taken = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (ssize_t at = 0; at < n; at += taken) {
		taken = rpc_record_feed(&c->in, o->input + at, (size_t)(n - at));
		if (taken < 0)
			return false;
		if (!c->in.whole)
			continue;
		if (!take_record(o, link))
			return false;
		rpc_record_reset(&c->in);
	}
	return n > 0;
}

static void on_event(struct loop *o, uint32_t link, uint32_t events)
{
	struct client *c = &o->client[link];
	socklen_t bytes = sizeof(int);
	int error = 0;

	if (c->state == CONNECTING) {
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 || error != 0) {
			lose(o, link);
			return;
		}
		c->state = UP;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(o, link)) {
		lose(o, link);
		if (c->busy)
			to_send(o, link);	/* at once, when the connection has stood for a while */
	} else if (events & EPOLLOUT) {
		send_call(o, link);
	}
}

static bool ticks(const struct loop *o)
{
	return o->n->target->deadline_ns > 0 || o->down_nr > 0 || o->grace_nr > 0;
}

/* The deadline of its call is over. */
static void give_up(struct loop *o, uint32_t link)
{
	struct client *c = &o->client[link];
	bool grace = c->again_ns > 0;

	if (grace)
		grace_waited(o, c);
	else if (c->state != DOWN && c->out_sent < c->out_bytes)
		lose(o, link);	/* half a call cannot be taken back */
	finish(o, link, grace ? -EBUSY : -ETIMEDOUT);
}

/* Deadlines, connections that are to be tried again, and calls that are to be made again. */
static void tick(struct loop *o)
{
	uint64_t now = clock_mono_ns(), deadline_ns = o->n->target->deadline_ns;

	if (!ticks(o) || now < o->tick_ns + TICK_NS)
		return;
	o->tick_ns = now;
	for (uint32_t link = 0; link < o->links_nr; link++) {
		struct client *c = &o->client[link];

		if (!c->busy)
			continue;
		if (deadline_ns > 0 && now >= c->called_ns + deadline_ns) {
			give_up(o, link);
		} else if (c->again_ns > 0 && now >= c->again_ns) {
			grace_waited(o, c);
			write_call(o, link);
		} else if (c->state == DOWN) {
			to_send(o, link);
		}
	}
}

static uint32_t hand_over(struct loop *o, struct completion *done, uint32_t done_max)
{
	uint32_t nr = o->ready_nr < done_max ? o->ready_nr : done_max;

	o->ready_nr -= nr;
	memcpy(done, o->ready + o->ready_nr, nr * sizeof *done);
	return nr;
}

static uint32_t nfs3_reap(void *loop, uint64_t wait_ns, struct completion *done, uint32_t done_max)
{
	struct epoll_event events[EVENTS_MAX];
	struct loop *o = loop;
	uint64_t most_ns = ticks(o) && wait_ns > TICK_NS ? TICK_NS : wait_ns;
	struct timespec wait = { .tv_sec = (time_t)(most_ns / NS_PER_S), .tv_nsec = (long)(most_ns % NS_PER_S) };
	int n;

	if (o->ready_nr > 0)
		return hand_over(o, done, done_max);
	n = epoll_pwait2(o->epoll, events, EVENTS_MAX, most_ns == UINT64_MAX ? NULL : &wait, NULL);
	for (int i = 0; i < n; i++)
		on_event(o, events[i].data.u32, events[i].events);
	tick(o);
	return hand_over(o, done, done_max);
}

const struct engine engine_nfs3 = {
	.name = "nfs3",
	.summary = "NFS version 3 without a mount: each slot is a client with a connection of its own",
	.needs_dataset = true,
	.open = nfs3_open,
	.loop_open = loop_open,
	.submit = nfs3_submit,
	.flush = nfs3_flush,
	.reap = nfs3_reap,
	.loop_close = loop_close,
	.close = nfs3_close,
};
