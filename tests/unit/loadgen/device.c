/* SPDX-License-Identifier: MIT */
/*
 * device.c - see device.h.
 */
#include "../../device/outage_device.c"
#include "device.h"

#include <liburing.h>

void device_set(unsigned int after_ms, int for_ms, const char *match)
{
	device.on = true;
	device.after_ns = (uint64_t)after_ms * 1000000u;
	device.forever = for_ms < 0;
	device.for_ns = for_ms < 0 ? 0 : (uint64_t)for_ms * 1000000u;
	(void)snprintf(device.match, sizeof device.match, "%s", match);
	atomic_store(&first_ns, 0);
}

void device_part(size_t piece, uint64_t bad_from)
{
	device.piece = piece;
	device.bad_from = bad_from;
}

/* In place of liburing's: what is in the ring asks for no more than the device gives. */
int io_uring_submit(struct io_uring *ring)
{
	static int (*real)(struct io_uring *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_submit");
	for (unsigned int at = ring->sq.sqe_head; at != ring->sq.sqe_tail; at++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[at & *ring->sq.kring_mask];

		if (sqe->opcode != IORING_OP_READ || sqe->len == 0)
			continue;
		sqe->len = (unsigned int)given(sqe->len, sqe->off);
		if (sqe->len == 0)
			sqe->fd = -1;	/* EBADF: the nearest to a device that fails */
	}
	return real(ring);
}
