/* SPDX-License-Identifier: MIT */
/*
 * allow.c - reads the file that names what squall may break on this host. Without it nothing may be broken.
 */
#include "allow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "file.h"
#include "yaml.h"

#define ALLOW_PATH "/etc/squall/allow.yaml"
#define ALLOW_BYTES_MAX (64u << 10)

bool allow_has(const struct allow_list *list, const char *name)
{
	for (size_t i = 0; i < list->nr; i++)
		if (strcmp(list->name[i], name) == 0)
			return true;
	return false;
}

bool allow_name_is_plain(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name[0] != '\0' && name[0] != '-' && name[strspn(name, good)] == '\0';
}

static int check_owner(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_set(err, -ENOPKG, "%s is missing: it names what may be broken on this host (resources, exports, interfaces, max_time); without it nothing may",
			       path);
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(err, -ENOPKG, "%s must be a plain file of root that nobody else can write", path);
	return 0;
}

static int read_list(const struct yaml *node, bool plain, struct allow_list *ret_list, struct err *err)
{
	int rc;

	if (!node)
		return 0;
	if (node->kind != YAML_SEQUENCE)
		return yaml_error(node, err, "'%s' must be a list", node->key);
	for (const struct yaml *c = node->child; c; c = c->next) {
		char *name = ret_list->name[ret_list->nr];

		if (ret_list->nr == ALLOW_NAMES_MAX)
			return yaml_error(c, err, "more than %d names in '%s'", ALLOW_NAMES_MAX, node->key);
		rc = yaml_to_text(c, name, ALLOW_NAME_BYTES, err);
		if (rc < 0)
			return rc;
		if (plain ? !allow_name_is_plain(name) : name[0] != '/' || strstr(name, ".."))
			return yaml_error(c, err, "'%s' is not a %s", name, plain ? "name of letters, digits, '.', '_' and '-'" : "whole path");
		ret_list->nr++;
	}
	return 0;
}

static int parse(const struct yaml *root, struct allow *allow, struct err *err)
{
	static const char *const known[] = { "resources", "exports", "interfaces", "max_time", NULL };
	int rc;

	rc = yaml_check_keys(root, "the allow file", known, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "resources"), true, &allow->resources, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "exports"), false, &allow->exports, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "interfaces"), true, &allow->interfaces, err);
	if (rc < 0)
		return rc;
	if (!yaml_get(root, "max_time"))
		return yaml_error(root, err, "'max_time' is missing: how long a fault may last");
	return yaml_to_duration(yaml_get(root, "max_time"), &allow->max_time_ns, err);
}

int allow_load(struct allow *ret_allow, struct err *err)
{
	const char *state = getenv("SQUALL_STATE");
	char path[512] = ALLOW_PATH;
	struct allow *allow = NULL;
	struct yaml *root = NULL;
	char *text = NULL;
	size_t bytes;
	int rc;

	if (state && snprintf(path, sizeof(path), "%s/allow.yaml", state) >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "SQUALL_STATE is too long");
	rc = check_owner(path, err);
	if (rc < 0)
		goto out;
	rc = file_read(path, ALLOW_BYTES_MAX, &text, &bytes, err);
	if (rc < 0)
		goto out;
	rc = yaml_parse(text, path, &root, err);
	if (rc < 0)
		goto out;
	allow = calloc(1, sizeof(*allow));
	rc = allow ? parse(root, allow, err) : -ENOMEM;
	if (rc == 0)
		*ret_allow = *allow;
out:
	free(allow);
	yaml_tree_free(root);
	free(text);
	return rc;
}
