/* SPDX-License-Identifier: MIT */
/*
 * rpcs.c - see rpcs.h.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "rpcs.h"

#define LINE_MAX_BYTES 512

struct list {
	json_int_t nr;
	json_t *first;
};

/* Cut off at the next space. @return what follows it */
static char *cut(char *text)
{
	size_t length = strcspn(text, " \n");
	char *rest = text + length;

	rest += strspn(rest, " ");
	text[length] = '\0';
	return rest;
}

/* @param line  is taken apart. @return NULL: not a line of this kind */
static json_t *rpc_json(char *line, const char *server)
{
	unsigned int xid;
	int status, at = 0;
	char *rpc, *action, *queue;

	if (sscanf(line, "%*u %*x %d 0x%*x 0x%x %*d %n", &status, &xid, &at) != 2 || at == 0)
		return NULL;
	rpc = cut(line + at);		/* the ops, and the module that they are in */
	if (*rpc == '[')
		rpc = cut(rpc);
	action = strstr(rpc, " a:");
	queue = action ? strstr(action, " q:") : NULL;
	if (!queue)
		return NULL;
	*action = *queue = '\0';
	queue[strcspn(queue + 1, "\n") + 1] = '\0';
	(void)cut(action += 3);
	(void)snprintf(line, 16, "0x%08x", xid);	/* of the line only what begins with the ops is needed yet */
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "server", server, "rpc", rpc, "xid", line, "action", action, "queue", queue + 3, "status", status);
}

static void read_server(const char *path, char *ret, size_t bytes)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "re");

	ret[0] = '\0';
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "addr:", 5) == 0) {
			char *value = line + 5 + strspn(line + 5, " \t");

			(void)cut(value);
			(void)snprintf(ret, bytes, "%s", value);
		}
	if (f)
		(void)fclose(f);
}

static void read_tasks(const char *path, const char *server, struct list *list)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof line, f)) {
		json_t *rpc = rpc_json(line, server);

		if (!rpc)
			continue;
		if (list->nr++ < RPCS_TOLD_MAX)
			json_array_append_new(list->first, rpc);
		else
			json_decref(rpc);
	}
	if (f)
		(void)fclose(f);
}

json_t *rpcs_in_flight(const char *debugfs)
{
	struct list list = { .first = json_array() };
	char path[PATH_MAX], server[64];
	const struct dirent *e;
	DIR *clients;

	(void)snprintf(path, sizeof path, "%s/sunrpc/rpc_clnt", debugfs);
	clients = opendir(path);
	while (clients && (e = readdir(clients))) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/sunrpc/rpc_clnt/%s/xprt/info", debugfs, e->d_name);
		read_server(path, server, sizeof server);
		(void)snprintf(path, sizeof path, "%s/sunrpc/rpc_clnt/%s/tasks", debugfs, e->d_name);
		read_tasks(path, server, &list);
	}
	if (clients)
		(void)closedir(clients);
	if (list.nr == 0) {
		json_decref(list.first);
		return NULL;
	}
	return json_pack("{s:I, s:o}", "nr", list.nr, "first", list.first);
}
