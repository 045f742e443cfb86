/* SPDX-License-Identifier: MIT */
/*
 * bus_link.h - what bus.c asks of the way to one peer: private to common/.
 */
#ifndef SQUALL_BUS_LINK_H
#define SQUALL_BUS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus.h"

#define BUS_QUEUE_BYTES_MAX (64u << 20)		/* of each direction of a link */

struct bus_link;
struct err;
struct pollfd;

struct bus_link_ops {
	/** Queue the text of a message and write what can be written. Errors: -ENOBUFS, -ENOMEM; the link is gone then. */
	int (*send)(struct bus_link *link, const char *text, size_t bytes);
	/** The next message that is whole. @return 1 with it, or 0; what is no message makes the link gone. */
	int (*take)(struct bus_link *link, struct bus_message *ret_message);
	/** Whether nothing waits to be written. */
	bool (*is_written)(const struct bus_link *link);
	/** What to poll for. @return false when the link has no descriptor of its own. */
	bool (*pollfd)(const struct bus_link *link, struct pollfd *ret);
	void (*ready)(struct bus_link *link, short revents);
	void (*free)(struct bus_link *link);
};

/* The first field of each kind of link. */
struct bus_link {
	const struct bus_link_ops *ops;
	char peer[48];
	bool gone;		/* nothing more comes in; what was read is still to be delivered */
};

/** The link becomes the bus's. Errors: -EEXIST the name is taken, -EMFILE too many peers, -EINVAL the name is too long; then it is still the caller's. */
int bus_add(struct bus *bus, const char *peer, struct bus_link *link, struct err *err);

/** A message from its text. Of *ret, kind and body are set. Errors: -EBADMSG: no object, no kind, or the kind "gone", which is the bus's own word. */
int bus_message_parse(const char *text, size_t bytes, struct bus_message *ret);

#endif
