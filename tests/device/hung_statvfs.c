/* SPDX-License-Identifier: MIT */
/*
 * hung_statvfs.c - a mount whose server is gone, for LD_PRELOAD: statvfs(3) of the path in SQUALL_TEST_MATCH does not return.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int statvfs(const char *path, struct statvfs *ret)
{
	const char *match = getenv("SQUALL_TEST_MATCH");
	struct statfs s;

	while (match && strcmp(path, match) == 0)
		(void)pause();
	if (syscall(SYS_statfs, path, &s) < 0)
		return -1;
	memset(ret, 0, sizeof *ret);
	ret->f_bsize = ret->f_frsize = (unsigned long)s.f_bsize;
	ret->f_bavail = s.f_bavail;
	return 0;
}
