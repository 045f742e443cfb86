/* SPDX-License-Identifier: MIT */
/*
 * hist.h - a log-linear histogram of latencies, and quantiles that stay true when ops are still in flight.
 *
 * 1,024 sub-buckets per power of two: the relative error of a reported value is below 0.1 %. Values below 2,048 ns are exact.
 *
 *	value < 2048            bucket = value
 *	else shift = msb - 10   bucket = shift * 1024 + (value >> shift)
 *
 * The range is 0 to 2^47 ns (39 hours); a longer one is counted in the last bucket, and `max_ns` keeps the exact longest.
 */
#ifndef SQUALL_HIST_H
#define SQUALL_HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_SUB_BITS 10
#define HIST_VALUE_BITS 47
#define HIST_BUCKETS (((HIST_VALUE_BITS - HIST_SUB_BITS) + 1) << HIST_SUB_BITS)

/*
 * Dense and self-contained (no pointer), so that it may lie in shared memory. All zero is an empty histogram.
 * One writer; whoever reads beside it must be kept apart by its owner.
 */
struct hist {
	uint64_t count;
	uint64_t min_ns;	/* exact; meaningless while count is 0 */
	uint64_t max_ns;	/* exact */
	uint64_t bucket[HIST_BUCKETS];
};

static inline uint32_t hist_index(uint64_t value_ns)
{
	unsigned int msb, shift;

	if (value_ns < (2u << HIST_SUB_BITS))
		return (uint32_t)value_ns;
	if (value_ns >> HIST_VALUE_BITS)
		return HIST_BUCKETS - 1;
	msb = 63u - (unsigned int)__builtin_clzll(value_ns);
	shift = msb - HIST_SUB_BITS;
	return (uint32_t)((shift << HIST_SUB_BITS) + (value_ns >> shift));
}

/** Count one value. Context: hot, the one writer. */
static inline void hist_add(struct hist *h, uint64_t value_ns)
{
	if (h->count++ == 0 || value_ns < h->min_ns)
		h->min_ns = value_ns;
	if (value_ns > h->max_ns)
		h->max_ns = value_ns;
	h->bucket[hist_index(value_ns)]++;
}

/* What is not 0 lies in the buckets [hist_first(), hist_end()): whoever walks them walks these alone. None when it is empty. */
static inline uint32_t hist_first(const struct hist *h)
{
	return h->count > 0 ? hist_index(h->min_ns) : 0;
}

static inline uint32_t hist_end(const struct hist *h)
{
	return h->count > 0 ? hist_index(h->max_ns) + 1 : 0;
}

/** The middle of a bucket [ns]. */
uint64_t hist_bucket_value(uint32_t index);

/** Empty it again; cost is that of the touched range. */
void hist_clear(struct hist *h);

/** Add the counts of one histogram to another; exact and commutative. */
void hist_merge(struct hist *into, const struct hist *from);

/**
 * The value at a quantile: the smallest bucket at which the cumulated count reaches q * count.
 * @param q in (0, 1].
 * @return [ns], never more than max_ns nor less than min_ns; 0 when empty.
 */
uint64_t hist_quantile(const struct hist *h, double q);

/* A quantile of done values and right-censored ages together. */
struct hist_quantile {
	bool reached;
	uint64_t value_ns;	/* when reached: the Kaplan-Meier estimate */
	uint64_t at_least_ns;	/* always: the order statistic with ages taken as values, a lower bound */
};

/**
 * Quantile with right-censored values.
 * @param done      finished ops.
 * @param censored  ages of unfinished ones: they last longer than that. May be NULL or empty: then it is hist_quantile().
 * Source: Kaplan and Meier, 1958; ties are taken as done before censored.
 */
struct hist_quantile hist_quantile_censored(const struct hist *done, const struct hist *censored, double q);

/**
 * Sparse form for the record and the wire: a version byte, count, min and max, then gaps and counts of the non-empty buckets, as LEB128 varints.
 * @param ret_bytes  malloc'ed, owned by the caller.
 * @return 0 or -ENOMEM.
 */
int hist_encode(const struct hist *h, uint8_t **ret_bytes, size_t *ret_size);

/**
 * Add an encoded histogram to `into`. Nothing is changed when the input is malformed.
 * Errors: -EBADMSG for a cut, overlong, out-of-range or inconsistent input (sum of buckets != count, a bucket outside of min and max).
 */
int hist_decode_merge(struct hist *into, const uint8_t *bytes, size_t size);

/** @return an empty histogram on the heap (free() it), or NULL. */
struct hist *hist_new(void);

#endif
