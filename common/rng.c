/* SPDX-License-Identifier: MIT */
/*
 * rng.c - xoshiro256**, seeded through splitmix64.
 *
 * Source: D. Blackman and S. Vigna, "Scrambled linear pseudorandom number generators", 2018; bounded draws after D. Lemire, 2019.
 */
#include <math.h>

#include "rng.h"

static uint64_t rotate(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

/* One step of splitmix64: any state gives well mixed bits. */
static uint64_t mix(uint64_t *state)
{
	return rng_mix(*state += 0x9e3779b97f4a7c15u);
}

uint64_t rng_subseed(uint64_t seed, const char *name)
{
	uint64_t state = seed, hash = mix(&state);

	for (; *name != '\0'; name++) {
		state = hash ^ (unsigned char)*name;
		hash = mix(&state);
	}
	return hash;
}

void rng_init(struct rng *rng, uint64_t seed, uint64_t index)
{
	uint64_t state = seed, other = index;

	state = mix(&state) ^ mix(&other);
	for (int i = 0; i < 4; i++)
		rng->s[i] = mix(&state);
}

uint64_t rng_u64(struct rng *rng)
{
	uint64_t *s = rng->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	unsigned __int128 product = (unsigned __int128)rng_u64(rng) * bound;

	if ((uint64_t)product < bound) {
		uint64_t limit = (0 - bound) % bound;

		while ((uint64_t)product < limit)
			product = (unsigned __int128)rng_u64(rng) * bound;
	}
	return (uint64_t)(product >> 64);
}

double rng_unit(struct rng *rng)
{
	return (double)((rng_u64(rng) >> 11) + 1) * 0x1p-53;
}

double rng_exponential(struct rng *rng)
{
	return -log(rng_unit(rng));
}

double rng_normal(struct rng *rng)
{
	double radius = sqrt(-2 * log(rng_unit(rng)));

	return radius * cos(2 * M_PI * rng_unit(rng));
}
