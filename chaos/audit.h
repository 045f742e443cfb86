/* SPDX-License-Identifier: MIT */
/*
 * audit.h - the audit log of this host: who broke and healed what, on record before it is done.
 *
 * One line a record in audit.log, beside the journal: "SHA JSON". SHA is the SHA-256 of the JSON, which has under "prev" the SHA of the
 * record before, so that a record cannot be changed, taken out or put in without changing all that follow; docs/formats.scd has its keys.
 * Who may write the file can write all of it anew: to be sure of that too, keep the last SHA elsewhere.
 *
 * Records are only ever added, by one process at a time, and are on the disk before the act begins. On one that was never finished no act was
 * begun; the next record takes its place and says so.
 */
#ifndef SQUALL_CHAOS_AUDIT_H
#define SQUALL_CHAOS_AUDIT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define AUDIT_SHA_BYTES 65	/* in hexadecimal, with its NUL */
#define AUDIT_LINE_MAX 8192
#define AUDIT_BYTES_MAX (8u << 20)	/* no fault begins with a longer log; a heal is recorded up to twice that */

struct audit_act {
	const char *act;	/* "inject", "undo", "stop-all", "lift", "command" */
	const char *why;	/* who or what asked: "by hand", "agent", "boot", "lease", "holder died", ... */
	const json_t *entry;	/* of the journal, which names the fault; NULL = the act is of no fault */
	const char *result;	/* "begun", then "done", "failed" or a verdict; "refused" of a command */
	const char *evidence;	/* one sentence, or NULL */
};

/**
 * Add a record, with who this process is, where, and when; it is on the disk when this returns 0.
 * Context: done in a child; waits ten seconds at the most, also for a disk that does not answer.
 * Errors: -ETIMEDOUT the disk does not answer, and the record may come yet; any other, and there is no record: -EBADMSG the last record is broken;
 *         -EAGAIN another writer does not end; -EFBIG, -E2BIG; -ENOSPC and other -errno of the file.
 */
int audit_write(const struct audit_act *act, struct err *err);

/** The same in this process, which may hang with the disk. */
int audit_append(const struct audit_act *act, struct err *err);

/** Is there room for the records of a fault, and its entry in the journal? Errors: -ENOSPC, -EFBIG, -errno */
int audit_room(struct err *err);

struct audit_report {
	uint64_t records;		/* that are intact, from the first on */
	const char *problem;		/* of the record after these; NULL = all are intact */
	char head[AUDIT_SHA_BYTES];	/* SHA of the last intact one; zeros when there is none */
};

/**
 * Verify the text of a log.
 * @param ret_records  an array to which the intact records are added; NULL = not wanted.
 */
void audit_check(const char *text, size_t bytes, json_t *ret_records, struct audit_report *ret_report);

#endif
