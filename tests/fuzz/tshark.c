/* SPDX-License-Identifier: MIT */
/*
 * tshark.c - the JSON of tshark.
 */
#include "capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return capture_fuzz(trace_import_tshark, data, size);
}
