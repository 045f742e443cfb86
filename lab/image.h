/* SPDX-License-Identifier: MIT */
/*
 * image.h - what the guests boot: a kernel, and one first root file system for all roles with this very program in it.
 */
#ifndef SQUALL_LAB_IMAGE_H
#define SQUALL_LAB_IMAGE_H

#include "lab.h"

struct err;

struct lab_image {
	char kernel[4096], initramfs[4096];
	char digest[65];	/* over the program, lab/guest/ and the versions of the packages */
};

/** $SQUALL_CACHE, else $XDG_CACHE_HOME/squall, else ~/.cache/squall; it is made. */
int lab_cache(char *ret_path, size_t bytes, struct err *err);

/** The same, not made. */
void lab_cache_path(char *ret_path, size_t bytes);

/** Remove the entries of the cache whose names begin with a prefix, but for the newest. */
void lab_cache_keep_newest(const char *cache, const char *prefix, unsigned int keep);

/**
 * The image; made when the cache does not have it. Older ones are removed.
 * Errors: those of packages_get(); -ENOENT a program, library or module that the packages do not have, by name.
 */
int image_get(const char *cache, lab_progress progress, void *arg, struct lab_image *ret, struct err *err);

#endif
