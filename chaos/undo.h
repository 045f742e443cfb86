/* SPDX-License-Identifier: MIT */
/*
 * undo.h - the opcodes of the journal: how each is carried out, and how it is proved.
 *
 *	{"op": "FILTER_DEL", "dev", "pref"}		tc filter del dev D egress pref P
 *	{"op": "QDISC_DEL", "dev", "parent"}		parent: "clsact"
 *	{"op": "IFB_DEL", "dev"}			ip link del, of UNDO_IFB_... and no other; proved: it is gone
 *	{"op": "QDISC_SAME", "dev", "list"}		nothing to do; proved: the listing is the one of before
 *	{"op": "DM_TABLE", "name", "table"}		load, suspend, resume; proved: the table is that
 *	{"op": "DM_REMOVE", "name"}			dmsetup remove, of UNDO_DM_... and no other; proved: it is gone
 *	{"op": "DRBD_CONNECT", "resource", "minor"}	proved: the peers talk to each other, be it to resync
 *	{"op": "DRBD_ATTACH", "resource"}		proved: this host has its disk again, be it to resync
 *	{"op": "DRBD_VERIFY_END", "resource"}		a disconnect ends it; proved: no verify is under way
 *	{"op": "DRBD_RATES", "resource", "plan_ahead", "rate", "min"}	after a reboot too; proved: the peer was told, and DRBD has these settings
 *	{"op": "DRBD_RESUME", "resource"}		proved: I/O is not suspended
 *	{"op": "DRBD_RESUME_SYNC", "resource"}		proved: the resync is not paused here
 *	{"op": "NFSD_THREADS", "threads"}		proved: so many threads
 *	{"op": "FS_THAW", "path"}			proved: FITHAW finds nothing frozen, and no freeze is under way
 *	{"op": "EXPORTS", "path", "lines"}		proved: the lines of exportfs -s about the path are those
 *	{"op": "NFSD_SERVE", "threads", "ports"}	stop, listen, threads; proved: so many threads, and the listeners of before
 *	{"op": "NFT_GONE", "table"}			nothing to do, the kernel does it; proved: no such table
 *	{"op": "HELD_GONE"}				nothing to do; proved: no nfsd thread waits in fanotify
 *	{"op": "PROCESSES_GONE", "name"}		nothing to do, they die with the holder; proved: there is none of that name
 *	{"op": "SERVICES_RUN", "name", "nr"}		nothing to do, their supervisor starts them; proved: so many run
 *	{"op": "CONTINUE", "name", "pid", "start"}	done once in any case, for a stop may be still to come; proved: that process is not stopped, or has ended
 *	{"op": "CLOCK_OFFSET", "offset_ns"}		CLOCK_REALTIME so far ahead of CLOCK_BOOTTIME; proved: it is
 *	{"op": "MARKER_DEL", "id"}			the mark of the fault `none`
 *
 * What undoes a verb of DRBD is proved only when no process of drbdadm or drbdsetup is at that verb any more.
 */
#ifndef SQUALL_CHAOS_UNDO_H
#define SQUALL_CHAOS_UNDO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "faults.h"

struct err;
struct plan;

/* The interfaces that netem sits on: made by the fault and deleted after it, so that no interface of the host is touched. */
#define UNDO_IFB_DRBD "squall-ifb"
#define UNDO_IFB_NFS "squall-ifb-nfs"

/* What a snapshot is made of: the disk under another name, and the disk as it was. */
#define UNDO_DM_ORIGIN "squall-origin"
#define UNDO_DM_SNAPSHOT "squall-snapshot"

#define UNDO_NFSD_THREADS "/proc/fs/nfsd/threads"
#define UNDO_NFSD_PORTS "/proc/fs/nfsd/portlist"

/** Turn opcodes into actions. Errors: -EBADMSG unknown opcode, or a name or number that is not right. */
int undo_plan(const json_t *undo, struct plan *ret_plan, struct err *err);

/**
 * Whether what an entry undoes is left alone by all others of the journal: each undo knows one state of before, and it must not be that of another fault.
 * And no fault of DRBD or its disk is beside one that makes DRBD give its disk up, for the other copy is the last.
 * @param journal  as journal_list() gives it; the entry may be among them. Errors: -EBUSY another one is in the way, and which
 */
int undo_check_apart(const json_t *entry, const json_t *journal, struct err *err);

/** The tc listing of a device without what changes by itself. @param ret malloc'ed */
int undo_qdisc_list(const char *dev, char **ret, struct err *err);

/** Number of threads from /proc/fs/nfsd/threads, read in a child. Errors: -errno */
int undo_nfsd_pool(unsigned int *ret, struct err *err);

/** The table of a dm device, without its last newline. @param ret malloc'ed */
int undo_dm_table(const char *name, char **ret, struct err *err);

/** Put another table in place of the live one. @param table  one line without quotes */
int undo_add_dm_table(struct plan *plan, const char *name, const char *table, struct err *err);

/**
 * Undo an entry of the journal and prove it; tried again until proved or 60 s are over, after a reboot 10 s. The entry is struck out when confirmed.
 * Idempotent; goes on after an error. It is in the audit log before and after; a log that cannot be written hinders no undo, and the evidence says so.
 * @param why  what asked for it, for the audit log.
 * @param run  whose process this is, for what the fault itself holds and lets go of first; NULL in any other process.
 * @param evidence  one sentence.
 */
enum fault_verdict undo_entry(const json_t *entry, const char *why, struct fault_run *run, char *evidence, size_t bytes);

#endif
