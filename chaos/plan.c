/* SPDX-License-Identifier: MIT */
/*
 * plan.c - builds, prints and runs lists of actions. No shell: a line is cut into words here, and words come from the table or are checked.
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "faults.h"
#include "process.h"

static struct action *next_action(struct plan *plan, enum action_kind kind, struct err *err)
{
	struct action *a;

	if (plan->actions_nr == PLAN_ACTIONS_MAX) {
		err_set(err, -E2BIG, "a fault of more than %d actions", PLAN_ACTIONS_MAX);
		return NULL;
	}
	if (!plan->actions)
		plan->actions = calloc(PLAN_ACTIONS_MAX, sizeof *plan->actions);
	if (!plan->actions) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	a = &plan->actions[plan->actions_nr];
	a->kind = kind;
	return a;
}

static int set_text(char *ret, const char *text, struct err *err)
{
	if (snprintf(ret, ACTION_TEXT_BYTES, "%s", text) >= ACTION_TEXT_BYTES)
		return err_set(err, -E2BIG, "an action of more than %d bytes", ACTION_TEXT_BYTES);
	return 0;
}

static int add_run(struct plan *plan, struct err *err, const char *format, va_list ap) __attribute__((format(printf, 3, 0)));

static int add_run(struct plan *plan, struct err *err, const char *format, va_list ap)
{
	struct action *a = next_action(plan, ACTION_RUN, err);
	int n;

	if (!a)
		return -E2BIG;
	n = vsnprintf(a->line, sizeof a->line, format, ap);
	if (n < 0 || (size_t)n >= sizeof a->line)
		return err_set(err, -E2BIG, "a command of more than %zu bytes", sizeof a->line);
	plan->actions_nr++;
	return 0;
}

int plan_add_run(struct plan *plan, struct err *err, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = add_run(plan, err, format, ap);
	va_end(ap);
	return rc;
}

static int add_two(struct plan *plan, enum action_kind kind, const char *line, const char *text, struct err *err)
{
	struct action *a = next_action(plan, kind, err);
	int rc;

	if (!a)
		return -E2BIG;
	rc = set_text(a->line, line, err);
	if (rc == 0)
		rc = set_text(a->text, text, err);
	if (rc == 0)
		plan->actions_nr++;
	return rc;
}

int plan_add_write(struct plan *plan, const char *path, const char *text, struct err *err)
{
	return add_two(plan, ACTION_WRITE, path, text, err);
}

int plan_add_hold(struct plan *plan, const char *what, const char *input, struct err *err)
{
	return add_two(plan, ACTION_HOLD, what, input, err);
}

int plan_add_clock(struct plan *plan, const char *what, int64_t offset_ns, struct err *err)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%" PRId64, offset_ns);
	return add_two(plan, ACTION_CLOCK, what, text, err);
}

int plan_add_signal(struct plan *plan, const char *name, const struct process *process, int signal, struct err *err)
{
	char line[96], text[64], pid[32] = "";

	if (process->pid > 0)
		(void)snprintf(pid, sizeof pid, " (pid %d)", (int)process->pid);
	(void)snprintf(line, sizeof line, "send SIG%s to %s%s", sigabbrev_np(signal), name, pid);
	(void)snprintf(text, sizeof text, "%d %" PRIu64 " %d", (int)process->pid, process->start, signal);
	return add_two(plan, ACTION_SIGNAL, line, text, err);
}

int plan_add_undo(struct plan *plan, json_t *op, struct err *err)
{
	if (!plan->undo)
		plan->undo = json_array();
	if (!plan->undo || !op || json_array_append_new(plan->undo, op) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* Cut a line into words in place. A word in '...' keeps its blanks. */
static int cut_words(char *line, const char **ret_argv)
{
	size_t nr = 0;
	char *p = line;

	while (*p) {
		char end = ' ';

		if (*p == '\'') {
			end = '\'';
			p++;
		}
		if (nr == ACTION_ARGS_MAX)
			return -E2BIG;
		ret_argv[nr++] = p;
		while (*p && *p != end)
			p++;
		if (*p)
			*p++ = '\0';
		if (end == '\'' && *p == ' ')
			p++;
	}
	ret_argv[nr] = NULL;
	return nr ? 0 : -EINVAL;
}

static int run_program(const struct action *a, struct err *err)
{
	const char *argv[ACTION_ARGS_MAX + 1];
	char line[ACTION_TEXT_BYTES], program[256];
	int rc;

	memcpy(line, a->line, sizeof line);
	rc = cut_words(line, argv);
	if (rc < 0)
		return err_set(err, rc, "cannot cut into words: %s", a->line);
	rc = exec_find(argv[0], program, sizeof program);
	if (rc < 0)
		return err_set(err, -ENOPKG, "the program %s is missing", argv[0]);
	argv[0] = program;
	rc = exec_check(argv, NULL, FAULT_COMMAND_NS, err);
	return rc < 0 ? err_prefix(err, rc, "%s", a->line) : 0;
}

static int write_child(int fd, void *arg)
{
	const struct action *a = arg;
	int out = open(a->line, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t bytes = strlen(a->text);

	if (out < 0) {
		dprintf(fd, "%s", strerror(errno));
		return 1;
	}
	if (write(out, a->text, bytes) != (ssize_t)bytes) {
		dprintf(fd, "%s", strerror(errno));
		return 1;
	}
	return close(out) < 0;
}

static int run_write(const struct action *a, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	int rc;

	rc = exec_child(write_child, (void *)(uintptr_t)a, FAULT_COMMAND_NS, &result, err);
	if (rc == -ETIMEDOUT)
		rc = err_set(err, rc, "writing %s did not return in %llu s", a->line, FAULT_COMMAND_NS / 1000000000ULL);
	else if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, "cannot write %s: %s", a->line, result.out ? result.out : "");
	exec_result_release(&result);
	return rc;
}

static int run_clock(const struct action *a, struct err *err)
{
	int rc = clock_set_utc_offset(strtoll(a->text, NULL, 10));

	return rc < 0 ? err_set(err, rc, "cannot %s: %s", a->line, strerror(-rc)) : 0;
}

static int run_signal(const struct action *a, struct err *err)
{
	struct process process = { 0 };
	int signal = 0, rc;

	(void)sscanf(a->text, "%d %" SCNu64 " %d", &process.pid, &process.start, &signal);
	rc = process_signal(&process, signal, err);
	return rc == -ESRCH ? 0 : rc;	/* one that has ended meanwhile is neither stopped nor left stopped */
}

static int run_action(const struct action *a, struct err *err)
{
	switch (a->kind) {
	case ACTION_RUN:
		return run_program(a, err);
	case ACTION_WRITE:
		return run_write(a, err);
	case ACTION_CLOCK:
		return run_clock(a, err);
	case ACTION_SIGNAL:
		return run_signal(a, err);
	case ACTION_HOLD:
		return 0;
	}
	return -EINVAL;
}

int plan_run(const struct plan *plan, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < plan->actions_nr && rc == 0; i++)
		rc = run_action(&plan->actions[i], err);
	return rc;
}

int plan_run_now(struct err *err, const char *format, ...)
{
	struct plan plan = PLAN_INIT;
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = add_run(&plan, err, format, ap);
	va_end(ap);
	if (rc == 0)
		rc = plan_run(&plan, err);
	plan_release(&plan);
	return rc;
}

int plan_run_all(const struct plan *plan, struct err *err)
{
	int first = 0;

	for (size_t i = 0; i < plan->actions_nr; i++) {
		struct err e = ERR_INIT;
		int rc = run_action(&plan->actions[i], &e);

		if (rc < 0 && first == 0)
			first = err_set(err, rc, "%s", e.text);
	}
	return first;
}

static void print_action(FILE *f, const struct action *a, const char *indent)
{
	const char *p = a->text;

	switch (a->kind) {
	case ACTION_RUN:
	case ACTION_CLOCK:
	case ACTION_SIGNAL:
		fprintf(f, "%s%s\n", indent, a->line);
		break;
	case ACTION_WRITE:
		fprintf(f, "%swrite \"%.*s\" to %s\n", indent, (int)strcspn(a->text, "\n"), a->text, a->line);
		break;
	case ACTION_HOLD:
		fprintf(f, "%s%s\n", indent, a->line);
		while (*p) {
			fprintf(f, "%s    %.*s\n", indent, (int)strcspn(p, "\n"), p);
			p += strcspn(p, "\n");
			p += *p == '\n';
		}
		break;
	}
}

char *plan_print(const struct plan *plan, const char *indent)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	for (size_t i = 0; i < plan->actions_nr; i++)
		print_action(f, &plan->actions[i], indent);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void plan_release(struct plan *plan)
{
	free(plan->actions);
	json_decref(plan->undo);
	*plan = (struct plan)PLAN_INIT;
}
