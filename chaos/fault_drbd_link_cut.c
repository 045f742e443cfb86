/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_link_cut.c - drops every packet of port 7789, both ways, on the interfaces that the allow file names.
 *
 * The rules are in an nft table with `flags owner`: the kernel destroys it when the nft process that made it dies, and nobody else can change
 * it. That process reads from a pipe of the holder and gets SIGKILL with it, so the cut cannot outlive the holder. Source: nft(8), table flags.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "plan.h"
#include "tool.h"

#include "faults.h"

#define TABLE "squall_link_cut"

struct cut {
	pid_t nft;		/* owner of the table; 0 = not started */
	int input_fd;
	uint64_t packets_last;
};

static int probe(const struct allow *allow, struct err *err)
{
	if (allow->resources.nr == 0 || allow->interfaces.nr == 0)
		return err_set(err, -ENOPKG, "the allow file names no resource or no interface");
	return 0;
}

static void add_rules(char *text, size_t bytes, const char *dev)
{
	static const char *const chain[] = { "i iifname", "o oifname" }, *const port[] = { "sport", "dport" };

	for (int c = 0; c < 2; c++)
		for (int p = 0; p < 2; p++) {
			size_t n = strlen(text);

			snprintf(text + n, bytes - n, "add rule inet " TABLE " %s \"%s\" tcp %s %d counter drop\n", chain[c], dev, port[p], DRBD_PORT);
		}
}

static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	char text[ACTION_TEXT_BYTES] = "add table inet " TABLE " { flags owner; }\n"
					      "add chain inet " TABLE " i { type filter hook input priority 0; }\n"
					      "add chain inet " TABLE " o { type filter hook output priority 0; }\n";
	struct cut *cut = calloc(1, sizeof(*cut));
	int rc;

	if (!cut)
		return -ENOMEM;
	cut->input_fd = -1;
	run->state = cut;
	if (run->dry)
		add_rules(text, sizeof(text), "DEV");
	for (size_t i = 0; !run->dry && i < run->allow.interfaces.nr; i++)
		add_rules(text, sizeof(text), run->allow.interfaces.name[i]);
	rc = plan_add_hold(plan, "nft -i, held open through a pipe: the table dies with it", text, err);
	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "NFT_GONE", "table", TABLE), err);
}

static void become_nft(const char *program, pid_t parent, int in)
{
	static const char *const argv[] = { "nft", "-i", NULL }, *const envp[] = { "LC_ALL=C", "TERM=dumb", NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != parent || null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(127);
	execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);
	_exit(127);
}

static int start_nft(struct cut *cut, struct err *err)
{
	pid_t parent = getpid();
	char program[128];
	int fd[2];

	if (exec_find("nft", program, sizeof(program)) < 0)
		return err_set(err, -ENOPKG, "the program nft is missing");
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(err, -errno, "no pipe: %m");
	cut->nft = fork();
	if (cut->nft == 0)
		become_nft(program, parent, fd[0]);
	close(fd[0]);
	if (cut->nft < 0) {
		cut->nft = 0;
		close(fd[1]);
		return err_set(err, -errno, "cannot fork nft: %m");
	}
	cut->input_fd = fd[1];
	return 0;
}

/* Packets and number of the drop rules of our table. Errors: -ENOENT no table */
static int count(uint64_t *ret_packets, unsigned int *ret_rules, struct err *err)
{
	char *text = NULL, *p;
	int rc;

	*ret_packets = *ret_rules = 0;
	rc = tool_output(&text, err, "nft list ruleset");
	if (rc < 0)
		return rc;
	p = strstr(text, "table inet " TABLE " ");
	while (p && (p = strstr(p, "counter packets ")) != NULL) {
		p += strlen("counter packets ");
		*ret_packets += strtoull(p, NULL, 10);
		*ret_rules += strstr(p, "drop") != NULL;
	}
	rc = strstr(text, "table inet " TABLE " ") ? 0 : -ENOENT;
	free(text);
	return rc;
}

static int inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	const unsigned int wanted = 4 * (unsigned int)run->allow.interfaces.nr;
	uint64_t end_ns = clock_mono_ns() + FAULT_COMMAND_NS, packets;
	const char *text = plan->actions[0].text;
	struct cut *cut = run->state;
	unsigned int rules = 0;
	int rc;

	if (count(&packets, &rules, err) == 0)
		return err_set(err, -EBUSY, "there is a table %s already", TABLE);
	*err = (struct err)ERR_INIT;
	rc = start_nft(cut, err);
	if (rc == 0)
		rc = file_write_all(cut->input_fd, text, strlen(text));
	if (rc < 0)
		return err_set(err, rc, "nft takes no rules: %s", strerror(-rc));
	while (rules < wanted) {	/* the commands are asynchronous: they count when the kernel lists them */
		struct err e = ERR_INIT;

		rc = count(&packets, &rules, &e);
		if (rc < 0 && rc != -ENOENT)
			return err_set(err, rc, "%s", e.text);
		if (rules < wanted && (clock_mono_ns() > end_ns || waitpid(cut->nft, NULL, WNOHANG) != 0))
			return err_set(err, -EIO, "nft made %u of %u rules", rules, wanted);
		if (rules < wanted)
			clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
	}
	return 0;
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct cut *cut = run->state;
	struct err e = ERR_INIT;
	uint64_t packets, more;
	unsigned int rules;
	int rc = count(&packets, &rules, &e);

	if (rc == -ENOENT || (rc == 0 && rules < 4 * run->allow.interfaces.nr)) {
		snprintf(evidence, bytes, "the nft table " TABLE " is gone");
		return FAULT_VANISHED;
	}
	if (rc < 0) {
		snprintf(evidence, bytes, "could not look: %.200s", e.text);
		return FAULT_INCONCLUSIVE;
	}
	more = packets - cut->packets_last;
	cut->packets_last = packets;
	snprintf(evidence, bytes, "%" PRIu64 " packets of port %d dropped, %" PRIu64 " since the last look", packets, DRBD_PORT, more);
	return packets > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

static void heal(struct fault_run *run)
{
	struct cut *cut = run->state;

	if (!cut || cut->nft <= 0)
		return;
	(void)kill(cut->nft, SIGKILL);
	(void)waitpid(cut->nft, NULL, 0);
	close(cut->input_fd);
	cut->nft = 0;
	cut->input_fd = -1;
}

/* Seen in the lab: Connected for 10.7 s, then WFConnection; one stall of 10.6 s. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	(void)run;
	snprintf(ret, bytes, "DRBD does not stay Connected: every write waits until a ping is missed, at most 10.5s (ping-int 10s + ping-timeout 500ms); then"
		 " the peer is given up, writes go on alone without a copy, and a resync follows the heal");
}

static const struct fault_arg args[] = { { .name = NULL } };
static const char *const needs[] = { "nft", NULL };

const struct fault fault_drbd_link_cut = {
	.name = "drbd-link-cut",
	.breaks = "drops every packet of the DRBD link, both ways",
	.where = "a DRBD peer",
	.page = "docs/faults/drbd-link-cut.scd",
	.heal_class = HEAL_H0,
	.args = args,
	.needs = needs,
	.probe = probe,
	.plan = plan,
	.inject = inject,
	.verify = verify,
	.foresee = foresee,
	.heal = heal,
};
