/* SPDX-License-Identifier: MIT */
/*
 * units.h - durations, sizes and rates as people write them. Units enter here and leave here.
 */
#ifndef SQUALL_UNITS_H
#define SQUALL_UNITS_H

#include <stddef.h>
#include <stdint.h>

/** "500ms", "1.5s", "2m", "1h", "20us", "7ns"; "0" alone needs no unit. Errors: -EINVAL (no unit, unknown unit, junk), -ERANGE. */
int units_parse_duration(const char *text, uint64_t *ret_ns);

/** "4KiB", "1MiB", "2GiB", "1kB", "1MB", "512B". Errors as above. */
int units_parse_size(const char *text, uint64_t *ret_bytes);

/** "500/s", "0.5/s", "30/m". @param ret_per_s [1/s] */
int units_parse_rate(const char *text, double *ret_per_s);

/** "256kbit", "1mbit": bits per second, as tc(8) writes them. */
int units_parse_bits(const char *text, uint64_t *ret_bits_per_s);

/** "40%" gives 0.4. */
int units_parse_percent(const char *text, double *ret_share);

/** "4.80 s", "12.3 ms", "850 us": three digits. @param out at least 24 bytes. @return out */
char *units_format_ns(uint64_t ns, char *out, size_t out_bytes);

/** "2s", "1200ms", "7us", "0s": exact, in the largest unit from s downwards that is whole; units_parse_duration() reads it back. @return out */
char *units_exact_ns(uint64_t ns, char *out, size_t out_bytes);

/** "4 KiB", "1.2 MiB". @return out */
char *units_format_bytes(uint64_t bytes, char *out, size_t out_bytes);

#endif
