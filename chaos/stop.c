/* SPDX-License-Identifier: MIT */
/*
 * stop.c - the stop file: while it is there, nothing is broken on this host.
 *
 * It lies beside the journal, on a disk, because a host that was stopped stays stopped over a reboot. Whatever it contains is shown to who is
 * refused, so that an administrator may as well write it by hand. Stop and injection cannot miss each other: a holder writes its entry in the
 * journal and then looks for the file, and the stop writes the file and then reads the journal.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "chaos.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "journal.h"
#include "tool.h"

#define STOP_TEXT_BYTES 200

static void stop_path(char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/stop", journal_state_dir());
}

int chaos_stopped(struct err *err)
{
	char path[512], text[STOP_TEXT_BYTES];

	stop_path(path, sizeof path);
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : err_set(err, -ENOPKG, "cannot look whether %s is there, which would block every fault: %s", path, strerror(errno));
	if (tool_peek(path, text, sizeof text) <= 0)
		(void)snprintf(text, sizeof text, "it does not say why");
	tool_plain(text);
	return err_set(err, -ENOPKG, "%s blocks every fault on this host (%s): squall chaos stop-all --lift takes it away", path, text);
}

/* One that is there already stays as it is: it says who was first. */
static int write_stop(struct err *err)
{
	char path[512], text[STOP_TEXT_BYTES], utc[24], login[48] = "";
	int64_t uid = tool_login_uid();
	int rc;

	stop_path(path, sizeof path);
	if (access(path, F_OK) == 0)
		return 0;
	clock_format_utc(clock_utc_ns(), utc, sizeof utc);
	if (uid >= 0)
		(void)snprintf(login, sizeof login, " (login %" PRId64 ")", uid);
	(void)snprintf(text, sizeof text, "stopped by uid %u%s at %s\n", (unsigned int)getuid(), login, utc);
	rc = file_mkdirs(journal_state_dir(), 0700, err);
	if (rc == 0)
		rc = file_write(path, text, strlen(text), 0644, err);
	return rc < 0 ? rc : file_sync_folder(journal_state_dir(), err);
}

static void keep_first(int *first, int rc)
{
	if (*first == 0 && rc < 0)
		*first = rc;
}

/* Nothing that fails keeps the rest from being done; the first failure is told. */
int chaos_stop_all(struct err *err)
{
	struct audit_act act = { .act = "stop-all", .why = "by hand", .result = "begun" };
	char evidence[32];
	struct err e = ERR_INIT;
	int first = audit_write(&act, &e), healed;

	keep_first(&first, write_stop(&e));
	healed = chaos_heal_all("stop-all", &e);
	keep_first(&first, healed);
	(void)snprintf(evidence, sizeof evidence, "%d healed", healed);
	act.result = first < 0 ? "failed" : "done";
	act.evidence = first < 0 ? e.text : evidence;
	keep_first(&first, audit_write(&act, &e));
	return first < 0 ? err_set(err, first, "%s", e.text) : healed;
}

int chaos_lift(struct err *err)
{
	struct audit_act act = { .act = "lift", .why = "by hand", .result = "begun" };
	char path[512];
	int rc;

	stop_path(path, sizeof path);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	rc = audit_write(&act, err);
	if (rc < 0)
		return rc;
	if (unlink(path) < 0 && errno != ENOENT)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (rc == 0)
		rc = file_sync_folder(journal_state_dir(), err);
	act.result = rc < 0 ? "failed" : "done";
	(void)audit_write(&act, NULL);
	return rc < 0 ? rc : 1;
}
