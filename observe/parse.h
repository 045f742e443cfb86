/* SPDX-License-Identifier: MIT */
/*
 * parse.h - the kernel's texts, read by pure functions: no file is opened here, and no text is trusted to be whole.
 *
 * A line that does not look as documented is skipped. A function that looks for one thing says whether it was there.
 */
#ifndef SQUALL_OBSERVE_PARSE_H
#define SQUALL_OBSERVE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Go to the next line. @return NULL after the last */
static inline const char *line_next(const char *line)
{
	while (*line != '\0' && *line != '\n')
		line++;
	return *line == '\n' && line[1] != '\0' ? line + 1 : NULL;
}

/**
 * One line alone, for sscanf(): in a whole text its white space would match the end of the line, and it would measure the rest at each call.
 * @return false when it is longer than out
 */
static inline bool line_copy(const char *line, char *out, size_t out_bytes)
{
	size_t n = 0;

	for (; line[n] != '\0' && line[n] != '\n'; n++) {
		if (n + 1 >= out_bytes)
			return false;
		out[n] = line[n];
	}
	out[n] = '\0';
	return true;
}

#define LINE_BYTES 512

/* nfsd: what a thread is doing now. */
struct nfsd_thread_state {
	char state;		/* of "State:\tD (disk sleep)" */
	uint64_t switches;	/* voluntary and nonvoluntary together: it has not run while this stands still */
};

/** /proc/PID/status. @return false when a field is missing */
bool nfsd_status_parse(const char *text, struct nfsd_thread_state *ret);

/** Is a thread in this state, waiting here, held up by storage or by an upcall? */
bool nfsd_is_blocked(char state, const char *wchan);

/*
 * One thread's waits, in samples. A wait is unbroken while the thread is blocked and has not run. Its time counts from its start once it is
 * NFSD_HUNG_NS long.
 */
#define NFSD_HUNG_NS 500000000ULL
struct nfsd_wait {
	bool blocked;
	uint64_t switches, since_ns, last_ns;
};

/** The first sight of a thread. */
void nfsd_wait_init(struct nfsd_wait *wait, bool blocked, uint64_t switches, uint64_t now_ns);

/**
 * The next sample. Adds to the sums of all threads.
 * @param total_ns  time since the sample before; @param hung_ns what of it, and of what came before in the same wait, has turned out to be hung.
 */
void nfsd_wait_step(struct nfsd_wait *wait, bool blocked, uint64_t switches, uint64_t now_ns, uint64_t *total_ns, uint64_t *hung_ns);

/* drbd 8.4: a minor in /proc/drbd. */
struct drbd_minor {
	unsigned int minor;
	char cs[24], ro[40], ds[40];
	bool connected, primary, up_to_date;	/* of this side */
	uint64_t lo, pe, ua, ap;
};

#define DRBD_MINORS_MAX 64

/** @return how many; unconfigured minors are left out, those above DRBD_MINORS_MAX too. */
unsigned int drbd_proc_parse(const char *text, struct drbd_minor ret[DRBD_MINORS_MAX]);

/** The greatest age in an oldest_requests file of debugfs. @return false when no request is there; -1 ms (jiffies that overtook) is 0. */
bool drbd_oldest_parse(const char *text, uint64_t *ret_age_ns);

/** What drbdsetup show prints, without the values of shared-secret: each, and what else stands on its line, is "(not recorded);". @return malloc'ed, or NULL */
char *drbd_show_clean(const char *text);

/* mountstats: one mount. */
#define MOUNT_OPS_MAX 128		/* NFSv4.2 has 70 procedures */
struct mount_op {
	char name[40];
	uint64_t ops, transmissions, rtt_ms;
	bool rtt_valid;			/* false: the kernel's counter has run below zero */
};
struct mount_stats {
	char options[LINE_BYTES];	/* those in force, as the kernel writes them */
	uint64_t age_s;
	uint64_t backlog, connects;	/* of all its TCP transports */
	struct mount_op ops[MOUNT_OPS_MAX];
	unsigned int ops_nr;
};

/** The NFS mount that holds this path, the topmost when several are stacked. @return false when what holds it is not NFS */
bool mountstats_parse(const char *text, const char *path, struct mount_stats *ret);

/* diskstats: one line. */
struct disk_line {
	char name[40];
	uint64_t read_ops, write_ops, busy_ms;
};

/** @return false: not a whole disk of the kinds vd, sd, nvme, drbd, dm, or not such a line. */
bool disk_line_parse(const char *line, struct disk_line *ret);

/* pressure: one line. */
struct pressure_line {
	char kind[8];		/* some, full */
	double avg10_pct;
};

bool pressure_line_parse(const char *line, struct pressure_line *ret);

/* cpu: the first line of /proc/stat, in ticks since the boot. */
struct cpu_line {
	uint64_t idle, steal, total;
};

/** @return false: not the line of all processors, with eight times or more. */
bool cpu_line_parse(const char *line, struct cpu_line *ret);

/* memory: one line of /proc/meminfo. */
struct memory_line {
	char key[32];
	uint64_t bytes;
};

/** @return false: not "Key: N kB". */
bool memory_line_parse(const char *line, struct memory_line *ret);

/** A record of /dev/kmsg: its text without prefix and dictionary. @return false: not of the kernel itself, or malformed. */
bool kmsg_parse(const char *record, char *ret_text, size_t text_bytes);

#endif
