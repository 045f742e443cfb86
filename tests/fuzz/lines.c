/* SPDX-License-Identifier: MIT */
/*
 * lines.c - what a guest or QEMU writes, in two pieces that meet anywhere: the lines are those of the whole text, up to the first that is none.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lab/lines.h"
#include "clock.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX (64u << 10)	/* fits the buffer of a socket */

struct text {
	const char *at, *end;
};

/* @return 1, 0 at the end, -EBADMSG */
static int next_of_text(struct text *t, json_t **ret)
{
	const char *newline;

	while (t->at < t->end && *t->at == '\n')
		t->at++;
	newline = t->at < t->end ? memchr(t->at, '\n', (size_t)(t->end - t->at)) : NULL;
	if (!newline)
		return 0;
	*ret = json_loadb(t->at, (size_t)(newline - t->at), 0, NULL);
	t->at = newline + 1;
	return *ret ? 1 : -EBADMSG;
}

/* Those that there are now. @return as lines_next(), other than 1 */
static int take_all(struct lines *lines, struct text *text, uint64_t patience_ns)
{
	json_t *line = NULL, *same = NULL;
	int rc;

	while ((rc = lines_next(lines, clock_mono_ns() + patience_ns, &line)) == 1) {
		CHECK(next_of_text(text, &same) == 1 && json_equal(line, same));
		json_decref(line);
		json_decref(same);
	}
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text text = { (const char *)data, (const char *)data + size };
	struct lines lines = { .fd = -1 };
	json_t *rest = NULL;
	size_t first;
	int pair[2], rc;

	if (size == 0 || size > INPUT_BYTES_MAX)
		return 0;
	first = data[0] * size / 256;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	lines.fd = pair[0];
	CHECK(write(pair[1], data, first) == (ssize_t)first);
	rc = take_all(&lines, &text, 1);
	if (rc == -ETIMEDOUT) {
		CHECK(write(pair[1], data + first, size - first) == (ssize_t)(size - first));
		close(pair[1]);
		rc = take_all(&lines, &text, NS_PER_S);
	} else {
		close(pair[1]);
	}
	CHECK(rc == 0 || rc == -EBADMSG);
	CHECK(next_of_text(&text, &rest) == rc && !rest);
	lines_release(&lines);
	close(pair[0]);
	return 0;
}
