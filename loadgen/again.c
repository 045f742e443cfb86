/* SPDX-License-Identifier: MIT */
/*
 * again.c - see again.h: a binary heap.
 */
#include "again.h"

void again_init(struct again *a, struct again_cell *cell, uint32_t *order, uint32_t max)
{
	*a = (struct again){ .cell = cell, .order = order, .max = max };
	for (uint32_t i = 0; i < max; i++)
		order[i] = i;
}

static bool is_before(const struct again *a, uint32_t x, uint32_t y)
{
	return a->cell[a->order[x]].at_ns < a->cell[a->order[y]].at_ns;
}

static void swap(struct again *a, uint32_t x, uint32_t y)
{
	uint32_t number = a->order[x];

	a->order[x] = a->order[y];
	a->order[y] = number;
}

void again_added(struct again *a)
{
	for (uint32_t at = a->nr++; at > 0 && is_before(a, at, (at - 1) / 2); at = (at - 1) / 2)
		swap(a, at, (at - 1) / 2);
}

static void sink_top(struct again *a)
{
	for (uint32_t at = 0, first = 0;; at = first) {
		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < a->nr; child++)
			if (is_before(a, child, first))
				first = child;
		if (first == at)
			return;
		swap(a, at, first);
	}
}

struct arrival_due again_take(struct again *a)
{
	struct again_cell *top = &a->cell[a->order[0]];
	struct arrival_due arrival = top->arrival;

	top->at_ns = 0;
	swap(a, 0, --a->nr);
	sink_top(a);
	return arrival;
}

void again_rebuild(struct again *a)
{
	uint32_t used = 0, empty = a->max;

	for (uint32_t i = 0; i < a->max; i++)
		a->order[a->cell[i].at_ns > 0 ? used++ : --empty] = i;
	for (a->nr = 0; a->nr < used;)
		again_added(a);
}
