/* SPDX-License-Identifier: MIT */
/*
 * curve.h - a timeline of rates, and when it has let so many arrivals in: the integral of the rate, inverted exactly.
 *
 *	rate     ____            Lambda is a parabola where the rate is a sloped line, a line where it is level, and stands still
 *	       /     |____       where the rate is 0. So its inverse is closed in each piece, and errors do not add up.
 *
 * Times are those of the job: gaps between its phases are left out.
 */
#ifndef SQUALL_LOADGEN_CURVE_H
#define SQUALL_LOADGEN_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

/* A piece with its rates resolved. */
struct curve_piece {
	double start_ns, start_e;	/* where it begins: time, and Lambda there */
	double for_ns;			/* of the last piece of a curve that does not repeat: infinity */
	double from_per_s, to_per_s;
};

struct curve {
	const struct curve_piece *piece;	/* borrowed */
	uint32_t pieces_nr;
	double period_ns, period_e;	/* of all pieces, when they repeat; else 0 */
};

/**
 * @param arrival  of an open loop.
 * @param capacity_per_s,baseline_per_s  what its relative rates refer to.
 * @param room     for arrival->pieces_nr pieces; lives as long as the curve and its copies.
 */
void curve_init(struct curve *c, const struct arrival *arrival, double capacity_per_s, double baseline_per_s, struct curve_piece *room);

/**
 * Lambda^-1: when the integral of the rate exceeds e, or e is reached by a rate that goes on.
 * @return [ns of the job's time]; infinity when that never happens. Context: hot.
 */
double curve_inverse(const struct curve *c, double e);

#endif
