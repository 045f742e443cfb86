/* SPDX-License-Identifier: MIT */
/*
 * packages.c - apt resolves against an empty status file, so that what the host has installed does not matter, and verifies what it fetches.
 */
#include "packages.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

#define PACKAGES_MAX 256
#define APT_NS (600 * NS_PER_S)

/* Change the number when the lists below change: the cache is looked up by it. */
#define PACKAGES_SET "packages-2"

static const char *const wanted[] = { "linux-image-cloud-amd64", "busybox-static", "dash", "drbd-utils", "nfs-kernel-server", "nfs-common", "rpcbind",
				      "xfsprogs", "e2fsprogs", "iproute2", "nftables", "dmsetup", "libyaml-0-2", "libjansson4", "libsqlite3-0",
				      "libssl3", NULL };

/* What the dependencies bring and no program of the guests opens; image.c fails by name when a library is missing. */
static const char *const unwanted[] = { "perl", "libperl", "python3", "libpython3", "libicu", "initramfs-tools", "klibc", "libklibc", "udev_", "adduser",
					"passwd", "debconf", "media-types", "tar_", "dpkg_", "coreutils", "ucf", "usrmerge", "lib-base", "libfile-find",
					"libtext-glob", "libnumber-compare", "libgdbm", "cpio", "logsave", "libpam-", "sensible", "init-system",
					"sysvinit", "libldap", "libsasl", "util-linux-extra", "linux-image-cloud", NULL };

struct work {
	char dir[4096];		/* PACKAGES_SET.PID: thrown away, or renamed when it is whole */
	char lists[4160];	/* "Dir::State::lists=..." when the host's own were no use, else "" */
	char file[PACKAGES_MAX][160];
	unsigned int nr;
	lab_progress progress;
	void *arg;
};

static bool is_unwanted(const char *file)
{
	for (int i = 0; unwanted[i]; i++)
		if (strncmp(file, unwanted[i], strlen(unwanted[i])) == 0)
			return true;
	return false;
}

/* apt-get with a state of our own, in a folder. @param tail  NULL-terminated */
static int apt(const struct work *w, const char *folder, const char *const tail[], struct exec_result *ret, struct err *err)
{
	const char *argv[PACKAGES_MAX + 32];
	char status[4160], archives[4160];
	size_t nr = 0;
	int rc;

	(void)snprintf(status, sizeof status, "Dir::State::status=%s/status", w->dir);
	(void)snprintf(archives, sizeof archives, "Dir::Cache::archives=%s/debs/", w->dir);
	for (const char *const *p = (const char *const[]){ "/usr/bin/env", "-C", folder, "/usr/bin/apt-get", "-o", status, "-o", archives, "-o",
							   "APT::Install-Recommends=0", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root", "-o",
							   "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-qq", "-y", NULL };
	     *p; p++)
		argv[nr++] = *p;
	if (w->lists[0] != '\0') {
		argv[nr++] = "-o";
		argv[nr++] = w->lists;
	}
	for (; *tail; tail++)
		argv[nr++] = *tail;
	argv[nr] = NULL;
	rc = exec_run(argv, NULL, APT_NS, ret, err);
	if (rc == 0 && ret->status == 127)
		return err_set(err, -ENOPKG, "the lab is made of Debian's packages: apt-get is missing on this host");
	return rc;
}

/* A line of --print-uris: 'URI' FILE SIZE HASH */
static int parse_uris(struct work *w, char *text, struct err *err)
{
	char *rest = text, *line;

	w->nr = 0;
	while ((line = strsep(&rest, "\n"))) {
		char *file = strstr(line, "' "), *end = file ? strchr(file + 2, ' ') : NULL;

		if (line[0] != '\'' || !end)
			continue;
		*end = '\0';
		if (is_unwanted(file + 2))
			continue;
		if (w->nr == PACKAGES_MAX || end - file - 2 >= (long)sizeof w->file[0])
			return err_set(err, -E2BIG, "apt names more than %d packages for the lab", PACKAGES_MAX);
		(void)snprintf(w->file[w->nr++], sizeof w->file[0], "%s", file + 2);
	}
	return w->nr == 0 ? err_set(err, -EIO, "apt-get names no package for the lab") : 0;
}

static int resolve(struct work *w, struct err *err)
{
	const char *tail[sizeof wanted / sizeof wanted[0] + 3] = { "--print-uris", "install" };
	struct exec_result result = EXEC_RESULT_INIT;
	int rc;

	for (int i = 0; wanted[i]; i++)
		tail[i + 2] = wanted[i];
	rc = apt(w, w->dir, tail, &result, err);
	if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, "apt-get knows no way to the lab's packages: %.200s", result.err_out ? result.err_out : "");
	else if (rc == 0)
		rc = parse_uris(w, result.out, err);
	exec_result_release(&result);
	return rc;
}

/* The host's lists of packages may be missing or old: then our own are fetched. */
static int update(struct work *w, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	char folder[4160];
	int rc;

	(void)snprintf(folder, sizeof folder, "%.4000s/lists/partial", w->dir);
	(void)snprintf(w->lists, sizeof w->lists, "Dir::State::lists=%s/lists/", w->dir);
	rc = file_mkdirs(folder, 0700, err);
	if (rc == 0)
		rc = apt(w, w->dir, (const char *const[]){ "update", NULL }, &result, err);
	if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, "apt-get update: %.200s", result.err_out ? result.err_out : "");
	exec_result_release(&result);
	return rc;
}

/* "libc6_2.36-9_amd64.deb" is "libc6=2.36-9" for apt, a colon in the version being %3a in the file's name. */
static void file_to_package(const char *file, char *ret, size_t bytes)
{
	const char *version = strchr(file, '_'), *end = version ? strrchr(file, '_') : NULL;
	size_t n = 0;

	if (!end || end == version) {
		(void)snprintf(ret, bytes, "%s", file);
		return;
	}
	n = (size_t)snprintf(ret, bytes, "%.*s=", (int)(version - file), file);
	for (const char *p = version + 1; p < end && n + 1 < bytes; p++)
		if (strncmp(p, "%3a", 3) == 0) {
			ret[n++] = ':';
			p += 2;
		} else {
			ret[n++] = *p;
		}
	ret[n] = '\0';
}

static int download(struct work *w, struct err *err)
{
	struct exec_result result = EXEC_RESULT_INIT;
	const char *tail[PACKAGES_MAX + 2] = { "download" };
	char (*names)[160] = calloc(PACKAGES_MAX, sizeof *names), folder[4160];
	int rc;

	if (!names)
		return err_set(err, -ENOMEM, "lab: no memory");
	for (unsigned int i = 0; i < w->nr; i++) {
		file_to_package(w->file[i], names[i], sizeof names[i]);
		tail[i + 1] = names[i];
	}
	(void)snprintf(folder, sizeof folder, "%.4000s/debs", w->dir);
	rc = apt(w, folder, tail, &result, err);
	if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, "apt-get download: %.200s", result.err_out ? result.err_out : "");
	exec_result_release(&result);
	free(names);
	return rc;
}

static int unpack(struct work *w, struct err *err)
{
	char root[4160], deb[4352];
	int rc = 0;

	(void)snprintf(root, sizeof root, "%.4000s/root", w->dir);
	for (unsigned int i = 0; i < w->nr && rc == 0; i++) {
		(void)snprintf(deb, sizeof deb, "%.4000s/debs/%s", w->dir, w->file[i]);
		rc = exec_check((const char *const[]){ "/usr/bin/dpkg-deb", "-x", deb, root, NULL }, NULL, 120 * NS_PER_S, err);
	}
	return rc == -ENOENT ? err_set(err, -ENOPKG, "the lab is made of Debian's packages: dpkg-deb is missing on this host") : rc;
}

static int write_versions(const struct work *w, struct err *err)
{
	char *text = NULL, path[4160];
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	int rc;

	if (!out)
		return err_set(err, -ENOMEM, "lab: no memory");
	for (unsigned int i = 0; i < w->nr; i++)
		(void)fprintf(out, "%s\n", w->file[i]);
	if (fclose(out) != 0)
		return err_set(err, -ENOMEM, "lab: no memory");
	(void)snprintf(path, sizeof path, "%.4000s/versions", w->dir);
	rc = file_write(path, text, bytes, 0644, err);
	free(text);
	return rc;
}

static int build(struct work *w, struct err *err)
{
	static const char *const folders[] = { "debs/partial", "root", NULL };
	char path[4160];
	int rc = 0;

	for (int i = 0; folders[i] && rc == 0; i++) {
		(void)snprintf(path, sizeof path, "%.4000s/%s", w->dir, folders[i]);
		rc = file_mkdirs(path, 0755, err);
	}
	(void)snprintf(path, sizeof path, "%.4000s/status", w->dir);
	if (rc == 0)
		rc = file_write(path, "", 0, 0644, err);
	if (rc < 0)
		return rc;
	w->progress("finding the guests' packages", w->arg);
	if (resolve(w, NULL) < 0 && (rc = update(w, err)) == 0)
		rc = resolve(w, err);
	if (rc == 0) {
		w->progress("fetching the guests' packages", w->arg);
		rc = download(w, err);
	}
	if (rc == 0) {
		w->progress("unpacking the guests' packages", w->arg);
		rc = unpack(w, err);
	}
	return rc == 0 ? write_versions(w, err) : rc;
}

int packages_get(const char *cache, lab_progress progress, void *arg, struct packages *ret, struct err *err)
{
	struct work *w = calloc(1, sizeof *w);
	char dir[4096], path[4160];
	size_t bytes;
	int rc = 0;

	if (!w)
		return err_set(err, -ENOMEM, "lab: no memory");
	*ret = (struct packages){ 0 };
	w->progress = progress;
	w->arg = arg;
	(void)snprintf(dir, sizeof dir, "%.3900s/" PACKAGES_SET, cache);
	(void)snprintf(w->dir, sizeof w->dir, "%.4000s.%d", dir, (int)getpid());
	(void)snprintf(path, sizeof path, "%s/versions", dir);
	if (access(path, R_OK) < 0) {
		rc = build(w, err);
		(void)snprintf(path, sizeof path, "%.4000s/debs", w->dir);
		(void)file_remove_tree(path, NULL);
		if (rc == 0 && rename(w->dir, dir) < 0 && errno != ENOTEMPTY && errno != EEXIST)
			rc = err_set(err, -errno, "%s: %s", dir, strerror(errno));
		(void)file_remove_tree(w->dir, NULL);
	}
	free(w);
	(void)snprintf(path, sizeof path, "%s/versions", dir);
	(void)snprintf(ret->root, sizeof ret->root, "%.4000s/root", dir);
	return rc == 0 ? file_read(path, 1u << 20, &ret->versions, &bytes, err) : rc;
}
