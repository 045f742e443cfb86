/* SPDX-License-Identifier: MIT */
/*
 * cpio.h - writes an archive that the kernel unpacks as its first root file system ("newc", Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
 */
#ifndef SQUALL_LAB_CPIO_H
#define SQUALL_LAB_CPIO_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct err;

struct cpio {
	FILE *file;
	char path[4096];	/* of the archive, for sentences */
	unsigned int inode;
};

/** Errors of all: -errno with the path; what was written then is to be thrown away. */
int cpio_open(struct cpio *cpio, const char *path, struct err *err);
int cpio_dir(struct cpio *cpio, const char *name, struct err *err);
int cpio_link(struct cpio *cpio, const char *name, const char *target, struct err *err);
int cpio_data(struct cpio *cpio, const char *name, mode_t mode, const void *data, size_t bytes, struct err *err);
/** Copy a file of the host. */
int cpio_file(struct cpio *cpio, const char *name, mode_t mode, const char *from, struct err *err);
/** Write the trailer, flush to the disk and close. Closes in any case. */
int cpio_close(struct cpio *cpio, struct err *err);

#endif
