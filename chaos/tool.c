/* SPDX-License-Identifier: MIT */
/*
 * tool.c - asking the host without ever waiting for it for ever.
 */
#include "tool.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "err.h"
#include "exec.h"
#include "faults.h"
#include "file.h"
#include "plan.h"

#define TOOL_READ_BYTES_MAX (256u << 10)

/* Half of a listing is none: what is looked for may be in the other half. */
static int check_whole(const struct exec_result *result, const char *of, struct err *err)
{
	return result->out_bytes < EXEC_OUTPUT_MAX ? 0 : err_set(err, -EFBIG, "%s: more than %u KiB", of, EXEC_OUTPUT_MAX >> 10);
}

int tool_output(char **ret_out, struct err *err, const char *format, ...)
{
	struct exec_result result = EXEC_RESULT_INIT;
	const char *argv[ACTION_ARGS_MAX + 1];
	char line[ACTION_TEXT_BYTES], program[256];
	size_t nr = 0;
	char *save;
	va_list ap;
	int rc, n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line)
		return err_set(err, -E2BIG, "a command of more than %zu bytes", sizeof line);
	for (char *w = strtok_r(line, " ", &save); w && nr < ACTION_ARGS_MAX; w = strtok_r(NULL, " ", &save))
		argv[nr++] = w;
	argv[nr] = NULL;
	rc = exec_find(argv[0], program, sizeof program);
	if (rc < 0)
		return err_set(err, -ENOPKG, "the program %s is missing", argv[0]);
	argv[0] = program;
	rc = exec_run(argv, NULL, FAULT_COMMAND_NS, &result, err);
	if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, "%s ended with %d: %.200s", program, result.status, result.err_out ? result.err_out : "");
	if (rc == 0)
		rc = check_whole(&result, program, err);
	if (rc == 0) {
		*ret_out = result.out ? result.out : strdup("");
		result.out = NULL;
		rc = *ret_out ? 0 : -ENOMEM;
	}
	exec_result_release(&result);
	return rc;
}

static int read_child(int fd, void *arg)
{
	char buf[4096];
	int in = open(arg, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (in >= 0 && (n = read(in, buf, sizeof buf)) > 0)
		if (file_write_all(fd, buf, (size_t)n) < 0)
			return 1;
	return n < 0;
}

int tool_read(const char *path, char **ret_text, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	int rc;

	rc = exec_child(read_child, (void *)(uintptr_t)path, FAULT_COMMAND_NS, &result, err);
	if (rc == 0 && (result.status != 0 || !result.out))
		rc = err_set(err, -EIO, "cannot read %s", path);
	if (rc == 0)
		rc = check_whole(&result, path, err);
	if (rc == 0) {
		*ret_text = result.out;
		result.out = NULL;
	}
	exec_result_release(&result);
	return rc;
}

int tool_peek(const char *path, char *ret, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ret[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, ret, bytes - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	ret[n] = '\0';
	if (n > 0 && ret[n - 1] == '\n')
		ret[--n] = '\0';
	return (int)n;
}

bool tool_next_mount(FILE *mountinfo, struct tool_mount *ret)
{
	unsigned int major, minor;
	char line[4096];

	while (fgets(line, sizeof line, mountinfo))
		if (sscanf(line, "%*s %*s %u:%u %*s %511s", &major, &minor, ret->where) == 3) {
			ret->device = makedev(major, minor);
			return true;
		}
	return false;
}

static int find(const char *name, const char *wchan, pid_t *ret, size_t max)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	int nr = 0;

	if (!dir)
		return -errno;
	while ((d = readdir(dir)) != NULL) {
		char path[300], text[64];

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		(void)snprintf(path, sizeof path, "/proc/%s/comm", d->d_name);
		if (tool_peek(path, text, sizeof text) <= 0 || strcmp(text, name) != 0)
			continue;
		(void)snprintf(path, sizeof path, "/proc/%s/wchan", d->d_name);
		if (wchan && (tool_peek(path, text, sizeof text) <= 0 || strcmp(text, wchan) != 0))
			continue;
		if ((size_t)nr++ < max)
			ret[nr - 1] = (pid_t)strtol(d->d_name, NULL, 10);
	}
	closedir(dir);
	return nr;
}

int tool_processes(const char *name, const char *wchan)
{
	return find(name, wchan, NULL, 0);
}

int tool_pids(const char *name, pid_t *ret, size_t max)
{
	return find(name, NULL, ret, max);
}

/* @return NULL: it is of another family */
static const char *address_text(const struct sockaddr *address, char *ret, socklen_t bytes)
{
	if (address && address->sa_family == AF_INET)
		return inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, ret, bytes);
	if (address && address->sa_family == AF_INET6)
		return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, ret, bytes);
	return NULL;
}

int tool_interface_of(const char *address, char *ret, size_t bytes)
{
	struct ifaddrs *list;
	int rc = -ENODEV;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *i = list; i && rc == -ENODEV; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN];

		if (address_text(i->ifa_addr, text, sizeof text) && strcmp(text, address) == 0)
			rc = snprintf(ret, bytes, "%s", i->ifa_name) < (int)bytes ? 0 : -ENAMETOOLONG;
	}
	freeifaddrs(list);
	return rc;
}

/* From the state on, field 3. @return in text; NULL: there is no such process, or it has ended */
static char *stat_from_state(pid_t pid, char *text, size_t bytes)
{
	char path[64], *p;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (tool_peek(path, text, bytes) <= 0)
		return NULL;
	p = strrchr(text, ')');	/* the name may hold blanks and brackets */
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return NULL;
	return p + 2;
}

char tool_state(pid_t pid)
{
	char text[512], *state = stat_from_state(pid, text, sizeof text);

	return state ? *state : '\0';
}

/* A field of a living process, numbered as proc_pid_stat(5) does; 0 when there is none. */
static uint64_t stat_field(pid_t pid, int wanted)
{
	char text[512], *save, *state = stat_from_state(pid, text, sizeof text), *word = state ? strtok_r(state, " ", &save) : NULL;

	for (int field = 3; word && field < wanted; field++)
		word = strtok_r(NULL, " ", &save);
	return word ? strtoull(word, NULL, 10) : 0;
}

uint64_t tool_start_time(pid_t pid)
{
	return stat_field(pid, 22);
}

pid_t tool_parent(pid_t pid)
{
	return (pid_t)stat_field(pid, 4);
}

void tool_plain(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = *text == '\n' || *text == '\t' ? ' ' : '?';
}

int tool_boot_id(char *ret, size_t bytes)
{
	int rc = tool_peek("/proc/sys/kernel/random/boot_id", ret, bytes);

	return rc < 0 ? rc : 0;
}

int64_t tool_login_uid(void)
{
	char text[32];

	if (tool_peek("/proc/self/loginuid", text, sizeof text) <= 0 || strtoul(text, NULL, 10) == (uid_t)-1)
		return -1;
	return (int64_t)strtoul(text, NULL, 10);
}
