/* SPDX-License-Identifier: MIT */
/*
 * guest.h - the files of lab/guest/, which are part of the program so that the lab needs nothing beside it.
 */
#ifndef SQUALL_LAB_GUEST_H
#define SQUALL_LAB_GUEST_H

#include <stddef.h>
#include <sys/types.h>

struct guest_file {
	const char *path;	/* in the guest */
	mode_t mode;
	const unsigned char *data, *end;
};

extern const struct guest_file guest_files[];
extern const size_t guest_files_nr;

#endif
