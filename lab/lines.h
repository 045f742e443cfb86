/* SPDX-License-Identifier: MIT */
/*
 * lines.h - a line of JSON each, as QEMU and the guests' control channel speak.
 */
#ifndef SQUALL_LAB_LINES_H
#define SQUALL_LAB_LINES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* What has come and is not taken yet. All zero but `fd` is an empty one; lines_release() at the end. */
struct lines {
	int fd;			/* borrowed */
	char *text;
	size_t bytes, room;
};

#define LINES_BYTES_MAX (4u << 20)

/**
 * The next line; empty ones are passed over.
 * @param deadline_ns  clock_mono_ns; what has come until then stays for the next call.
 * @return 1 with the line, 0 at the end, -ETIMEDOUT, -EBADMSG it is no JSON, -E2BIG longer than LINES_BYTES_MAX, -ENOMEM, -errno
 */
int lines_next(struct lines *lines, uint64_t deadline_ns, json_t **ret);

/** Write one; its reference is stolen. Errors: -ENOMEM, also when it is NULL; -errno */
int lines_send(int fd, json_t *json);

void lines_release(struct lines *lines);

#endif
