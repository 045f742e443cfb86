/* SPDX-License-Identifier: MIT */
/*
 * zipf.h - ranks of which the k-th is drawn in proportion to 1 / k^s: a few are asked for all the time, most hardly ever.
 *
 * Exact for every number of ranks, without a table of them. A draw is a function of its 64 random bits alone.
 *
 * Source: W. Hoermann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996.
 */
#ifndef SQUALL_LOADGEN_ZIPF_H
#define SQUALL_LOADGEN_ZIPF_H

#include <stdint.h>

struct zipf {
	uint32_t n;
	double s;
	double low, high;	/* between them lies the area under the hat */
	double sure;		/* up to this far below its rank a point is accepted without a look at the bar */
};

/** @param n ranks, at least 1. @param s exponent, above 0. */
void zipf_init(struct zipf *z, uint32_t n, double s);

/** @param bits  64 random ones. @return 0 (the most popular) to n - 1. Context: hot; some 100 ns. */
uint32_t zipf_draw(const struct zipf *z, uint64_t bits);

#endif
