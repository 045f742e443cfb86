/* SPDX-License-Identifier: MIT */
/*
 * freeze.h - asks the kernel to freeze or thaw a file system, which is also the only way to learn whether it is frozen.
 */
#ifndef SQUALL_CHAOS_FREEZE_H
#define SQUALL_CHAOS_FREEZE_H

struct err;

/* Of every process that freezes: a freeze that waits for the writers of a hung disk is found by it. */
#define FREEZE_NAME "fsfreeze"

/**
 * FIFREEZE or FITHAW on a folder, in a child of that name with a deadline.
 * Errors: -EBUSY it is frozen already; -EINVAL it is not frozen; -EOPNOTSUPP it cannot be; -ETIMEDOUT; -errno of open(2)
 */
int freeze_ask(const char *path, unsigned long request, struct err *err);

#endif
