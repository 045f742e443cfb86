/* SPDX-License-Identifier: MIT */
/*
 * faults.h - what a fault is: a row of data and a few functions. For chaos/ alone.
 *
 * A fault says what it would do (plan) before anything is done: the same plan is printed by --dry-run, whose undo is written to the journal
 * before the first action, and is then carried out. So nothing can be injected that was not printed and cannot be undone.
 *
 *	plan() -> journal_write() -> inject() or plan_run() -> verify() every second -> heal() -> undo of the journal -> verified -> struck out
 */
#ifndef SQUALL_CHAOS_FAULTS_H
#define SQUALL_CHAOS_FAULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allow.h"
#include "chaos.h"

struct err;
struct plan;

#define EVIDENCE_BYTES 320
#define FAULT_ID_BYTES 96
#define DRBD_PORT 7789

/* Every command that touches a loaded host gets this long: 1 to 4 s were measured under load. */
#define FAULT_COMMAND_NS (15ULL * 1000000000ULL)

enum fault_verdict { FAULT_CONFIRMED, FAULT_MISMATCH, FAULT_INCONCLUSIVE, FAULT_VANISHED };
extern const char *const fault_verdict_names[];

enum { ALLOW_RESOURCE = 1, ALLOW_EXPORT = 2, ALLOW_INTERFACE = 4, ALLOW_PROCESS = 8, ALLOW_SCRATCH = 16 };

enum arg_kind { ARG_DURATION, ARG_BITS, ARG_COUNT, ARG_ENUM };

struct fault_arg {
	const char *name;
	enum arg_kind kind;
	uint64_t min, max;		/* [ns], [bit/s] or a count; of an enum unused */
	const char *fallback;		/* as a profile would say it; NULL = must be given */
	const char *const *names;	/* of an enum, NULL-terminated */
	const char *not_above;		/* another argument, given before, that this one may not exceed; or NULL */
	const char *help;
};

/* A fault of this host, from plan to healed. Owned by the holder. */
struct fault_run {
	const struct fault *fault;
	const json_t *args;
	struct allow allow;
	bool dry;			/* only to be printed: names of the host stand as capital letters */
	char id[FAULT_ID_BYTES];
	void *state;			/* the fault's own; free()d with the run */
};

struct fault {
	const char *name;
	const char *breaks;		/* one sentence */
	const char *where;
	const char *page;
	enum heal_class heal_class;
	bool instant;			/* it is done when it is injected */
	bool takes_host;		/* an instant after which there is no holder to prove it */
	const char *outside;		/* done to the host by its hypervisor, in a run; how that takes it back. No holder does it, so it has no verify() */
	const char *not_here;		/* of such: what to do on a host instead; one sentence */
	unsigned int allowed;		/* what the allow file must name one of: ALLOW_... */
	uint64_t capabilities;		/* that its holder keeps beside CONFINE_BASE and those of preflight.h: CONFINE_CAP(...) of what it does and undoes */
	const struct fault_arg *args;	/* ends with name NULL */
	const char *const *needs;	/* programs, NULL-terminated */
	int (*probe)(const struct allow *allow, struct err *err);
	int (*plan)(struct fault_run *run, struct plan *plan, struct err *err);
	int (*inject)(struct fault_run *run, const struct plan *plan, struct err *err);	/* NULL: plan_run() */
	enum fault_verdict (*verify)(struct fault_run *run, char *evidence, size_t bytes);
	void (*foresee)(const struct fault_run *run, char *ret, size_t bytes);	/* what DRBD and the clients do while it is in force */
	void (*heal)(struct fault_run *run);	/* lets go of what the process itself holds; NULL: the undo of the plan is all */
};

extern const struct fault *const faults[];	/* NULL-terminated: the table of contents */
extern const struct fault fault_none, fault_drbd_link_delay, fault_drbd_link_loss, fault_drbd_link_rate, fault_drbd_link_cut, fault_drbd_disconnect,
	fault_drbd_suspend_io, fault_drbd_resync_storm, fault_drbd_resync_pause, fault_drbd_verify_storm, fault_drbd_peer_disk_slow, fault_drbd_peer_disk_freeze, fault_nfsd_threads, fault_nfsd_hang, fault_nfs_port_cut,
	fault_drbd_data_stall, fault_drbd_ack_delay, fault_drbd_packet_drop, fault_disk_slow, fault_disk_freeze, fault_disk_error, fault_nfsd_kill, fault_nfsd_stop, fault_nfsd_restart, fault_nfs_freeze, fault_nfs_unexport,
	fault_nfs_upcall_stall, fault_nfs_callback_cut, fault_nfs_client_expire, fault_nfs_unlock,
	fault_net_delay, fault_net_loss, fault_net_rate, fault_net_corrupt, fault_net_duplicate, fault_net_reorder, fault_net_cut, fault_conn_kill, fault_server_cache_drop, fault_client_pause, fault_client_restart,
	fault_cpu_hog, fault_memory_hog, fault_io_hog,
	fault_clock_step, fault_host_reboot, fault_host_crash, fault_power_cut, fault_host_freeze, fault_disk_cap, fault_snapshot;

/** @return the row or NULL. */
const struct fault *fault_find(const char *name);

/** Check arguments that came as JSON (from another process) against the table once more. */
int fault_check_json(const struct fault *fault, const json_t *args, struct err *err);

/** A value of an argument that is no enum, as a person writes it: "300ms", "512kbit", "3". */
void fault_number_text(const struct fault_arg *arg, uint64_t value, char *ret, size_t bytes);

/** What verify() says when it could not look. @param rc, err  of what failed; the sentence may be missing. @return FAULT_INCONCLUSIVE */
enum fault_verdict fault_unseen(int rc, const struct err *err, char *evidence, size_t bytes);

/** An integer or a text of checked arguments. */
uint64_t fault_arg_u64(const struct fault_run *run, const char *name);
const char *fault_arg_text(const struct fault_run *run, const char *name);

/** The DRBD resource that a fault acts on: the first of the allow file; "RESOURCE" in a dry run. */
const char *fault_resource(const struct fault_run *run);

/** The export that a fault acts on: the first of the allow file; "EXPORT" in a dry run. */
const char *fault_export(const struct fault_run *run);

/** Are we root, is there no stop file, is the allow file there, are the commands there, does the fault itself find what it needs? */
int fault_probe(const struct fault *fault, struct allow *ret_allow, struct err *err);

#endif
