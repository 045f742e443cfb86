/* SPDX-License-Identifier: MIT */
/*
 * deploy.h - agents put onto the hosts of a fleet, and taken away again, over the user's own ssh.
 *
 *	/opt/squall/NAME/	squall, key.pem, cert.pem, ca.pem, coordinator.pem, squall-NAME.service: all that is put onto a host
 *	systemd			is told of the unit by its path, and of nothing else
 *
 *	ask every host ──a version that is another: refused──> put (scp to NAME.new, try it there, rename it, restart the unit)
 *
 * What runs on a host is one of the constant scripts of deploy.c; a name reaches it on stdin, after it was checked. At most DEPLOY_AT_ONCE hosts at
 * a time, each with a deadline. While a run uses the fleet nothing is done.
 */
#ifndef SQUALL_COORD_DEPLOY_H
#define SQUALL_COORD_DEPLOY_H

#include <stdbool.h>

struct err;
struct fleet_file;
struct fleet_host;

#define DEPLOY_AT_ONCE 16
#define DEPLOY_ROOT "/opt/squall"

/**
 * One line about a host, done with.
 * @param failed  what is a sentence about why; else what was done
 * Context: one call at a time, from threads of deploy_do().
 */
typedef void (*deploy_say)(const char *host, const char *what, bool failed, void *arg);

enum deploy_what {
	DEPLOY_PUT,		/* what is missing or differs; the folder and its certificates are made first */
	DEPLOY_UPGRADE,		/* the same, where the version differs and nowhere else */
	DEPLOY_REMOVE,		/* the agent is stopped, its faults are healed, what was put is removed, the certificate is withdrawn */
};

/**
 * Do it on all hosts of the file; a host that fails holds up no other. Done again, it does what is left to do.
 * Errors: -EPROTO DEPLOY_PUT, and a host has another version: the sentence lists all, and nothing was changed. -EBUSY a run uses the fleet.
 * -EIO hosts have failed, and were named. -ENOPKG no ssh.
 */
int deploy_do(const struct fleet_file *file, enum deploy_what what, deploy_say say, void *arg, struct err *err);

/**
 * The systemd unit of an agent. One that raises load is an ordinary user without capabilities; one that injects faults is root with those that
 * faults need, and in the mounts of the host, because it acts on them.
 * @return malloc'ed, or NULL: no memory
 */
char *deploy_unit(const struct fleet_host *host, const char *url);

#endif
