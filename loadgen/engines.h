/* SPDX-License-Identifier: MIT */
/*
 * engines.h - what the plug-in files export, for the table alone.
 */
#ifndef SQUALL_LOADGEN_ENGINES_H
#define SQUALL_LOADGEN_ENGINES_H

struct engine;

extern const struct engine engine_null;
extern const struct engine engine_sync;
extern const struct engine engine_libaio;
extern const struct engine engine_io_uring;
extern const struct engine engine_nfs3;

#endif
