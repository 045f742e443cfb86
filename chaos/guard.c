/* SPDX-License-Identifier: MIT */
/*
 * guard.c - the second of the two: it waits for the death of the holder, and heals what the journal then still names.
 *
 * It is in a process group of its own and holds no part of the fault. When the holder has healed and struck out its entry, the guard finds
 * none and leaves without a word.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "journal.h"
#include "undo.h"

#include "holder.h"

/* A guard that is asked to go does not: its death would only make the holder heal, and who wants that asks the holder. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGHUP, SIGPIPE, SIGTERM, SIGQUIT };

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		(void)signal(ignored[i], SIG_IGN);
}

int guard_main(const char *id)
{
	struct pollfd p = { .fd = GUARD_FD_HOLDER, .events = POLLIN };
	char evidence[EVIDENCE_BYTES] = "";
	struct err e = ERR_INIT;
	json_t *entry = NULL;
	enum fault_verdict v;
	int rc;

	ignore_signals();
	holder_harden();
	if (write(GUARD_FD_READY, "r", 1) != 1)
		return 1;
	close(GUARD_FD_READY);
	while (poll(&p, 1, -1) <= 0)
		if (errno != EINTR)
			return 1;
	rc = journal_read(id, &entry, &e);
	if (rc == -ENOENT)
		return 0;
	holder_event(GUARD_FD_EVENTS, "healing", "the holder died; its guard heals", json_pack("{s:s}", "why", "holder died"));
	if (rc < 0) {
		holder_event(GUARD_FD_EVENTS, "healed", e.text, json_pack("{s:s}", "verdict", "inconclusive"));
		return 1;
	}
	v = undo_entry(entry, "holder died", NULL, evidence, sizeof evidence);
	holder_event(GUARD_FD_EVENTS, "healed", evidence, json_pack("{s:s}", "verdict", fault_verdict_names[v]));
	json_decref(entry);
	return v == FAULT_CONFIRMED ? 0 : 1;
}
