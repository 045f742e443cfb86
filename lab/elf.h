/* SPDX-License-Identifier: MIT */
/*
 * elf.h - which other files a program, a library or a kernel module needs, read from the file itself: nothing is run for it.
 */
#ifndef SQUALL_LAB_ELF_H
#define SQUALL_LAB_ELF_H

#include <stddef.h>

/**
 * Call back with each library (DT_NEEDED) of a 64-bit ELF file in memory.
 * @return 0 (also for a file that needs none, or is no ELF file), or what `take` returned other than 0.
 */
int elf_needed(const void *data, size_t bytes, int (*take)(const char *library, void *arg), void *arg);

/** The same for the modules that a kernel module depends on ("depends=" in its modinfo). */
int elf_module_depends(const void *data, size_t bytes, int (*take)(const char *module, void *arg), void *arg);

#endif
