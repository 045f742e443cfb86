/* SPDX-License-Identifier: MIT */
/*
 * engine_traits.c - what each engine can do, so that a profile that asks for more is refused where it is written.
 */
#include <string.h>

#include "profile.h"

#define ALL_OPS ((1u << OP_NR) - 1)
#define URING_OPS (1u << OP_READ | 1u << OP_PREAD | 1u << OP_OPEN | 1u << OP_FIRST_BYTE | 1u << OP_STAT | 1u << OP_STAT_MISS | \
		   1u << OP_APPEND_FSYNC | 1u << OP_WRITE | 1u << OP_WRITE_FSYNC)
#define NFS3_OPS (ALL_OPS & ~(1u << OP_OPEN_ONLY | 1u << OP_READ_FIRST | 1u << OP_READ_ALL | 1u << OP_CLOSE)) /* NFSv3 opens nothing */
#define THREADS_MAX 4096	/* a synchronous engine needs a thread for each slot */

const struct engine_traits engine_traits[] = {
	{ .name = "null", .ops = ALL_OPS, .slots_max = THREADS_MAX },
	{ .name = "sync", .ops = ALL_OPS, .slots_max = THREADS_MAX },
	{ .name = "libaio", .ops = 1u << OP_PREAD, .direct = 1u << OP_PREAD, .slots_max = SLOTS_MAX, .needs_queue = true },
	{ .name = "io_uring", .ops = URING_OPS, .direct = 1u << OP_PREAD | 1u << OP_READ, .slots_max = SLOTS_MAX, .needs_queue = true },
	{ .name = "nfs3", .ops = NFS3_OPS, .slots_max = SLOTS_MAX, .needs_queue = true, .needs_server = true },
	{ .name = NULL },
};

const struct engine_traits *engine_traits_find(const char *name)
{
	for (const struct engine_traits *t = engine_traits; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}
