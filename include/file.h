/* SPDX-License-Identifier: MIT */
/*
 * file.h - small files, whole and safely.
 */
#ifndef SQUALL_FILE_H
#define SQUALL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/**
 * Read a whole file, NUL-terminated.
 * @param max_bytes  a larger file is an error, never cut.
 * @param ret_text   malloc'ed, owned by the caller.
 * Errors: -errno of open and read; -EFBIG.
 */
int file_read(const char *path, size_t max_bytes, char **ret_text, size_t *ret_bytes, struct err *err);

/** Write by way of a temporary name, fsync and rename: afterwards the path holds the old content or the new, never half. */
int file_write(const char *path, const void *data, size_t bytes, mode_t mode, struct err *err);
/** The same below the descriptor of a folder. */
int file_write_at(int folder, const char *path, const void *data, size_t bytes, mode_t mode, struct err *err);

/** fsync of a folder: a name is on the disk only when its folder is. */
int file_sync_folder(const char *path, struct err *err);

/** mkdir -p. An existing folder is fine. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/** Remove a folder and what is in it, without following links. A missing one is fine. */
int file_remove_tree(const char *path, struct err *err);

/** Write all of it to a descriptor, going on after EINTR and short writes. @return 0 or -errno */
int file_write_all(int fd, const void *data, size_t bytes);

/** base64 (RFC 4648) of bytes; malloc'ed, NUL-terminated, or NULL. */
char *base64_encode(const void *data, size_t bytes);

/** The reverse; whitespace is not accepted. Errors: -EBADMSG, -ENOMEM. */
int base64_decode(const char *text, uint8_t **ret_data, size_t *ret_bytes);

#endif
