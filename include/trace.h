/* SPDX-License-Identifier: MIT */
/*
 * trace.h - a trace: ops that clients have done once, each with its instant, to be done again. docs/traces.scd has the format of its file.
 *
 *	nfsdump, tshark ── trace_import_*() ──> FILE ── trace_read() ──> job.trace ── trace_pack(), trace_unpack() ──> the effective profile
 */
#ifndef SQUALL_TRACE_H
#define SQUALL_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "profile.h"

struct err;

#define TRACE_OPS_MAX 131072u
#define TRACE_TEXT_BYTES_MAX (16u << 20)	/* of a file: that many ops of the longest lines */
#define TRACE_PACKED_BYTES_MAX (3u << 20)	/* as the effective profile has it */
#define TRACE_OP_BYTES_MAX (1u << 20)		/* of one read or write */

struct trace_op {
	uint64_t at_ns;			/* from the first op; never falls */
	uint64_t file;			/* hash of a file handle, or of a folder's and a name */
	uint64_t offset_bytes;		/* of a pread or write */
	uint32_t length_bytes;		/* the same; at most TRACE_OP_BYTES_MAX */
	uint32_t client;		/* in order of appearance */
	enum op_kind kind;
};

/* What an import has found, and what it has left out. */
struct trace_summary {
	uint32_t clients_nr, files_nr;
	uint64_t left_out_nr;		/* calls for which a job has no op, or that are no load: create, rename, commit, null ... */
	uint64_t repeated_nr;		/* calls that a client has sent again */
	uint64_t unreadable_nr;		/* lines of nfsdump about packets that it could not read itself */
	struct dataset_spec spec;	/* a dataset of about this shape */
};

/**
 * Read the text of nfsdump, or the JSON of tshark.
 * @param name  of the input, in sentences. @param ret  released by trace_release(). Errors: -EINVAL with name:line; -EFBIG more than TRACE_OPS_MAX ops; -ENOMEM; -errno.
 */
int trace_import_nfsdump(FILE *in, const char *name, struct trace *ret, struct trace_summary *ret_summary, struct err *err);
int trace_import_tshark(FILE *in, const char *name, struct trace *ret, struct trace_summary *ret_summary, struct err *err);

/** The text of a file. @return 0, or -EIO with errno of the stream. */
int trace_print(const struct trace *trace, FILE *out);

/** The reverse. @param name  of the file, in sentences. Errors: -EINVAL with name:line; -ENOMEM. */
int trace_parse(const char *text, const char *name, struct trace *ret, struct err *err);
int trace_read(const char *path, struct trace *ret, struct err *err);

/** That text, deflated, in base64: for a profile that is to need no other file. @param ret_text malloc'ed. Errors: -ENOMEM; -EFBIG. */
int trace_pack(const struct trace *trace, char **ret_text, struct err *err);
int trace_unpack(const char *packed, const char *name, struct trace *ret, struct err *err);

void trace_release(struct trace *trace);

#endif
