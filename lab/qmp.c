/* SPDX-License-Identifier: MIT */
/*
 * qmp.c - greeting, capabilities, command, answer; events in between are passed over.
 */
#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "json_text.h"

struct talk {
	int fd;
	const char *path;
	uint64_t deadline_ns;
	char text[65536];
	size_t bytes;
};

static int next_line(struct talk *t, json_t **ret, struct err *err)
{
	for (;;) {
		char *newline = memchr(t->text, '\n', t->bytes);
		uint64_t now = clock_mono_ns();
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		ssize_t n;

		if (newline) {
			*newline = '\0';
			*ret = json_loads(t->text, 0, NULL);
			t->bytes -= (size_t)(newline + 1 - t->text);
			memmove(t->text, newline + 1, t->bytes);
			return *ret ? 0 : err_set(err, -EBADMSG, "%s: QEMU's answer is no JSON", t->path);
		}
		if (now >= t->deadline_ns || poll(&p, 1, (int)((t->deadline_ns - now) / NS_PER_MS) + 1) == 0)
			return err_set(err, -ETIMEDOUT, "%s: QEMU does not answer", t->path);
		n = read(t->fd, t->text + t->bytes, sizeof t->text - t->bytes);
		if (n == 0 || (n < 0 && errno != EINTR))
			return err_set(err, -EIO, "%s: QEMU has ended the connection", t->path);
		t->bytes += n > 0 ? (size_t)n : 0;
	}
}

/* @param ret  may be NULL */
static int command(struct talk *t, const char *name, json_t *arguments, json_t **ret, struct err *err)
{
	json_t *request = json_pack("{s:s}", "execute", name), *answer = NULL;
	char *text;
	int rc;

	if (arguments)
		json_object_set_new(request, "arguments", arguments);
	text = json_text(request, JSON_COMPACT);
	rc = text ? file_write_all(t->fd, text, strlen(text)) : -ENOMEM;
	free(text);
	json_decref(request);
	if (rc < 0)
		return err_set(err, rc, "%s: %s", t->path, strerror(-rc));
	while ((rc = next_line(t, &answer, err)) == 0) {
		const json_t *error = json_object_get(answer, "error");
		bool done = error || json_object_get(answer, "return");

		if (error)
			rc = err_set(err, -EIO, "QEMU: %s: %s", name, json_string_value(json_object_get(error, "desc")));
		else if (done && ret)
			*ret = json_incref(json_object_get(answer, "return"));
		json_decref(answer);
		if (done)
			break;
	}
	return rc;
}

int qmp_run(const char *path, const char *name, json_t *arguments, uint64_t timeout_ns, json_t **ret, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct talk *t = calloc(1, sizeof *t);
	json_t *greeting = NULL;
	int rc;

	if (!t || strlen(path) >= sizeof at.sun_path) {
		json_decref(arguments);
		free(t);
		return err_set(err, -ENOMEM, "%s: no memory, or too long for a socket", path);
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	t->path = path;
	t->deadline_ns = clock_mono_ns() + timeout_ns;
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = t->fd < 0 || connect(t->fd, (struct sockaddr *)&at, sizeof at) < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
	if (rc == 0)
		rc = next_line(t, &greeting, err);
	json_decref(greeting);
	if (rc == 0)
		rc = command(t, "qmp_capabilities", NULL, NULL, err);
	if (rc == 0)
		rc = command(t, name, arguments, ret, err);
	else
		json_decref(arguments);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
	return rc;
}
