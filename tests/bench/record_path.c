/* SPDX-License-Identifier: MIT */
/*
 * record_path.c - what an op costs in the recording: adds to its two histograms, N times. Its instructions are counted by callgrind for two N,
 * and the difference is what N more take.
 *
 *	record_path N
 */
#include <stdio.h>
#include <stdlib.h>

#include "hist.h"

#define VALUES 1024

int main(int argc, char **argv)
{
	struct hist *response = hist_new(), *service = hist_new();
	uint64_t nr = argc == 2 ? strtoull(argv[1], NULL, 10) : 0, value = 100000;
	static uint64_t values[VALUES];

	if (!response || !service || nr == 0)
		return 2;
	for (unsigned int i = 0; i < VALUES; i++)
		values[i] = value = value * 5 % 10000019;	/* up to 10 ms, in no order */
	for (uint64_t i = 0; i < nr; i++) {
		hist_add(response, values[i % VALUES] + 1000);
		hist_add(service, values[i % VALUES]);
	}
	printf("%llu\n", (unsigned long long)(response->count + service->count));
	free(response);
	free(service);
	return 0;
}
