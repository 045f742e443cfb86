/* SPDX-License-Identifier: MIT */
/*
 * units.c - durations, sizes, rates, bits and shares: never negative, never without a value.
 */
#include <math.h>

#include "fuzz.h"
#include "units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), out[24];
	uint64_t n = 0;
	double d = 0;

	if (units_parse_duration(text, &n) == 0)
		CHECK(strlen(units_format_ns(n, out, sizeof out)) < sizeof out);
	if (units_parse_size(text, &n) == 0)
		CHECK(strlen(units_format_bytes(n, out, sizeof out)) < sizeof out);
	if (units_parse_rate(text, &d) == 0)
		CHECK(isfinite(d) && d >= 0);
	if (units_parse_percent(text, &d) == 0)
		CHECK(isfinite(d) && d >= 0);
	(void)units_parse_bits(text, &n);
	free(text);
	return 0;
}
