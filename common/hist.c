/* SPDX-License-Identifier: MIT */
/*
 * hist.c - quantiles, merging and the sparse form of a histogram.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"

#define ENCODING 1
#define VARINT_BYTES_MAX 10

struct hist *hist_new(void)
{
	return calloc(1, sizeof(struct hist));
}

uint64_t hist_bucket_value(uint32_t index)
{
	unsigned int shift;
	uint64_t base;

	if (index < (2u << HIST_SUB_BITS))
		return index;
	shift = (index >> HIST_SUB_BITS) - 1;
	base = (uint64_t)(index - (shift << HIST_SUB_BITS)) << shift;
	return base + ((1ull << shift) >> 1);
}

void hist_clear(struct hist *h)
{
	uint32_t first = hist_first(h);

	memset(&h->bucket[first], 0, (hist_end(h) - first) * sizeof h->bucket[0]);
	h->count = h->min_ns = h->max_ns = 0;
}

/* Before the values are counted. */
static void widen(struct hist *h, uint64_t min_ns, uint64_t max_ns)
{
	if (h->count == 0 || min_ns < h->min_ns)
		h->min_ns = min_ns;
	if (max_ns > h->max_ns)
		h->max_ns = max_ns;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	if (from->count == 0)
		return;
	for (uint32_t i = hist_first(from), end = hist_end(from); i < end; i++)
		into->bucket[i] += from->bucket[i];
	widen(into, from->min_ns, from->max_ns);
	into->count += from->count;
}

/* The middle of a bucket, but nothing outside of what was counted. */
static uint64_t value_in(const struct hist *h, uint32_t index)
{
	uint64_t v = hist_bucket_value(index);

	if (v > h->max_ns || index == HIST_BUCKETS - 1)
		return h->max_ns;
	return v < h->min_ns ? h->min_ns : v;
}

/* The rank of a quantile among n values: from 1 to n. 1e-9 keeps 0.99 * 100 from becoming rank 100. */
static uint64_t rank_of(double q, uint64_t n)
{
	double rank = ceil(q * (double)n - 1e-9);

	if (rank < 1)
		return 1;
	return rank > (double)n ? n : (uint64_t)rank;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t left;

	if (h->count == 0)
		return 0;
	left = rank_of(q, h->count);
	for (uint32_t i = hist_first(h), end = hist_end(h); i < end; i++) {
		if (h->bucket[i] >= left)
			return value_in(h, i);
		left -= h->bucket[i];
	}
	return h->max_ns;
}

/* Both kinds of values in one order: the smallest value that at least q of all of them do not exceed. */
static uint64_t order_statistic(const struct hist *done, const struct hist *censored, uint32_t lo, uint32_t hi, double q)
{
	uint64_t left = rank_of(q, done->count + censored->count);

	for (uint32_t i = lo; i < hi; i++) {
		uint64_t d = done->bucket[i], c = censored->bucket[i];

		if (d + c >= left)
			return d > 0 ? value_in(done, i) : value_in(censored, i);
		left -= d + c;
	}
	return 0;
}

struct hist_quantile hist_quantile_censored(const struct hist *done, const struct hist *censored, double q)
{
	struct hist_quantile ret = { 0 };
	uint32_t lo, hi;
	double survival = 1, at_risk;

	if (!censored || censored->count == 0) {
		ret.reached = done->count > 0;
		ret.value_ns = ret.at_least_ns = hist_quantile(done, q);
		return ret;
	}
	lo = done->count > 0 && hist_first(done) < hist_first(censored) ? hist_first(done) : hist_first(censored);
	hi = hist_end(done) > hist_end(censored) ? hist_end(done) : hist_end(censored);
	ret.at_least_ns = order_statistic(done, censored, lo, hi, q);
	at_risk = (double)(done->count + censored->count);
	for (uint32_t i = lo; i < hi; i++) {
		double d = (double)done->bucket[i];

		if (d > 0) {
			survival *= 1 - d / at_risk;
			if (survival <= 1 - q + 1e-12) {
				ret.reached = true;
				ret.value_ns = value_in(done, i);
				return ret;
			}
		}
		at_risk -= d + (double)censored->bucket[i];
	}
	return ret;
}

static uint8_t *put_varint(uint8_t *to, uint64_t v)
{
	while (v >= 0x80) {
		*to++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*to++ = (uint8_t)v;
	return to;
}

int hist_encode(const struct hist *h, uint8_t **ret_bytes, size_t *ret_size)
{
	uint32_t first = hist_first(h), end = hist_end(h), next = 0;
	size_t used = 0;
	uint8_t *bytes, *to;

	for (uint32_t i = first; i < end; i++)
		used += h->bucket[i] != 0;
	bytes = malloc(1 + (3 + 2 * used) * VARINT_BYTES_MAX);
	if (!bytes)
		return -ENOMEM;
	to = bytes;
	*to++ = ENCODING;
	to = put_varint(to, h->count);
	to = put_varint(to, h->min_ns);
	to = put_varint(to, h->max_ns);
	for (uint32_t i = first; i < end; i++) {
		if (h->bucket[i] == 0)
			continue;
		to = put_varint(to, i - next);
		to = put_varint(to, h->bucket[i]);
		next = i + 1;
	}
	*ret_bytes = bytes;
	*ret_size = (size_t)(to - bytes);
	return 0;
}

struct reader {
	const uint8_t *at, *end;
};

static int get_varint(struct reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		uint8_t byte = *r->at++;

		if (shift == 63 && byte > 1)
			return -EBADMSG;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

/* What stands before the buckets. */
struct head {
	uint64_t count, min_ns, max_ns;
};

/* Walk the buckets of an encoding; with `into` they are added to it, without they are checked. */
static int walk(struct reader r, const struct head *head, struct hist *into)
{
	uint64_t sum = 0, index = 0, first = hist_index(head->min_ns), last = hist_index(head->max_ns);

	while (r.at < r.end) {
		uint64_t gap, n;

		if (get_varint(&r, &gap) < 0 || get_varint(&r, &n) < 0 || gap >= HIST_BUCKETS - index || n == 0 || n > head->count - sum)
			return -EBADMSG;
		index += gap;
		sum += n;
		if (index < first || index > last)
			return -EBADMSG;
		if (into)
			into->bucket[index] += n;
		if (++index == HIST_BUCKETS && r.at < r.end)
			return -EBADMSG;
	}
	return sum == head->count ? 0 : -EBADMSG;
}

int hist_decode_merge(struct hist *into, const uint8_t *bytes, size_t size)
{
	struct reader r = { .at = bytes, .end = bytes + size };
	struct head head;

	if (size < 1 || *r.at++ != ENCODING || get_varint(&r, &head.count) < 0 || get_varint(&r, &head.min_ns) < 0 || get_varint(&r, &head.max_ns) < 0)
		return -EBADMSG;
	if (head.min_ns > head.max_ns || walk(r, &head, NULL) < 0)
		return -EBADMSG;
	if (head.count == 0)
		return 0;
	(void)walk(r, &head, into);
	widen(into, head.min_ns, head.max_ns);
	into->count += head.count;
	return 0;
}
