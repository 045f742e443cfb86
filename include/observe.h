/* SPDX-License-Identifier: MIT */
/*
 * observe.h - probes: what every layer of a host is doing, sampled, never in the way.
 *
 * Each probe runs in a disposable child of its own, which writes one JSON line a sample to a pipe. A probe that has been silent for its
 * deadline is killed, left behind if it cannot die, started again, and the gap is a sample of its own ("probe.gap" with the probe's name).
 */
#ifndef SQUALL_OBSERVE_H
#define SQUALL_OBSERVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct observe;

#define OBSERVE_FDS_MAX 16

/**
 * Start the probes that this host can serve (no nfsd or DRBD yet: their probes stay silent until it comes, and no error).
 * @param path  the storage under test as a client sees it, whose mount is looked for in mountstats; may be NULL. It is never opened.
 * Context: the probes die with the thread that calls this or, later, restarts them in observe_take().
 */
int observe_start(const char *path, struct observe **ret_observe, struct err *err);

/** Descriptors to poll for input. @return how many. They change: ask before every poll. */
int observe_fds(const struct observe *observe, int fds[OBSERVE_FDS_MAX]);

/**
 * Take what has come, and restart probes that are silent.
 * @return [{"t_ns": clock_mono_ns, "metric": "nfsd.threads", "value": 8.0, "text": "Connected"?, "label": "READ"?}, ...], a new reference, maybe empty.
 *
 * Metrics (docs/probes/ has a page each):
 *   nfsd.threads, nfsd.blocked (threads in D now), nfsd.hung_ns and nfsd.total_ns (cumulative thread-time of unbroken waits >= 500 ms, and of all; both
 *   begin at 0 again when the probe is restarted)
 *   drbd.connected (1/0, text = connection state), drbd.role (1 = primary, text), drbd.disk (text), drbd.pending, drbd.local, drbd.unacked, drbd.ap_pending, drbd.oldest_request_ns (greatest since the
 *   sample before); label = minor, but only when there is more than one, and never of the oldest request
 *   mount.ops, mount.rtt_ns, mount.retrans (cumulative; label = RPC operation), mount.backlog and mount.connects (cumulative), mount.age (seconds since mounted: a remount resets it), mount.options (1; text = those in force)
 *   cpu.idle_ns, cpu.steal_ns, cpu.total_ns (cumulative, of all processors)
 *   pressure.cpu, pressure.io, pressure.memory (full or some avg10, percent; label), disk.read_ops, disk.write_ops, disk.busy_ns (label = device)
 *   config.exports, config.nfs, config.drbd (1; text = the configuration, every 10 s)
 *   kernel.message (text), probe.gap (label = probe, value = seconds)
 */
json_t *observe_take(struct observe *observe);

void observe_stop(struct observe *observe);

/** The table: [{"probe", "available", "reason", "page"}]; new reference. */
json_t *observe_list(void);

#endif
