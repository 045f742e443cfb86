/* SPDX-License-Identifier: MIT */
/*
 * probe_kernel_log.c - what the kernel says, from now on: /dev/kmsg.
 *
 * A record is "priority,sequence,timestamp,flags;text", then its dictionary in lines that begin with a space. Only the kernel's own (facility 0)
 * count: everybody may write there. Source: Documentation/ABI/testing/dev-kmsg of Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

#define RECORD_BYTES 8192		/* the kernel's own limit of a record, PRINTK_MESSAGE_MAX, is 2048 */
#define MESSAGES_MAX 50u		/* in one sample: a kernel that screams is summed up */

struct state {
	int fd;
};

bool kmsg_parse(const char *record, char *ret_text, size_t text_bytes)
{
	const char *text;
	unsigned int priority;
	size_t n;

	if (sscanf(record, "%u,", &priority) != 1 || priority >> 3 != 0)
		return false;
	text = strchr(record, ';');
	if (!text)
		return false;
	text++;
	n = strcspn(text, "\n");
	if (n >= text_bytes)
		n = text_bytes - 1;
	memcpy(ret_text, text, n);
	ret_text[n] = '\0';
	return true;
}

static int kmsg_open(const struct probe_env *env)
{
	char path[PATH_MAX + 16];
	int fd;

	(void)snprintf(path, sizeof path, "%s/dev/kmsg", env->root);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	int fd = kmsg_open(env);

	if (fd < 0) {
		(void)snprintf(reason, reason_bytes, "/dev/kmsg: %s", strerror(-fd));
		return false;
	}
	(void)close(fd);
	return true;
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	struct state *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->fd = kmsg_open(env);
	if (s->fd < 0)
		return s->fd;
	(void)lseek(s->fd, 0, SEEK_END);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	char record[RECORD_BYTES], text[RECORD_BYTES];
	struct state *s = state;
	unsigned int nr = 0;
	ssize_t n;

	for (;;) {
		n = read(s->fd, record, sizeof record - 1);
		if (n < 0 && errno == EPIPE)
			continue;		/* the ring went over us: it goes on with the oldest that is left */
		if (n <= 0)
			break;
		record[n] = '\0';
		if (kmsg_parse(record, text, sizeof text) && nr++ < MESSAGES_MAX)
			probe_emit(out, "kernel.message", NULL, 1, text);
	}
	if (nr > MESSAGES_MAX) {
		(void)snprintf(text, sizeof text, "(%u more messages in this half second)", nr - MESSAGES_MAX);
		probe_emit(out, "kernel.message", NULL, (double)(nr - MESSAGES_MAX), text);
	}
	return 0;
}

const struct probe probe_kernel_log = {
	.name = "kernel_log",
	.period_ns = 500 * NS_PER_MS,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
