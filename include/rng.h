/* SPDX-License-Identifier: MIT */
/*
 * rng.h - reproducible random numbers: one seed a run, a sub-seed per name.
 *
 * Op i of a job draws from rng_init(seed, name, i): adding a job, a host or a worker changes no other draw.
 */
#ifndef SQUALL_RNG_H
#define SQUALL_RNG_H

#include <stdint.h>

/* xoshiro256**; small enough to live on the stack of a thread. Source: Blackman and Vigna, 2018. */
struct rng {
	uint64_t s[4];
};

/** Mixes all bits of a number into all others: the finalizer of splitmix64. Source: Steele and others, 2014. Context: hot. */
static inline uint64_t rng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/** A hash of (seed, name), to be used as the seed of a sub-stream. */
uint64_t rng_subseed(uint64_t seed, const char *name);

/** Start a stream. @param index sub-stream number, e.g. the index of an op. */
void rng_init(struct rng *rng, uint64_t seed, uint64_t index);

uint64_t rng_u64(struct rng *rng);

/** @return uniform in [0, bound), without modulo bias; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/** @return uniform in (0, 1]. */
double rng_unit(struct rng *rng);

/** @return exponential with mean 1. */
double rng_exponential(struct rng *rng);

/** @return normal with mean 0 and standard deviation 1. */
double rng_normal(struct rng *rng);

#endif
