/* SPDX-License-Identifier: MIT */
/*
 * drbd.h - DRBD's two sockets, its backing disk and its own words about requests in flight.
 */
#ifndef SQUALL_CHAOS_DRBD_H
#define SQUALL_CHAOS_DRBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allow.h"

struct err;
struct fault_run;
struct plan;

struct drbd_socket {
	char local[48], peer[48];	/* IPv4 */
	unsigned int local_port, peer_port;
	uint64_t bytes;			/* sent and received */
};

struct drbd_link {
	char dev[16];			/* the interface that holds the local address; in the allow file */
	struct drbd_socket data, meta;
};

/** Read sockets from the output of ss. @return how many established IPv4 sockets on port 7789 were found */
size_t drbd_parse_sockets(const char *text, struct drbd_socket *ret, size_t max);

/**
 * Find the established sockets of port 7789. Data is the one that carries more bytes: what is written there is pages, on the other it is acks.
 * Errors: -ENOTCONN not exactly two; -EACCES the interface is not in the allow file.
 */
int drbd_link_find(const struct allow *allow, struct drbd_link *ret, struct err *err);

#define DRBD_DISK_BYTES 256

/** The path of the backing disk of the first allowed resource. Errors: -ENOENT it has none; -ENAMETOOLONG; as tool_output() */
int drbd_backing_disk(const struct allow *allow, char *ret, size_t bytes, struct err *err);

/** Its dm name. Errors: as before; -ENOTBLK no dm device */
int drbd_backing_dm(const struct allow *allow, char *ret, size_t bytes, struct err *err);

#define DRBD_SETTING_BYTES 24

/** All settings of a resource, as drbdsetup shows them with the defaults. @param ret_text malloc'ed. Errors: as tool_output() */
int drbd_settings(const char *resource, char **ret_text, struct err *err);

/** One of them, such as "250k" of c-min-rate. Errors: -EBADMSG it is missing or no plain word */
int drbd_parse_setting(const char *text, const char *name, char ret[DRBD_SETTING_BYTES], struct err *err);

/** A minor's line of /proc/drbd, of DRBD 8.4. */
struct drbd_line {
	char state[24];		/* "Connected" */
	char role[12];		/* of this host: "Primary" */
	char disks[40];		/* "UpToDate/UpToDate": this host's, then the peer's */
	char flags[8];		/* "r-----"; 's' in the first place: I/O is suspended; 'u' in the fourth: the resync is paused here */
	uint64_t oos_kib;	/* what is out of sync */
};

/** Find the line of a minor in the text of /proc/drbd. Errors: -ENOENT */
int drbd_parse_line(const char *text, unsigned int minor, struct drbd_line *ret);

/** The line of a resource now; does not wait for its disk. Errors: as tool_output(); -EBADMSG; -ENOENT it is not configured here; -errno of the file */
int drbd_line(const char *resource, struct drbd_line *ret, struct err *err);

/** Refuse a fault that is for the other host. @param role  "Primary" or "Secondary". Errors: -EACCES this host is not that; as drbd_line() */
int drbd_check_role(const struct fault_run *run, const char *role, struct err *err);

/** Whether the peers talk to each other in this state, be it only to resync. */
bool drbd_is_linked(const char *state);

/** Whether this host has a disk, be it out of date. */
bool drbd_has_disk(const struct drbd_line *line);

/** Whether its I/O is suspended. */
bool drbd_is_suspended(const struct drbd_line *line);

/** Whether it was told here to resync nothing. */
bool drbd_is_sync_paused(const struct drbd_line *line);

/**
 * `drbdadm VERB RESOURCE` of the first resource of the allow file, undone by an opcode that has a "resource".
 * @param check  0, or -errno with why it is not done as things are; not asked in a dry run. Errors: as drbd_line(), and its own
 */
int drbd_plan_verb(const struct fault_run *run, int (*check)(const char *resource, const struct drbd_line *line, struct err *err), const char *verb,
		   const char *undo, struct plan *plan, struct err *err);

/**
 * Processes of DRBD's tools that are at a verb, such as "disconnect", of whatever resource: drbdadm, and drbdsetup, which outlives it.
 * Context: done in a child with a deadline. @return how many. Errors: -ETIMEDOUT; -EIO; -errno
 */
int drbd_at_work(const char *verb, struct err *err);

/** Of a fault that can end the connection: it is healed when the peers talk to each other again. Adds nothing where they do not now. Errors: as drbd_line() */
int drbd_add_linked(const struct fault_run *run, struct plan *plan, struct err *err);

/*
 * DRBD's timers as they are when nobody sets them, which the lab writes out. Source: drbd.conf(5), section net: timeout 6 s, ko-count 7, ping-int
 * 10 s, ping-timeout 0.5 s. A peer that has not done a write within timeout x ko-count is given up, and one that has not answered a ping in time.
 */
#define DRBD_WRITE_MAX_NS (42 * 1000000000ULL)
#define DRBD_PING_EVERY_NS (10 * 1000000000ULL)
#define DRBD_PING_MAX_NS (500 * 1000000ULL)

/** "Connected ro:Primary/Secondary pe:5 lo:0" from /proc/drbd, or "" */
void drbd_words(char *ret, size_t bytes);

#endif
