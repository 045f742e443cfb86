/* SPDX-License-Identifier: MIT */
/*
 * nfs.c - asks ss, exportfs and nfsd. No mount and no export is touched: what hangs there cannot hang us.
 */
#include "nfs.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "faults.h"
#include "plan.h"
#include "process.h"
#include "tool.h"
#include "undo.h"

#define LINE_BYTES 512
#define LOCKD_MAX 16	/* there is one, but for what has its name */

static int list_connections(const char *address, char **ret_text, struct err *err)
{
	return tool_output(ret_text, err, "ss -tneH " NFS_CONNECTIONS, NFS_PORT, NFS_PORT, address);
}

/* "0  0  10.0.1.11:2049  10.0.1.21:785  timer:(keepalive,1min,0) ino:0 sk:3f"; the state stands before it when ss was not asked for one alone. */
static int parse_line(const char *line, struct nfs_connection *ret)
{
	const char *cookie = strstr(line, " sk:");

	if (isalpha((unsigned char)*line))
		line += strcspn(line, " ");
	if (!cookie || sscanf(line, "%*u %*u %*[0-9.]:%*u %15[0-9.]:%*u", ret->peer) != 1)
		return -EINVAL;
	ret->cookie = strtoull(cookie + strlen(" sk:"), NULL, 16);
	return 0;
}

size_t nfs_parse_connections(const char *text, struct nfs_connection *ret, size_t max)
{
	size_t nr = 0;

	while (*text && nr <= max) {
		char line[LINE_BYTES];
		struct nfs_connection c;
		size_t n = strcspn(text, "\n");

		(void)snprintf(line, sizeof line, "%.*s", (int)n, text);
		if (parse_line(line, &c) == 0 && nr++ < max)
			ret[nr - 1] = c;
		text += n;
		text += *text == '\n';
	}
	return nr;
}

int nfs_connections(const char *address, struct nfs_connection *ret, size_t max, struct err *err)
{
	char *text = NULL;
	size_t nr;
	int rc = list_connections(address, &text, err);

	if (rc < 0)
		return rc;
	nr = nfs_parse_connections(text, ret, max);
	free(text);
	return nr > max ? err_set(err, -E2BIG, "%s has more than %zu NFS connections", address, max) : (int)nr;
}

static int by_address(const void *a, const void *b)
{
	uint32_t x = ntohl(inet_addr(((const struct nfs_connection *)a)->peer)), y = ntohl(inet_addr(((const struct nfs_connection *)b)->peer));

	return (x > y) - (x < y);
}

size_t nfs_peers(struct nfs_connection *connections, size_t nr)
{
	size_t kept = 0;

	qsort(connections, nr, sizeof *connections, by_address);
	for (size_t i = 0; i < nr; i++)
		if (kept == 0 || by_address(&connections[kept - 1], &connections[i]) != 0)
			connections[kept++] = connections[i];
	return kept;
}

/* One more address of an interface that may be touched. */
static int look_at(const struct ifaddrs *i, struct nfs_link *link, struct err *err)
{
	char *text = NULL, address[INET_ADDRSTRLEN];
	bool used;
	int rc;

	inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, address, sizeof address);
	rc = list_connections(address, &text, err);
	if (rc < 0)
		return rc;
	used = *text != '\0';
	free(text);
	if (used && link->address[0] != '\0')
		return err_set(err, -EINVAL, "NFS runs over %s and %s: let the allow file name the interface of one of them alone", link->address, address);
	if (used) {
		(void)snprintf(link->dev, sizeof link->dev, "%s", i->ifa_name);
		(void)snprintf(link->address, sizeof link->address, "%s", address);
	}
	return 0;
}

int nfs_link_find(const struct allow *allow, struct nfs_link *ret, struct err *err)
{
	struct nfs_link link = { .dev = "" };
	struct ifaddrs *list;
	int rc = 0;

	if (getifaddrs(&list) < 0)
		return err_set(err, -errno, "cannot list the addresses of this host: %m");
	for (const struct ifaddrs *i = list; i && rc == 0; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && allow_has(&allow->interfaces, i->ifa_name))
			rc = look_at(i, &link, err);
	freeifaddrs(list);
	if (rc == 0 && link.address[0] == '\0')
		rc = err_set(err, -ENOTCONN, "no IPv4 connection of port %d runs over an interface of the allow file: is a client mounted?", NFS_PORT);
	if (rc == 0)
		*ret = link;
	return rc;
}

static bool is_about(const char *line, const char *path)
{
	size_t n = strlen(path);

	return strncmp(line, path, n) == 0 && (line[n] == ' ' || line[n] == '\t');
}

int nfs_exports(const char *path, char **ret_lines, struct err *err)
{
	char *text = NULL, *to;
	int rc = tool_output(&text, err, "exportfs -s");

	if (rc < 0)
		return rc;
	to = text;
	for (char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		n += line[n] == '\n';
		if (is_about(line, path)) {
			memmove(to, line, n);
			to += n;
		}
		line += n;
	}
	*to = '\0';
	*ret_lines = text;
	return 0;
}

int nfs_parse_exports(const char *lines, const char *path, struct nfs_export *ret, size_t max, struct err *err)
{
	size_t nr = 0;

	for (const char *line = lines; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *rest = is_about(line, path) ? line + strlen(path) : "";
		struct nfs_export e;
		int end = 0;

		(void)sscanf(rest, " %127[^(' \t\n](%511[^)' \t\n])%n", e.client, e.options, &end);
		if (end == 0 || (rest[end] != '\n' && rest[end] != '\0') || e.client[0] == '-')
			return err_set(err, -EBADMSG, "'%.*s' exports %s to nobody", (int)strcspn(line, "\n"), line, path);
		if (nr == max)
			return err_set(err, -E2BIG, "%s is exported to more than %zu clients", path, max);
		ret[nr++] = e;
	}
	return (int)nr;
}

static int by_number(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return (x > y) - (x < y);
}

int nfsd_clients(unsigned long *ret, size_t max, struct err *err)
{
	DIR *dir = opendir(NFSD_CLIENTS);
	const struct dirent *d;
	size_t nr = 0;

	if (!dir)
		return err_set(err, -errno, "cannot list " NFSD_CLIENTS ": %m");
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' && nr++ < max)
			ret[nr - 1] = strtoul(d->d_name, NULL, 10);
	closedir(dir);
	if (max > 0)
		qsort(ret, nr < max ? nr : max, sizeof *ret, by_number);
	return (int)nr;
}

/* "1: POSIX  ADVISORY  WRITE 228 93:00:131 0 EOF"; of one that waits "1: -> POSIX ..." */
size_t nfs_parse_locks(const char *text, pid_t holder)
{
	size_t nr = 0;
	long pid;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		nr += sscanf(line, "%*u: %*[A-Z] %*[A-Z] %*[A-Z] %ld", &pid) == 1 && pid == holder;
	return nr;
}

int nfs_locks(struct err *err)
{
	pid_t lockd[LOCKD_MAX];
	char *text = NULL;
	int nr = tool_pids("lockd", lockd, LOCKD_MAX), locks = 0, rc;

	if (nr <= 0)
		return nr < 0 ? err_set(err, nr, "cannot look for lockd") : 0;
	rc = tool_read("/proc/locks", &text, err);
	for (int i = 0; rc == 0 && i < nr && i < LOCKD_MAX; i++)
		locks += (int)nfs_parse_locks(text, lockd[i]);
	free(text);
	return rc < 0 ? rc : locks;
}

int nfsd_check_file(const char *path, int mode, struct err *err)
{
	return access(path, mode) < 0 ? err_set(err, -ENOPKG, "%s is missing: no nfsd here", path) : 0;
}

int nfsd_check_kill(const char *release, const char *status, struct err *err)
{
	int rc = process_check_heeds(status, SIGKILL, err);

	if (rc == 0 && strncmp(release, "5.15.", 5) == 0)
		rc = err_set(err, -ENOTSUP, "Linux %s may crash of it, as 5.15.154 to 5.15.159 do", release);
	return rc;
}

/* What the kernel makes of a line of portlist listens on every address. "tcp LISTEN 0 64 0.0.0.0:2049 0.0.0.0:*" */
static int check_listeners(struct err *err)
{
	static const char *const every[] = { " 0.0.0.0:2049 ", " [::]:2049 ", " *:2049 " };
	char *text = NULL, *rest, *line;
	int rc = tool_output(&text, err, "ss -ltunH sport = :%d", NFS_PORT);

	rest = text;
	while (rc == 0 && (line = strsep(&rest, "\n"))) {
		bool known = *line == '\0';

		for (size_t i = 0; i < sizeof every / sizeof every[0]; i++)
			known |= strstr(line, every[i]) != NULL;
		if (!known)
			rc = err_set(err, -EINVAL, "nfsd listens on one address alone, which could not be made again: %s", line);
	}
	free(text);
	return rc;
}

/* With its last user lockd ends, and drops them. Its clients are told of it when a host boots, and not now: two would hold one lock. */
static int check_locks(struct err *err)
{
	int nr = nfs_locks(err);

	return nr <= 0 ? nr : err_set(err, -EBUSY, "lockd holds %d locks of NFSv3 clients, and a stop of nfsd would drop them for good without their hearing of it: let what holds"
				      " them end; to drop them is nfs-unlock", nr);
}

int nfsd_add_serving(const struct fault_run *run, struct plan *plan, struct err *err)
{
	unsigned int threads = 8;
	char *ports = NULL;
	int rc = 0;

	if (!run->dry)
		rc = check_locks(err);
	if (rc == 0 && !run->dry)
		rc = undo_nfsd_pool(&threads, err);
	if (rc == 0 && threads == 0)
		rc = err_set(err, -EINVAL, "nfsd has no thread: it does not run");
	if (rc == 0 && !run->dry)
		rc = check_listeners(err);
	if (rc == 0 && !run->dry)
		rc = tool_read(UNDO_NFSD_PORTS, &ports, err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:i, s:s}", "op", "NFSD_SERVE", "threads", (int)threads, "ports", ports ? ports : "tcp 2049\n"), err);
	free(ports);
	return rc;
}
