/* SPDX-License-Identifier: MIT */
/*
 * hist.c - an encoded histogram: refused without a trace, or one that can be encoded again to the same.
 */
#include "fuzz.h"
#include "hist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hist *h, *back;
	uint8_t *bytes = NULL, *again = NULL, *copy = malloc(size + !size);
	size_t nr = 0, again_nr = 0;

	if (!h) {
		h = hist_new();
		back = hist_new();
	}
	CHECK(h && back && copy);
	hist_clear(h);
	hist_clear(back);
	memcpy(copy, data, size);
	if (hist_decode_merge(h, copy, size) < 0) {
		CHECK(h->count == 0 && h->max_ns == 0);
	} else {
		CHECK(hist_encode(h, &bytes, &nr) == 0);
		CHECK(hist_decode_merge(back, bytes, nr) == 0);
		CHECK(hist_encode(back, &again, &again_nr) == 0 && again_nr == nr && memcmp(bytes, again, nr) == 0);
		if (h->count > 0)
			CHECK(hist_quantile(h, 0.5) <= hist_quantile(h, 0.999) && hist_quantile_censored(h, h, 0.5).at_least_ns <= h->max_ns);
	}
	free(again);
	free(bytes);
	free(copy);
	return 0;
}
