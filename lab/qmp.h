/* SPDX-License-Identifier: MIT */
/*
 * qmp.h - commands to a running QEMU (docs/interop/qmp-spec.txt of QEMU).
 */
#ifndef SQUALL_LAB_QMP_H
#define SQUALL_LAB_QMP_H

#include <jansson.h>
#include <stdint.h>

struct err;

/**
 * One command, on a connection of its own.
 * @param arguments  reference is stolen; may be NULL.
 * @param ret        the "return" object, new reference; may be NULL.
 * Errors: -EIO with what QEMU said, -ETIMEDOUT, -errno with the socket's path.
 */
int qmp_run(const char *path, const char *command, json_t *arguments, uint64_t timeout_ns, json_t **ret, struct err *err);

#endif
