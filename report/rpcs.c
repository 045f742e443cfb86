/* SPDX-License-Identifier: MIT */
/*
 * rpcs.c - what the kernels of the load hosts still waited for when the run ended: "rpcs" of the verdict, and as lines for people.
 */
#include <stdio.h>
#include <string.h>

#include "judge.h"
#include "record.h"

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

/* meta rpcs.HOST, see load_final(). */
static int add_rpcs(void *row, void *arg)
{
	json_t *rpcs = arg, *of_host = json_loads(record_text(row, 1), 0, NULL), *first = json_object_get(of_host, "first"), *rpc;
	size_t i;

	json_object_set_new(rpcs, "nr", json_integer(json_integer_value(json_object_get(rpcs, "nr")) + json_integer_value(json_object_get(of_host, "nr"))));
	json_array_foreach(first, i, rpc)
		json_object_set_new(rpc, "host", json_string(record_text(row, 0)));
	json_array_extend(json_object_get(rpcs, "first"), first);
	json_decref(of_host);
	return 0;
}

int judge_rpcs(struct record *record, json_t *verdict, struct err *err)
{
	json_t *rpcs = json_pack("{s:i, s:[]}", "nr", 0, "first");
	int rc = record_query(record, "SELECT substr(key, 6), value FROM meta WHERE key LIKE 'rpcs.%' ORDER BY key", NULL, add_rpcs, rpcs, err);
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
