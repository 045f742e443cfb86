/* SPDX-License-Identifier: MIT */
/*
 * preflight.c - a table of checks, each of them cheap and exact. Nothing here changes anything.
 */
#include "preflight.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "confine.h"
#include "drbd.h"
#include "err.h"
#include "faults.h"
#include "file.h"
#include "tool.h"

#define CIB_PATH "/var/lib/pacemaker/cib/cib.xml"
#define CIB_BYTES_MAX (16u << 20)
#define LINE_BYTES_MAX 4096
#define OF_CLUSTER (ALLOW_RESOURCE | ALLOW_EXPORT)	/* what Pacemaker may be in charge of */

static const char *resource_of(const struct allow *allow)
{
	return allow->resources.name[0];
}

/* A resync under a fault is another experiment, and a disk that is not UpToDate may be the only one that is left afterwards. */
static int look_disks(const struct allow *allow, struct err *err)
{
	struct drbd_line line;
	int rc = drbd_line(resource_of(allow), &line, err);

	if (rc == 0 && (strcmp(line.state, "Connected") != 0 || strcmp(line.disks, "UpToDate/UpToDate") != 0))
		rc = err_set(err, -ENOPKG, "%s is %s with disks %s: wait until it is Connected and both are UpToDate (drbdadm status %s)",
			     resource_of(allow), line.state, line.disks, resource_of(allow));
	return rc;
}

unsigned long preflight_disk_timeout(const char *show)
{
	static const char key[] = "disk-timeout";
	const char *p = strstr(show, key);

	return p ? strtoul(p + strlen(key), NULL, 10) : 0;
}

/* A request that DRBD has given up may be done by the disk later, into memory that is somebody else's by then. Source: drbd.conf(5), disk-timeout. */
static int look_disk_timeout(const struct allow *allow, struct err *err)
{
	unsigned long timeout;
	char *text = NULL;
	int rc = tool_output(&text, err, "drbdsetup show %s", resource_of(allow));

	if (rc < 0)
		return rc;
	timeout = preflight_disk_timeout(text);
	free(text);
	if (timeout > 0)
		return err_set(err, -ENOPKG, "disk-timeout of %s is %lu.%lu s, and a disk that is late may panic the kernel: set it to 0, and drbdadm adjust %s",
			       resource_of(allow), timeout / 10, timeout % 10, resource_of(allow));
	return 0;
}

static bool is_deadly(const char *line, size_t bytes)
{
	static const char *const words[] = { "reboot", "sysrq", "halt", "poweroff", "shutdown" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (memmem(line, bytes, words[i], strlen(words[i])))
			return true;
	return false;
}

/* "handlers {", lines of a name and a command, "}". */
bool preflight_deadly_handler(const char *dump, char *ret, size_t bytes)
{
	bool inside = false;

	while (*dump) {
		const char *line = dump + strspn(dump, " \t");
		size_t n = strcspn(line, "\n");

		if (strncmp(line, "handlers", 8) == 0)
			inside = true;
		else if (inside && *line == '}')
			inside = false;
		else if (inside && is_deadly(line, n)) {
			(void)snprintf(ret, bytes, "%.*s", (int)strcspn(line, " \t\n"), line);
			return true;
		}
		dump = line + n + (line[n] == '\n');
	}
	return false;
}

static int look_handlers(const struct allow *allow, struct err *err)
{
	char name[64], *text = NULL;
	int rc = tool_output(&text, err, "drbdadm dump");

	(void)allow;
	if (rc == 0 && preflight_deadly_handler(text, name, sizeof name))
		rc = err_set(err, -ENOPKG, "the handler %s of DRBD takes the host down when a fault makes DRBD call it: take it out of the configuration", name);
	free(text);
	return rc;
}

static bool element_has(const char *element, size_t bytes, const char *name, const char *value)
{
	char attribute[2 * ALLOW_NAME_BYTES];

	(void)snprintf(attribute, sizeof attribute, " name=\"%s\"", name);
	if (!memmem(element, bytes, attribute, strlen(attribute)))
		return false;
	(void)snprintf(attribute, sizeof attribute, " value=\"%s\"", value);
	return memmem(element, bytes, attribute, strlen(attribute));
}

/* A primitive of a type that serves files: of ocf, or of systemd. Source: the agents of resource-agents, and the units of nfs-utils */
static bool serves_files(const char *element, size_t bytes)
{
	static const char *const types[] = { "Filesystem", "exportfs", "nfsserver", "nfs-server", "nfs-kernel-server" };

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		char attribute[64];

		(void)snprintf(attribute, sizeof attribute, " type=\"%s\"", types[i]);
		if (memmem(element, bytes, attribute, strlen(attribute)))
			return true;
	}
	return false;
}

bool preflight_is_managed(const char *cib, const char *resource)
{
	bool managed = false;

	for (const char *p = strstr(cib, "<primitive "); p && !managed; p = strstr(p + 1, "<primitive "))
		managed = serves_files(p, strcspn(p, ">"));
	for (const char *p = strstr(cib, "<nvpair "); p; p = strstr(p + 1, "<nvpair ")) {
		size_t n = strcspn(p, ">");

		if (element_has(p, n, "maintenance-mode", "true"))
			return false;
		managed |= element_has(p, n, "drbd_resource", resource);
	}
	return managed;
}

/* It would take a fault for a failure, and fail over, restart or fence. */
static int look_pacemaker(const struct allow *allow, struct err *err)
{
	int nr = tool_processes("pacemakerd", NULL), rc;
	char *text = NULL;
	bool managed;

	if (nr == 0)
		return 0;
	rc = nr < 0 ? err_set(err, nr, "cannot look whether Pacemaker runs: %s", strerror(-nr)) : file_read(CIB_PATH, CIB_BYTES_MAX, &text, NULL, err);
	if (rc < 0)
		return rc;
	managed = preflight_is_managed(text, resource_of(allow));
	free(text);
	if (managed)
		return err_set(err, -ENOPKG, "Pacemaker is in charge of DRBD or NFS here and would act on the fault: crm_attribute --name maintenance-mode --update true");
	return 0;
}

/* "[::ffff:10.0.0.5%eth0]:22" is 10.0.0.5, as an interface has it. */
static void strip_address(const char *text, char *ret, size_t bytes)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);

	if (*text == '[') {
		text++;
		n = strcspn(text, "]");
	}
	if (strncmp(text, "::ffff:", 7) == 0) {
		text += 7;
		n -= 7;
	}
	(void)snprintf(ret, bytes, "%.*s", (int)n, text);
	ret[strcspn(ret, "%")] = '\0';
}

/* The first two words with a colon are the ends; before them stand numbers, after them the processes. */
static bool parse_ends(char *line, struct preflight_session *ret)
{
	const char *local = NULL;
	char *save;

	for (const char *word = strtok_r(line, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (!strchr(word, ':'))
			continue;
		if (!local) {
			local = word;
			continue;
		}
		strip_address(local, ret->local, sizeof ret->local);
		(void)snprintf(ret->peer, sizeof ret->peer, "%s", word);
		return true;
	}
	return false;
}

bool preflight_next_session(const char **text, pid_t agent, struct preflight_session *ret)
{
	char line[LINE_BYTES_MAX], pid[32];

	(void)snprintf(pid, sizeof pid, "pid=%d,", (int)agent);
	while (**text) {
		size_t n = strcspn(*text, "\n");

		(void)snprintf(line, sizeof line, "%.*s", (int)n, *text);
		*text += n + ((*text)[n] == '\n');
		if ((strstr(line, "(\"sshd") || strstr(line, pid)) && parse_ends(line, ret))
			return true;
	}
	return false;
}

static int look_sessions(const char *text, pid_t agent, const struct allow *allow, struct err *err)
{
	struct preflight_session session;
	char dev[IF_NAMESIZE];

	while (preflight_next_session(&text, agent, &session))
		if (tool_interface_of(session.local, dev, sizeof dev) == 0 && allow_has(&allow->interfaces, dev))
			return err_set(err, -ENOPKG, "this host is controlled over %s, by %s: take that interface out of the allow file, or come in by another", dev,
				       session.peer);
	return 0;
}

/* The operator's path: who comes in by an interface that may be broken cannot come in to heal. */
static int look_path(const struct allow *allow, struct err *err)
{
	char *text = NULL;
	int rc = tool_output(&text, err, "ss -Htnp state established");

	/* Whoever asked is above us: an agent, or a shell below one. */
	for (pid_t pid = getppid(); rc == 0 && pid > 1; pid = tool_parent(pid))
		rc = look_sessions(text, pid, allow, err);
	free(text);
	return rc;
}

static int look_room(const struct allow *allow, struct err *err)
{
	(void)allow;
	return audit_room(err);
}

static const struct check {
	const char *name;		/* what is true when it passes */
	unsigned int allowed;		/* of faults that need one of these of the allow file; 0 = of all */
	int (*look)(const struct allow *allow, struct err *err);
} checks[] = {
	{ "both disks are UpToDate and no resync runs", ALLOW_RESOURCE, look_disks },
	{ "disk-timeout is off", ALLOW_RESOURCE, look_disk_timeout },
	{ "no handler of DRBD takes the host down", ALLOW_RESOURCE, look_handlers },
	{ "Pacemaker is not in charge", OF_CLUSTER, look_pacemaker },
	{ "nobody controls this host over an interface that may be broken", ALLOW_INTERFACE, look_path },
	{ "there is room for journal and audit log", 0, look_room },
};

static void add_check(json_t *list, const char *name, int rc, const struct err *err)
{
	(void)json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "check", name, "ok", rc == 0, "error", err->text));
}

int preflight(const struct fault *fault, const struct allow *allow, json_t *ret_checks, struct err *err)
{
	int first = 0;

	for (size_t i = 0; i < sizeof checks / sizeof checks[0] && (first == 0 || ret_checks); i++) {
		struct err e = ERR_INIT;
		int rc;

		if (checks[i].allowed && !(fault->allowed & checks[i].allowed))
			continue;
		rc = checks[i].look(allow, &e);
		if (ret_checks)
			add_check(ret_checks, checks[i].name, rc, &e);
		if (rc < 0 && first == 0)
			first = err_set(err, rc, "%s: %s", fault->name, e.text);
	}
	return first;
}

uint64_t preflight_capabilities(const struct fault *fault)
{
	return fault->allowed & OF_CLUSTER ? CONFINE_CAP(DAC_READ_SEARCH) : 0;
}

int chaos_preflight(const char *fault, json_t **ret_checks, struct err *err)
{
	const struct fault *f = fault_find(fault);
	struct allow *allow = calloc(1, sizeof *allow);
	json_t *list = json_array();
	struct err e = ERR_INIT;
	int rc = allow && list ? fault_probe(f, allow, &e) : err_set(&e, -ENOMEM, "out of memory");

	add_check(list, "this host can do it, and may", rc, &e);
	rc = rc < 0 ? err_set(err, rc, "%s", e.text) : preflight(f, allow, list, err);
	free(allow);
	*ret_checks = list;
	return rc;
}
