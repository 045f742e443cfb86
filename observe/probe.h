/* SPDX-License-Identifier: MIT */
/*
 * probe.h - what a probe is: a plug-in that lives in a disposable child and may hang there.
 *
 *	agent: available()      fork            kill, at the deadline
 *	                          |
 *	child:                  open() -> sample() every period -> ... -> SIGKILL
 *
 * open() and sample() may block in the kernel for ever: only their own child waits. There is no close: the kernel takes a dead child's files.
 */
#ifndef SQUALL_OBSERVE_PROBE_H
#define SQUALL_OBSERVE_PROBE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct observe;

#define PROBE_LABEL_BYTES_MAX 4096	/* of a sample's label; longer ones end in "..." */
#define PROBE_TEXT_BYTES_MAX 16384	/* and its text */
#define PROBE_FILE_BYTES_MAX (4u << 20)	/* of a file that a probe reads: mountstats of some thousand mounts */
#define PROBE_DEADLINE_MIN_NS (3 * 1000000000ULL)

/* Where a probe looks. */
struct probe_env {
	const char *root;	/* "" on a real host; tests put a tree of their own here */
	const char *path;	/* on the storage under test, never opened; NULL = none */
};

/* Lines on their way to the agent. */
struct probe_out {
	int fd;
	uint64_t now_ns;	/* clock_mono_ns of this sample() */
	uint64_t written_ns;	/* of the last line */
	char *text;		/* what sample() has emitted so far */
	size_t bytes, room;
};

struct probe {
	const char *name;	/* probe_NAME.c, docs/probes/NAME.scd */
	uint64_t period_ns;
	bool needs_path;	/* not started without probe_env.path */
	/* May this host run it? In the agent: must not block. A probe that waits for its subject (nfsd, DRBD) says true, with the reason why it is still silent. */
	bool (*available)(const struct probe_env *env, char *reason, size_t reason_bytes);
	int (*open)(const struct probe_env *env, void **ret_state);	/* in the child; 0 or -errno, which ends the child */
	int (*sample)(void *state, struct probe_out *out);		/* in the child, every period; 0 or -errno, which ends the child */
};

extern const struct probe *const probes[];
extern const unsigned int probes_nr;

extern const struct probe probe_config, probe_cpu, probe_disks, probe_drbd, probe_kernel_log, probe_memory, probe_mountstats, probe_nfsd, probe_pressure;

/** Emit a sample from sample(). @param label, text  may be NULL. */
void probe_emit(struct probe_out *out, const char *metric, const char *label, double value, const char *text);

/**
 * Read a file whole, NUL-terminated, into a buffer that is kept from call to call.
 * @param buffer, room  start as NULL and 0.
 * @return bytes or -errno; -EFBIG above PROBE_FILE_BYTES_MAX.
 */
int probe_read(const char *path, char **buffer, size_t *room);

/* What a probe of one file has for its state, or begins it with. */
struct probe_file {
	char path[PATH_MAX + 32];
	char *text;		/* as it was last read */
	size_t room;
};

/** available() of such a probe. @param name  "/proc/meminfo" */
bool probe_file_available(const struct probe_env *env, const char *name, char *reason, size_t reason_bytes);

/** open() of such a probe. @param bytes  of its state, which begins with a struct probe_file; zeroed beyond it. Errors: -ENOMEM */
int probe_file_open(const struct probe_env *env, const char *name, size_t bytes, void **ret_state);

/** probe_read() of its file. */
int probe_file_read(struct probe_file *file);

/** observe_start() on a table of the caller's own. */
int observe_start_table(const struct probe *const table[], unsigned int table_nr, const struct probe_env *env, struct observe **ret_observe,
			struct err *err);

/** For tests: the process of a probe, 0 = none now. */
int observe_pid(const struct observe *observe, const char *probe);

#endif
