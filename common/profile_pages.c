/* SPDX-License-Identifier: MIT */
/*
 * profile_pages.c - ops and pages: what a visit does to the files of one site, in order.
 *
 *	pages:
 *	  start: [stat_miss x 200, stat x 40, read x 40, append_fsync]
 *	jobs:
 *	  visitors: {page: start, ...}
 *
 * A file that a page creates is gone at its end (renamed over one that is kept, or unlinked), so that a run of any length leaves a
 * bounded number of files behind. One that it opens is closed at its end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "profile_parts.h"

const char *const op_kind_names[OP_NR + 1] = { "read",	   "pread",  "open",	"stat",	 "stat_miss",  "readdir", "append_fsync", "first_byte",
					       "access",   "readdir_stat", "statfs", "open_only", "read_first", "read_all", "close", "readlink",
					       "chmod",	   "write",  "write_fsync", "lock", "create",  "rename", "unlink",	NULL };

/* What a page of a small web application does to its files: find and load its code, miss some, read its data, log one line. */
static const uint8_t webapp[] = { OP_STAT, OP_STAT_MISS, OP_STAT, OP_READ, OP_STAT_MISS, OP_READ, OP_READ, OP_READDIR, OP_READ, OP_APPEND_FSYNC };

/* "stat" or "stat_miss x 200". */
static int add_ops(const struct yaml *node, struct job *j, struct err *err)
{
	struct yaml name = *node;
	unsigned int kind;
	char op[NAME_BYTES], rest[2];
	unsigned long times = 1;
	int rc;

	if (node->kind != YAML_SCALAR)
		return yaml_error(node, err, "an op of a page is written stat, or stat x 20");
	if (sscanf(node->text, "%47s x %4lu%1s", op, &times, rest) == 2)
		name.text = op;
	rc = yaml_to_enum(&name, op_kind_names, &kind, err);
	if (rc < 0)
		return rc;
	if (times == 0 || times > PAGE_OPS_MAX - j->page_nr)
		return yaml_error(node, err, "'%s': a page has 1 to %d ops", node->text, PAGE_OPS_MAX);
	memset(j->page + j->page_nr, (int)kind, times);
	j->page_nr += (unsigned int)times;
	return 0;
}

/* Every file that is created is renamed or unlinked before the next one and before the end, and every one that is opened is closed. */
static int check_life(const struct yaml *node, const struct job *j, struct err *err)
{
	bool is_there = false, is_open = false;

	for (unsigned int i = 0; i < j->page_nr; i++) {
		enum op_kind kind = (enum op_kind)j->page[i];

		if (kind == OP_OPEN_ONLY || op_needs_open(kind)) {
			if (is_open == (kind == OP_OPEN_ONLY))
				return yaml_error(node, err, is_open ? "op %u of the page opens a file while the one before is still open"
								     : "op %u of the page needs an open_only before it", i + 1);
			is_open = kind != OP_CLOSE;
		} else if (op_needs_page(kind)) {
			if (is_there == (kind == OP_CREATE))
				return yaml_error(node, err, is_there ? "op %u of the page creates a file while the one before is still there"
								      : "op %u of the page needs a create before it", i + 1);
			is_there = kind == OP_CREATE;
		}
	}
	if (is_open)
		return yaml_error(node, err, "the page leaves a file open; end with close");
	return is_there ? yaml_error(node, err, "the page leaves a file that it created; end with rename or unlink") : 0;
}

static int parse_list(const struct yaml *node, struct job *j, struct err *err)
{
	int rc = 0;

	if (node->kind != YAML_SEQUENCE || node->children_nr == 0)
		return yaml_error(node, err, "a page is a list of ops: [stat_miss x 20, stat, read]");
	for (const struct yaml *c = node->child; c && rc == 0; c = c->next)
		rc = add_ops(c, j, err);
	return rc == 0 ? check_life(node, j, err) : rc;
}

int profile_parse_page(const struct profile *p, const struct yaml *node, struct job *ret, struct err *err)
{
	const struct yaml *named;

	ret->is_page = true;
	if (node->kind != YAML_SCALAR)
		return parse_list(node, ret, err);
	named = yaml_get(yaml_get(p->tree, "pages"), node->text);
	if (named)
		return parse_list(named, ret, err);
	if (strcmp(node->text, "webapp") != 0)
		return yaml_error(node, err, "unknown page '%s'; write a list of ops, the name of a page below pages, or webapp", node->text);
	memcpy(ret->page, webapp, sizeof webapp);
	ret->page_nr = sizeof webapp;
	return 0;
}

int profile_check_pages(const struct profile *p, struct err *err)
{
	const struct yaml *pages = yaml_get(p->tree, "pages");

	if (pages && pages->kind != YAML_MAPPING)
		return yaml_error(pages, err, "pages is a mapping: {start: [stat_miss x 20, stat, read]}");
	for (const struct yaml *c = pages ? pages->child : NULL; c; c = c->next) {
		struct job j = { .is_page = true };
		int rc = parse_list(c, &j, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}
