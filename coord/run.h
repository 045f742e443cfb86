/* SPDX-License-Identifier: MIT */
/*
 * run.h - one run, as the coordinator sees it: private to coord/.
 *
 *	plan -> hosts -> calibrate -> load -> start at T0 -> phases (faults, progress, guards) -> stop -> heal -> seal -> judge
 *
 * One thread and one loop (run_pump): every wait has a deadline and goes on taking messages.
 */
#ifndef SQUALL_COORD_RUN_H
#define SQUALL_COORD_RUN_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker.h"
#include "bus.h"
#include "load.h"
#include "outside.h"
#include "profile.h"
#include "record.h"

struct err;
struct fleet;
struct hist;

#define HOSTS_MAX 1024
#define PINGS 64
#define UTC_STEPS_MAX 16

#define RUN_SETS_MAX 64

/* A request of DRBD that is older than this, when nobody asks for anything, is still the work of who asked before. */
#define STORAGE_BUSY_NS (20ULL * 1000000ULL)

struct run_options {
	const char *command;		/* "run" or "reproduce" */
	const char *profile;		/* path */
	const char *on;			/* "lab", "local:DIR", "fleet:DIR", "FLEET.yaml" */
	const char *sets[RUN_SETS_MAX + 8 + 1];		/* of --set and --seed, then of the arm; NULL-terminated */
	const char *out;		/* folder of results */
	const char *arm;		/* NULL = the profile as it is written */
	const char *arms;		/* of reproduce: names with commas; NULL = all */
	unsigned int trials;		/* of reproduce */
	const char *resume;		/* the folder of a run to go on with; NULL: a new one */
	bool allow_reboot, json, dry_run, quiet;
	char seed[64];
};

struct host {
	char name[NAME_BYTES], roles[64], dir[256], boot[64], kernel[128], version[64];
	pid_t pid;			/* of a forked agent, or 0 */
	bool connected, rebooting, lost;	/* lost: gone in mid-run, and not heard of since */
	bool frozen;			/* its clocks stand too: nobody waits for a word of it */
	uint64_t thawed_ns;		/* when that was last over; 0: never, or it has been met or lost since */
	int64_t froze_ns, offset_before_ns;	/* its clock when it was last frozen, and its offset up to then */
	int64_t offset_ns, error_ns;	/* host's clock + offset = ours */
	uint64_t offset_at_ns;		/* when that was measured */
	int64_t start_offset_ns;	/* by which it was told T0 */
	uint64_t start_trip_ns;		/* the quickest round trip just after T0, by which the next is known; 0: none yet */
	int64_t start_skew_ns;		/* how much later than at T0 its load began */
	char clock_wrong[160];		/* a sentence when two measurements cannot be of one clock; "" */
	int64_t utc_offset_ns;		/* how far its clock of the day is ahead of its monotonic one; 0: not known */
	unsigned int utc_steps_nr;	/* how often that changed, of which UTC_STEPS_MAX are told */
	bool synced;
	uint64_t ping_sent_ns[PINGS];
	uint32_t ping_seq;
	uint64_t ping_best_ns;		/* round trip of the estimate in use */
	uint64_t heard_ns;		/* when its last message came, or the connection was made */
	uint64_t retry_ns;		/* when to connect again */
	uint64_t next_lease_ns;
	uint32_t answers;		/* how many answers came, for run_ask() */
	int answer_rc;
	char answer_error[512];
	json_t *answer;			/* the last one */
	bool has_final;
	uint64_t told, kept;		/* up to which number it has told us, and all of it is in the record for good; see told.h */
	bool goes_on;			/* it said that it is in this run */
	bool kept_of_before;		/* rebooted: what it had kept, by the clock of the boot before, is still to come */
	bool collected;			/* what it had kept of the run has come again, all of it */
	uint64_t ok;			/* pages and ops done since T0 */
	json_t *last;			/* last interval */
	json_t *config;			/* {"config.exports": "...", ...}: as it was last told */
};

enum fault_state { FAULT_WAITING, FAULT_ASKED, FAULT_IN_FORCE, FAULT_HEALING, FAULT_LOST, FAULT_OVER };

struct run_fault {
	enum fault_state state;
	int host;			/* -1 until it is injected */
	json_t *args;
	bool takes_host;
	bool is_outside;		/* the hypervisor does it */
	struct outside outside;		/* unless it takes the host */
	bool ripe;			/* what it waits for has been true */
	int64_t inject_ns, heal_ns;	/* since T0; -1 = not yet */
	char verified[16], healed[16], healed_by[NAME_BYTES], evidence[512];
	uint64_t ok_at_back[HOSTS_MAX];	/* of a reboot: what each host had done when the target was back */
	bool back;
};

struct run {
	const struct run_options *options;
	struct profile profile;
	struct run_fault fault[FAULTS_MAX];
	struct host host[HOSTS_MAX];
	int hosts_nr;
	struct bus *bus;
	struct fleet *fleet;		/* whose agents these are; NULL: forked */
	struct broker broker;		/* of the fleet, when this run has started it */
	struct record *record;
	char dir[512], final_dir[512], run_name[96];
	uint64_t t0_ns;			/* our clock; 0 = not started */
	uint64_t next_progress_ns;
	struct load_plan plan;
	double capacity[JOBS_MAX];
	struct run_options own;		/* what options points to */
	char on[512], arm[NAME_BYTES];	/* of own, when its run died and its record says it */
	bool going_on;			/* its hosts are asked whether they are in it still */
	bool sealed;			/* nothing more of it will be kept */
	int64_t away_ns;		/* since when nobody had looked after it; 0 = not so */
	bool collecting;		/* the run is over; what its agents have kept of it is asked for */
	bool calibrating, began;	/* began: there is something measured to keep */
	int phase;
	const volatile sig_atomic_t *stop_signal;
	char primary[NAME_BYTES];	/* host where DRBD is primary, as last seen */
	double nfsd_threads, nfsd_blocked;
	double oldest_request_ns;	/* of DRBD; < 0: never measured */
	uint64_t storage_busy_ns;	/* when DRBD last had such a request; our clock */
	char drbd[64];
	struct hist *second;		/* responses of op "" of the last second */
	bool line_is_open;		/* on a terminal, a line of progress waits for the next to take its place */
};

/* options.c */
/** Parse the command line; `--help` prints. @return 0, 1 after --help, -EINVAL */
int run_options_parse(int argc, char **argv, const char *help, struct run_options *ret_options, struct err *err);
/** Add what an arm changes; its texts stay the profile's. */
void run_options_add_arm(struct run_options *options, const struct arm *arm);

/* hosts.c */
/** Before anything is done: --on says where, every host that a fault names will be there, and peers are spared. What it has loaded, hosts_close() frees. Errors: -EINVAL */
int hosts_check(struct run *run, struct err *err);
/** Begin to connect to all of them. */
int hosts_connect(struct run *run, struct err *err);
/** Ask who they are. */
void hosts_greet(struct run *run);
/** Ask, and wait until all have said it. Errors: -ETIMEDOUT one does not; -EPROTO one is of another version */
int hosts_meet(struct run *run, struct err *err);
/** hosts_connect(), hosts_meet(), and wait until their clocks are known. */
int hosts_open(struct run *run, struct err *err);
int hosts_sync(struct run *run, struct err *err);
/** Ends the bus, and the broker. */
void hosts_close(struct run *run);
/** What it said last is let go; it must not be used again as it is. */
void host_release(struct host *host);
void hosts_retry(struct run *run, uint64_t now);
struct host *hosts_find(struct run *run, const char *name);
bool host_has(const struct host *host, const char *role);
/** Whether a clock that counts from the boot can say so. */
bool host_may_read(int64_t host_ns);
/** Its clock -> since T0. What it tells of has been: the future, and what no clock says, is now. */
int64_t host_time(const struct run *run, const struct host *host, int64_t host_ns);

/* pump.c */
/** Take messages, renew leases, until `until` says so. @return 1 it did, 0 deadline, -EINTR a signal, -errno. */
int run_pump(struct run *run, bool (*until)(struct run *, void *), void *arg, uint64_t deadline_ns, struct err *err);
/** What a host says, whatever it is; its reference stays the caller's. */
void run_take(struct run *run, const struct bus_message *message);
/** What its configuration was as it was last told, as of T0. What is new of it later is recorded as it comes. */
void host_store_config(const struct run *run, const struct host *host);
/** Ask a host for what it has told and nobody has heard. */
void host_ask_again(struct run *run, struct host *host);
/** What a host told is not in the record: the verdict will say so. */
void host_gap(struct run *run, const struct host *host, const char *what, const struct err *why);
/** The connection to a host has ended. */
void host_gone(struct run *run, struct host *host);
/** Whether it is frozen, or was within the lease: a connection that ends so is made again, and its agent, whose clock stood too, goes on with the run. */
bool host_is_awaited(const struct host *host, uint64_t now);
/** Its clocks were stopped then [our clock]; they go on since. */
void host_frozen(struct run *run, struct host *host, uint64_t at_ns);
void host_thawed(struct host *host, uint64_t at_ns);
/** Send to all hosts with a role and wait for all answers; body is copied. */
int run_ask_all(struct run *run, const char *role, const char *kind, json_t *body, uint64_t timeout_ns, struct err *err);

/* dry_run.c */
/** --dry-run: what would be done, and the effective profile. Errors: -EINVAL as of a run. */
int run_dry(const struct run_options *options, struct err *err);
/** Whether a profile with an arm's changes can be run; nothing is done. Errors: -EINVAL, with the name of the arm. */
int run_check_arm(const struct run_options *options, const struct arm *arm, struct err *err);

/* calibrate.c */
/** How long each job is measured that needs it [ns]. */
uint64_t calibrate_each_ns(const struct profile *profile);
/** Whether a job runs in the first phase that is not calibration. */
bool is_in_baseline(const struct profile *profile, const struct job *job);
/** What "3x baseline" is a multiple of [1/s]. @param capacity_per_s  of each job; not looked at where a rate is not relative to it */
double baseline_per_s(const struct profile *profile, const double capacity_per_s[]);
int run_calibrate(struct run *run, struct err *err);
int run_resolve(struct run *run, struct err *err);
int run_load_start(struct run *run, const struct load_plan *plan, struct err *err);
int run_load_stop(struct run *run, struct err *err);

/* schedule.c */
#define INSTANT_UNKNOWN UINT64_MAX
/** When a fault is in force as it is planned, from the start of the load [ns]; INSTANT_UNKNOWN = events wait for each other. An instant ends when it begins. */
void schedule_planned(const struct profile *p, const struct fault_plan *plan, uint64_t *ret_at, uint64_t *ret_until);
/** How long it is to be in force [ns]; 0: an instant, or not known. */
uint64_t schedule_lasts_ns(const struct profile *p, const struct fault_plan *plan);
int schedule_check(struct run *run, struct err *err);
/** DRBD and its disks are not broken on two hosts at a time that may be peers: each holds a copy that the other may need. Errors: -EINVAL */
int schedule_check_peers(const struct run *run, struct err *err);
void schedule_tick(struct run *run, int64_t now);	/* since T0 */
/** Once a second: whether what a fault waits for has become true, by what was told of until now. */
void schedule_look(struct run *run, int64_t now);
void schedule_event(struct run *run, struct host *host, int idx, const json_t *event);
void schedule_host_back(struct run *run, struct host *host);
void schedule_journal(struct run *run, struct host *host, const json_t *body);
void schedule_host_lost(struct run *run, struct host *host);
void schedule_host_found(struct run *run, struct host *host);
/** After a connection that ended in a freeze: what was ordered, and may not have arrived. */
void schedule_order_again(struct run *run, struct host *host);
void schedule_heal_all(struct run *run);
/** What became of the faults that the hypervisor holds. */
void schedule_outside(struct run *run);
/** After a time without a coordinator: what was ordered and did not arrive is ordered again, and what came late is noted. */
void schedule_go_on(struct run *run);
bool schedule_is_over(struct run *run, void *arg);
void schedule_store(struct run *run);
void schedule_free(struct run *run);

/* possible.c */
/** Whether this host can do the faults of the profile, and may. Errors: -ENOPKG with file:line, fault and reason */
int possible_here(const struct run *run, struct err *err);
/** The same of the hosts of a fleet, which are asked; a run on this host alone has no other. Errors: -ENOPKG also with the host; as run_ask_all() */
int possible_there(struct run *run, struct err *err);

/* progress.c */
void progress_interval(struct run *run, struct host *host, json_t *interval);
void progress_sample(struct run *run, const char *host, const json_t *sample);
void progress_line(struct run *run, int64_t now);
/** What is printed next begins in a line of its own. */
void progress_end(struct run *run);
void progress_say(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* cmd_run.c */
/** Print what `squall report` would, or verdict.json. */
int run_print(const struct run_options *options, const char *dir, const json_t *verdict, struct err *err);

/* reopen.c */
/** The record of a run that died, its profile, and the options that it had. @param dir  its folder. Errors: -EINVAL nothing of it is left; -errno */
int run_reopen(struct run *run, const char *dir, struct err *err);
/** Once its hosts have names: up to where they were heard, and how its faults stood. */
int run_recall(struct run *run, struct err *err);

/* resume.c */
/** Go on with a run: all its hosts are in it, and what they had told nobody is in the record. Errors: -EINVAL as run_reopen(); -ESTALE one has ended it; -errno */
int run_resume(struct run *run, const char *dir, struct err *err);

/* collect.c */
/**
 * The rest of a run on a fleet whose coordinator died: into its record, which is sealed and judged. What was taken over before an error is not lost, and
 * not taken twice. @param dir  its folder. Errors: -EINVAL nothing can be collected of it; -ETIMEDOUT not all agents are there; -errno
 */
int run_collect(const char *dir, bool quiet, json_t **ret_verdict, struct err *err);

/* run.c */
/** The whole run. @param ret_verdict new reference, maybe NULL. @return exit status */
int run_profile(const struct run_options *options, json_t **ret_verdict, char *ret_dir, size_t dir_bytes, struct err *err);
/** Whether SIGINT or SIGTERM came: then a series of runs ends too. */
bool run_was_stopped(void);
int64_t run_now(const struct run *run);			/* since T0 */
/** The end of the last second of which every host should have told by now: what a second was is told when it is over, and is asked for once it is there. */
int64_t run_told_until(int64_t now);
void run_note(struct run *run, const char *host, const char *kind, int fault_idx, int64_t t_ns, const char *evidence);

#endif
