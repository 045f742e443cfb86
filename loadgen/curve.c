/* SPDX-License-Identifier: MIT */
/*
 * curve.c - see curve.h.
 */
#include <assert.h>
#include <math.h>

#include "curve.h"

void curve_init(struct curve *c, const struct arrival *arrival, double capacity_per_s, double baseline_per_s, struct curve_piece *room)
{
	double at_ns = 0, e = 0;

	assert(arrival->pieces_nr > 0);
	for (uint32_t i = 0; i < arrival->pieces_nr; i++) {
		const struct rate_piece *from = &arrival->pieces[i];
		struct curve_piece *p = &room[i];

		*p = (struct curve_piece){
			.start_ns = at_ns,
			.start_e = e,
			.for_ns = from->for_ns ? (double)from->for_ns : INFINITY,
			.from_per_s = rate_per_s(&from->from, capacity_per_s, baseline_per_s),
			.to_per_s = rate_per_s(&from->to, capacity_per_s, baseline_per_s),
		};
		assert(isfinite(p->for_ns) || (i + 1 == arrival->pieces_nr && !arrival->repeats && p->from_per_s == p->to_per_s));
		at_ns += p->for_ns;
		e += p->for_ns * (p->from_per_s + p->to_per_s) / 2e9;
	}
	*c = (struct curve){ .piece = room, .pieces_nr = arrival->pieces_nr };
	if (arrival->repeats) {
		c->period_ns = at_ns;
		c->period_e = e;
	}
}

/* The last piece that begins with no more than e: one of rate 0 is passed over, for the next begins with the same. */
static const struct curve_piece *find(const struct curve *c, double e)
{
	uint32_t low = 0, high = c->pieces_nr;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (c->piece[middle].start_e <= e)
			low = middle;
		else
			high = middle;
	}
	return &c->piece[low];
}

/*
 * With slope s = (to - from) / for the piece has Lambda(tau) = from tau + s tau^2 / 2. The form 2x / (b + sqrt(b^2 + 2sx)) has no
 * cancellation and no division by s. The products with 1e9 come before the division: i * 1e9 is exact up to i = 2^32, and so is then
 * a due time that is a whole number of ns.
 */
static double in_piece(const struct curve_piece *p, double x)
{
	double b = p->from_per_s, slope;

	if (p->from_per_s == p->to_per_s) {
		if (b <= 0)
			return INFINITY;
		return p->start_ns + x * 1e9 / b;
	}
	if (x <= 0)
		return p->start_ns;
	slope = (p->to_per_s - b) * 1e9 / p->for_ns;
	return p->start_ns + 2e9 * x / (b + sqrt(fmax(0, b * b + 2 * slope * x)));
}

double curve_inverse(const struct curve *c, double e)
{
	const struct curve_piece *p;
	double rounds = 0, tau;

	if (c->period_e > 0) {
		rounds = floor(e / c->period_e);
		if (rounds * c->period_e > e)	/* the quotient was rounded up */
			rounds--;
		e -= rounds * c->period_e;
	}
	p = find(c, e);
	tau = in_piece(p, e - p->start_e);
	return rounds * c->period_ns + tau;
}
