/* SPDX-License-Identifier: MIT */
/*
 * yaml.c - from libyaml's events to a tree, overrides, and back to text. The typed getters are in yaml_typed.c.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "err.h"

/* libyaml's own header has the same name as ours: this one is found by its folder. */
#include "../include/yaml.h"

#define KEY_BYTES_MAX 128		/* libyaml reads keys of up to 1024 bytes without "? ", and printing may make one six times as long */

struct builder {
	yaml_parser_t *parser;
	const char *file;
	size_t nodes;
	struct err *err;
};

static void free_nodes(struct yaml *node)
{
	while (node) {
		struct yaml *next = node->next;

		free_nodes(node->child);
		free(node->key);
		free(node->text);
		free(node);
		node = next;
	}
}

void yaml_tree_free(struct yaml *root)
{
	if (!root)
		return;
	free((char *)(uintptr_t)root->file);
	free_nodes(root);
}

static int complain(const struct builder *b, const yaml_mark_t *at, const char *what)
{
	return err_set(b->err, -EINVAL, "%s:%zu: %s", b->file, at->line + 1, what);
}

static int next_event(struct builder *b, yaml_event_t *event)
{
	if (yaml_parser_parse(b->parser, event))
		return 0;
	if (b->parser->error == YAML_MEMORY_ERROR)
		return err_set(b->err, -ENOMEM, "%s: no memory", b->file);
	return err_set(b->err, -EINVAL, "%s:%zu: %s", b->file, b->parser->problem_mark.line + 1,
		       b->parser->problem ? b->parser->problem : "this is not YAML");
}

static struct yaml *new_node(struct builder *b, enum yaml_kind kind, const yaml_mark_t *at)
{
	struct yaml *node = calloc(1, sizeof *node);

	if (!node)
		return NULL;
	node->kind = kind;
	node->file = b->file;
	node->line = (unsigned int)at->line + 1;
	node->column = (unsigned int)at->column + 1;
	b->nodes++;
	return node;
}

static int build(struct builder *b, const yaml_event_t *event, int depth, struct yaml **ret);

/* A text of ours ends at a zero byte: what stands behind one would be lost in silence. */
static bool has_zero(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && strlen((const char *)event->data.scalar.value) != event->data.scalar.length;
}

/* A mapping's key: a plain scalar, once. */
static int take_key(struct builder *b, const struct yaml *parent, const yaml_event_t *event, char **ret_key)
{
	if (event->type != YAML_SCALAR_EVENT || has_zero(event) || event->data.scalar.length > KEY_BYTES_MAX)
		return complain(b, &event->start_mark, "a key must be a word");
	if (yaml_get(parent, (const char *)event->data.scalar.value))
		return err_set(b->err, -EINVAL, "%s:%zu: the key '%s' is there twice", b->file, event->start_mark.line + 1, event->data.scalar.value);
	*ret_key = strdup((const char *)event->data.scalar.value);
	return *ret_key ? 0 : -ENOMEM;
}

static void append(struct yaml *parent, struct yaml *child)
{
	struct yaml **at = &parent->child;

	while (*at)
		at = &(*at)->next;
	*at = child;
	parent->children_nr++;
}

static int build_children(struct builder *b, struct yaml *parent, int depth)
{
	yaml_event_type_t end = parent->kind == YAML_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

	for (;;) {
		yaml_event_t event;
		struct yaml *child = NULL;
		char *key = NULL;
		yaml_mark_t at;
		int rc = next_event(b, &event);

		if (rc < 0)
			return rc;
		if (event.type == end) {
			yaml_event_delete(&event);
			return 0;
		}
		at = event.start_mark;		/* of the key, where there is one: that is where people look */
		if (parent->kind == YAML_MAPPING) {
			rc = take_key(b, parent, &event, &key);
			yaml_event_delete(&event);
			if (rc < 0 || (rc = next_event(b, &event)) < 0) {
				free(key);
				return rc;
			}
		}
		rc = build(b, &event, depth + 1, &child);
		yaml_event_delete(&event);
		if (rc < 0) {
			free(key);
			return rc;
		}
		child->key = key;
		child->line = (unsigned int)at.line + 1;
		child->column = (unsigned int)at.column + 1;
		append(parent, child);
	}
}

static int build(struct builder *b, const yaml_event_t *event, int depth, struct yaml **ret)
{
	enum yaml_kind kind = event->type == YAML_MAPPING_START_EVENT ? YAML_MAPPING : event->type == YAML_SEQUENCE_START_EVENT ? YAML_SEQUENCE : YAML_SCALAR;
	struct yaml *node;
	int rc = 0;

	if (event->type == YAML_ALIAS_EVENT || (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor))
		return complain(b, &event->start_mark, "anchors and aliases are not taken here: write it out");
	if (has_zero(event))
		return complain(b, &event->start_mark, "a zero byte is not taken here");
	if (depth > YAML_DEPTH_MAX || b->nodes >= YAML_NODES_MAX)
		return complain(b, &event->start_mark, "too deep or too long");
	node = new_node(b, kind, &event->start_mark);
	if (!node)
		return -ENOMEM;
	if (kind == YAML_SCALAR) {
		node->text = strdup((const char *)event->data.scalar.value);
		rc = node->text ? 0 : -ENOMEM;
	} else
		rc = build_children(b, node, depth);
	if (rc < 0) {
		free_nodes(node);
		return rc;
	}
	*ret = node;
	return 0;
}

/* Stream start, document start, one node, document end, stream end. */
static int build_document(struct builder *b, struct yaml **ret)
{
	int rc = 0;

	for (bool done = false; !done && rc == 0;) {
		yaml_event_t event;

		rc = next_event(b, &event);
		if (rc < 0)
			return rc;
		if (event.type == YAML_DOCUMENT_START_EVENT && *ret)
			rc = complain(b, &event.start_mark, "a second document; one is enough");
		else if (event.type == YAML_STREAM_END_EVENT)
			done = true;
		else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
			 event.type == YAML_ALIAS_EVENT)
			rc = build(b, &event, 0, ret);
		yaml_event_delete(&event);
	}
	if (rc == 0 && !*ret)
		rc = err_set(b->err, -EINVAL, "%s:1: it is empty", b->file);
	return rc;
}

int yaml_parse(const char *text, const char *file, struct yaml **ret_root, struct err *err)
{
	struct builder b = { .file = strdup(file), .err = err };
	yaml_parser_t parser;
	struct yaml *root = NULL;
	int rc;

	if (!b.file)
		return err_set(err, -ENOMEM, "%s: no memory", file);
	if (!yaml_parser_initialize(&parser)) {
		free((char *)(uintptr_t)b.file);
		return err_set(err, -ENOMEM, "%s: no memory", file);
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
	b.parser = &parser;
	rc = build_document(&b, &root);
	yaml_parser_delete(&parser);
	if (rc < 0) {
		free_nodes(root);
		free((char *)(uintptr_t)b.file);
		return err_set(err, rc, "%s: no memory", file);
	}
	*ret_root = root;
	return 0;
}

const struct yaml *yaml_get(const struct yaml *node, const char *key)
{
	if (!node || node->kind != YAML_MAPPING)
		return NULL;
	for (const struct yaml *c = node->child; c; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

/* The child that a part of a dotted path names; a missing key is added as an empty mapping. */
static int descend(struct yaml *node, const char *part, struct yaml **ret, struct err *err)
{
	char *end;
	size_t index;

	if (node->kind == YAML_SEQUENCE) {
		index = strtoul(part, &end, 10);
		if (*end != '\0' || *part == '\0' || index >= node->children_nr)
			return err_set(err, -EINVAL, "'%s' is no index of a list of %zu, the first of which is 0", part, node->children_nr);
		for (*ret = node->child; index > 0; index--)
			*ret = (*ret)->next;
		return 0;
	}
	if (node->kind == YAML_SCALAR) {
		free(node->text);
		node->text = NULL;
		node->kind = YAML_MAPPING;
	}
	*ret = (struct yaml *)(uintptr_t)yaml_get(node, part);
	if (*ret)
		return 0;
	*ret = calloc(1, sizeof **ret);
	if (!*ret || !((*ret)->key = strdup(part))) {
		free(*ret);
		return err_set(err, -ENOMEM, "no memory");
	}
	(*ret)->kind = YAML_MAPPING;
	(*ret)->file = node->file;
	(*ret)->line = node->line;
	append(node, *ret);
	return 0;
}

static void set_file(struct yaml *node, const char *file, unsigned int line)
{
	for (; node; node = node->next) {
		node->file = file;
		node->line = line;
		set_file(node->child, file, line);
	}
}

int yaml_set(struct yaml *root, const char *assignment, struct err *err)
{
	const char *equals = strchr(assignment, '='), *why;
	struct err said = ERR_INIT;
	struct yaml *value = NULL, *at = root;
	char *path, *part, *rest = NULL;
	int rc;

	if (!equals || equals == assignment)
		return err_set(err, -EINVAL, "--set %s: write KEY=VALUE", assignment);
	rc = yaml_parse(equals[1] != '\0' ? equals + 1 : "''", "value", &value, &said);
	if (rc < 0) {	/* "value:1: why" */
		why = strstr(said.text, ": ");
		return err_set(err, rc, "--set %s: %s", assignment, why ? why + 2 : said.text);
	}
	path = strndup(assignment, (size_t)(equals - assignment));
	if (!path)
		rc = err_set(&said, -ENOMEM, "no memory");
	for (part = path ? strtok_r(path, ".", &rest) : NULL; part && rc == 0; part = strtok_r(NULL, ".", &rest))
		rc = descend(at, part, &at, &said);
	if (rc == 0) {
		free_nodes(at->child);
		free(at->text);
		at->kind = value->kind;
		at->text = value->text;
		at->child = value->child;
		at->children_nr = value->children_nr;
		set_file(at->child, root->file, at->line);
		value->text = NULL;
		value->child = NULL;
	}
	free(path);
	yaml_tree_free(value);
	return rc < 0 ? err_set(err, rc, "--set %s: %s", assignment, said.text) : 0;
}

/* The code of a character of UTF-8; a byte that begins none (a key of --set is not checked) stands for itself. @param ret_bytes  how long it is */
static unsigned int code_of(const char *at, int *ret_bytes)
{
	const unsigned char *c = (const unsigned char *)at;
	int bytes = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	unsigned int code = bytes == 1 ? c[0] : c[0] & (0x7fu >> bytes);

	*ret_bytes = bytes;
	for (int i = 1; i < bytes; i++) {
		if ((c[i] & 0xc0) != 0x80) {
			*ret_bytes = 1;
			return c[0];
		}
		code = code << 6 | (c[i] & 0x3f);
	}
	return code;
}

/* What libyaml does not read back as it stands: controls, breaks of lines, the mark of the byte order. Source: YAML 1.1, 5.1 and 5.4. */
static bool needs_escape(unsigned int code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void print_scalar(FILE *out, const char *text)
{
	int bytes;

	fputc('"', out);
	for (; *text != '\0'; text += bytes) {
		unsigned int code = code_of(text, &bytes);

		if (code == '\n')
			fputs("\\n", out);
		else if (code == '\t')
			fputs("\\t", out);
		else if (needs_escape(code))
			fprintf(out, "\\u%04X", code);
		else
			fprintf(out, "%s%.*s", code == '"' || code == '\\' ? "\\" : "", bytes, text);
	}
	fputc('"', out);
}

static bool is_plain(const char *text)
{
	static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./%+ ";

	return isalnum((unsigned char)text[0]) && strspn(text, others) == strlen(text) && text[strlen(text) - 1] != ' ';
}

static void print_text(FILE *out, const char *text)
{
	if (is_plain(text))
		fputs(text, out);
	else
		print_scalar(out, text);
}

/* Block style for mappings at the top two levels and flow style below: as people write profiles. */
static void print_node(FILE *out, const struct yaml *node, int level)
{
	bool flow = level >= 2 || node->kind == YAML_SEQUENCE;
	const char *open = node->kind == YAML_MAPPING ? "{" : "[", *close = node->kind == YAML_MAPPING ? "}" : "]";

	if (node->kind == YAML_SCALAR) {
		print_text(out, node->text);
		return;
	}
	if (flow || !node->child)
		fputs(open, out);
	for (const struct yaml *c = node->child; c; c = c->next) {
		if (flow && c != node->child)
			fputs(", ", out);
		if (!flow)
			fprintf(out, "%s%*s", level > 0 || c != node->child ? "\n" : "", level * 2, "");
		if (c->key) {
			print_text(out, c->key);
			fputs(c->kind == YAML_MAPPING && !flow && level == 0 && c->child ? ":" : ": ", out);
		}
		print_node(out, c, flow ? 2 : level + 1);
	}
	if (flow || !node->child)
		fputs(close, out);
}

int yaml_print(const struct yaml *root, char **ret_text)
{
	size_t bytes;
	FILE *out = open_memstream(ret_text, &bytes);

	if (!out)
		return -ENOMEM;
	print_node(out, root, 0);
	fputc('\n', out);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}
