/* SPDX-License-Identifier: MIT */
/*
 * lines.c - see lines.h.
 */
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "json_text.h"

#define ROOM_BYTES 16384u

/* @return 1 with a line, NULL when it is empty; 0 there is none; -EBADMSG */
static int cut_line(struct lines *l, json_t **ret)
{
	char *newline = l->bytes > 0 ? memchr(l->text, '\n', l->bytes) : NULL;
	size_t length;

	if (!newline)
		return 0;
	length = (size_t)(newline - l->text);
	if (length > 0)
		*ret = json_loadb(l->text, length, 0, NULL);
	l->bytes -= length + 1;
	memmove(l->text, newline + 1, l->bytes);
	return length == 0 || *ret ? 1 : -EBADMSG;
}

static int make_room(struct lines *l)
{
	size_t room = l->room > 0 ? 2 * l->room : ROOM_BYTES;
	char *text;

	if (l->bytes < l->room)
		return 0;
	if (room > LINES_BYTES_MAX)
		return -E2BIG;
	text = realloc(l->text, room);
	if (!text)
		return -ENOMEM;
	l->text = text;
	l->room = room;
	return 0;
}

/* @return 1, 0 at the end, -ETIMEDOUT, -errno */
static int read_more(struct lines *l, uint64_t deadline_ns)
{
	uint64_t now = clock_mono_ns();
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	int ready = now < deadline_ns ? poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1) : 0;
	ssize_t n;

	if (ready == 0)
		return -ETIMEDOUT;
	if (ready < 0)
		return errno == EINTR ? 1 : -errno;
	n = read(l->fd, l->text + l->bytes, l->room - l->bytes);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	l->bytes += (size_t)n;
	return n > 0;
}

int lines_next(struct lines *l, uint64_t deadline_ns, json_t **ret)
{
	int rc = 1;

	*ret = NULL;
	while (rc == 1 && !*ret) {
		rc = cut_line(l, ret);
		if (rc != 0)
			continue;
		rc = make_room(l);
		if (rc == 0)
			rc = read_more(l, deadline_ns);
	}
	return rc;
}

int lines_send(int fd, json_t *json)
{
	char *text = json ? json_text(json, JSON_COMPACT) : NULL;
	size_t bytes = text ? strlen(text) : 0;
	int rc = -ENOMEM;

	if (text) {
		text[bytes] = '\n';	/* in place of the NUL: QEMU ends at the last bracket of a quit, and a second write would be of SIGPIPE */
		rc = file_write_all(fd, text, bytes + 1);
	}
	free(text);
	json_decref(json);
	return rc;
}

void lines_release(struct lines *l)
{
	free(l->text);
	*l = (struct lines){ .fd = -1 };
}
