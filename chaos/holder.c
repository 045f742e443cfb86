/* SPDX-License-Identifier: MIT */
/*
 * holder.c - one process per fault: it injects, looks every second, and heals whatever happens.
 *
 *	agent ──control pipe──> holder <──pidfd──> guard
 *	                          │
 *	  preflight ─> start guard ─> journal ─> inject ─> [ verify every second ] ─> heal ─> prove ─> strike out ─> "healed"
 *	                                        until: "heal", EOF, lease, time, a signal, the guard's death; an instant is done after one look
 *
 * Injection and heal are in the audit log before they begin. The holder cannot renew its own lease. It opens nothing below the tested export.
 * Whatever it starts dies with it.
 */
#include "holder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit.h"
#include "clock.h"
#include "confine.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "journal.h"
#include "json_text.h"
#include "plan.h"
#include "preflight.h"
#include "tool.h"
#include "undo.h"

#define VERIFY_EVERY_NS NS_PER_S
#define GUARD_READY_NS (30 * NS_PER_S)	/* a loaded guest starts a process in seconds */
#define REBOOT_NOTICE_NS (500 * NS_PER_MS)	/* for the event to leave the host */
#define SIG_PARENT_DIED SIGUSR1

struct holder {
	struct fault_run run;
	struct plan plan;
	json_t *entry;
	const char *args_text;		/* of the fault: whose words they are, the holder does not know */
	json_t *args;
	const char *why;		/* who asked, for the audit log */
	pid_t parent, guard;
	int signal_fd, guard_fd;
	uint64_t lease_end_ns, max_end_ns;
	char line[128];			/* of the control pipe, unfinished */
	size_t line_bytes;
};

void holder_event(int fd, const char *event, const char *evidence, json_t *more)
{
	uint64_t end_ns = clock_mono_ns() + NS_PER_S;
	char plain[ERR_TEXT_BYTES], *text;
	size_t bytes, done = 0;
	json_t *o;

	(void)snprintf(plain, sizeof plain, "%s", evidence);
	tool_plain(plain);
	o = json_pack("{s:s, s:I, s:s}", "event", event, "t_ns", (json_int_t)clock_mono_ns(), "evidence", plain);
	if (more)
		json_object_update(o, more);
	json_decref(more);
	text = o ? json_text(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return;
	bytes = strlen(text);
	text[bytes] = '\n';	/* in place of the NUL: a line is written whole or, when nobody reads, not at all */
	while (done <= bytes) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = write(fd, text + done, bytes + 1 - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR && (errno != EAGAIN || clock_mono_ns() > end_ns))
			break;
		else
			(void)poll(&p, 1, 100);
	}
	free(text);
}

void holder_harden(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "-1000", 5) < 0)
			(void)errno;	/* not in every container */
		close(fd);
	}
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
}

void holder_exec(const char *const argv[], const int *fds, size_t fds_nr)
{
	const char *own = getenv("SQUALL_STATE");
	char state[512] = "";
	int high[8];

	/* The environment of whoever asks is not for a process with these powers; what the sanitizers want is not lost: they have their defaults. */
	if (own)
		(void)snprintf(state, sizeof state, "SQUALL_STATE=%s", own);
	/* First away from where they are to be, then into place. */
	for (size_t i = 0; i < fds_nr; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 32);
	for (size_t i = 0; i < fds_nr; i++)
		if (high[i] < 0 || dup2(high[i], 3 + (int)i) < 0)
			_exit(127);
	(void)syscall(SYS_close_range, 3u + (unsigned int)fds_nr, ~0u, 0u);
	(void)chdir("/");
	execve("/proc/self/exe", (char *const *)(uintptr_t)argv, (char *const[]){ state[0] != '\0' ? state : NULL, NULL });
	_exit(127);
}

pid_t holder_spawn(const char *const argv[], const int *fds, size_t fds_nr)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return pid;
	(void)setpgid(0, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	holder_exec(argv, fds, fds_nr);
	_exit(127);
}

static int start_guard(struct holder *h, struct err *err)
{
	const char *const argv[] = { "squall", "holder", "--guard", "--id", h->run.id, NULL };
	int self = exec_pidfd(getpid()), ready[2] = { -1, -1 };
	struct pollfd p = { .events = POLLIN };
	char byte;
	int rc = 0;

	if (self < 0 || pipe2(ready, O_CLOEXEC) < 0) {
		rc = err_set(err, -errno, "cannot start a guard: %m");
		goto out;
	}
	h->guard = holder_spawn(argv, (int[]){ self, HOLDER_FD_EVENTS, ready[1] }, 3);
	if (h->guard < 0) {
		rc = err_set(err, h->guard, "cannot fork a guard: %s", strerror(-h->guard));
		goto out;
	}
	h->guard_fd = exec_pidfd(h->guard);
	if (h->guard_fd < 0) {	/* its death would not be seen */
		rc = err_set(err, h->guard_fd, "no pidfd of the guard: %s", strerror(-h->guard_fd));
		goto out;
	}
	close(ready[1]);
	ready[1] = -1;
	p.fd = ready[0];
	if (poll(&p, 1, (int)(GUARD_READY_NS / NS_PER_MS)) <= 0 || read(ready[0], &byte, 1) != 1)
		rc = err_set(err, -ECHILD, "the guard did not start");
out:
	for (int i = 0; i < 2; i++)
		if (ready[i] >= 0)
			close(ready[i]);
	if (self >= 0)
		close(self);
	return rc;
}

static int write_entry(struct holder *h, struct err *err)
{
	char boot_id[64] = "";
	int rc = tool_boot_id(boot_id, sizeof boot_id);

	if (rc < 0)
		return err_set(err, rc, "cannot read the boot id, by which a heal after a reboot knows what is gone: %s", strerror(-rc));
	if (!h->plan.undo)
		h->plan.undo = json_array();
	h->entry = json_pack("{s:s, s:s, s:O, s:s, s:s, s:I, s:i, s:I, s:i, s:O}", "id", h->run.id, "fault", h->run.fault->name, "args", h->run.args,
			     "heal_class", heal_class_names[h->run.fault->heal_class], "boot_id", boot_id, "since_ns", (json_int_t)clock_mono_ns(),
			     "holder", (int)getpid(), "holder_start", (json_int_t)tool_start_time(getpid()), "guard", (int)h->guard, "undo", h->plan.undo);
	if (!h->entry)
		return err_set(err, -ENOMEM, "out of memory");
	return journal_write(h->entry, err);
}

/* @return why to heal, or NULL. */
static const char *read_control(struct holder *h)
{
	ssize_t n;

	while ((n = read(HOLDER_FD_CONTROL, h->line + h->line_bytes, sizeof h->line - 1 - h->line_bytes)) > 0) {
		char *end;

		h->line_bytes += (size_t)n;
		h->line[h->line_bytes] = '\0';
		while ((end = strchr(h->line, '\n')) != NULL) {
			uint64_t lease_ns;

			*end++ = '\0';
			if (strcmp(h->line, "heal") == 0)
				return "asked";
			if (sscanf(h->line, "lease %" SCNu64, &lease_ns) == 1)
				h->lease_end_ns = clock_mono_ns() + lease_ns;
			h->line_bytes -= (size_t)(end - h->line);
			memmove(h->line, end, h->line_bytes + 1);
		}
		if (h->line_bytes == sizeof h->line - 1)
			h->line_bytes = 0;	/* no command is so long */
	}
	return n == 0 ? "agent died" : NULL;
}

static const char *read_signal(struct holder *h)
{
	struct signalfd_siginfo info;

	while (read(h->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo != SIG_PARENT_DIED)
			return "signal";
		if (getppid() != h->parent)	/* the kernel sends it as well when only the thread that forked us ends */
			return "agent died";
	}
	return NULL;
}

/* What has happened by now; also what came in while a command ran. */
static const char *why_heal(struct holder *h)
{
	struct pollfd p = { .fd = h->guard_fd, .events = POLLIN };
	const char *why = read_control(h);

	if (!why)
		why = read_signal(h);
	if (!why && (poll(&p, 1, 0) > 0))
		why = "guard died";
	if (!why && clock_mono_ns() >= h->lease_end_ns)
		why = "lease";
	if (!why && clock_mono_ns() >= h->max_end_ns)
		why = "time";
	return why;
}

static void wait_until(struct holder *h, uint64_t at_ns)
{
	struct pollfd p[3] = { { .fd = HOLDER_FD_CONTROL, .events = POLLIN }, { .fd = h->signal_fd, .events = POLLIN }, { .fd = h->guard_fd, .events = POLLIN } };
	uint64_t now_ns = clock_mono_ns();

	if (h->lease_end_ns < at_ns)
		at_ns = h->lease_end_ns;
	if (h->max_end_ns < at_ns)
		at_ns = h->max_end_ns;
	(void)poll(p, 3, at_ns > now_ns ? (int)((at_ns - now_ns) / NS_PER_MS) + 1 : 0);
}

/* @return whether it is there, or may be. */
static bool look(struct holder *h)
{
	char evidence[EVIDENCE_BYTES] = "";
	enum fault_verdict v = h->run.fault->verify(&h->run, evidence, sizeof evidence);

	if (v == FAULT_VANISHED)
		holder_event(HOLDER_FD_EVENTS, "vanished", evidence, NULL);
	else
		holder_event(HOLDER_FD_EVENTS, "verify", evidence, json_pack("{s:s}", "verdict", fault_verdict_names[v]));
	return v != FAULT_VANISHED;
}

static const char *hold(struct holder *h)
{
	const char *why = NULL;
	bool there = true;

	while (!why) {
		uint64_t next_ns = clock_mono_ns() + VERIFY_EVERY_NS;

		there = there && look(h);
		if (h->run.fault->instant)
			return "done";
		while (!(why = why_heal(h)) && clock_mono_ns() < next_ns)
			wait_until(h, next_ns);
	}
	return why;
}

static int heal(struct holder *h, const char *why)
{
	char evidence[EVIDENCE_BYTES] = "";
	enum fault_verdict v = undo_entry(h->entry, why, &h->run, evidence, sizeof evidence);

	holder_event(HOLDER_FD_EVENTS, "healed", evidence, json_pack("{s:s}", "verdict", fault_verdict_names[v]));
	return v == FAULT_CONFIRMED ? 0 : 1;
}

static int record(const struct holder *h, const char *result, const char *evidence, struct err *err)
{
	return audit_write(&(struct audit_act){ "inject", h->why, h->entry, result, evidence }, err);
}

static int fail(struct holder *h, struct err *err)
{
	char evidence[EVIDENCE_BYTES] = "nothing was begun";
	enum fault_verdict v = FAULT_CONFIRMED;
	json_t *more;

	tool_plain(err->text);
	more = json_pack("{s:s}", "error", err->text);
	if (h->entry) {
		(void)record(h, "failed", err->text, NULL);
		v = undo_entry(h->entry, "failed", &h->run, evidence, sizeof evidence);
	}
	json_object_set_new(more, "undone", json_string(fault_verdict_names[v]));
	holder_event(HOLDER_FD_EVENTS, "failed", evidence, more);
	return 1;
}

/* There is no life after it: what is to be known of it is said before. */
static int strike_host(struct holder *h, struct err *err)
{
	struct pollfd p = { .fd = HOLDER_FD_CONTROL, .events = POLLIN };
	char evidence[EVIDENCE_BYTES] = "", boot_id[64] = "";

	(void)tool_boot_id(boot_id, sizeof boot_id);
	(void)snprintf(evidence, sizeof evidence, "%s; its boot id was %s", h->run.fault->breaks, boot_id);
	holder_event(HOLDER_FD_EVENTS, "injected", evidence, NULL);
	(void)poll(&p, 1, (int)(REBOOT_NOTICE_NS / NS_PER_MS));
	if (p.revents) {
		const char *why = read_control(h);

		if (why)
			return err_set(err, -ECANCELED, "called off: %s", why);
	}
	return plan_run(&h->plan, err);
}

/* What could not be undone is not begun. */
static int check_undo(const struct plan *plan, struct err *err)
{
	struct plan undo = PLAN_INIT;
	int rc = undo_plan(plan->undo, &undo, err);

	plan_release(&undo);
	return rc;
}

/*
 * After the entry is in the journal, so that of two that begin at once one sees the other, and neither may go on. What was not begun is struck out and
 * not undone: its undo would bring back what the other one has made.
 */
static int check_apart(struct holder *h, struct err *err)
{
	json_t *journal = journal_list(NULL);
	int rc = journal ? undo_check_apart(h->entry, journal, err) : err_set(err, -ENOMEM, "out of memory");

	json_decref(journal);
	if (rc == 0)
		return 0;
	(void)journal_strike(h->run.id, err);
	json_decref(h->entry);
	h->entry = NULL;
	return rc;
}

static int inject(struct holder *h, struct err *err)
{
	const struct fault *f = h->run.fault;
	const char *why;
	int rc;

	rc = fault_probe(f, &h->run.allow, err);
	if (rc == 0)
		rc = preflight(f, &h->run.allow, NULL, err);
	if (rc == 0)
		rc = f->plan(&h->run, &h->plan, err);
	if (rc == 0)
		rc = check_undo(&h->plan, err);
	if (rc == 0)
		rc = start_guard(h, err);
	if (rc == 0 && (why = why_heal(h)) != NULL)
		rc = err_set(err, -ECANCELED, "called off before it began: %s", why);
	if (rc == 0)
		rc = write_entry(h, err);
	if (rc == 0)
		rc = check_apart(h, err);
	if (rc == 0)
		rc = record(h, "begun", NULL, err);
	if (rc == 0)
		rc = chaos_stopped(err);	/* again: after the entry is in the journal, see stop.c */
	if (rc < 0)
		return rc;
	if (f->takes_host)
		return strike_host(h, err);
	return f->inject ? f->inject(&h->run, &h->plan, err) : plan_run(&h->plan, err);
}

static int watch_signals(struct holder *h)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIG_PARENT_DIED };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&set, numbers[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (h->signal_fd < 0 || prctl(PR_SET_PDEATHSIG, SIG_PARENT_DIED) < 0)
		return -errno;
	return getppid() == h->parent ? 0 : -ESRCH;
}

static void set_flags(int fd, bool nonblock)
{
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (nonblock)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* What somebody else has written is read when nothing is left to gain by it. */
static int parse_args(struct holder *h, struct err *err)
{
	assert(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	h->run.args = h->args = json_loads(h->args_text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(h->args))
		return err_set(err, -EBADMSG, "%s: its arguments are no object of JSON", h->run.fault->name);
	return fault_check_json(h->run.fault, h->run.args, err);
}

static int holder_run(struct holder *h)
{
	struct err err = ERR_INIT;
	const char *why;
	char text[64];
	int rc;

	set_flags(HOLDER_FD_CONTROL, true);
	set_flags(HOLDER_FD_EVENTS, true);
	holder_harden();
	rc = watch_signals(h);
	if (rc < 0)
		return 1;	/* the agent is gone already */
	rc = confine(h->run.fault->capabilities | preflight_capabilities(h->run.fault), &err);	/* its guard too */
	if (rc == 0)
		rc = parse_args(h, &err);
	if (rc == 0)
		rc = inject(h, &err);
	if (rc < 0)
		return fail(h, &err);
	if (h->max_end_ns > clock_mono_ns() + h->run.allow.max_time_ns)
		h->max_end_ns = clock_mono_ns() + h->run.allow.max_time_ns;
	holder_event(HOLDER_FD_EVENTS, "injected", h->run.fault->breaks, NULL);
	(void)record(h, "done", NULL, NULL);
	why = hold(h);
	(void)snprintf(text, sizeof text, "healing: %s", why);
	holder_event(HOLDER_FD_EVENTS, "healing", text, json_pack("{s:s}", "why", why));
	return heal(h, why);
}

/* The words are our own: chaos_hold_start() and start_guard() wrote them. */
static int parse_options(int argc, char **argv, struct holder *h, bool *ret_guard)
{
	enum { OPT_GUARD = 1, OPT_ID, OPT_FAULT, OPT_ARGS, OPT_LEASE, OPT_MAX, OPT_PARENT, OPT_WHY };
	static const struct option options[] = { { "guard", 0, NULL, OPT_GUARD }, { "id", 1, NULL, OPT_ID }, { "fault", 1, NULL, OPT_FAULT },
						 { "args", 1, NULL, OPT_ARGS }, { "lease-ns", 1, NULL, OPT_LEASE }, { "max-ns", 1, NULL, OPT_MAX },
						 { "parent", 1, NULL, OPT_PARENT }, { "why", 1, NULL, OPT_WHY }, { NULL, 0, NULL, 0 } };
	uint64_t now_ns = clock_mono_ns();
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == OPT_GUARD)
			*ret_guard = true;
		else if (c == OPT_ID)
			(void)snprintf(h->run.id, sizeof h->run.id, "%s", optarg);
		else if (c == OPT_FAULT)
			h->run.fault = fault_find(optarg);
		else if (c == OPT_ARGS)
			h->args_text = optarg;
		else if (c == OPT_LEASE)
			h->lease_end_ns = now_ns + strtoull(optarg, NULL, 10);
		else if (c == OPT_MAX)
			h->max_end_ns = now_ns + strtoull(optarg, NULL, 10);
		else if (c == OPT_PARENT)
			h->parent = (pid_t)strtol(optarg, NULL, 10);
		else if (c == OPT_WHY)
			h->why = optarg;
		else
			return -EINVAL;
	}
	if (!allow_name_is_plain(h->run.id))
		return -EINVAL;
	return *ret_guard || (h->run.fault && h->args_text && h->parent > 0 && h->why) ? 0 : -EINVAL;
}

int chaos_holder_main(int argc, char **argv)
{
	struct holder *h = calloc(1, sizeof *h);
	bool guard = false;
	int status = 2;

	if (!h)
		return 3;
	h->guard_fd = h->signal_fd = -1;
	if (argc > 1 && strcmp(argv[1], "holder") == 0) {
		argc--;
		argv++;
	}
	if (parse_options(argc, argv, h, &guard) == 0)
		status = guard ? guard_main(h->run.id) : holder_run(h);
	plan_release(&h->plan);
	json_decref(h->entry);
	json_decref(h->args);
	free(h->run.state);
	free(h);
	return status;
}
