/* SPDX-License-Identifier: MIT */
/*
 * allow.h - what may be broken here, decided on this host by its root.
 */
#ifndef SQUALL_CHAOS_ALLOW_H
#define SQUALL_CHAOS_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define ALLOW_NAMES_MAX 16
#define ALLOW_NAME_BYTES 128

struct allow_list {
	char name[ALLOW_NAMES_MAX][ALLOW_NAME_BYTES];
	size_t nr;
};

struct allow {
	struct allow_list resources, exports, interfaces, processes;
	struct allow_list scratch;	/* device-mapper devices whose content is of no worth */
	uint64_t max_time_ns;
};

/**
 * Read the allow file: /etc/squall/allow.yaml, or allow.yaml below $SQUALL_STATE (tests).
 * Errors: -ENOPKG when it is missing, not of root or writable for others; -EINVAL with file:line.
 */
int allow_load(struct allow *ret_allow, struct err *err);

/** Its text. @param path  for sentences. Errors: -EINVAL with file:line, -ENOMEM. */
int allow_parse(const char *text, const char *path, struct allow *ret_allow, struct err *err);

/** Whether a fault may last so long. Errors: -ENOPKG it may not, with the time that it may */
int allow_check_time(const struct allow *allow, uint64_t for_ns, struct err *err);

bool allow_has(const struct allow_list *list, const char *name);

/** Letters, digits, '.', '_' and '-', not starting with '-': names of devices and resources that go into a command. */
bool allow_name_is_plain(const char *name);

#endif
