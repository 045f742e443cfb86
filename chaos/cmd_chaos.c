/* SPDX-License-Identifier: MIT */
/*
 * cmd_chaos.c - squall chaos list | check | inject | heal | status | stop-all | audit: faults of this host by hand, without coordinator and bus.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"
#include "clock.h"
#include "command.h"
#include "err.h"
#include "json_text.h"
#include "units.h"
#include "yaml.h"

#include "faults.h"
#include "journal.h"

#define LEASE_NS (10 * NS_PER_S)

static const char usage[] =
	"Usage: squall chaos list [--json]\n"
	"       squall chaos check FAULT [KEY=VALUE...] [--json]\n"
	"       squall chaos inject FAULT [KEY=VALUE...] --for TIME [--dry-run [--json]] [--allow-reboot]\n"
	"       squall chaos heal [--boot]\n"
	"       squall chaos status [--json]\n"
	"       squall chaos stop-all [--lift]\n"
	"       squall chaos audit [--json]\n"
	"\n"
	"Breaks something on this host and heals it. What may be broken stands in /etc/squall/allow.yaml.\n"
	"\n"
	"list     the faults, and whether this host can do them\n"
	"check    the arguments of a fault, whether this host can do it, and whether this is a moment for it\n"
	"inject   holds a fault until the time is over or Ctrl-C, and prints its events as lines of JSON\n"
	"heal     heals everything that the journal of this host names\n"
	"status   the faults in force, and the journal\n"
	"stop-all heals everything, and lets no fault in until it is lifted\n"
	"audit    who injected and healed what on this host, and whether the log is intact\n"
	"\n"
	"  --json          print JSON\n"
	"  --for TIME      how long the fault lasts, such as 10s\n"
	"  --dry-run       print the exact actions; names of the host stand in capital letters\n"
	"  --allow-reboot  let a fault be injected that only a reboot heals\n"
	"  --boot          said by the boot: what a reboot has taken away is struck out\n"
	"  --lift          of stop-all: let faults in again\n"
	"  --help          print this\n"
	"\n"
	"Exit status: 0 done (inject: proved in force and healed; audit: the log is intact), 1 inject: it did not take effect, audit: somebody changed the log,\n"
	"2 usage, 3 broken or not healed, 4 inject: it was not in force all the time, 77 this host cannot do it, or may not.\n";

struct options {
	bool json, dry_run, allow_reboot, boot, lift, help;
	const char *duration;
	const char *fault;
	char **assignments;
	int assignments_nr;
};

/* "key=value" words become the mapping that a profile would hold. @param ret_tree to be freed after use */
static int read_args(const struct options *o, struct yaml **ret_tree, json_t **ret_args, struct err *err)
{
	char text[2048] = "";
	size_t used = 0;
	int rc;

	for (int i = 0; i < o->assignments_nr; i++) {
		const char *word = o->assignments[i], *eq = strchr(word, '=');

		if (!eq || eq == word || strpbrk(word, "\n#'\"{}[]:&*!|>%@`"))
			return err_set(err, -EINVAL, "'%s' is not KEY=VALUE, as in delay=300ms", word);
		used += (size_t)snprintf(text + used, sizeof text - used, "%.*s: %s\n", (int)(eq - word), word, eq + 1);
		if (used >= sizeof text)
			return err_set(err, -EINVAL, "too many arguments");
	}
	rc = yaml_parse(used ? text : "{}", "command line", ret_tree, err);
	return rc < 0 ? rc : chaos_check(o->fault, *ret_tree, *ret_tree, ret_args, err);
}

static int print_json(json_t *json, struct err *err)
{
	char *text = json ? json_text(json, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
	int rc = text ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (text)
		puts(text);
	free(text);
	json_decref(json);
	return rc;
}

static int do_list(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	json_t *list = chaos_list(), *all = json_object_get(list, "faults"), *f;
	const char *of_all = chaos_common_reason(all);
	size_t i;

	(void)ret_status;
	if (o->json)
		return print_json(list, err);
	json_array_foreach(all, i, f) {
		const char *reason = *of_all ? "" : json_string_value(json_object_get(f, "reason"));

		printf("%-21s %s  %s; where: %s%s%s\n", json_string_value(json_object_get(f, "fault")), json_string_value(json_object_get(f, "heal_class")),
		       json_string_value(json_object_get(f, "breaks")), json_string_value(json_object_get(f, "where")), *reason ? "\n                          not here: " : "",
		       reason);
	}
	if (*of_all)
		printf("\n  none of them can be injected here: %s\n", of_all);
	json_decref(list);
	return 0;
}

static void print_checks(const char *fault, const json_t *args, const json_t *checks)
{
	const json_t *c;
	char text[256];
	size_t i;

	chaos_args_text(fault, args, text, sizeof text);
	printf("%s%s%s\n", fault, *text ? " " : "", text);
	json_array_foreach(checks, i, c)
		printf("%-8s %s%s%s\n", json_is_true(json_object_get(c, "ok")) ? "ok" : "REFUSED", json_string_value(json_object_get(c, "check")),
		       json_is_true(json_object_get(c, "ok")) ? "" : ": ", json_string_value(json_object_get(c, "error")));
}

static int do_check(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	struct yaml *tree = NULL;
	json_t *args = NULL, *checks = NULL;
	int rc = read_args(o, &tree, &args, err);

	(void)ret_status;
	if (rc == 0) {
		rc = chaos_preflight(o->fault, &checks, err);
		if (o->json)
			rc = print_json(json_pack("{s:s, s:O, s:O}", "fault", o->fault, "args", args, "checks", checks), err) < 0 ? -ENOMEM : rc;
		else
			print_checks(o->fault, args, checks);
	}
	json_decref(checks);
	json_decref(args);
	yaml_tree_free(tree);
	return rc;
}

static int dry_run(const struct options *o, const json_t *args, uint64_t for_ns, struct err *err)
{
	json_t *e = NULL;
	int rc = chaos_explain(o->fault, args, LEASE_NS, for_ns, &e, err);

	if (rc < 0)
		return rc;
	if (o->json)
		return print_json(e, err);
	printf("fault:      %s: %s\n", o->fault, json_string_value(json_object_get(e, "breaks")));
	printf("where:      %s\n", json_string_value(json_object_get(e, "where")));
	printf("arguments:  %s\n", json_string_length(json_object_get(e, "arguments")) ? json_string_value(json_object_get(e, "arguments")) : "none");
	chaos_explain_print(e, "", stdout);
	json_decref(e);
	return 0;
}

/* What the events said in the end. */
struct outcome {
	bool injected, confirmed, mismatch, vanished, failed, healed;
	char error[ERR_TEXT_BYTES];
	char buf[8192];
	size_t bytes;
};

static void note_event(struct outcome *out, const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(o, "event")), *verdict = json_string_value(json_object_get(o, "verdict"));
	const char *error = json_string_value(json_object_get(o, "error"));

	if (!event)
		event = "";
	out->injected |= strcmp(event, "injected") == 0;
	out->vanished |= strcmp(event, "vanished") == 0;
	out->failed |= strcmp(event, "failed") == 0;
	if (verdict && strcmp(event, "verify") == 0) {
		out->confirmed |= strcmp(verdict, "confirmed") == 0;
		out->mismatch |= strcmp(verdict, "mismatch") == 0;
	}
	if (verdict && strcmp(event, "healed") == 0)
		out->healed = strcmp(verdict, "confirmed") == 0;
	if (error)
		(void)snprintf(out->error, sizeof out->error, "%s", error);
	json_decref(o);
}

/* @return false at the end of the events. */
static bool take_events(int fd, struct outcome *out)
{
	ssize_t n;

	while ((n = read(fd, out->buf + out->bytes, sizeof out->buf - 1 - out->bytes)) > 0) {
		char *end;

		out->bytes += (size_t)n;
		out->buf[out->bytes] = '\0';
		while ((end = strchr(out->buf, '\n')) != NULL) {
			*end++ = '\0';
			puts(out->buf);
			fflush(stdout);
			note_event(out, out->buf);
			out->bytes -= (size_t)(end - out->buf);
			memmove(out->buf, end, out->bytes + 1);
		}
		if (out->bytes == sizeof out->buf - 1)
			out->bytes = 0;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int follow(struct chaos_hold *hold, struct outcome *out, struct err *err)
{
	struct pollfd p[2] = { { .fd = hold->event_fd, .events = POLLIN }, { .events = POLLIN } };
	bool asked = false;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, -errno, "cannot block signals: %m");
	p[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (p[1].fd < 0)
		return err_set(err, -errno, "no signalfd: %m");
	while (take_events(hold->event_fd, out)) {
		(void)poll(p, asked ? 1 : 2, 1000);
		if (!asked && (p[1].revents & POLLIN)) {
			asked = true;
			(void)chaos_hold_heal(hold);
		}
		if (!asked)
			(void)chaos_hold_renew(hold, LEASE_NS);	/* an error means that the events end */
	}
	close(p[1].fd);
	(void)waitpid(hold->holder, NULL, 0);
	return 0;
}

static int judge(const struct outcome *out, struct err *err)
{
	if (out->failed)
		return err_set(err, -EIO, "%s", out->error);
	if (!out->injected || !out->healed)
		return err_set(err, -EIO, "the fault was not proved healed: squall chaos heal, squall chaos status");
	if (out->vanished || (!out->confirmed && !out->mismatch))
		return err_set(err, -EIO, out->vanished ? "the fault vanished before it was healed" : "the fault was never proved in force");
	return 0;
}

static int inject(const struct fault *f, const json_t *args, uint64_t for_ns, enum exit_status *ret_status, struct err *err)
{
	struct outcome *out = calloc(1, sizeof *out);
	struct chaos_hold hold;
	int rc;

	if (!out)
		return err_set(err, -ENOMEM, "out of memory");
	rc = chaos_probe(f->name, f->instant ? 0 : for_ns, err);
	if (rc == 0)
		rc = chaos_hold_start(f->name, args, LEASE_NS, for_ns, "by hand", &hold, err);
	if (rc < 0)
		goto out;
	rc = follow(&hold, out, err);
	chaos_hold_close(&hold);
	if (rc == 0)
		rc = judge(out, err);
	if (rc == 0 && !out->confirmed)
		*ret_status = EXIT_NOT_AS_EXPECTED;
	else if (rc < 0 && out->injected && out->healed)
		*ret_status = EXIT_VOID;
out:
	free(out);
	return rc;
}

static int do_inject(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	struct yaml *tree = NULL;
	json_t *args = NULL;
	uint64_t for_ns = 0;
	int rc = read_args(o, &tree, &args, err);

	if (rc == 0 && !o->duration && !chaos_is_instant(o->fault))
		rc = err_set(err, -EINVAL, "chaos inject: --for TIME is missing: how long %s lasts, such as 10s", o->fault);
	if (rc == 0 && o->duration && (units_parse_duration(o->duration, &for_ns) < 0 || for_ns == 0))
		rc = err_set(err, -EINVAL, "chaos inject: --for %s is no duration such as 10s", o->duration);
	if (rc == 0 && !o->dry_run && chaos_heal_class(o->fault) == HEAL_H3 && !o->allow_reboot)
		rc = err_set(err, -EINVAL, "chaos inject: %s is healed by a reboot alone; add --allow-reboot if that is meant", o->fault);
	if (rc == 0)
		rc = o->dry_run ? dry_run(o, args, for_ns, err)
				: inject(fault_find(o->fault), args, for_ns ? for_ns : 60 * NS_PER_S, ret_status, err);
	json_decref(args);
	yaml_tree_free(tree);
	return rc;
}

static int do_heal(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	int rc = chaos_heal_all(o->boot ? "boot" : "by hand", err);

	(void)ret_status;
	if (rc >= 0)
		printf("%d healed\n", rc);
	return rc < 0 ? rc : 0;
}

static bool is_held(const json_t *holders, const json_t *entry)
{
	const json_t *h;
	size_t i;

	json_array_foreach(holders, i, h)
		if (json_equal(json_object_get(h, "pid"), json_object_get(entry, "holder")))
			return true;
	return false;
}

/* What, for how long, and whether somebody will take it back by himself; then its name in the journal and the audit log. */
static void print_entry(const json_t *holders, const json_t *entry)
{
	const char *fault = json_string_value(json_object_get(entry, "fault"));
	uint64_t age_ns = clock_mono_ns() - (uint64_t)json_integer_value(json_object_get(entry, "since_ns"));
	char args[256], age[24];

	chaos_args_text(fault, json_object_get(entry, "args"), args, sizeof args);
	printf("%s%s%s: ", fault, *args ? " " : "", args);
	if (journal_is_of_other_boot(entry))
		printf("since before the boot, ");
	else
		printf("for %s, ", units_format_ns(age_ns, age, sizeof age));
	if (is_held(holders, entry))
		printf("held by process %" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(entry, "holder")));
	else
		printf("held by nobody: squall chaos heal");
	printf(" (%s)\n", json_string_value(json_object_get(entry, "id")));
}

static int do_status(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	json_t *status = NULL, *e;
	size_t i;
	int rc = chaos_status(&status, err);

	(void)ret_status;
	if (!status)
		return rc;
	if (o->json)
		return print_json(status, err) < 0 ? -ENOMEM : rc;
	if (rc == 0)		/* of a journal that cannot be read, no number is true */
		printf("%zu in force, %zu in the journal\n", json_array_size(json_object_get(status, "holders")), json_array_size(json_object_get(status, "journal")));
	json_array_foreach(json_object_get(status, "journal"), i, e)
		print_entry(json_object_get(status, "holders"), e);
	if (json_string_length(json_object_get(status, "stopped")) > 0)
		printf("%s\n", json_string_value(json_object_get(status, "stopped")));
	json_decref(status);
	return rc;
}

static int do_stop_all(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	int rc = o->lift ? chaos_lift(err) : chaos_stop_all(err);

	(void)ret_status;
	if (rc < 0)
		return rc;
	if (o->lift)
		puts(rc ? "faults are let in again" : "nothing was stopped");
	else
		printf("%d healed; no fault is let in on this host until squall chaos stop-all --lift\n", rc);
	return 0;
}

/* A record as a line: number, when, where, who, what, whose fault, how it went. */
static void print_record(const json_t *r)
{
	const char *fault = json_string_value(json_object_get(r, "fault")), *evidence = json_string_value(json_object_get(r, "evidence"));
	const json_t *login = json_object_get(r, "login_uid"), *cut = json_object_get(r, "cut_bytes");
	char utc[24], as[32] = "", args[256] = "";

	clock_format_utc((uint64_t)json_integer_value(json_object_get(r, "utc_ns")), utc, sizeof utc);
	if (json_is_integer(login))
		(void)snprintf(as, sizeof as, " (login %" JSON_INTEGER_FORMAT ")", json_integer_value(login));
	if (fault)
		chaos_args_text(fault, json_object_get(r, "args"), args, sizeof args);
	if (cut)
		printf("        %" JSON_INTEGER_FORMAT " bytes of a record that was never finished were cut off here\n", json_integer_value(cut));
	printf("%6" JSON_INTEGER_FORMAT "  %s  %s  uid %" JSON_INTEGER_FORMAT "%s  %s %s (%s)%s%s%s%s%s%s\n", json_integer_value(json_object_get(r, "nr")), utc,
	       json_string_value(json_object_get(r, "host")), json_integer_value(json_object_get(r, "uid")), as, json_string_value(json_object_get(r, "act")),
	       json_string_value(json_object_get(r, "result")), json_string_value(json_object_get(r, "why")), fault ? " " : "",
	       fault ? json_string_value(json_object_get(r, "id")) : "", *args ? " " : "", args, evidence && *evidence ? ": " : "", evidence ? evidence : "");
}

static int do_audit(const struct options *o, enum exit_status *ret_status, struct err *err)
{
	json_t *audit = NULL, *records, *r;
	const char *problem, *path;
	size_t i;
	int rc = chaos_audit(&audit, err);

	if (rc < 0)
		return rc;
	records = json_object_get(audit, "records");
	path = json_string_value(json_object_get(audit, "path"));
	problem = json_string_value(json_object_get(audit, "problem"));
	if (*problem) {
		*ret_status = EXIT_NOT_AS_EXPECTED;
		(void)err_set(err, 0, "%s: record %zu is broken, and nothing from it on can be trusted: %s", path, json_array_size(records) + 1, problem);
	}
	if (o->json)
		return print_json(audit, err);
	json_array_foreach(records, i, r)
		print_record(r);
	printf("%zu records are intact in %s; the SHA-256 of the last is %s\n", json_array_size(records), path,
	       json_string_value(json_object_get(audit, "head")));
	json_decref(audit);
	return 0;
}

enum { OPT_HELP = 1, OPT_JSON, OPT_DRY, OPT_REBOOT, OPT_BOOT, OPT_LIFT, OPT_FOR };

#define HELP { "help", 0, NULL, OPT_HELP }
#define JSON { "json", 0, NULL, OPT_JSON }
#define END { NULL, 0, NULL, 0 }

/* A verb has its own, so that heal --dry-run does not heal. */
static const struct verb {
	const char *name;
	bool takes_fault;
	int (*run)(const struct options *o, enum exit_status *ret_status, struct err *err);
	struct option options[7];
} verbs[] = {
	{ "list", false, do_list, { JSON, HELP, END } },
	{ "check", true, do_check, { JSON, HELP, END } },
	{ "inject", true, do_inject, { { "for", 1, NULL, OPT_FOR }, { "dry-run", 0, NULL, OPT_DRY }, JSON, { "allow-reboot", 0, NULL, OPT_REBOOT }, HELP, END } },
	{ "heal", false, do_heal, { { "boot", 0, NULL, OPT_BOOT }, HELP, END } },
	{ "status", false, do_status, { JSON, HELP, END } },
	{ "stop-all", false, do_stop_all, { { "lift", 0, NULL, OPT_LIFT }, HELP, END } },
	{ "audit", false, do_audit, { JSON, HELP, END } },
};

#define VERBS_NR (sizeof verbs / sizeof verbs[0])

static int parse(const struct verb *verb, int argc, char **argv, struct options *o, struct err *err)
{
	char command[32];
	int c, rc;

	(void)snprintf(command, sizeof command, "chaos %s", verb->name);
	rc = command_check_options(command, argc, argv, verb->options, false, err);
	if (rc < 0)
		return rc;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", verb->options, NULL)) != -1) {
		o->json |= c == OPT_JSON;
		o->dry_run |= c == OPT_DRY;
		o->allow_reboot |= c == OPT_REBOOT;
		o->boot |= c == OPT_BOOT;
		o->lift |= c == OPT_LIFT;
		o->help |= c == OPT_HELP;
		if (c == OPT_FOR)
			o->duration = optarg;
	}
	o->fault = optind < argc ? argv[optind] : NULL;
	o->assignments = argv + optind + 1;
	o->assignments_nr = optind < argc ? argc - optind - 1 : 0;
	return 0;
}

/* What is root's on this host is read and written by root alone: then that is what is missing. */
static int needs_root(const char *verb, int rc, struct err *err)
{
	if (rc == 0 || rc == -EINVAL || rc == -ENOPKG || geteuid() == 0 || access(journal_state_dir(), R_OK | W_OK | X_OK) == 0)
		return rc;
	return err_prefix(err, -ENOPKG, "chaos %s needs root here", verb);
}

static int run_verb(const struct verb *verb, const struct options *o, enum exit_status *ret_status, struct err *err)
{
	if (verb->takes_fault != (o->fault != NULL))
		return err_set(err, -EINVAL, verb->takes_fault ? "chaos %s needs the name of a fault: squall chaos list" : "chaos %s takes no arguments", verb->name);
	return needs_root(verb->name, verb->run(o, ret_status, err), err);
}

int cmd_chaos(int argc, char **argv)
{
	enum exit_status status = EXIT_AS_EXPECTED;
	struct options o = { .json = false };
	const struct verb *verb = NULL;
	struct err err = ERR_INIT;
	int rc = 0;

	if (argc < 2) {
		rc = err_set(&err, -EINVAL, "chaos: one of list, check, inject, heal, status, stop-all, audit is wanted; see squall chaos --help");
	} else if (strcmp(argv[1], "--help") == 0) {
		o.help = true;
	} else {
		verb = command_find(&err, "chaos: the verb", argv[1], verbs, VERBS_NR, sizeof verbs[0]);
		rc = verb ? 0 : -EINVAL;
	}
	if (rc == 0 && verb)
		rc = parse(verb, argc - 1, argv + 1, &o, &err);
	if (rc == 0 && o.help) {
		fputs(usage, stdout);
		return EXIT_AS_EXPECTED;
	}
	(void)signal(SIGPIPE, SIG_IGN);		/* a holder that has ended takes no more renewals */
	if (rc == 0)
		rc = run_verb(verb, &o, &status, &err);
	if (err.text[0])
		fprintf(stderr, "squall: %s\n", err.text);
	return status != EXIT_AS_EXPECTED ? (int)status : (int)err_exit_status(rc);
}
