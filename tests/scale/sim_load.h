/* SPDX-License-Identifier: MIT */
/*
 * sim_load.h - what is known of the simulated load beforehand.
 */
#ifndef SQUALL_TESTS_SCALE_SIM_LOAD_H
#define SQUALL_TESTS_SCALE_SIM_LOAD_H

#include <stdint.h>

/** The response time of op i of a job's global sequence: 1 ms to 1.999 ms. */
uint64_t sim_latency_ns(uint64_t index);

#endif
