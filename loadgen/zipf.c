/* SPDX-License-Identifier: MIT */
/*
 * zipf.c - see zipf.h. The bar of rank k is 1 / k^s high and reaches from k - 1/2 to k + 1/2; the hat over it is the curve x^-s.
 *
 *	draw a point of the area under the hat ─ invert the integral: x ─ k is x, rounded ─ is the point under the bar of k? ─ else again
 *
 * The curve is convex, so that its area over each bar is at least the bar's, and little more: few points are drawn again.
 */
#include <assert.h>
#include <math.h>

#include "rng.h"
#include "zipf.h"

/* (x^(1-s) - 1) / (1-s), the integral of x^-s from 1; also where s is 1 or close to it. */
static double area(double s, double x)
{
	double t = (1 - s) * log(x);

	return fabs(t) < 1e-9 ? log(x) * (1 + t / 2) : expm1(t) / (1 - s);
}

static double inverse_area(double s, double y)
{
	double t = (1 - s) * y;

	return fabs(t) < 1e-9 ? exp(y * (1 - t / 2)) : exp(log1p(t > -1 ? t : -1) / (1 - s));
}

static double bar(double s, double k)
{
	return exp(-s * log(k));
}

void zipf_init(struct zipf *z, uint32_t n, double s)
{
	assert(n > 0 && s > 0);
	*z = (struct zipf){ .n = n, .s = s };
	z->low = area(s, 1.5) - 1;		/* the first bar needs no hat: it is taken as a whole */
	z->high = area(s, n + 0.5);
	z->sure = 2 - inverse_area(s, area(s, 2.5) - bar(s, 2));
}

/* Attempt k of a draw. */
static double unit(uint64_t bits, uint64_t k)
{
	return ((double)(rng_mix(bits + k * 0x9e3779b97f4a7c15ULL) >> 11) + 0.5) * 0x1p-53;
}

uint32_t zipf_draw(const struct zipf *z, uint64_t bits)
{
	for (uint64_t attempt = 0;; attempt++) {
		double y = z->high + unit(bits, attempt) * (z->low - z->high);
		double x = inverse_area(z->s, y), k = floor(x + 0.5);

		k = fmin(fmax(k, 1), z->n);
		if (k - x <= z->sure || y >= area(z->s, k + 0.5) - bar(z->s, k))
			return (uint32_t)k - 1;
	}
}
