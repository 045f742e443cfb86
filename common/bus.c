/* SPDX-License-Identifier: MIT */
/*
 * bus.c - messages as lines of JSON over connected stream sockets.
 *
 * The rule that holds it together: no call waits for a peer. Bytes wait in the queues of struct peer, both of which have a limit; a peer that
 * exceeds one, or whose connection ends, is marked gone, its messages are still delivered, and then one of kind "gone".
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus.h"
#include "clock.h"
#include "err.h"
#include "json_text.h"

#define QUEUE_BYTES_MAX (64u << 20)
#define READ_BYTES (64u << 10)

struct buffer {
	char *bytes;
	size_t start, end, room;	/* what is there is [start, end) */
};

struct peer {
	char name[48];
	int fd;
	bool gone;			/* the connection has ended; what was read is still to be delivered */
	struct buffer in, out;
	size_t scanned;			/* of in: no newline before this offset from in.start */
	uint64_t read_ns;		/* when the last bytes came */
};

struct bus {
	struct peer *peer[BUS_PEERS_MAX];
	int nr;
	int turn;			/* whose messages are looked at first: nobody starves */
};

static int buffer_reserve(struct buffer *b, size_t bytes)
{
	size_t used = b->end - b->start, room;
	char *grown;

	if (b->room - b->end >= bytes)
		return 0;
	if (b->start > 0) {
		memmove(b->bytes, b->bytes + b->start, used);
		b->start = 0;
		b->end = used;
	}
	if (b->room - b->end >= bytes)
		return 0;
	if (used + bytes > QUEUE_BYTES_MAX)
		return -ENOBUFS;
	room = (used + bytes) * 2;
	grown = realloc(b->bytes, room);
	if (!grown)
		return -ENOMEM;
	b->bytes = grown;
	b->room = room;
	return 0;
}

static int buffer_add(struct buffer *b, const void *data, size_t bytes)
{
	int rc = buffer_reserve(b, bytes);

	if (rc < 0)
		return rc;
	memcpy(b->bytes + b->end, data, bytes);
	b->end += bytes;
	return 0;
}

static void peer_free(struct peer *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	free(p->in.bytes);
	free(p->out.bytes);
	free(p);
}

struct bus *bus_new(void)
{
	return calloc(1, sizeof(struct bus));
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	for (int i = 0; i < bus->nr; i++)
		peer_free(bus->peer[i]);
	free(bus);
}

static struct peer *find(const struct bus *bus, const char *name)
{
	for (int i = 0; i < bus->nr; i++)
		if (strcmp(bus->peer[i]->name, name) == 0)
			return bus->peer[i];
	return NULL;
}

static void drop(struct bus *bus, const struct peer *p)
{
	for (int i = 0; i < bus->nr; i++) {
		if (bus->peer[i] != p)
			continue;
		peer_free(bus->peer[i]);
		bus->peer[i] = bus->peer[--bus->nr];
		return;
	}
}

int bus_attach(struct bus *bus, const char *peer, int fd, struct err *err)
{
	struct peer *p;
	int flags;

	if (find(bus, peer))
		return err_set(err, -EEXIST, "bus: there is a peer '%s' already", peer);
	if (bus->nr == BUS_PEERS_MAX)
		return err_set(err, -EMFILE, "bus: more than %d peers", BUS_PEERS_MAX);
	if (strlen(peer) >= sizeof p->name)
		return err_set(err, -EINVAL, "bus: the name '%s' is too long", peer);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_set(err, -errno, "bus: the socket of '%s': %s", peer, strerror(errno));
	p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, -ENOMEM, "bus: no memory for '%s'", peer);
	memcpy(p->name, peer, strlen(peer) + 1);
	p->fd = fd;
	bus->peer[bus->nr++] = p;
	return 0;
}

/* "tcp:127.0.0.1:PORT" */
static int parse_url(const char *url, struct sockaddr_in *ret)
{
	char host[64];
	const char *colon;
	char *end;
	long port;

	if (strncmp(url, "tcp:", 4) != 0)
		return -EINVAL;
	colon = strrchr(url + 4, ':');
	if (!colon || (size_t)(colon - url - 4) >= sizeof host)
		return -EINVAL;
	memcpy(host, url + 4, (size_t)(colon - url - 4));
	host[colon - url - 4] = '\0';
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > 65535)
		return -EINVAL;
	*ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1 ? 0 : -EINVAL;
}

static int connect_within(int fd, const struct sockaddr_in *to, uint64_t timeout_ns)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int problem = 0;
	socklen_t bytes = sizeof problem;

	if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&wait, 1, (int)(timeout_ns / NS_PER_MS)) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &bytes) < 0)
		return -errno;
	return -problem;
}

int bus_connect(struct bus *bus, const char *peer, const char *url, uint64_t timeout_ns, struct err *err)
{
	struct sockaddr_in to;
	int fd, rc, on = 1;

	if (parse_url(url, &to) < 0)
		return err_set(err, -EINVAL, "bus: '%s' is no address; write tcp:ADDRESS:PORT", url);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "bus: socket: %s", strerror(errno));
	rc = connect_within(fd, &to, timeout_ns);
	if (rc < 0) {
		close(fd);
		return err_set(err, rc, "%s: cannot connect to %s: %s", peer, url, strerror(-rc));
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	rc = bus_attach(bus, peer, fd, err);
	if (rc < 0)
		close(fd);
	return rc;
}

void bus_detach(struct bus *bus, const char *peer)
{
	struct peer *p = find(bus, peer);

	if (p)
		drop(bus, p);
}

static void peer_write(struct peer *p)
{
	while (!p->gone && p->out.start < p->out.end) {
		ssize_t n = send(p->fd, p->out.bytes + p->out.start, p->out.end - p->out.start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			p->gone = true;
			return;
		}
		p->out.start += (size_t)n;
	}
}

static void peer_read(struct peer *p)
{
	for (int turn = 0; turn < 64 && !p->gone; turn++) {
		ssize_t n;

		if (buffer_reserve(&p->in, READ_BYTES) < 0) {
			p->gone = true;
			return;
		}
		n = recv(p->fd, p->in.bytes + p->in.end, READ_BYTES, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			p->gone = true;
			return;
		}
		p->in.end += (size_t)n;
		p->read_ns = clock_mono_ns();
	}
}

int bus_send(struct bus *bus, const char *peer, const char *kind, json_t *body)
{
	struct peer *p = find(bus, peer);
	char *text = NULL;
	int rc = -ENOTCONN;

	if (!p || p->gone)
		goto out;
	rc = -ENOMEM;
	if (!body)
		body = json_object();
	if (json_object_set_new(body, "kind", json_string(kind)) < 0)
		goto out;
	text = json_text(body, JSON_COMPACT);
	if (!text)
		goto out;
	rc = buffer_add(&p->out, text, strlen(text));
	if (rc == 0)
		rc = buffer_add(&p->out, "\n", 1);
	if (rc < 0) {
		p->gone = true;		/* half a line may stand in the queue: nothing may follow it */
		goto out;
	}
	peer_write(p);
out:
	free(text);
	json_decref(body);
	return rc;
}

int bus_pollfds(const struct bus *bus, struct pollfd *ret, int max)
{
	int nr = 0;

	for (int i = 0; i < bus->nr && nr < max; i++) {
		const struct peer *p = bus->peer[i];

		if (p->gone)
			continue;
		ret[nr].fd = p->fd;
		ret[nr].events = (short)(POLLIN | (p->out.start < p->out.end ? POLLOUT : 0));
		ret[nr].revents = 0;
		nr++;
	}
	return nr;
}

/* @return 1 with a message, 0 when no whole line is there; a line that is no message ends the connection. */
static int peer_take(struct peer *p, struct bus_message *ret)
{
	char *line = p->in.bytes + p->in.start;
	size_t bytes = p->in.end - p->in.start;
	char *newline = bytes > p->scanned ? memchr(line + p->scanned, '\n', bytes - p->scanned) : NULL;
	const char *kind;
	json_t *body;

	if (!newline) {
		p->scanned = bytes;
		if (bytes > BUS_MESSAGE_BYTES_MAX)
			p->gone = true;
		return 0;
	}
	body = json_loadb(line, (size_t)(newline - line), 0, NULL);
	p->in.start += (size_t)(newline - line) + 1;
	p->scanned = 0;
	kind = json_string_value(json_object_get(body, "kind"));
	if (!kind || strlen(kind) >= sizeof ret->kind || strcmp(kind, "gone") == 0) {	/* that word is ours */
		json_decref(body);
		p->gone = true;
		p->in.start = p->in.end;
		return 0;
	}
	memcpy(ret->peer, p->name, sizeof ret->peer);
	memcpy(ret->kind, kind, strlen(kind) + 1);
	ret->body = body;
	ret->at_ns = p->read_ns;
	return 1;
}

static int take(struct bus *bus, struct bus_message *ret)
{
	for (int i = 0; i < bus->nr; i++) {
		struct peer *p = bus->peer[(bus->turn + i) % bus->nr];

		if (peer_take(p, ret) == 1) {
			bus->turn = (bus->turn + i + 1) % bus->nr;
			return 1;
		}
		if (!p->gone)
			continue;
		*ret = (struct bus_message){ .kind = "gone", .at_ns = clock_mono_ns() };
		memcpy(ret->peer, p->name, sizeof ret->peer);
		drop(bus, p);
		return 1;
	}
	return 0;
}

static int serve(struct bus *bus, int timeout_ms)
{
	struct pollfd fds[BUS_PEERS_MAX];
	int nr = bus_pollfds(bus, fds, BUS_PEERS_MAX);

	if (poll(fds, (nfds_t)nr, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < bus->nr; i++)
		for (int k = 0; k < nr; k++) {
			if (fds[k].fd != bus->peer[i]->fd || bus->peer[i]->gone)
				continue;
			if (fds[k].revents & POLLOUT)
				peer_write(bus->peer[i]);
			if (fds[k].revents & (POLLIN | POLLHUP | POLLERR))
				peer_read(bus->peer[i]);
		}
	return 0;
}

static int ms_until(uint64_t deadline_ns)
{
	uint64_t now = clock_mono_ns();

	if (deadline_ns <= now)
		return 0;
	return (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

int bus_next(struct bus *bus, uint64_t deadline_ns, struct bus_message *ret_message)
{
	for (;;) {
		int wait_ms, rc;

		if (take(bus, ret_message) == 1)
			return 1;
		wait_ms = ms_until(deadline_ns);
		rc = serve(bus, wait_ms);
		if (rc < 0)
			return rc;
		if (take(bus, ret_message) == 1)
			return 1;
		if (wait_ms == 0)
			return 0;
	}
}

int bus_flush(struct bus *bus, uint64_t deadline_ns)
{
	bool tried = false;

	for (;;) {
		bool left = false;

		for (int i = 0; i < bus->nr; i++)
			left |= !bus->peer[i]->gone && bus->peer[i]->out.start < bus->peer[i]->out.end;
		if (!left)
			return 0;
		if (tried && ms_until(deadline_ns) == 0)
			return -ETIMEDOUT;
		(void)serve(bus, ms_until(deadline_ns));
		tried = true;
	}
}
