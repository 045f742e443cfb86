/* SPDX-License-Identifier: MIT */
/*
 * fleet_file.c - from FLEET.yaml to struct fleet_file.
 *
 * Every text is checked by the letters that it may have: it goes on to ssh, to the agent's command line and into a unit.
 */
#include "fleet_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "err.h"
#include "file.h"
#include "yaml.h"

#define FILE_BYTES_MAX (1u << 20)

static bool has_only(const char *text, const char *beside_letters_and_digits)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(beside_letters_and_digits, *text))
			return false;
	return true;
}

/* A text that must be there, begins as said, and has no letter that means something to somebody on its way. */
static int take(const struct yaml *parent, const char *key, const char *beside, const char *form, char *ret, size_t bytes, struct err *err)
{
	const struct yaml *node = yaml_get(parent, key);
	int rc = node ? yaml_to_text(node, ret, bytes, err) : yaml_error(parent, err, "%s is missing: %s", key, form);

	if (rc == 0 && (ret[0] == '\0' || ret[0] == '-' || !has_only(ret, beside)))
		rc = yaml_error(node, err, "%s '%.100s' is none; write %s", key, ret, form);
	return rc;
}

/* A path of this host, seen from the file. */
static int take_path(const struct yaml *parent, const char *key, const char *form, char *ret, struct err *err)
{
	const char *file = parent->file, *slash = strrchr(file, '/');
	char text[FLEET_PATH_BYTES];
	const struct yaml *node = yaml_get(parent, key);
	int beside, rc = node ? yaml_to_text(node, text, sizeof text, err) : yaml_error(parent, err, "%s is missing: %s", key, form);

	if (rc < 0)
		return rc;
	if (text[0] == '\0')
		return yaml_error(node, err, "%s is empty; write %s", key, form);
	beside = text[0] != '/' && slash ? (int)(slash - file) + 1 : 0;
	if (snprintf(ret, FLEET_PATH_BYTES, "%.*s%s", beside, file, text) >= FLEET_PATH_BYTES)
		return yaml_error(node, err, "%s has more than %d bytes", key, FLEET_PATH_BYTES - 1);
	return 0;
}

static int take_roles(struct fleet_host *h, const struct yaml *parent, struct err *err)
{
	static const char *const names[] = { "load", "chaos", "observe", NULL };
	const struct yaml *node = yaml_get(parent, "roles");
	bool has[3] = { false };

	if (!node || node->kind != YAML_SEQUENCE || node->children_nr == 0)
		return yaml_error(node ? node : parent, err, "roles is missing: a list of load, chaos and observe");
	for (const struct yaml *c = node->child; c; c = c->next) {
		unsigned int role;
		int rc = yaml_to_enum(c, names, &role, err);

		if (rc < 0)
			return rc;
		has[role] = true;
	}
	if (has[0] && has[1])
		return yaml_error(node, err, "load is raised by an ordinary user and faults are injected by root; make two entries of this host, with two names");
	for (int i = 0; i < 3; i++)
		if (has[i])
			(void)snprintf(h->roles + strlen(h->roles), sizeof h->roles - strlen(h->roles), "%s%s", h->roles[0] ? "," : "", names[i]);
	return 0;
}

/* What an agent needs follows from its roles, and what it does not need is refused: it would be believed to do something. */
static int take_place(struct fleet_host *h, const struct yaml *node, struct err *err)
{
	bool load = strncmp(h->roles, "load", 4) == 0, chaos = strncmp(h->roles, "chaos", 5) == 0;
	int rc = 0;

	if (chaos && yaml_get(node, "user"))
		return yaml_error(yaml_get(node, "user"), err, "faults are injected by root: user is for the other roles");
	if (!chaos)
		rc = take(node, "user", "_-", "the user that the agent runs as on that host", h->user, sizeof h->user, err);
	if (rc == 0 && (strcmp(h->user, "root") == 0 || strspn(h->user, "0123456789") == strlen(h->user)) && h->user[0])
		rc = yaml_error(yaml_get(node, "user"), err, "user '%s': neither root nor a number; an ordinary user is enough", h->user);
	if (rc < 0)
		return rc;
	if (!load)
		return yaml_get(node, "mount") ? yaml_error(yaml_get(node, "mount"), err, "mount is for the role load") : 0;
	rc = take(node, "mount", "/._-+@=", "the absolute path of the storage under test, of letters, digits and /._-+@=", h->mount, sizeof h->mount, err);
	return rc == 0 && h->mount[0] != '/' ? yaml_error(yaml_get(node, "mount"), err, "mount '%s' is no absolute path", h->mount) : rc;
}

static int take_host(struct fleet_file *f, const struct yaml *node, struct err *err)
{
	static const char *const keys[] = { "name", "address", "roles", "mount", "user", NULL };
	struct fleet_host *h = &f->host[f->hosts_nr];
	int rc = f->hosts_nr < HOSTS_MAX ? yaml_check_keys(node, "a host", keys, err) : yaml_error(node, err, "more than %d hosts", HOSTS_MAX);

	if (rc == 0)
		rc = take(node, "name", "-", "1 to 32 of a to z, 0 to 9 and -", h->name, sizeof h->name, err);
	if (rc == 0 && !certificate_name_is_fine(h->name))
		rc = yaml_error(yaml_get(node, "name"), err, "the name '%s' is not fit for a certificate; take 1 to 32 of a to z, 0 to 9 and -", h->name);
	for (int i = 0; i < f->hosts_nr && rc == 0; i++)
		if (strcmp(f->host[i].name, h->name) == 0)
			rc = yaml_error(yaml_get(node, "name"), err, "the host '%s' is there twice", h->name);
	if (rc == 0)
		rc = take(node, "address", "._-@", "a name or an IPv4 address as ssh takes it", h->address, sizeof h->address, err);
	if (rc == 0)
		rc = take_roles(h, node, err);
	if (rc == 0)
		rc = take_place(h, node, err);
	f->hosts_nr++;
	return rc;
}

static int take_peer(const struct fleet_file *f, const struct yaml *node, char ret[CERTIFICATE_NAME_BYTES], struct err *err)
{
	int rc = yaml_to_text(node, ret, CERTIFICATE_NAME_BYTES, err), i = 0;

	while (rc == 0 && i < f->hosts_nr && strcmp(f->host[i].name, ret) != 0)
		i++;
	if (rc == 0 && i == f->hosts_nr)
		return yaml_error(node, err, "storage: there is no host '%s'", ret);
	for (int p = 0; p < f->pairs_nr && rc == 0; p++)
		if (strcmp(f->pair[p].name[0], ret) == 0 || strcmp(f->pair[p].name[1], ret) == 0)
			rc = yaml_error(node, err, "storage: '%s' is in two pairs", ret);
	return rc;
}

static int take_pairs(struct fleet_file *f, const struct yaml *node, struct err *err)
{
	if (node->kind != YAML_SEQUENCE)
		return yaml_error(node, err, "storage is a list of pairs: [[store-a, store-b]]");
	for (const struct yaml *c = node->child; c; c = c->next) {
		struct fleet_pair pair;
		int rc = c->kind == YAML_SEQUENCE && c->children_nr == 2 ? 0 : yaml_error(c, err, "storage is a list of pairs: [[store-a, store-b]]");

		if (rc == 0)
			rc = take_peer(f, c->child, pair.name[0], err);
		if (rc == 0)
			rc = take_peer(f, c->child->next, pair.name[1], err);
		if (rc == 0 && strcmp(pair.name[0], pair.name[1]) == 0)
			rc = yaml_error(c, err, "storage: '%s' is no peer of itself", pair.name[0]);
		if (rc < 0)
			return rc;
		f->pair[f->pairs_nr++] = pair;	/* no host is in two, so there is room */
	}
	return 0;
}

static int parse(struct fleet_file *f, const struct yaml *tree, struct err *err)
{
	static const char *const keys[] = { "folder", "bus", "ssh_config", "hosts", "storage", NULL };
	const struct yaml *hosts = yaml_get(tree, "hosts");
	char address[16];
	uint16_t port;
	int rc = yaml_check_keys(tree, "a fleet", keys, err);

	if (rc == 0)
		rc = take_path(tree, "folder", "the folder of its certificates, which squall makes", f->folder, err);
	if (rc == 0)
		rc = take(tree, "bus", ":/.", "mqtts://ADDRESS:PORT, where all reach the broker", f->url, sizeof f->url, err);
	if (rc == 0 && bus_parse_url(f->url, address, &port) < 0)
		rc = yaml_error(yaml_get(tree, "bus"), err, "'%s' is no address of a broker; write mqtts://ADDRESS:PORT, with an IPv4 address", f->url);
	if (rc == 0 && yaml_get(tree, "ssh_config"))
		rc = take_path(tree, "ssh_config", "the path of a file as of ssh -F", f->ssh_config, err);
	if (rc == 0 && (!hosts || hosts->kind != YAML_SEQUENCE || hosts->children_nr == 0))
		rc = yaml_error(hosts ? hosts : tree, err, "hosts is missing: [{name: store-a, address: 192.0.2.21, roles: [chaos, observe]}, ...]");
	for (const struct yaml *c = rc == 0 ? hosts->child : NULL; c && rc == 0; c = c->next)
		rc = take_host(f, c, err);
	if (rc == 0 && yaml_get(tree, "storage"))
		rc = take_pairs(f, yaml_get(tree, "storage"), err);
	return rc;
}

int fleet_file_load(const char *path, struct fleet_file *ret, struct err *err)
{
	struct fleet_file f = { .hosts_nr = 0 };
	struct yaml *tree = NULL;
	struct err said = ERR_INIT;
	char *text = NULL;
	int rc = strlen(path) < sizeof f.path ? file_read(path, FILE_BYTES_MAX, &text, NULL, &said) : err_set(&said, -EINVAL, "%.40s...: too long", path);

	if (rc == -ENOENT || rc == -EISDIR)	/* as of a profile, a mistake of the command line */
		rc = err_set(err, -EINVAL, "%s; squall-fleet(7) shows what such a file says", said.text);
	else if (rc < 0)
		rc = err_set(err, rc, "%s", said.text);
	if (rc == 0)
		rc = yaml_parse(text, path, &tree, err);
	if (rc == 0)
		rc = parse(&f, tree, err);
	if (rc == 0) {
		memcpy(f.path, path, strlen(path) + 1);
		*ret = f;
	}
	yaml_tree_free(tree);
	free(text);
	return rc;
}

int fleet_file_folder(const struct fleet_file *f, struct fleet *ret, struct err *err)
{
	int rc = fleet_load(f->folder, ret, err);

	if (rc == 0 && strcmp(ret->url, f->url) != 0)
		rc = err_set(err, -EINVAL, "%s says %s, but the fleet in %s was made for %s", f->path, f->url, f->folder, ret->url);
	return rc;
}

int fleet_file_check_host(const struct fleet_file *f, const struct fleet *fleet, const struct fleet_host *host, struct err *err)
{
	return fleet_has(fleet, host->name) ? 0 :
		err_set(err, -EINVAL, "%s has no certificate yet; squall fleet deploy --on %s gives it one", host->name, f->path);
}
