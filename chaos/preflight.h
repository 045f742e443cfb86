/* SPDX-License-Identifier: MIT */
/*
 * preflight.h - is this a moment, and a host, at which a fault can be trusted to stay what it was meant to be? For chaos/ alone.
 *
 * chaos_probe() says whether a host can do a fault at all; this asks the cluster, which takes seconds under load, and is therefore asked by the
 * holder and by `squall chaos check`, and not by an agent's loop.
 */
#ifndef SQUALL_CHAOS_PREFLIGHT_H
#define SQUALL_CHAOS_PREFLIGHT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct allow;
struct err;
struct fault;

/**
 * Run the checks that a fault needs.
 * @param ret_checks  an array that gets {"check", "ok", "error"} of each; NULL = stop at the first that fails.
 * Errors: of the first that fails: -ENOPKG with what is wrong and the next step; -ENOSPC, -EFBIG no room for journal and audit log; as tool_output().
 */
int preflight(const struct fault *fault, const struct allow *allow, json_t *ret_checks, struct err *err);

/** @return the capabilities that its checks need: the configuration of Pacemaker can be read by its own user alone. */
uint64_t preflight_capabilities(const struct fault *fault);

/* What others print, as the checks read it. */

/** @param show  output of drbdsetup show. @return disk-timeout [0.1 s], 0 = off */
unsigned long preflight_disk_timeout(const char *show);

/** @param dump  output of drbdadm dump. @param ret  a handler whose command takes the host down. @return whether there is one */
bool preflight_deadly_handler(const char *dump, char *ret, size_t bytes);

/** @param cib  Pacemaker's configuration. @return whether it manages the DRBD resource, a mount or what serves NFS, and is not in maintenance mode */
bool preflight_is_managed(const char *cib, const char *resource);

struct preflight_session {
	char local[64], peer[64];	/* addresses; the peer's with its port */
};

/**
 * The next connection that this host is controlled through: of an sshd, or of the agent.
 * @param text  output of ss -Htnp state established; moved on.
 */
bool preflight_next_session(const char **text, pid_t agent, struct preflight_session *ret);

#endif
