/* SPDX-License-Identifier: MIT */
/*
 * chaos.h - faults: proved in force, healed whatever dies, proved healed.
 *
 * The agent starts one holder process per fault and reads what it says from a descriptor, one JSON object a line. The holder heals on: EOF of
 * the agent's pipe, end of its lease, end of its time, a signal, the death of its guard. See docs/architecture.md for the life cycle.
 *
 *	agent --pipe(EOF = heal, "lease NS", "heal")--> holder <--pidfd--> guard
 *	holder --events--> agent --bus--> coordinator
 */
#ifndef SQUALL_CHAOS_H
#define SQUALL_CHAOS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct err;
struct yaml;

enum heal_class { HEAL_H0, HEAL_H1, HEAL_H2, HEAL_H3 };
extern const char *const heal_class_names[];	/* "H0" ..., NULL-terminated */

/**
 * Check the arguments of a fault as a profile gives them, against the table.
 * @param args  a mapping, or NULL for the defaults.
 * @param at    a node for the position of complaints when args is NULL.
 * @param ret_json  every argument with its default filled in, units resolved (integers: ns, bytes, bit/s, counts; strings for enums); new reference.
 * Errors: -EINVAL with file:line: unknown fault (nearest known), unknown argument, out of range, missing.
 */
int chaos_check(const char *fault, const struct yaml *args, const struct yaml *at, json_t **ret_json, struct err *err);

/** Whether there is a fault of that name. */
bool chaos_is_known(const char *fault);

/** @return the heal class of a known fault; HEAL_H3 needs --allow-reboot. */
enum heal_class chaos_heal_class(const char *fault);

/** @return whether it acts on DRBD or a disk under it: never on both peers at once. */
bool chaos_breaks_storage(const char *fault);

/** @return whether the fault is an instant and not a state that lasts: done, proved and healed of itself at once, or it takes the host away. */
bool chaos_is_instant(const char *fault);

/** @return whether it is an instant that takes the host away, with its agent and all faults in force there (host-reboot, host-crash, power-cut). */
bool chaos_takes_host(const char *fault);

/** @return whether nothing on the host can do it, but the hypervisor of the lab: the coordinator has it done. */
bool chaos_is_outside(const char *fault);

/**
 * What a fault would do; nothing is done. Names of the host, which a dry run does not ask for, stand in capital letters. Needs neither root nor the
 * allow file.
 * @param args    as chaos_check() returned them.
 * @param lease_ns, max_ns  [ns] as chaos_hold_start() would be given them.
 * @param ret_explained  {"fault", "breaks", "where", "arguments", "inject": [lines], "undo": [lines], "heal_class", "heal", "regime", "expiry", "instant",
 *                "lease_ns", "max_ns"}; "regime" is what DRBD and the clients do meanwhile. New reference.
 */
int chaos_explain(const char *fault, const json_t *args, uint64_t lease_ns, uint64_t max_ns, json_t **ret_explained, struct err *err);

/** Actions, undo, heal class, regime and expiry for a person. @param indent  before every line */
void chaos_explain_print(const json_t *explained, const char *indent, FILE *out);

/** "delay=1200ms jitter=0s socket=data": checked arguments as a person would write them, defaults included; "" when it has none. */
void chaos_args_text(const char *fault, const json_t *args, char *ret, size_t bytes);

/**
 * What the allow file of this host lets squall break: "/etc/squall/allow.yaml: resources r0; exports /srv/home; ...".
 * Errors: -ENOPKG it is missing, not of root, or writable for others; -EINVAL with file:line.
 */
int chaos_allow_text(char *ret, size_t bytes, struct err *err);

/**
 * Can this host do it, and may it last so long? Looks and changes nothing.
 * @param for_ns  0: not known, or an instant.
 * Errors: -ENOPKG with what is missing (a command, a module, a capability, the allow file), the allow file's time is shorter, or the stop file is there.
 */
int chaos_probe(const char *fault, uint64_t for_ns, struct err *err);

/**
 * Can this host do it, and is this a moment for it? Asks DRBD, Pacemaker and the sockets; changes nothing. The holder asks the same.
 * @param fault  a known one.
 * @param ret_checks  [{"check", "ok", "error"}], in every case; new reference.
 * Context: seconds, on a loaded host.
 * Errors: of the first that fails: -ENOPKG with what is wrong and the next step; -ENOSPC, -EFBIG no room for journal and audit log.
 */
int chaos_preflight(const char *fault, json_t **ret_checks, struct err *err);

struct chaos_hold {
	pid_t holder;
	int pidfd;
	int control_fd;		/* write end: "lease NS\n" renews, "heal\n" heals, closing heals */
	int event_fd;		/* read end: JSON lines, O_NONBLOCK, below */
};

/**
 * Start holder (and guard) for a fault; it injects at once. Never blocks on the fault.
 *
 * Events, each with "t_ns" (clock_mono_ns of this host) and "evidence" (one sentence with figures):
 *   {"event": "injected"}   {"event": "verify", "verdict": "confirmed" | "mismatch" | "inconclusive"}   again and again while in force
 *   {"event": "vanished"}   the fault is gone without us: the run is void
 *   {"event": "healing", "why": "asked" | "lease" | "agent died" | "time" | "guard died" | "signal" | "done"}
 *   {"event": "healed", "verdict": "confirmed" | "mismatch" | "inconclusive"}   then EOF
 *   {"event": "failed", "error": "sentence"}    could not inject; whatever was begun is undone
 *
 * @param lease_ns  healed when not renewed for so long.
 * @param max_ns    healed after this in any case, and after max_time of the allow file.
 * @param why       who asks, for the audit log: "by hand", "agent".
 * Errors: -errno of fork and pipe; -ENOPKG as chaos_probe().
 */
int chaos_hold_start(const char *fault, const json_t *args, uint64_t lease_ns, uint64_t max_ns, const char *why, struct chaos_hold *ret_hold, struct err *err);
int chaos_hold_renew(struct chaos_hold *hold, uint64_t lease_ns);
int chaos_hold_heal(struct chaos_hold *hold);	/* asks; the events say when it is done */
void chaos_hold_close(struct chaos_hold *hold);	/* closes the descriptors: heals too */

/**
 * Heal everything that the journal of this host names, verified. Idempotent, works from any process, goes on after an error. What a reboot has
 * taken with it is checked to be gone and struck out.
 * @param why  who asks, for the audit log: "by hand", "boot", "agent", "stop-all".
 * @return how many entries were healed, or the first -errno after trying all.
 */
int chaos_heal_all(const char *why, struct err *err);

/** The same, but what a living process holds is left to it. */
int chaos_heal_orphans(const char *why, struct err *err);

/**
 * The kill switch: heal everything as chaos_heal_all() does, and leave the stop file, which blocks every new fault of this host until it is lifted,
 * over reboots too. Goes on after an error.
 * @return how many entries were healed, or the first -errno after trying all.
 */
int chaos_stop_all(struct err *err);

/** Let faults in again. @return 1, or 0 when nothing was stopped. Errors: -errno of the audit log or the stop file */
int chaos_lift(struct err *err);

/** Errors: -ENOPKG the stop file is there, or it is not known; with who, when, and how to lift it */
int chaos_stopped(struct err *err);

/**
 * @param ret_status  {"holders": [{"pid", "fault", "args", "since_ns"}], "journal": [...], "stopped": why no fault is let in, or ""}; new reference.
 * Errors: -EBADMSG the journal, or an entry of it, cannot be read: *ret_status has what can be; -ENOMEM, and *ret_status is NULL.
 */
int chaos_status(json_t **ret_status, struct err *err);

/**
 * The audit log of this host, verified.
 * @param ret_audit  {"path", "records": [...], "intact", "problem", "head"}: the records that are intact, from the first on; what is wrong with the
 *                   one after them, or ""; the SHA-256 of the last. New reference.
 * Errors: -EACCES and other -errno of the file; none when there is no log.
 */
int chaos_audit(json_t **ret_audit, struct err *err);

/**
 * On record: this host was sent commands that it did not obey. Context: as audit_write(), ten seconds at the most.
 * @param evidence  how many, and why. Errors: those of audit_write()
 */
int chaos_audit_refused(const char *evidence, struct err *err);

/** The table: {"faults": [{"fault", "heal_class", "instant", "outside", "breaks", "where", "args", "available", "reason", "page"}]}; new reference. */
json_t *chaos_list(void);

/** Where one thing, such as a missing allow file, stands in the way of all faults. @param list  "faults" of chaos_list(). @return it, or "" */
const char *chaos_common_reason(const json_t *list);

/* The hidden commands that holder and guard run as (re-exec of the program itself). */
int chaos_holder_main(int argc, char **argv);

#endif
