/* SPDX-License-Identifier: MIT */
/*
 * packages.h - Debian's packages for the guests: fetched and checked by apt, unpacked into the cache, never installed. No root needed.
 */
#ifndef SQUALL_LAB_PACKAGES_H
#define SQUALL_LAB_PACKAGES_H

#include "lab.h"

struct err;

struct packages {
	char root[4096];	/* where they are unpacked, one tree for all */
	char *versions;		/* "name_version_arch.deb\n" of each, sorted; free() */
};

/**
 * The packages that the guests are made of; from the cache when they are there (remove the cache for newer ones).
 * Errors: -ENOPKG a host without apt-get or dpkg-deb; -EIO with what apt said; -ENOSPC; nothing half is left.
 */
int packages_get(const char *cache, lab_progress progress, void *arg, struct packages *ret, struct err *err);

#endif
