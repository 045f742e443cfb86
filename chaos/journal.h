/* SPDX-License-Identifier: MIT */
/*
 * journal.h - what must be undone on this host, on a local disk, before it is done.
 *
 * One file an entry: {"id", "fault", "args", "heal_class", "boot_id", "since_ns", "holder", "holder_start", "guard", "undo": [opcodes]}.
 * Written and fsynced (file and folder) before the first action; struck out (unlinked) after a verified heal. Entries are data: an opcode
 * that undo.h does not know, or a name that is not plain, is refused.
 */
#ifndef SQUALL_CHAOS_JOURNAL_H
#define SQUALL_CHAOS_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct err;

#define JOURNAL_ENTRIES_MAX 256

/** The state folder: /var/lib/squall, or $SQUALL_STATE in tests. */
const char *journal_state_dir(void);

int journal_write(const json_t *entry, struct err *err);

/** Errors: -ENOENT struck out already; -EBADMSG. */
int journal_read(const char *id, json_t **ret_entry, struct err *err);

/** Idempotent. */
int journal_strike(const char *id, struct err *err);

/** Whether a reboot lies between an entry and now. Not when either boot is unknown: what is not known to be gone is undone. */
bool journal_is_of_other_boot(const json_t *entry);

/** All entries, in the order of their ids; a broken one gives a sentence in err and is left out. @return array, new reference, NULL without memory */
json_t *journal_list(struct err *err);

#endif
