/* SPDX-License-Identifier: MIT */
/*
 * rpcs.c - what the kernels of the load hosts still waited for when the run ended: "rpcs" of the verdict, and as lines for people.
 */
#include <stdio.h>
#include <string.h>

#include "judge.h"

/* Queues of net/sunrpc. */
static const struct {
	const char *queue, *words;
} queues[] = {
	{ "xprt_pending", "sent, and not answered" },
	{ "xprt_sending", "waiting to be sent" },
	{ "xprt_backlog", "waiting for a slot" },
	{ "xprt_binding", "waiting for a connection" },
	{ "delayq", "waiting to be tried again" },
	{ "none", "being worked on" },
};

static const char *words_of(const char *queue)
{
	for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++)
		if (strcmp(queues[i].queue, queue) == 0)
			return queues[i].words;
	return "waiting";
}

int judge_rpcs(struct record *record, json_t *verdict, struct err *err)
{
	json_t *rpcs;
	int rc = judge_firsts(record, "rpcs", "nr", &rpcs, err);

	if (json_integer_value(json_object_get(rpcs, "nr")) > 0)
		json_object_set(verdict, "rpcs", rpcs);
	json_decref(rpcs);
	return rc;
}

json_t *rpcs_lines(const json_t *verdict)
{
	const json_t *first = json_object_get(json_object_get(verdict, "rpcs"), "first"), *rpc;
	json_t *lines = json_object();
	size_t i;

	json_array_foreach(first, i, rpc) {
		const char *host, *name, *server, *queue, *action;
		char line[512];

		if (json_unpack((json_t *)(uintptr_t)rpc, "{s:s, s:s, s:s, s:s, s:s}", "host", &host, "rpc", &name, "server", &server, "queue", &queue, "action", &action) < 0)
			continue;
		(void)snprintf(line, sizeof line, "%s: %s to %s, %s (%s, %s)", host, name, *server ? server : "a server", words_of(queue), queue, action);
		json_object_set_new(lines, line, json_integer(json_integer_value(json_object_get(lines, line)) + 1));
	}
	return lines;
}
