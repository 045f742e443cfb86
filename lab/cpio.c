/* SPDX-License-Identifier: MIT */
/*
 * cpio.c - the newc format: a header of hexadecimal fields, the name, the data, each padded to four bytes.
 */
#include "cpio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "file.h"

#define FILE_BYTES_MAX (256u << 20)

static int failed(const struct cpio *cpio, struct err *err)
{
	int rc = errno ? -errno : -EIO;

	return err_set(err, rc, "%s: %s", cpio->path, strerror(-rc));
}

static int put(struct cpio *cpio, const void *data, size_t bytes)
{
	static const char zero[4];

	if (bytes > 0 && fwrite(data, bytes, 1, cpio->file) != 1)
		return -1;
	return bytes % 4 && fwrite(zero, 4 - bytes % 4, 1, cpio->file) != 1 ? -1 : 0;
}

static int entry(struct cpio *cpio, const char *name, mode_t mode, const void *data, size_t bytes, struct err *err)
{
	char head[4096];
	size_t name_bytes = strlen(name) + 1;
	int n;

	/* magic, inode, mode, uid, gid, links, mtime, size, device (2), rdev (2), name size, check */
	n = snprintf(head, sizeof head, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X%s", ++cpio->inode, mode, 0u, 0u, 1u, 0u, bytes, 0u, 0u, 0u,
		     0u, name_bytes, 0u, name);
	if (n < 0 || (size_t)n >= sizeof head)
		return err_set(err, -ENAMETOOLONG, "%s: the name %s is too long", cpio->path, name);
	return put(cpio, head, (size_t)n + 1) < 0 || put(cpio, data, bytes) < 0 ? failed(cpio, err) : 0;
}

int cpio_open(struct cpio *cpio, const char *path, struct err *err)
{
	*cpio = (struct cpio){ 0 };
	(void)snprintf(cpio->path, sizeof cpio->path, "%s", path);
	errno = 0;
	cpio->file = fopen(path, "we");
	return cpio->file ? 0 : failed(cpio, err);
}

int cpio_dir(struct cpio *cpio, const char *name, struct err *err)
{
	return entry(cpio, name, S_IFDIR | 0755, "", 0, err);
}

int cpio_link(struct cpio *cpio, const char *name, const char *target, struct err *err)
{
	return entry(cpio, name, S_IFLNK | 0777, target, strlen(target), err);
}

int cpio_data(struct cpio *cpio, const char *name, mode_t mode, const void *data, size_t bytes, struct err *err)
{
	return entry(cpio, name, S_IFREG | mode, data, bytes, err);
}

int cpio_file(struct cpio *cpio, const char *name, mode_t mode, const char *from, struct err *err)
{
	char *data = NULL;
	size_t bytes = 0;
	int rc = file_read(from, FILE_BYTES_MAX, &data, &bytes, err);

	if (rc == 0)
		rc = entry(cpio, name, S_IFREG | mode, data, bytes, err);
	free(data);
	return rc;
}

int cpio_close(struct cpio *cpio, struct err *err)
{
	int rc = entry(cpio, "TRAILER!!!", 0, "", 0, err);

	if (rc == 0 && (fflush(cpio->file) != 0 || fsync(fileno(cpio->file)) < 0))
		rc = failed(cpio, err);
	if (fclose(cpio->file) != 0 && rc == 0)
		rc = failed(cpio, err);
	cpio->file = NULL;
	return rc;
}
