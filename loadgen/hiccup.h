/* SPDX-License-Identifier: MIT */
/*
 * hiccup.h - does the load host itself stall? A process that touches nothing sleeps 1 ms again and again, and records by how much it
 * overslept: of a stall one value for each millisecond in it, as the arrivals of a load have it. A stall of the host shows here as well as in the
 * latencies; a stall of the storage does not.
 */
#ifndef SQUALL_LOADGEN_HICCUP_H
#define SQUALL_LOADGEN_HICCUP_H

#include "shared.h"

#define HICCUP_SLEEP_NS NS_PER_MS

/** The process; ends by SIGKILL. */
_Noreturn void hiccup_main(struct control *control, const struct load_plan *plan, pid_t parent);

#endif
