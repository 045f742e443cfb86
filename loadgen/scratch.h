/* SPDX-License-Identifier: MIT */
/*
 * scratch.h - ops that change the tree, each in a folder of its own site and host that nobody reads.
 *
 *	DIR/s0003/scratch/lock			the lock file of the site, for all hosts
 *	DIR/s0003/scratch/on-HOST/data		write, write_fsync, chmod; as long as SCRATCH_DATA_BYTES before the start
 *	DIR/s0003/scratch/on-HOST/link		readlink
 *	DIR/s0003/scratch/on-HOST/t-KEY		create, then rename or unlink; KEY is the arrival's
 *	DIR/s0003/scratch/on-HOST/keep-07	what rename replaces; SCRATCH_KEEP_NR of them
 *
 * A page that failed or was cut off leaves its t-KEY; the next start of a job with create removes it. Names are a function of the op.
 */
#ifndef SQUALL_LOADGEN_SCRATCH_H
#define SQUALL_LOADGEN_SCRATCH_H

#include "engine.h"

#define SCRATCH_BLOCK_BYTES 4096u
#define SCRATCH_DATA_BYTES (16u * SCRATCH_BLOCK_BYTES)
#define SCRATCH_KEEP_NR 16u
#define SCRATCH_LINK_TARGET "data"	/* need not be there: it is never followed */

/**
 * What an op works on, below the root of the dataset: of readdir and readdir_stat the folder, of stat_miss and rename the first name.
 * @param out at least DATASET_PATH_BYTES. Context: any; touches no storage.
 */
void op_path(const struct dataset_spec *spec, const char *host, const struct op *op, char *out);

/** What rename replaces; in the same folder. @param out at least DATASET_PATH_BYTES */
void scratch_kept_path(const struct op *op, const char *host, char *out);

/** @return whether the op works in the scratch folder. */
bool scratch_has(enum op_kind kind);

/** Make what the ops of the job need, and remove what an earlier run left. Errors: with the path. Context: before the start; may block. */
int scratch_prepare(int root, const struct dataset_spec *spec, const char *host, const struct job *job, struct err *err);

/** Do an op for which scratch_has(). @return as engine.run */
int64_t scratch_run(int root, const char *host, char *buffer, const struct op *op);

/** Remove the scratch folder of a site with all that is ours in it. Context: dataset_remove. */
void scratch_remove(int root, uint32_t site);

#endif
