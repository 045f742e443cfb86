/* SPDX-License-Identifier: MIT */
/*
 * hdr.h - one histogram in the compressed V2 form of HdrHistogram, as its interval logs hold it: base64 of zlib of counts.
 *
 * A histogram of HdrHistogram whose least value is 1 and which keeps 3 digits counts a value in the bucket in which hist.h counts it:
 *
 *	HdrHistogram                                       hist.h
 *	bucket = msb(value | 2047) - 10                    shift  (0 below 2,048)
 *	index  = (bucket + 1) * 1024 + (value >> bucket) - 1024
 *	       = bucket * 1024 + (value >> bucket)         shift * 1024 + (value >> shift)
 *
 * so that every count is written as it is and none is moved. What differs is the value that stands for a bucket: HdrHistogram gives its upper end,
 * squall its middle, or the exact least and greatest value where they lie in it.
 */
#ifndef SQUALL_REPORT_HDR_H
#define SQUALL_REPORT_HDR_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct hist;

/*
 * Counts of values in rising order. A value is the upper end of a bucket of 3 digits: of the one in which the lower end of the bucket lies that it was
 * read from, so that histograms of any precision add up. HdrHistogram's add() does the same. Empty at the start, hdr_release() at the end.
 */
struct hdr {
	struct hdr_count {
		uint64_t value, nr;
	} *count;
	size_t counts_nr;
	uint64_t total;
};

/** @param ret_text  base64, malloc'ed, owned by the caller. @return 0 or -ENOMEM */
int hdr_encode(const struct hist *h, char **ret_text);

/**
 * Read one, of any precision and least value.
 * Errors: -EBADMSG what it is and what is wrong; -ENOTSUP an older version, or doubles.
 */
int hdr_decode(const char *text, struct hdr *ret, struct err *err);

/** Add the counts of one to another. @return 0, -ENOMEM, -EOVERFLOW */
int hdr_merge(struct hdr *into, const struct hdr *from);

/** The value that at least q of all do not exceed, q in (0, 1]; 0 when empty. */
uint64_t hdr_quantile(const struct hdr *h, double q);

void hdr_release(struct hdr *h);

#endif
