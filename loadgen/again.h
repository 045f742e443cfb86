/* SPDX-License-Identifier: MIT */
/*
 * again.h - arrivals between two attempts, see retry.h.
 *
 * An arrival lies still in its cell. Which one is next is told by a heap of the numbers of the cells, and that can be made again from the
 * cells: a worker may be killed in the middle of a change of it.
 */
#ifndef SQUALL_LOADGEN_AGAIN_H
#define SQUALL_LOADGEN_AGAIN_H

#include <stdint.h>

#include "arrivals.h"

struct again_cell {
	uint64_t at_ns;			/* when the next attempt is due, from T0; 0: nothing is in the cell */
	struct arrival_due arrival;
};

struct again {
	struct again_cell *cell;	/* of `max` */
	uint32_t *order;		/* the numbers of all cells: of the first `nr` a heap, the earliest on top; of the empty ones behind it */
	uint32_t max, nr;
};

/** All cells are empty; `cell` and `order` have room for `max`. */
void again_init(struct again *a, struct again_cell *cell, uint32_t *order, uint32_t max);

/** The cell that is filled next: first its arrival, then at_ns, then again_added(). There must be one: nr < max. */
static inline struct again_cell *again_empty_cell(const struct again *a)
{
	return &a->cell[a->order[a->nr]];
}

void again_added(struct again *a);

/** @return when the next attempt is due, from T0; UINT64_MAX: there is none. */
static inline uint64_t again_next_ns(const struct again *a)
{
	return a->nr > 0 ? a->cell[a->order[0]].at_ns : UINT64_MAX;
}

/** Take out the one of again_next_ns(). There must be one. */
struct arrival_due again_take(struct again *a);

/** Make the heap from the cells. */
void again_rebuild(struct again *a);

#endif
