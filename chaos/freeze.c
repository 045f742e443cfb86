/* SPDX-License-Identifier: MIT */
/*
 * freeze.c - one ioctl, in a child that may be left behind.
 */
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "err.h"
#include "exec.h"
#include "faults.h"

struct question {
	const char *path;
	unsigned long request;
};

static int ask(int fd, void *arg)
{
	const struct question *q = arg;
	int dir = open(q->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)fd;
	(void)prctl(PR_SET_NAME, FREEZE_NAME);
	return dir < 0 || ioctl(dir, q->request, 0) < 0 ? errno : 0;
}

int freeze_ask(const char *path, unsigned long request, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	struct question q = { path, request };
	int rc = exec_child(ask, &q, FAULT_COMMAND_NS, &result, err);

	if (rc == 0 && result.status != 0)
		rc = err_set(err, -result.status, "the file system of %s cannot be asked: %s", path, strerror(result.status));
	exec_result_release(&result);
	return rc;
}
