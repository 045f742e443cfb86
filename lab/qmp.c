/* SPDX-License-Identifier: MIT */
/*
 * qmp.c - greeting, capabilities, command, answer; events in between are passed over.
 */
#include "qmp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "lines.h"

struct talk {
	struct lines lines;
	const char *path;
	uint64_t deadline_ns;
};

static int next_line(struct talk *t, json_t **ret, struct err *err)
{
	int rc = lines_next(&t->lines, t->deadline_ns, ret);

	if (rc == 1)
		return 0;
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "%s: QEMU does not answer", t->path);
	if (rc == 0)
		return err_set(err, -EIO, "%s: QEMU has ended the connection", t->path);
	return err_set(err, rc, "%s: QEMU's answer: %s", t->path, strerror(-rc));
}

/* @param ret  may be NULL */
static int command(struct talk *t, const char *name, json_t *arguments, json_t **ret, struct err *err)
{
	json_t *request = json_pack("{s:s}", "execute", name), *answer = NULL;
	int rc;

	if (arguments)
		json_object_set_new(request, "arguments", arguments);
	rc = lines_send(t->lines.fd, request);
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
	struct talk t = { .path = path, .deadline_ns = clock_mono_ns() + timeout_ns };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	json_t *greeting = NULL;
	int rc;

	if (strlen(path) >= sizeof at.sun_path) {
		json_decref(arguments);
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long for a socket", path);
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	t.lines.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = t.lines.fd < 0 || connect(t.lines.fd, (struct sockaddr *)&at, sizeof at) < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
	if (rc == 0)
		rc = next_line(&t, &greeting, err);
	json_decref(greeting);
	if (rc == 0)
		rc = command(&t, "qmp_capabilities", NULL, NULL, err);
	if (rc == 0)
		rc = command(&t, name, arguments, ret, err);
	else
		json_decref(arguments);
	if (t.lines.fd >= 0)
		close(t.lines.fd);
	lines_release(&t.lines);
	return rc;
}
