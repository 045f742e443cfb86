/* SPDX-License-Identifier: MIT */
/*
 * yaml.h - a YAML file as a typed tree in which every node knows its line.
 *
 * Scalars stay text until a getter is asked for a type; every complaint names file:line and, for a key, the nearest known one.
 * Anchors, aliases, tags and several documents are refused: a profile needs none of them.
 */
#ifndef SQUALL_YAML_H
#define SQUALL_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 20000

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml {
	enum yaml_kind kind;
	unsigned int line, column;	/* from 1 */
	const char *file;		/* owned by the root, valid as long as it */
	char *key;			/* in a mapping: its key, else NULL */
	char *text;			/* of a scalar */
	struct yaml *child, *next;	/* first child; next sibling; in the order of the file */
	size_t children_nr;
};

/**
 * Parse a text.
 * @param file  name used in sentences; copied.
 * Errors: -EINVAL with file:line (syntax, duplicate key, anchor, too deep, empty document: line 1).
 */
int yaml_parse(const char *text, const char *file, struct yaml **ret_root, struct err *err);

/** Free a whole tree; NULL is fine. (libyaml has a function of its own called yaml_free: the two must not meet.) */
void yaml_tree_free(struct yaml *root);

/** Child of a mapping by key, or NULL (also when node is NULL or no mapping). */
const struct yaml *yaml_get(const struct yaml *node, const char *key);

/** Set a dotted path ("faults.0.args.delay=1s"): the value is parsed as flow YAML; missing mappings are made, indexes must exist. */
int yaml_set(struct yaml *root, const char *assignment, struct err *err);

/** Every key of a mapping must be in the NULL-terminated list; else -EINVAL: "f.yaml:7: unknown key 'jbos' in the profile; did you mean 'jobs'?" */
int yaml_check_keys(const struct yaml *node, const char *what, const char *const known[], struct err *err);

/** -EINVAL with "file:line: <format>". */
int yaml_error(const struct yaml *node, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Typed getters of a scalar node: -EINVAL with file:line, the text and what was expected. */
int yaml_to_u64(const struct yaml *node, uint64_t min, uint64_t max, uint64_t *ret, struct err *err);
int yaml_to_double(const struct yaml *node, double *ret, struct err *err);
int yaml_to_duration(const struct yaml *node, uint64_t *ret_ns, struct err *err);
int yaml_to_size(const struct yaml *node, uint64_t *ret_bytes, struct err *err);
int yaml_to_bool(const struct yaml *node, bool *ret, struct err *err);
/** Copy a scalar's text. Errors: -EINVAL also when it does not fit. */
int yaml_to_text(const struct yaml *node, char *ret, size_t bytes, struct err *err);
/** Index of the text in a NULL-terminated list; else -EINVAL with the nearest name. */
int yaml_to_enum(const struct yaml *node, const char *const names[], unsigned int *ret, struct err *err);

/** The nearest of a NULL-terminated list by edit distance (at most a third of its length), or NULL. */
const char *yaml_nearest(const char *name, const char *const known[]);

/** A NULL-terminated list as "data, meta, both". @return out, or NULL when it does not fit: half of a list is none */
const char *yaml_names(const char *const names[], char *out, size_t bytes);

/** Print a tree as YAML that yaml_parse() reads back to an equal tree. @param ret_text malloc'ed. */
int yaml_print(const struct yaml *root, char **ret_text);

#endif
