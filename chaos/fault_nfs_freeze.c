/* SPDX-License-Identifier: MIT */
/*
 * fault_nfs_freeze.c - freezes the file system of an export: writers wait, readers do not, and no disk is slow.
 *
 * A freeze belongs to nobody: the kernel lets whoever asks for it thaw it, and tells of it in no file. So one that is there before is looked for by
 * a write that changes nothing, and refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "confine.h"
#include "err.h"
#include "exec.h"
#include "freeze.h"
#include "journal.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

static bool holds(const struct tool_mount *mount, const char *path)
{
	size_t n = strlen(mount->where);

	return strncmp(mount->where, path, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Frozen is a file system, wherever it is mounted: it must not be the one that squall or the whole host writes to. */
static int check_is_apart(const char *path, struct err *err)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct tool_mount mount;
	dev_t device = 0;
	bool lived_on = false;

	if (!f)
		return err_set(err, -errno, "cannot read /proc/self/mountinfo: %m");
	while (tool_next_mount(f, &mount))
		if (strcmp(mount.where, path) == 0)
			device = mount.device;
	rewind(f);
	while (tool_next_mount(f, &mount))
		lived_on |= mount.device == device && (strcmp(mount.where, "/") == 0 || holds(&mount, journal_state_dir()));
	fclose(f);
	if (device == 0)
		return err_set(err, -EINVAL, "the export %s is not the root of a mount of its own", path);
	return lived_on ? err_set(err, -EINVAL, "the file system of %s is the one of / or of squall's journal", path) : 0;
}

static int write_child(int fd, void *arg)
{
	int dir = open(arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0 && (fremovexattr(dir, "user.squall-none") == 0 || errno == ENODATA || errno == ENOTSUP))
		return 0;
	dprintf(fd, "%s", strerror(errno));
	return 1;
}

static int check_takes_writes(const char *path, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	struct err e = ERR_INIT;
	int rc = exec_child(write_child, (void *)(uintptr_t)path, FAULT_COMMAND_NS, &result, &e);

	if (rc == -ETIMEDOUT)
		rc = err_set(err, -EBUSY, "%s takes no write: it is frozen already, or its disk hangs", path);
	else if (rc < 0 || result.status != 0)
		rc = err_set(err, rc < 0 ? rc : -EIO, "%s cannot be written: %s", path, rc < 0 ? e.text : result.out ? result.out : "");
	exec_result_release(&result);
	return rc;
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	const char *path = fault_export(run);
	int rc = run->dry ? 0 : check_is_apart(path, err);

	if (rc == 0 && !run->dry)
		rc = check_takes_writes(path, err);
	if (rc == 0)
		rc = plan_add_run(plan, err, FREEZE_NAME " --freeze '%s'", path);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "FS_THAW", "path", path), err);
}

/* FIFREEZE says that it is frozen already; one that succeeds has found it thawed by somebody, and is taken back. */
static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	const char *path = fault_export(run);
	struct err e = ERR_INIT, ignored = ERR_INIT;
	int rc = freeze_ask(path, FIFREEZE, &e);

	if (rc == 0) {
		(void)freeze_ask(path, FITHAW, &ignored);
		(void)snprintf(evidence, bytes, "the file system of %s was not frozen any more", path);
		return FAULT_VANISHED;
	}
	if (rc != -EBUSY)
		return fault_unseen(rc, &e, evidence, bytes);
	(void)snprintf(evidence, bytes, "the file system of %s is frozen; %d nfsd threads wait to write", path, tool_processes("nfsd", "percpu_rwsem_wait"));
	return FAULT_CONFIRMED;
}

/* Seen in the lab: writers hang in percpu_rwsem_wait, readers go on. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	(void)snprintf(ret, bytes, "DRBD stays Connected and has nothing to do. Writes wait until the heal, each with an nfsd thread in state D; reads go on until writers"
		       " hold all threads. Hard mounts lose nothing; soft NFSv3 mounts fail with EIO after timeo x retrans");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { FREEZE_NAME, NULL };

const struct fault fault_nfs_freeze = {
	.name = "nfs-freeze",
	.breaks = "freezes the file system of an export: no write is done",
	.where = "an NFS server",
	.page = "docs/faults/nfs-freeze.scd",
	.heal_class = HEAL_H2,
	.capabilities = CONFINE_CAP(SYS_ADMIN),
	.allowed = ALLOW_EXPORT,
	.args = args,
	.needs = needs,
	.plan = plan,
	.verify = verify,
	.foresee = foresee,
};
