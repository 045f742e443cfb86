/* SPDX-License-Identifier: MIT */
/*
 * broker.h - a mosquitto of squall's own: its configuration, and its life.
 *
 * It runs without privileges, on one address, takes nobody without a certificate of the fleet, and lets each say and hear what is under its own name.
 * It keeps nothing on disk but its log, and ends with who started it, whatever ends that.
 */
#ifndef SQUALL_BROKER_H
#define SQUALL_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct broker {
	pid_t pid;
	int pidfd;
};

#define BROKER_INIT { .pidfd = -1 }
#define BROKER_PORT 8883

/**
 * Write mosquitto.conf and acl into the folder of its identity (key.pem, cert.pem, ca.pem of certificate_issue()). The folder holds a copy of the
 * authority's crl.pem too, see broker_revoked().
 */
int broker_configure(const char *folder, const char *address, uint16_t port, struct err *err);

/** Give the broker the list of what is withdrawn. */
int broker_revoked(const char *folder, const char *authority, struct err *err);
/** Let the broker of this folder read the list again, if one runs on this host. @return 1 it has begun to, 0 there is none, -ETIMEDOUT it hangs, -errno */
int broker_reload(const char *folder, struct err *err);

/** Whether this host has what is started. Errors: -ENOPKG mosquitto is not installed */
int broker_possible(struct err *err);

/**
 * Start it and wait until it takes connections. Started by root it becomes the user mosquitto, who is given the folder.
 * Errors: -ENOPKG mosquitto is not installed, -EADDRINUSE, -EADDRNOTAVAIL, -EIO with what its log says last
 */
int broker_start(const char *folder, uint64_t timeout_ns, struct broker *ret, struct err *err);
/** Whether one that was started runs no more. */
bool broker_has_ended(const struct broker *broker);
/** An empty one is fine. */
void broker_stop(struct broker *broker);

#endif
