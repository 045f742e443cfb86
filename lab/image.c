/* SPDX-License-Identifier: MIT */
/*
 * image.c - picks what the guests run out of the unpacked packages, with the libraries and modules that it needs, and packs it.
 */
#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpio.h"
#include "elf.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "guest.h"
#include "packages.h"

#define NAMES_MAX 1024
#define MODULES_MAX 8192
#define FILE_BYTES_MAX (256u << 20)
#define LIBRARIES "lib/x86_64-linux-gnu"
#define IMAGES_KEPT 4

static const char *const programs[] = { "dash", "drbdadm", "drbdsetup", "drbdmeta", "rpc.nfsd", "exportfs", "rpc.mountd", "rpc.statd", "mount.nfs", "rpcbind", "ip",
					"tc", "ss", "nft", "mkfs.xfs", "mke2fs", "dmsetup", NULL };
static const char *const drbd_programs[] = { "drbdadm-84", "drbdsetup-84", NULL };
static const char *const program_dirs[] = { "bin", "sbin", "usr/bin", "usr/sbin", NULL };
static const char *const library_dirs[] = { LIBRARIES, "usr/" LIBRARIES, "lib64", NULL };
static const char *const common_modules[] = { "virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "crc32c_generic", "ext4", "nf_tables", "nft_ct", "nft_limit",
					      "tcp_diag", "inet_diag", "sch_netem", "sch_ingress", "ifb", "act_mirred", "cls_flower", NULL };
static const char *const client_modules[] = { "nfs", "nfsv3", "nfsv4", NULL };
static const char *const store_modules[] = { "libcrc32c", "dm_mod", "dm_delay", "dm_flakey", "dm_snapshot", "xfs", "drbd", "nfsd", "sch_tbf", "sch_prio", "act_gact",
					     "cls_matchall", "cls_u32", NULL };
static const char *const dirs[] = { "bin", "dev", "etc", "etc/squall", "lab", "lib", LIBRARIES, "lib/drbd", "lib/modules", "lib64", "mnt", "proc",
				    "root", "run", "srv", "sys", "tmp", "usr", "var", "var/lib", "var/lib/drbd", "var/lib/nfs",
				    "var/lib/nfs/sm", "var/lib/nfs/sm.bak", "var/lib/nfs/v4recovery", "var/lib/squall", "var/lock", NULL };
static const char *const links[][2] = { { "sbin", "bin" },	 { "usr/bin", "../bin" }, { "usr/sbin", "../bin" }, { "usr/lib", "../lib" },
					{ "var/run", "../run" }, { "bin/sh", "dash" },	  { "etc/mtab", "/proc/mounts" } };
static const struct {
	const char *path, *text;
} texts[] = {
	{ "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n_rpc:x:100:65534::/:/bin/sh\nstatd:x:101:65534::/:/bin/sh\n" },
	{ "etc/group", "root:x:0:\nnogroup:x:65534:\n" },
	{ "etc/nsswitch.conf", "hosts: files\npasswd: files\n" },
	{ "etc/fstab", "" },
	{ "etc/exports", "" },
	{ "var/lib/nfs/etab", "" },
	{ "var/lib/nfs/rmtab", "" },
};
static const char *const copied[] = { "etc/netconfig", "etc/protocols", "etc/rpc", "etc/services", NULL };

struct builder {
	struct cpio cpio;
	char root[4096];
	char name[NAMES_MAX][128];	/* of what is packed below bin/, lib/ */
	unsigned int nr;
	char (*module)[256];		/* paths of all modules of the kernel */
	unsigned int modules_nr;
	char *builtin;
	char list[8192];		/* modules of one role, in the order of loading */
	struct err *err;
};

static struct builder *walking;		/* nftw() hands nothing through */

void lab_cache_path(char *ret_path, size_t bytes)
{
	const char *own = getenv("SQUALL_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (own && *own)
		(void)snprintf(ret_path, bytes, "%s", own);
	else if (xdg && *xdg)
		(void)snprintf(ret_path, bytes, "%s/squall", xdg);
	else
		(void)snprintf(ret_path, bytes, "%s/.cache/squall", home && *home ? home : "/root");
}

int lab_cache(char *ret_path, size_t bytes, struct err *err)
{
	lab_cache_path(ret_path, bytes);
	return file_mkdirs(ret_path, 0755, err);
}

static int newest(const char *cache, const char *prefix, time_t before, char *ret, size_t bytes, time_t *ret_time)
{
	DIR *d = opendir(cache);
	struct dirent *e;
	int found = 0;

	*ret_time = 0;
	while (d && (e = readdir(d))) {
		char path[4400];
		struct stat st;

		(void)snprintf(path, sizeof path, "%.4000s/%s", cache, e->d_name);
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || lstat(path, &st) < 0 || st.st_mtime >= before || st.st_mtime < *ret_time)
			continue;
		*ret_time = st.st_mtime;
		(void)snprintf(ret, bytes, "%s", path);
		found = 1;
	}
	if (d)
		closedir(d);
	return found;
}

void lab_cache_keep_newest(const char *cache, const char *prefix, unsigned int keep)
{
	time_t before = (time_t)((~0ull) >> 1), at;
	char path[4400];

	for (unsigned int i = 0; i < 100 && newest(cache, prefix, before, path, sizeof path, &at); i++) {
		before = at;
		if (i >= keep)
			(void)file_remove_tree(path, NULL);
	}
}

static bool is_new(struct builder *b, const char *name)
{
	for (unsigned int i = 0; i < b->nr; i++)
		if (strcmp(b->name[i], name) == 0)
			return false;
	if (b->nr < NAMES_MAX)
		(void)snprintf(b->name[b->nr++], sizeof b->name[0], "%s", name);
	return true;
}

/* The packages' links are relative or start at the guest's root. @param ret  a path of the host */
static int find(const struct builder *b, const char *const where[], const char *name, char *ret, size_t bytes)
{
	for (int i = 0; where[i]; i++) {
		char link[512];
		ssize_t n;

		(void)snprintf(ret, bytes, "%s/%s/%s", b->root, where[i], name);
		n = readlink(ret, link, sizeof link - 1);
		if (n > 0 && link[0] == '/') {
			link[n] = '\0';
			(void)snprintf(ret, bytes, "%.3800s%s", b->root, link);
		}
		if (access(ret, R_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static int add_elf(struct builder *b, const char *guest_path, const char *from);

static int add_library(const char *library, void *arg)
{
	struct builder *b = arg;
	char from[4400], to[128];
	bool loader = strncmp(library, "ld-linux", 8) == 0;

	if (!is_new(b, library))
		return 0;
	/* What this program was linked with may be newer or elsewhere than the packages' (a sanitizer's library). */
	if (find(b, library_dirs, library, from, sizeof from) < 0) {
		(void)snprintf(from, sizeof from, "/" LIBRARIES "/%s", library);
		if (access(from, R_OK) < 0)
			return err_set(b->err, -ENOENT, "lab: no package for the guests has the library %s", library);
	}
	(void)snprintf(to, sizeof to, "%s/%s", loader ? "lib64" : LIBRARIES, library);
	return add_elf(b, to, from);
}

static int add_elf(struct builder *b, const char *guest_path, const char *from)
{
	char *data = NULL;
	size_t bytes = 0;
	int rc = file_read(from, FILE_BYTES_MAX, &data, &bytes, b->err);

	if (rc == 0)
		rc = cpio_data(&b->cpio, guest_path, 0755, data, bytes, b->err);
	if (rc == 0)
		rc = elf_needed(data, bytes, add_library, b);
	free(data);
	return rc;
}

static int add_programs(struct builder *b)
{
	static const char *const drbd_dirs[] = { "lib/drbd", "usr/lib/drbd", NULL };
	char from[4400], to[128];
	int rc = add_elf(b, "bin/squall", "/proc/self/exe");

	(void)is_new(b, "sh");
	for (int i = 0; programs[i] && rc == 0; i++) {
		if (find(b, program_dirs, programs[i], from, sizeof from) < 0)
			return err_set(b->err, -ENOENT, "lab: no package for the guests has the program %s", programs[i]);
		(void)is_new(b, programs[i]);
		(void)snprintf(to, sizeof to, "bin/%s", programs[i]);
		rc = add_elf(b, to, from);
	}
	for (int i = 0; drbd_programs[i] && rc == 0; i++) {
		if (find(b, drbd_dirs, drbd_programs[i], from, sizeof from) < 0)
			return err_set(b->err, -ENOENT, "lab: no package for the guests has the program %s", drbd_programs[i]);
		(void)snprintf(to, sizeof to, "lib/drbd/%s", drbd_programs[i]);
		rc = add_elf(b, to, from);
	}
	return rc;
}

/* Busybox is static: it runs here too, and says itself what it has. */
static int add_busybox(struct builder *b)
{
	struct exec_result result = EXEC_RESULT_INIT;
	char from[4400], to[128], *rest, *name;
	int rc;

	if (find(b, program_dirs, "busybox", from, sizeof from) < 0)
		return err_set(b->err, -ENOENT, "lab: no package for the guests has the program busybox");
	rc = cpio_file(&b->cpio, "bin/busybox", 0755, from, b->err);
	if (rc == 0)
		rc = exec_run((const char *const[]){ from, "--list", NULL }, NULL, 10ull * 1000000000u, &result, b->err);
	if (rc == 0 && result.status != 0)
		rc = err_set(b->err, -EIO, "%s --list ended with %d", from, result.status);
	rest = result.out;
	while (rc == 0 && (name = strsep(&rest, "\n"))) {
		if (*name == '\0' || strcmp(name, "busybox") == 0 || !is_new(b, name))
			continue;
		(void)snprintf(to, sizeof to, "bin/%s", name);
		rc = cpio_link(&b->cpio, to, "busybox", b->err);
	}
	exec_result_release(&result);
	return rc;
}

static int note_module(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type == FTW_F && strstr(path, ".ko") && walking->modules_nr < MODULES_MAX)
		(void)snprintf(walking->module[walking->modules_nr++], sizeof walking->module[0], "%s", path);
	return 0;
}

/* Whether the file "a/xt-y.ko" is the module xt_y: '-' and '_' are the same in names. */
static bool is_module(const char *path, const char *module)
{
	const char *base = strrchr(path, '/') + 1;

	for (; *module != '\0'; base++, module++)
		if (*base != *module && !(*base == '-' && *module == '_') && !(*base == '_' && *module == '-'))
			return false;
	return strcmp(base, ".ko") == 0;
}

static bool is_builtin(const struct builder *b, const char *module)
{
	char *copy = strdup(b->builtin), *rest = copy, *line;
	bool found = false;

	while (!found && rest && (line = strsep(&rest, "\n")))
		found = strchr(line, '/') && is_module(line, module);
	free(copy);
	return found;
}

static int add_module(const char *module, void *arg)
{
	struct builder *b = arg;
	char *data = NULL, to[320], name[128];
	const char *path = NULL;
	size_t bytes = 0;
	int rc;

	for (unsigned int i = 0; i < b->modules_nr && !path; i++)
		if (is_module(b->module[i], module))
			path = b->module[i];
	if (!path)
		return is_builtin(b, module) ? 0 : err_set(b->err, -ENOENT, "lab: the guests' kernel has no module %s", module);
	(void)snprintf(name, sizeof name, "%s", strrchr(path, '/') + 1);
	(void)snprintf(to, sizeof to, " %s ", name);
	if (strstr(b->list, to))
		return 0;
	rc = file_read(path, FILE_BYTES_MAX, &data, &bytes, b->err);
	if (rc == 0)
		rc = elf_module_depends(data, bytes, add_module, b);
	(void)snprintf(to, sizeof to, "lib/modules/%s", name);
	if (rc == 0 && is_new(b, name))
		rc = cpio_data(&b->cpio, to, 0644, data, bytes, b->err);
	free(data);
	if (rc == 0 && strlen(b->list) + strlen(name) + 3 > sizeof b->list)
		return err_set(b->err, -E2BIG, "lab: too many modules");
	if (rc == 0)
		(void)snprintf(b->list + strlen(b->list), sizeof b->list - strlen(b->list), "%s%s ", b->list[0] != '\0' ? "" : " ", name);
	return rc;
}

static int add_module_list(struct builder *b, const char *path, const char *const names[])
{
	int rc = 0;

	b->list[0] = '\0';
	for (int i = 0; common_modules[i] && rc == 0; i++)
		rc = add_module(common_modules[i], b);
	for (int i = 0; names[i] && rc == 0; i++)
		rc = add_module(names[i], b);
	return rc == 0 ? cpio_data(&b->cpio, path, 0644, b->list, strlen(b->list), b->err) : rc;
}

static int add_modules(struct builder *b, const char *version)
{
	char path[4400];
	size_t bytes;
	int rc;

	(void)snprintf(path, sizeof path, "%s/lib/modules/%s/modules.builtin", b->root, version);
	rc = file_read(path, 1u << 20, &b->builtin, &bytes, b->err);
	b->module = calloc(MODULES_MAX, sizeof *b->module);
	if (rc == 0 && !b->module)
		rc = err_set(b->err, -ENOMEM, "lab: no memory");
	if (rc < 0)
		return rc;
	(void)snprintf(path, sizeof path, "%s/lib/modules/%s/kernel", b->root, version);
	walking = b;
	if (nftw(path, note_module, 16, FTW_PHYS) != 0)
		return err_set(b->err, -ENOENT, "%s: %s", path, strerror(errno));
	rc = add_module_list(b, "etc/modules.client", client_modules);
	return rc == 0 ? add_module_list(b, "etc/modules.store", store_modules) : rc;
}

static int add_texts(struct builder *b)
{
	char from[4400];
	int rc = 0;

	for (int i = 0; dirs[i] && rc == 0; i++)
		rc = cpio_dir(&b->cpio, dirs[i], b->err);
	for (size_t i = 0; i < sizeof links / sizeof links[0] && rc == 0; i++)
		rc = cpio_link(&b->cpio, links[i][0], links[i][1], b->err);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0] && rc == 0; i++)
		rc = cpio_data(&b->cpio, texts[i].path, 0644, texts[i].text, strlen(texts[i].text), b->err);
	for (size_t i = 0; i < guest_files_nr && rc == 0; i++)
		rc = cpio_data(&b->cpio, guest_files[i].path, guest_files[i].mode, guest_files[i].data, (size_t)(guest_files[i].end - guest_files[i].data), b->err);
	for (int i = 0; copied[i] && rc == 0; i++) {
		(void)snprintf(from, sizeof from, "%s/%s", b->root, copied[i]);
		if (access(from, R_OK) == 0)
			rc = cpio_file(&b->cpio, copied[i], 0644, from, b->err);
	}
	return rc;
}

static int pack(const char *root, const char *version, const char *path, struct err *err)
{
	struct builder *b = calloc(1, sizeof *b);
	char partial[4160];
	int rc, rc_close;

	if (!b)
		return err_set(err, -ENOMEM, "lab: no memory");
	b->err = err;
	(void)snprintf(b->root, sizeof b->root, "%s", root);
	(void)snprintf(partial, sizeof partial, "%.4000s.%d", path, (int)getpid());
	rc = cpio_open(&b->cpio, partial, err);
	if (rc == 0) {
		rc = add_texts(b);
		if (rc == 0)
			rc = add_programs(b);
		if (rc == 0)
			rc = add_busybox(b);
		if (rc == 0)
			rc = add_modules(b, version);
		rc_close = cpio_close(&b->cpio, err);
		rc = rc < 0 ? rc : rc_close;
		if (rc == 0 && rename(partial, path) < 0)
			rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
		if (rc < 0)
			(void)unlink(partial);
	}
	free(b->module);
	free(b->builtin);
	free(b);
	return rc;
}

/* FNV-1a, 64 bits: it tells versions apart, and guards nothing. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
	for (const unsigned char *p = data, *end = p + bytes; p < end; p++)
		hash = (hash ^ *p) * 0x100000001b3u;
	return hash;
}

static int digest(const char *versions, char *ret, size_t ret_bytes, struct err *err)
{
	uint64_t hash = mix(0xcbf29ce484222325u, versions, strlen(versions));
	char *program = NULL;
	size_t bytes = 0;
	int rc = file_read("/proc/self/exe", FILE_BYTES_MAX, &program, &bytes, err);

	if (rc == 0)
		hash = mix(hash, program, bytes);	/* lab/guest/ is part of it */
	free(program);
	(void)snprintf(ret, ret_bytes, "%016llx", (unsigned long long)hash);
	return rc;
}

static int find_kernel(const char *root, char *ret_path, size_t bytes, char *ret_version, size_t version_bytes, struct err *err)
{
	char boot[4400];
	struct dirent *e;
	DIR *d;

	(void)snprintf(boot, sizeof boot, "%.4000s/boot", root);
	d = opendir(boot);
	*ret_version = '\0';
	while (d && (e = readdir(d)))
		if (strncmp(e->d_name, "vmlinuz-", 8) == 0) {
			(void)snprintf(ret_version, version_bytes, "%s", e->d_name + 8);
			(void)snprintf(ret_path, bytes, "%.3800s/%s", boot, e->d_name);
		}
	if (d)
		closedir(d);
	return *ret_version != '\0' ? 0 : err_set(err, -ENOENT, "%s: no kernel in it", boot);
}

int image_get(const char *cache, lab_progress progress, void *arg, struct lab_image *ret, struct err *err)
{
	struct packages packages = { 0 };
	char version[128];
	int rc = packages_get(cache, progress, arg, &packages, err);

	*ret = (struct lab_image){ 0 };
	if (rc == 0)
		rc = digest(packages.versions, ret->digest, sizeof ret->digest, err);
	if (rc == 0)
		rc = find_kernel(packages.root, ret->kernel, sizeof ret->kernel, version, sizeof version, err);
	free(packages.versions);
	if (rc < 0)
		return rc;
	(void)snprintf(ret->initramfs, sizeof ret->initramfs, "%.4000s/initramfs-%s", cache, ret->digest);
	if (access(ret->initramfs, R_OK) < 0) {
		progress("packing the guests' file system", arg);
		rc = pack(packages.root, version, ret->initramfs, err);
		lab_cache_keep_newest(cache, "initramfs-", IMAGES_KEPT);
	}
	return rc;
}
