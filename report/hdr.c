/* SPDX-License-Identifier: MIT */
/*
 * hdr.c - HdrHistogram's V2 form.
 *
 *	base64( cookie 0x1c849314, bytes that follow, zlib( cookie 0x1c849313, bytes of the counts, offset 0, digits, least value, greatest value,
 *		ratio 1.0, counts ) )
 *
 * Numbers are big-endian. A count is a zigzag LEB128 of at most 9 bytes, the ninth a whole one; a negative one is so many buckets without a count.
 * Source: HdrHistogram 2.1, AbstractHistogram.encodeIntoByteBuffer and ZigZagEncoding.
 */
#include "hdr.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "err.h"
#include "file.h"
#include "hist.h"

#define COOKIE 0x1c849313u
#define COOKIE_COMPRESSED 0x1c849314u
#define COOKIE_DOUBLES 0x0c72124eu	/* and 4f, compressed */
#define HEAD_BYTES 40
#define COMPRESSED_HEAD_BYTES 8
#define LEB_BYTES_MAX 9
#define DIGITS 3
#define PLAIN_BYTES_MAX (64u << 20)	/* 5 digits over 63 bits take 7 Mi counts */

static uint8_t *put_32(uint8_t *to, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*to++ = (uint8_t)(v >> shift);
	return to;
}

static uint8_t *put_64(uint8_t *to, uint64_t v)
{
	return put_32(put_32(to, (uint32_t)(v >> 32)), (uint32_t)v);
}

static uint32_t get_32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static uint64_t get_64(const uint8_t *from)
{
	return (uint64_t)get_32(from) << 32 | get_32(from + 4);
}

static uint8_t *put_leb(uint8_t *to, int64_t value)
{
	uint64_t v = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

	for (int i = 0; i < LEB_BYTES_MAX - 1; i++) {
		if (v < 0x80) {
			*to++ = (uint8_t)v;
			return to;
		}
		*to++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*to++ = (uint8_t)v;
	return to;
}

static uint8_t *put_counts(uint8_t *to, const struct hist *h)
{
	int64_t without = hist_first(h);

	for (uint32_t i = hist_first(h), last = hist_end(h); i < last; i++) {
		if (h->bucket[i] == 0) {
			without++;
			continue;
		}
		if (without > 0)
			to = put_leb(to, without == 1 ? 0 : -without);
		to = put_leb(to, (int64_t)h->bucket[i]);
		without = 0;
	}
	return to;
}

int hdr_encode(const struct hist *h, char **ret_text)
{
	size_t buckets = hist_end(h) - hist_first(h);
	uint8_t *plain = malloc(HEAD_BYTES + (buckets + 1) * 2 * LEB_BYTES_MAX), *packed = NULL, *to, *end;
	double one = 1;
	uint64_t ratio;
	uLongf bytes;
	int rc = -ENOMEM;

	if (!plain)
		goto out;
	end = put_counts(plain + HEAD_BYTES, h);
	memcpy(&ratio, &one, sizeof ratio);
	to = put_32(plain, COOKIE);
	to = put_32(to, (uint32_t)(end - plain - HEAD_BYTES));
	to = put_32(to, 0);
	to = put_32(to, DIGITS);
	to = put_64(to, 1);
	to = put_64(to, (1ull << HIST_VALUE_BITS) - 1);
	(void)put_64(to, ratio);
	bytes = compressBound((uLong)(end - plain));
	packed = malloc(COMPRESSED_HEAD_BYTES + bytes);
	if (!packed || compress2(packed + COMPRESSED_HEAD_BYTES, &bytes, plain, (uLong)(end - plain), Z_BEST_COMPRESSION) != Z_OK)
		goto out;
	(void)put_32(put_32(packed, COOKIE_COMPRESSED), (uint32_t)bytes);
	*ret_text = base64_encode(packed, COMPRESSED_HEAD_BYTES + bytes);
	rc = *ret_text ? 0 : -ENOMEM;
out:
	free(plain);
	free(packed);
	return rc;
}

/* The size is not known before; it grows to its limit. */
static int unpack(const uint8_t *packed, size_t packed_bytes, uint8_t **ret_plain, size_t *ret_bytes, struct err *err)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)packed, .avail_in = (uInt)packed_bytes };	/* the API lacks the const */
	uint8_t *plain = NULL;
	size_t room = 0;
	int rc = 0, z_rc = Z_OK;

	if (inflateInit(&z) != Z_OK)
		return err_set(err, -ENOMEM, "no memory to unpack a histogram");
	while (rc == 0 && z_rc == Z_OK) {
		uint8_t *grown;

		room = room ? room * 2 : 4096;
		grown = room <= PLAIN_BYTES_MAX ? realloc(plain, room) : NULL;
		if (!grown) {
			rc = room > PLAIN_BYTES_MAX ? err_set(err, -EBADMSG, "a histogram unpacks to more than %u MiB", PLAIN_BYTES_MAX >> 20) :
						      err_set(err, -ENOMEM, "no memory to unpack a histogram");
			break;
		}
		plain = grown;
		z.next_out = plain + z.total_out;
		z.avail_out = (uInt)(room - z.total_out);
		z_rc = inflate(&z, Z_NO_FLUSH);
		/* All of the input was read and the stream is not over: it was cut. */
		if (z_rc == Z_BUF_ERROR || (z_rc == Z_OK && z.avail_out > 0))
			z_rc = Z_DATA_ERROR;
	}
	if (rc == 0 && z_rc != Z_STREAM_END)
		rc = err_set(err, -EBADMSG, "a histogram does not unpack: %s", z.msg ? z.msg : "it is cut");
	*ret_bytes = z.total_out;
	(void)inflateEnd(&z);
	if (rc < 0)
		free(plain);
	else
		*ret_plain = plain;
	return rc;
}

static int get_leb(const uint8_t **at, const uint8_t *end, int64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < LEB_BYTES_MAX && *at < end; i++) {
		uint8_t byte = *(*at)++;

		if (i == LEB_BYTES_MAX - 1 || byte < 0x80) {
			v |= (uint64_t)byte << 7 * i;
			*ret = (int64_t)(v >> 1 ^ -(v & 1));
			return 0;
		}
		v |= (uint64_t)(byte & 0x7f) << 7 * i;
	}
	return -EBADMSG;
}

/* How a histogram of some precision and least value cuts its values into buckets. */
struct layout {
	unsigned int unit_bits, half_bits;	/* least value and half of the sub-buckets, as powers of two */
};

static int layout_of(uint32_t digits, uint64_t least, struct layout *ret)
{
	uint64_t wanted = 2;

	if (digits > 5 || least == 0 || least >> 62)
		return -EBADMSG;
	for (uint32_t i = 0; i < digits; i++)
		wanted *= 10;
	ret->unit_bits = 63u - (unsigned int)__builtin_clzll(least);
	ret->half_bits = 0;
	while (2ull << ret->half_bits < wanted)
		ret->half_bits++;
	return ret->unit_bits + ret->half_bits < 61 ? 0 : -EBADMSG;
}

/* The lower end of a bucket, and with it the upper end of a bucket of ours. @return -EBADMSG beyond 2^63 - 1 */
static int value_of(const struct layout *l, uint64_t index, uint64_t *ret)
{
	uint64_t bucket = index >> l->half_bits, sub = index & ((1ull << l->half_bits) - 1);
	unsigned int shift, msb;

	if (bucket > 0)
		sub += 1ull << l->half_bits;
	bucket -= bucket > 0;
	shift = (unsigned int)bucket + l->unit_bits;
	if (bucket > 63 || shift + l->half_bits + 1 > 63)
		return -EBADMSG;
	*ret = sub << shift;
	msb = 63u - (unsigned int)__builtin_clzll(*ret | 1);
	if (msb > HIST_SUB_BITS)
		*ret |= (1ull << (msb - HIST_SUB_BITS)) - 1;
	return 0;
}

static int push(struct hdr *h, size_t *room, uint64_t value, uint64_t nr)
{
	if (nr > INT64_MAX - h->total)
		return -EOVERFLOW;
	h->total += nr;
	/* Finer buckets than ours fall together. */
	if (h->counts_nr > 0 && h->count[h->counts_nr - 1].value == value) {
		h->count[h->counts_nr - 1].nr += nr;
		return 0;
	}
	if (h->counts_nr == *room) {
		struct hdr_count *grown = realloc(h->count, (*room ? *room * 2 : 64) * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		h->count = grown;
		*room = *room ? *room * 2 : 64;
	}
	h->count[h->counts_nr++] = (struct hdr_count){ .value = value, .nr = nr };
	return 0;
}

static int get_counts(const uint8_t *at, const uint8_t *end, const struct layout *l, struct hdr *h)
{
	uint64_t index = 0, value = 0;
	size_t room = 0;
	int64_t nr;
	int rc = 0;

	while (rc == 0 && at < end) {
		rc = get_leb(&at, end, &nr);
		if (rc == 0 && nr <= 0) {
			index += nr < 0 ? -(uint64_t)nr : 1;
			rc = index >> 40 ? -EBADMSG : 0;
			continue;
		}
		if (rc == 0)
			rc = value_of(l, index++, &value);
		if (rc == 0)
			rc = push(h, &room, value, (uint64_t)nr);
	}
	return rc;
}

static int decode_plain(const uint8_t *plain, size_t bytes, struct hdr *h, struct err *err)
{
	struct layout layout;
	uint32_t counts;
	int rc;

	if (bytes < HEAD_BYTES || get_32(plain) != COOKIE)
		return err_set(err, -EBADMSG, "what is packed is no histogram of version 2");
	counts = get_32(plain + 4);
	if (counts > bytes - HEAD_BYTES)
		return err_set(err, -EBADMSG, "a histogram is cut: %u bytes of counts are announced, %zu are there", counts, bytes - HEAD_BYTES);
	if (get_32(plain + 8) != 0)
		return err_set(err, -ENOTSUP, "a histogram whose values were shifted cannot be read");
	if (layout_of(get_32(plain + 12), get_64(plain + 16), &layout) < 0)
		return err_set(err, -EBADMSG, "a histogram of %u digits from %llu on makes no sense", get_32(plain + 12), (unsigned long long)get_64(plain + 16));
	rc = get_counts(plain + HEAD_BYTES, plain + HEAD_BYTES + counts, &layout, h);
	if (rc == -ENOMEM)
		return err_set(err, rc, "no memory for a histogram");
	return rc < 0 ? err_set(err, -EBADMSG, "the counts of a histogram are damaged") : 0;
}

int hdr_decode(const char *text, struct hdr *ret, struct err *err)
{
	uint8_t *bytes = NULL, *plain = NULL;
	size_t bytes_nr = 0, plain_nr = 0;
	struct hdr h = { 0 };
	int rc = base64_decode(text, &bytes, &bytes_nr);

	if (rc < 0 || bytes_nr < COMPRESSED_HEAD_BYTES) {
		rc = err_set(err, rc == -ENOMEM ? rc : -EBADMSG, "a histogram is not base64, or cut");
		goto out;
	}
	if (get_32(bytes) != COOKIE_COMPRESSED) {
		rc = err_set(err, -ENOTSUP, "a histogram of kind %08x cannot be read; compressed ones of version 2 can%s", get_32(bytes),
			     (get_32(bytes) | 1) == (COOKIE_DOUBLES | 1) ? ", doubles cannot" : "");
		goto out;
	}
	if (get_32(bytes + 4) > bytes_nr - COMPRESSED_HEAD_BYTES) {
		rc = err_set(err, -EBADMSG, "a histogram is cut: %u bytes are announced, %zu are there", get_32(bytes + 4), bytes_nr - COMPRESSED_HEAD_BYTES);
		goto out;
	}
	rc = unpack(bytes + COMPRESSED_HEAD_BYTES, get_32(bytes + 4), &plain, &plain_nr, err);
	if (rc == 0)
		rc = decode_plain(plain, plain_nr, &h, err);
	if (rc < 0)
		goto out;
	*ret = h;
	h = (struct hdr){ 0 };
out:
	hdr_release(&h);
	free(bytes);
	free(plain);
	return rc;
}

int hdr_merge(struct hdr *into, const struct hdr *from)
{
	struct hdr sum = { 0 };
	size_t room = 0, i = 0, k = 0;
	int rc = 0;

	while (rc == 0 && (i < into->counts_nr || k < from->counts_nr)) {
		const struct hdr_count *a = i < into->counts_nr ? &into->count[i] : NULL, *b = k < from->counts_nr ? &from->count[k] : NULL;
		uint64_t value = !a || (b && b->value < a->value) ? b->value : a->value, nr = 0;

		if (a && a->value == value) {
			nr += a->nr;
			i++;
		}
		if (b && b->value == value) {
			nr += b->nr;
			k++;
		}
		rc = push(&sum, &room, value, nr);
	}
	if (rc == 0) {
		hdr_release(into);
		*into = sum;
	} else {
		hdr_release(&sum);
	}
	return rc;
}

uint64_t hdr_quantile(const struct hdr *h, double q)
{
	double rank = ceil(q * (double)h->total - 1e-9);
	uint64_t left = rank < 1 ? 1 : rank > (double)h->total ? h->total : (uint64_t)rank;

	for (size_t i = 0; i < h->counts_nr; i++) {
		if (h->count[i].nr >= left)
			return h->count[i].value;
		left -= h->count[i].nr;
	}
	return 0;
}

void hdr_release(struct hdr *h)
{
	free(h->count);
	*h = (struct hdr){ 0 };
}
