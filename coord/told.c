/* SPDX-License-Identifier: MIT */
/*
 * told.c - see told.h.
 */
#include "told.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json_text.h"
#include "spool.h"

#define AGAIN_BYTES (1u << 20)	/* of messages at once; a greater one comes alone, for the bus takes no more than the greatest */

/* That something is missing is a message like any other: it is told once, and kept until then. */
static void tell_torn(struct told *t)
{
	json_t *torn = json_pack("{s:I}", "bytes", (json_int_t)spool_cut_bytes(t->spool));

	told_number(t, "torn", torn);
	json_decref(torn);
}

/* The spool of a run, unless it is the one that is open. @param heard  by the coordinator, up to this number. @param how  spool_open() or spool_find() */
static int change_to(struct told *t, const char *run, uint64_t heard, int (*how)(const char *dir, const char *run, struct spool **ret, struct err *err), struct err *err)
{
	int rc;

	if (t->spool && strcmp(t->run, run) == 0)
		return 0;
	told_end(t);
	rc = how(t->dir, run, &t->spool, err);
	if (rc < 0)
		return rc;
	(void)snprintf(t->run, sizeof t->run, "%s", run);
	spool_skip(t->spool, heard);
	if (spool_cut_bytes(t->spool) > 0)
		tell_torn(t);
	return 0;
}

int told_begin(struct told *t, const char *run, struct err *err)
{
	return t->dir ? change_to(t, run, 0, spool_open, err) : 0;
}

void told_number(struct told *t, const char *kind, json_t *body)
{
	uint64_t number;
	char *text;

	if (!t->spool)
		return;
	(void)json_object_set_new(body, "kind", json_string(kind));
	text = json_text(body, JSON_COMPACT);
	/* What the spool has no room for is told all the same, under a number that is missing there. */
	(void)spool_put(t->spool, text ? text : "", text ? strlen(text) : 0, &number);
	(void)json_object_set_new(body, "n", json_integer((json_int_t)number));
	free(text);
}

void told_kept(struct told *t, uint64_t number)
{
	if (t->spool)
		spool_forget(t->spool, number);
}

struct again {
	json_t *messages;
	size_t bytes;
	bool more;
};

static bool add(uint64_t number, const char *text, void *arg)
{
	struct again *again = arg;
	size_t bytes = strlen(text);
	json_t *message;

	if (again->bytes > 0 && again->bytes + bytes > AGAIN_BYTES) {
		again->more = true;
		return false;
	}
	again->bytes += bytes;
	message = json_loads(text, 0, NULL);
	if (message) {
		(void)json_object_set_new(message, "n", json_integer((json_int_t)number));
		(void)json_array_append_new(again->messages, message);
	}
	return true;
}

json_t *told_again(struct told *t, const char *run, uint64_t after)
{
	struct again again = { .messages = json_array() };
	struct err err = ERR_INIT;
	int rc = 0;

	if (!t->dir)
		(void)err_set(&err, -ENOENT, "the agent has no spool");
	else
		rc = change_to(t, run, after, spool_find, &err);
	if (rc == -ENOENT)
		err.text[0] = '\0';	/* all of it was kept, and its files are gone */
	if (rc == 0 && t->spool) {
		rc = spool_walk(t->spool, after, add, &again);
		if (rc < 0)
			(void)err_set(&err, rc, "the spool of %s: %s", run, rc == -EBADMSG ? "a message in it is damaged" : strerror(-rc));
	}
	return json_pack("{s:o, s:b, s:s}", "messages", again.messages, "more", again.more, "error", err.text);
}

void told_end(struct told *t)
{
	spool_close(t->spool);
	t->spool = NULL;
}
