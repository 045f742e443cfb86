/* SPDX-License-Identifier: MIT */
/*
 * crc32c.h - the checksum of a block: CRC-32C (Castagnoli), as iSCSI and ext4 have it.
 *
 * The processor's instruction where there is one, a table elsewhere; both give the same.
 * Source: RFC 3720, 12.1 and B.4: polynomial 0x1edc6f41, reflected, begun and ended with all ones; "123456789" gives 0xe3069283.
 */
#ifndef SQUALL_LOADGEN_CRC32C_H
#define SQUALL_LOADGEN_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Of all of it. Context: any thread. */
uint32_t crc32c(const void *data, size_t bytes);

/** The same without the instruction: what other processors run, and what the tests hold it against. */
uint32_t crc32c_portable(const void *data, size_t bytes);

/** @return whether crc32c() uses the processor's instruction here. */
bool crc32c_has_hardware(void);

#endif
