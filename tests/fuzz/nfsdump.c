/* SPDX-License-Identifier: MIT */
/*
 * nfsdump.c - the text of nfsdump.
 */
#include "capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return capture_fuzz(trace_import_nfsdump, data, size);
}
