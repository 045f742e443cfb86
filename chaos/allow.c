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

#include "chaos.h"
#include "err.h"
#include "file.h"
#include "units.h"
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
	int rc = lstat(path, &st) < 0 ? -errno : 0;

	if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
		return err_set(err, -ENOPKG, "%s, which names what may be broken on this host, cannot be read: %s", path, strerror(-rc));
	if (rc < 0)
		return err_set(err, -ENOPKG, "%s is missing: it names what may be broken on this host (resources, exports, interfaces, processes, scratch, max_time); without it nothing may",
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

static int read_lists(const struct yaml *root, struct allow *allow, struct err *err)
{
	static const char *const known[] = { "resources", "exports", "interfaces", "processes", "scratch", "max_time", NULL };
	int rc;

	rc = yaml_check_keys(root, "the allow file", known, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "resources"), true, &allow->resources, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "exports"), false, &allow->exports, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "interfaces"), true, &allow->interfaces, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "processes"), true, &allow->processes, err);
	if (rc == 0)
		rc = read_list(yaml_get(root, "scratch"), true, &allow->scratch, err);
	if (rc < 0)
		return rc;
	if (!yaml_get(root, "max_time"))
		return yaml_error(root, err, "'max_time' is missing: how long a fault may last");
	return yaml_to_duration(yaml_get(root, "max_time"), &allow->max_time_ns, err);
}

int allow_parse(const char *text, const char *path, struct allow *ret_allow, struct err *err)
{
	struct allow *allow = NULL;
	struct yaml *root = NULL;
	int rc;

	rc = yaml_parse(text, path, &root, err);
	if (rc < 0)
		return rc;
	allow = calloc(1, sizeof *allow);
	rc = allow ? read_lists(root, allow, err) : err_set(err, -ENOMEM, "%s: no memory", path);
	if (rc == 0)
		*ret_allow = *allow;
	free(allow);
	yaml_tree_free(root);
	return rc;
}

static int allow_path(char *ret, size_t bytes, struct err *err)
{
	const char *state = getenv("SQUALL_STATE");

	if (snprintf(ret, bytes, "%s%s", state ? state : "", state ? "/allow.yaml" : ALLOW_PATH) >= (int)bytes)
		return err_set(err, -ENAMETOOLONG, "SQUALL_STATE is too long");
	return 0;
}

int allow_load(struct allow *ret_allow, struct err *err)
{
	char path[512];
	char *text = NULL;
	size_t bytes;
	int rc;

	rc = allow_path(path, sizeof path, err);
	if (rc == 0)
		rc = check_owner(path, err);
	if (rc == 0)
		rc = file_read(path, ALLOW_BYTES_MAX, &text, &bytes, err);
	if (rc == 0)
		rc = allow_parse(text, path, ret_allow, err);
	free(text);
	return rc;
}

int allow_check_time(const struct allow *allow, uint64_t for_ns, struct err *err)
{
	char path[512], asked[32], max[32];
	int rc = allow_path(path, sizeof path, err);

	if (rc < 0 || for_ns <= allow->max_time_ns)
		return rc;
	return err_set(err, -ENOPKG, "it is to last %s, and max_time in %s is %s: a fault that lasts longer is refused", units_exact_ns(for_ns, asked, sizeof asked), path,
		       units_exact_ns(allow->max_time_ns, max, sizeof max));
}

static void list_text(char *ret, size_t bytes, const char *what, const struct allow_list *list)
{
	size_t used = strlen(ret);

	for (size_t i = 0; i < list->nr && used < bytes; i++)
		used += (size_t)snprintf(ret + used, bytes - used, "%s%s", i == 0 ? what : ", ", list->name[i]);
}

int chaos_allow_text(char *ret, size_t bytes, struct err *err)
{
	struct allow *allow = calloc(1, sizeof *allow);
	char time[32];
	size_t used;
	int rc = allow ? allow_load(allow, err) : err_set(err, -ENOMEM, "out of memory");

	if (rc == 0)
		rc = allow_path(ret, bytes, err);
	if (rc == 0) {
		list_text(ret, bytes, ": resources ", &allow->resources);
		list_text(ret, bytes, "; exports ", &allow->exports);
		list_text(ret, bytes, "; interfaces ", &allow->interfaces);
		list_text(ret, bytes, "; processes ", &allow->processes);
		list_text(ret, bytes, "; scratch ", &allow->scratch);
		used = strlen(ret);
		(void)snprintf(ret + used, bytes - used, "; for %s at the most", units_exact_ns(allow->max_time_ns, time, sizeof time));
	}
	free(allow);
	return rc;
}
