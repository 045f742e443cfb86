/* SPDX-License-Identifier: MIT */
/*
 * bus_stream.c - links over connected stream sockets: a message is a line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus_link.h"
#include "clock.h"
#include "err.h"

#define READ_BYTES (64u << 10)

struct buffer {
	char *bytes;
	size_t start, end, room;	/* what is there is [start, end) */
};

struct stream {
	struct bus_link link;
	int fd;
	struct buffer in, out;
	size_t scanned;			/* of in: no newline before this offset from in.start */
	uint64_t read_ns;		/* when the last bytes came */
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
	if (used + bytes > BUS_QUEUE_BYTES_MAX)
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

static void stream_free(struct bus_link *link)
{
	struct stream *s = (struct stream *)link;

	close(s->fd);
	free(s->in.bytes);
	free(s->out.bytes);
	free(s);
}

static void stream_write(struct stream *s)
{
	while (!s->link.gone && s->out.start < s->out.end) {
		ssize_t n = send(s->fd, s->out.bytes + s->out.start, s->out.end - s->out.start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			s->link.gone = true;
			return;
		}
		s->out.start += (size_t)n;
	}
}

static void stream_read(struct stream *s)
{
	for (int turn = 0; turn < 64 && !s->link.gone; turn++) {
		ssize_t n;

		if (buffer_reserve(&s->in, READ_BYTES) < 0) {
			s->link.gone = true;
			return;
		}
		n = recv(s->fd, s->in.bytes + s->in.end, READ_BYTES, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			s->link.gone = true;
			return;
		}
		s->in.end += (size_t)n;
		s->read_ns = clock_mono_ns();
	}
}

static int stream_send(struct bus_link *link, const char *text, size_t bytes)
{
	struct stream *s = (struct stream *)link;
	int rc = buffer_add(&s->out, text, bytes);

	if (rc == 0)
		rc = buffer_add(&s->out, "\n", 1);
	if (rc < 0)
		link->gone = true;	/* half a line may stand in the queue: nothing may follow it */
	else
		stream_write(s);
	return rc;
}

static int stream_take(struct bus_link *link, struct bus_message *ret)
{
	struct stream *s = (struct stream *)link;
	size_t bytes = s->in.end - s->in.start;
	char *line, *newline;

	if (bytes == 0)
		return 0;	/* the buffer may be none yet */
	line = s->in.bytes + s->in.start;
	newline = bytes > s->scanned ? memchr(line + s->scanned, '\n', bytes - s->scanned) : NULL;
	if (!newline) {
		s->scanned = bytes;
		if (bytes > BUS_MESSAGE_BYTES_MAX)
			link->gone = true;
		return 0;
	}
	s->in.start += (size_t)(newline - line) + 1;
	s->scanned = 0;
	if (bus_message_parse(line, (size_t)(newline - line), ret) < 0) {
		link->gone = true;
		s->in.start = s->in.end;
		return 0;
	}
	ret->at_ns = s->read_ns;
	return 1;
}

static bool stream_is_written(const struct bus_link *link)
{
	const struct stream *s = (const struct stream *)link;

	return s->out.start == s->out.end;
}

static bool stream_pollfd(const struct bus_link *link, struct pollfd *ret)
{
	const struct stream *s = (const struct stream *)link;

	*ret = (struct pollfd){ .fd = s->fd, .events = (short)(POLLIN | (stream_is_written(link) ? 0 : POLLOUT)) };
	return true;
}

static void stream_ready(struct bus_link *link, short revents)
{
	struct stream *s = (struct stream *)link;

	if (revents & POLLOUT)
		stream_write(s);
	if (revents & (POLLIN | POLLHUP | POLLERR))
		stream_read(s);
}

static const struct bus_link_ops stream_ops = { .send = stream_send, .take = stream_take, .is_written = stream_is_written, .pollfd = stream_pollfd,
						.ready = stream_ready, .free = stream_free };

int bus_attach(struct bus *bus, const char *peer, int fd, struct err *err)
{
	struct stream *s = calloc(1, sizeof *s);
	int flags, rc = 0;

	if (!s)
		return err_set(err, -ENOMEM, "bus: no memory for '%s'", peer);
	s->link.ops = &stream_ops;
	s->fd = fd;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		rc = err_set(err, -errno, "bus: the socket of '%s': %s", peer, strerror(errno));
	if (rc == 0)
		rc = bus_add(bus, peer, &s->link, err);
	if (rc < 0)
		free(s);
	return rc;
}
