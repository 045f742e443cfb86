/* SPDX-License-Identifier: MIT */
/*
 * load_new.h - a load that is ready, for tests, which have nothing else to do until it is.
 */
#ifndef SQUALL_TESTS_LOAD_NEW_H
#define SQUALL_TESTS_LOAD_NEW_H

#include <poll.h>

#include "load.h"

/** load_begin(), and wait until it is ready. Errors: of load_begin() and load_ready() */
static inline int load_new(const struct load_plan *plan, struct load **ret_load, struct err *err)
{
	struct load *load = NULL;
	int rc = load_begin(plan, &load, err);

	if (rc < 0)
		return rc;
	while ((rc = load_ready(load, err)) == 0) {
		struct pollfd p = { .fd = load_ready_fd(load), .events = POLLIN };

		(void)poll(&p, 1, 1000);
	}
	if (rc < 0) {
		load_free(load);
		return rc;
	}
	*ret_load = load;
	return 0;
}

#endif
