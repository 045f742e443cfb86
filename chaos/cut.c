/* SPDX-License-Identifier: MIT */
/*
 * cut.c - makes the nft table of a cut through a pipe, counts what it drops, and lets go of it.
 */
#include "cut.h"

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
#include "nfs.h"
#include "plan.h"
#include "tool.h"

const char *const cut_direction_names[] = { "both", "in", "out", NULL };
const char *const cut_needs[] = { "nft", NULL };

struct cut {
	const char *table;
	char what[32];		/* it drops */
	unsigned int rules;
	pid_t nft;		/* owner of the table; 0 = not started */
	int input_fd;
	uint64_t packets_last;
};

static const char *const ends[] = { "sport", "dport" };	/* at whichever end this host is */

static bool cuts(const struct fault_run *run, const char *direction)
{
	const char *asked = fault_arg_text(run, "direction");

	return strcmp(asked, "both") == 0 || strcmp(asked, direction) == 0;
}

/* @param peer  "" = all */
static void add_rules(const struct fault_run *run, struct cut *cut, const char *dev, const char *peer, unsigned int port, char *text, size_t bytes)
{
	static const char *const direction[] = { "in", "out" }, *const chain[] = { "i iifname", "o oifname" }, *const address[] = { "ip saddr", "ip daddr" };
	char of_peer[48] = "";

	for (int c = 0; c < 2; c++) {
		if (*peer)
			(void)snprintf(of_peer, sizeof of_peer, "%s %s ", address[c], peer);
		for (int p = 0; p < 2 && cuts(run, direction[c]); p++, cut->rules++) {
			size_t n = strlen(text);

			(void)snprintf(text + n, bytes - n, "add rule inet %s %s \"%s\" %stcp %s %u counter drop\n", cut->table, chain[c], dev, of_peer, ends[p],
				       port);
		}
	}
}

/* The state of the run, and the commands that make a table without rules. */
static struct cut *begin(struct fault_run *run, const char *table, char *ret_text, size_t bytes)
{
	struct cut *cut = calloc(1, sizeof *cut);

	run->state = cut;
	if (!cut)
		return NULL;
	*cut = (struct cut){ .table = table, .input_fd = -1 };
	(void)snprintf(ret_text, bytes, "add table inet %s { flags owner; }\nadd chain inet %s i { type filter hook input priority 0; }\n"
		       "add chain inet %s o { type filter hook output priority 0; }\n", table, table, table);
	return cut;
}

static void name_port(struct cut *cut, unsigned int port)
{
	(void)snprintf(cut->what, sizeof cut->what, "packets of port %u", port);
}

static int finish(const struct cut *cut, const char *text, struct plan *plan, struct err *err)
{
	int rc = plan_add_hold(plan, "nft -i, held open through a pipe: the table dies with it", text, err);

	return rc < 0 ? rc : plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "NFT_GONE", "table", cut->table), err);
}

int cut_plan(struct fault_run *run, const char *table, unsigned int port, struct plan *plan, struct err *err)
{
	char text[ACTION_TEXT_BYTES];
	struct cut *cut = begin(run, table, text, sizeof text);

	if (!cut)
		return -ENOMEM;
	name_port(cut, port);
	if (run->dry)
		add_rules(run, cut, "DEV", "", port, text, sizeof text);
	for (size_t i = 0; !run->dry && i < run->allow.interfaces.nr; i++)
		add_rules(run, cut, run->allow.interfaces.name[i], "", port, text, sizeof text);
	return finish(cut, text, plan, err);
}

int cut_plan_peers(struct fault_run *run, const char *table, unsigned int port, const char *dev, const struct nfs_connection *peers, size_t peers_nr,
		   struct plan *plan, struct err *err)
{
	char text[ACTION_TEXT_BYTES];
	struct cut *cut = begin(run, table, text, sizeof text);

	if (!cut)
		return -ENOMEM;
	name_port(cut, port);
	for (size_t i = 0; i < peers_nr; i++)
		add_rules(run, cut, dev, peers[i].peer, port, text, sizeof text);
	return finish(cut, text, plan, err);
}

/*
 * Headers of TCP have no options, time stamps, or time stamps and one block of a selective acknowledgement. By their length, as what looks behind a header
 * of any length (@ih) is of Linux 5.16.
 */
static void add_beginning_rules(struct cut *cut, const struct cut_beginning *of, const char *dev, char *text, size_t bytes)
{
	static const unsigned int header_words[] = { 5, 8, 11 };
	const unsigned int ends_nr = of->port ? 2 : 1;
	char port[24] = "", match[160];

	for (size_t i = 0; i < ends_nr * sizeof header_words / sizeof header_words[0]; i++, cut->rules++) {
		const unsigned int words = header_words[i / ends_nr];
		size_t n = strlen(text), m = 0;

		if (of->port)
			(void)snprintf(port, sizeof port, "tcp %s %u ", ends[i % 2], of->port);
		for (size_t b = 0; b < CUT_BITS_MAX && of->bits[b].nr > 0; b++)
			m += (size_t)snprintf(match + m, sizeof match - m, "@th,%u,%u 0x%" PRIx64 " ", words * 32 + of->bits[b].skip, of->bits[b].nr,
					      of->bits[b].value);
		(void)snprintf(text + n, bytes - n, "add rule inet %s o oifname \"%s\" %stcp doff %u %scounter drop\n", cut->table, dev, port, words, match);
	}
}

int cut_plan_beginning(struct fault_run *run, const char *table, const struct cut_beginning *of, struct plan *plan, struct err *err)
{
	char text[ACTION_TEXT_BYTES];
	struct cut *cut = begin(run, table, text, sizeof text);

	if (!cut)
		return -ENOMEM;
	(void)snprintf(cut->what, sizeof cut->what, "%s", of->what);
	if (of->dev || run->dry)
		add_beginning_rules(cut, of, of->dev ? of->dev : "DEV", text, sizeof text);
	for (size_t i = 0; !of->dev && !run->dry && i < run->allow.interfaces.nr; i++)
		add_beginning_rules(cut, of, run->allow.interfaces.name[i], text, sizeof text);
	return finish(cut, text, plan, err);
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

	if (exec_find("nft", program, sizeof program) < 0)
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
static int count(const struct cut *cut, uint64_t *ret_packets, unsigned int *ret_rules, struct err *err)
{
	char *text = NULL, *p, *end, needle[64];
	int rc;

	*ret_packets = *ret_rules = 0;
	rc = tool_output(&text, err, "nft list ruleset");
	if (rc < 0)
		return rc;
	(void)snprintf(needle, sizeof needle, "table inet %s ", cut->table);
	p = strstr(text, needle);
	rc = p ? 0 : -ENOENT;
	end = p ? strstr(p, "\n}") : NULL;
	if (end)
		*end = '\0';	/* what follows are tables of others */
	while (p && (p = strstr(p, "counter packets ")) != NULL) {
		p += strlen("counter packets ");
		*ret_packets += strtoull(p, NULL, 10);
		*ret_rules += strstr(p, "drop") != NULL;
	}
	free(text);
	return rc;
}

int cut_inject(struct fault_run *run, const struct plan *plan, struct err *err)
{
	uint64_t end_ns = clock_mono_ns() + FAULT_COMMAND_NS, packets;
	const char *text = plan->actions[0].text;
	struct cut *cut = run->state;
	const unsigned int wanted = cut->rules;
	unsigned int rules = 0;
	int rc;

	if (count(cut, &packets, &rules, err) == 0)
		return err_set(err, -EBUSY, "there is a table %s already", cut->table);
	*err = (struct err)ERR_INIT;
	rc = start_nft(cut, err);
	if (rc == 0)
		rc = file_write_all(cut->input_fd, text, strlen(text));
	if (rc < 0)
		return err_set(err, rc, "nft takes no rules: %s", strerror(-rc));
	while (rules < wanted) {	/* the commands are asynchronous: they count when the kernel lists them */
		struct err e = ERR_INIT;

		rc = count(cut, &packets, &rules, &e);
		if (rc < 0 && rc != -ENOENT)
			return err_set(err, rc, "%s", e.text);
		if (rules < wanted && (clock_mono_ns() > end_ns || waitpid(cut->nft, NULL, WNOHANG) != 0))
			return err_set(err, -EIO, "nft made %u of %u rules", rules, wanted);
		if (rules < wanted)
			clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
	}
	return 0;
}

enum fault_verdict cut_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct cut *cut = run->state;
	struct err e = ERR_INIT;
	uint64_t packets, more;
	unsigned int rules;
	int rc = count(cut, &packets, &rules, &e);

	if (rc == -ENOENT || (rc == 0 && rules < cut->rules)) {
		(void)snprintf(evidence, bytes, "the nft table %s is gone", cut->table);
		return FAULT_VANISHED;
	}
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	more = packets - cut->packets_last;
	cut->packets_last = packets;
	(void)snprintf(evidence, bytes, "%" PRIu64 " %s dropped, %" PRIu64 " since the last look", packets, cut->what, more);
	return packets > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}

void cut_heal(struct fault_run *run)
{
	struct cut *cut = run->state;

	if (!cut || cut->nft <= 0)
		return;
	(void)exec_kill(cut->nft, clock_mono_ns() + FAULT_COMMAND_NS);	/* what counts is the proof */
	close(cut->input_fd);
	cut->nft = 0;
	cut->input_fd = -1;
}
