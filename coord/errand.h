/* SPDX-License-Identifier: MIT */
/*
 * errand.h - what an agent is asked that takes its time and may hang: a child does it, and the agent's loop goes on.
 */
#ifndef SQUALL_COORD_ERRAND_H
#define SQUALL_COORD_ERRAND_H

#include <jansson.h>
#include <sys/types.h>

struct err;

struct errand {
	pid_t pid;
	int pidfd;	/* readable when it is done; -1 = none is under way */
	int said_fd;	/* a file in memory: what it says */
};

#define ERRAND_INIT { .pidfd = -1, .said_fd = -1 }

/**
 * Let a child do it, which dies with its parent.
 * @param work  runs in the child; what it returns is what the errand says, NULL without memory.
 * @param body  what it was asked with.
 * Errors: -EBUSY one is under way; -errno
 */
int errand_start(struct errand *errand, json_t *(*work)(const json_t *), const json_t *body, struct err *err);

/** Once pidfd is readable. @return what it said, a new reference; NULL, with the reason in err, when it died */
json_t *errand_end(struct errand *errand, struct err *err);

/** Leave the child behind, with SIGKILL. */
void errand_release(struct errand *errand);

/** An errand: write out what is dirty, then drop pages, names and inodes. @return {"to": "cold", "rc", "error"} */
json_t *errand_cold(const json_t *body);

/** An errand: heal what stands in this host's journal, and strike it out. @return {"rc", "error", "left": [what still stands there]} */
json_t *errand_journal(const json_t *body);

/**
 * An errand: which of the faults this host cannot do, or may not; those for another host are left out.
 * @param body  {"host": this one, "faults": [{"idx", "fault", "on": a host, or "" for any, "for_ns"}]}
 * @return {"to": "faults", "rc": 0, "error": "", "cannot": [{"idx", "error"}]}
 */
json_t *errand_faults(const json_t *body);

#endif
