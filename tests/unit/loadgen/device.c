/* SPDX-License-Identifier: MIT */
/*
 * device.c - see device.h.
 */
#include "../../device/outage_device.c"
#include "device.h"

void device_set(unsigned int after_ms, int for_ms, const char *match)
{
	device.on = true;
	device.after_ns = (uint64_t)after_ms * 1000000u;
	device.forever = for_ms < 0;
	device.for_ns = for_ms < 0 ? 0 : (uint64_t)for_ms * 1000000u;
	(void)snprintf(device.match, sizeof device.match, "%s", match);
	atomic_store(&first_ns, 0);
}
