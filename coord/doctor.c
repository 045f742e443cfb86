/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - the looks, one function a subject. Each says what it found in words that can be acted upon.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "chaos.h"
#include "clock.h"
#include "doctor.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "lab.h"
#include "units.h"

#define ANSWER_NS (2 * NS_PER_S)	/* of a mount */
#define PROGRAM_NS (5 * NS_PER_S)
#define MOUNTS_MAX 32
#define RESULTS_BYTES (256ull << 20)	/* a run of a quarter of an hour on a few hosts leaves some tens of MiB */

const char *const doctor_role_names[DOCTOR_ROLES + 1] = { "load", "chaos", "lab", NULL };
const char *const doctor_state_names[] = { "ok", "missing", "note" };

/* A finding. @param next  what to do about it, or "" */
static void add(json_t *checks, const char *name, unsigned int roles, enum doctor_state state, const char *next, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

static void add(json_t *checks, const char *name, unsigned int roles, enum doctor_state state, const char *next, const char *format, ...)
{
	json_t *list = json_array();
	char found[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(found, sizeof found, format, args);
	va_end(args);
	for (char *c = found; *c; c++)	/* JSON is UTF-8, and what programs print may be anything */
		if ((signed char)*c < ' ')
			*c = *c == '\n' || *c == '\t' ? ' ' : '?';
	for (unsigned int i = 0; i < DOCTOR_ROLES; i++)
		if (roles & 1u << i)
			(void)json_array_append_new(list, json_string(doctor_role_names[i]));
	(void)json_array_append_new(checks, json_pack("{s:s, s:s, s:o, s:s, s:s}", "check", name, "state", doctor_state_names[state], "roles", list, "found",
						      found, "next", next));
}

/* A line of /proc/meminfo [bytes]; 0 when there is none. */
static uint64_t meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			(void)sscanf(line + strlen(key) + 1, "%llu", &kib);
	if (f)
		fclose(f);
	return kib * 1024;
}

static void look_host(json_t *checks)
{
	char total[24], available[24];
	struct utsname u;

	(void)uname(&u);
	add(checks, "host", 0, DOCTOR_NOTE, "", "%s %s, %ld CPUs, %s of memory, %s available", u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	    units_format_bytes(meminfo("MemTotal"), total, sizeof total), units_format_bytes(meminfo("MemAvailable"), available, sizeof available));
}

/* A clock that is not set does not matter to a run: every host's offset is measured. A clock that is slow to read does. */
static void look_clock(json_t *checks)
{
	struct timex now = { .modes = 0 };
	bool synced = adjtimex(&now) != TIME_ERROR;
	char *source = NULL;
	size_t bytes;

	if (file_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", 64, &source, &bytes, NULL) == 0)
		source[strcspn(source, "\n")] = '\0';
	add(checks, "clock", 0, DOCTOR_NOTE, source && strcmp(source, "tsc") != 0 && strcmp(source, "kvm-clock") != 0 ?
	    "a clock that is not read in user space costs the load generator a system call an op" : "", "source %s; %s by NTP (a run measures the"
	    " offsets of its hosts itself)", source ? source : "unknown", synced ? "set" : "not set");
	free(source);
}

struct space {
	uint64_t free_bytes;
	bool writable;
};

/* The folder, or the nearest above it that is there: it is made when it is needed. */
static int space_child(int fd, void *arg)
{
	char path[PATH_MAX];
	struct space s;
	struct statvfs v;
	char *slash;

	(void)snprintf(path, sizeof path, "%s", (const char *)arg);
	while (statvfs(path, &v) < 0) {
		slash = strrchr(path, '/');
		if (errno != ENOENT)
			return 1;
		if (!slash)
			(void)snprintf(path, sizeof path, ".");
		else
			slash[slash == path] = '\0';
	}
	s = (struct space){ .free_bytes = (uint64_t)v.f_bavail * v.f_frsize, .writable = access(path, W_OK | X_OK) == 0 };
	return file_write_all(fd, &s, sizeof s) < 0;
}

static void look_space(json_t *checks, const char *name, const char *path, unsigned int role, uint64_t needed, const char *elsewhere)
{
	struct exec_result result = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;
	struct space s = { 0 };
	char have[24], want[24];
	int rc = exec_child(space_child, (void *)(uintptr_t)path, ANSWER_NS, &result, &err);

	if (rc == 0 && result.status == 0 && result.out_bytes == sizeof s)
		memcpy(&s, result.out, sizeof s);
	units_format_bytes(s.free_bytes, have, sizeof have);
	units_format_bytes(needed, want, sizeof want);
	if (rc < 0)
		add(checks, name, role, DOCTOR_MISSING, elsewhere, "%s: it does not answer: %s", path, err.text);
	else if (!s.writable)
		add(checks, name, role, DOCTOR_MISSING, elsewhere, "%s cannot be written", path);
	else
		add(checks, name, role, s.free_bytes < needed ? DOCTOR_MISSING : DOCTOR_OK, s.free_bytes < needed ? elsewhere : "", "%s: %s free, %s wanted", path,
		    have, want);
	exec_result_release(&result);
}

static void look_lab(json_t *checks)
{
	static const char *const kvm[] = { "/dev/kvm cannot be used by this user: guests run in TCG, which is slower",
					   "it was tried since the boot and does not work: guests run in TCG", "it works",
					   "/dev/kvm is there, and was not tried: the first squall lab up does" };
	struct lab_needs needs;
	char want[24], have[24], next[128];
	uint64_t available = meminfo("MemAvailable");

	lab_needs(&(struct lab_spec){ .clients = 2 }, &needs);
	for (unsigned int i = 0; i < needs.missing_nr; i++) {
		(void)snprintf(next, sizeof next, "apt-get install %s", needs.missing[i].package);
		add(checks, "lab programs", DOCTOR_LAB, DOCTOR_MISSING, next, "%s is missing", needs.missing[i].program);
	}
	if (needs.missing_nr == 0)
		add(checks, "lab programs", DOCTOR_LAB, DOCTOR_OK, "", "qemu-system-x86_64, apt-get, dpkg-deb");
	units_format_bytes(needs.memory_bytes, want, sizeof want);
	units_format_bytes(available, have, sizeof have);
	add(checks, "lab memory", DOCTOR_LAB, available < needs.memory_bytes ? DOCTOR_MISSING : DOCTOR_OK,
	    available < needs.memory_bytes ? "end something, or set lab.clients to 1 in the profile" : "", "%s available, %s for two stores and two clients", have,
	    want);
	add(checks, "lab kvm", DOCTOR_LAB, DOCTOR_NOTE, "", "%s", kvm[needs.kvm]);
	look_space(checks, "lab cache", needs.cache, DOCTOR_LAB, needs.disk_bytes, "set SQUALL_CACHE to a folder on a local disk with more room");
}

/* Loaded, on disk, or neither. The names of modules have '_' in /sys, and either in the names of files. */
static bool module_is_loaded(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof path, "/sys/module/%s", name);
	return access(path, F_OK) == 0;
}

static bool module_is_in(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p && (p = strchr(p, '/')); p++) {
		size_t i = 0;

		while (i < n && (p[1 + i] == name[i] || (p[1 + i] == '-' && name[i] == '_')))
			i++;
		if (i == n && strncmp(p + 1 + n, ".ko", 3) == 0)
			return true;
	}
	return false;
}

static void look_modules(json_t *checks)
{
	static const char *const modules[] = { "drbd", "nfsd", "sch_netem", "cls_flower", "act_mirred", "ifb", "nf_tables", "dm_delay", NULL };
	char path[256], loaded[256] = "", there[256] = "", none[256] = "", *dep = NULL, *builtin = NULL;
	struct utsname u;
	size_t bytes;

	(void)uname(&u);
	(void)snprintf(path, sizeof path, "/lib/modules/%.64s/modules.dep", u.release);
	(void)file_read(path, 8u << 20, &dep, &bytes, NULL);
	(void)snprintf(path, sizeof path, "/lib/modules/%.64s/modules.builtin", u.release);
	(void)file_read(path, 8u << 20, &builtin, &bytes, NULL);
	for (const char *const *m = modules; *m; m++) {
		char *to = module_is_loaded(*m) || module_is_in(builtin, *m) ? loaded : module_is_in(dep, *m) ? there : none;

		err_list(to, 256, "%s", *m);
	}
	add(checks, "kernel modules", DOCTOR_CHAOS, DOCTOR_NOTE, *none ? dep ? "faults that need them cannot be injected with this kernel" :
	    "the folder of this kernel's modules is not there (a container?): load them on the host" : "", "loaded: %s; can be loaded: %s; not there: %s",
	    *loaded ? loaded : "none", *there ? there : "none", *none ? none : "none");
	free(dep);
	free(builtin);
}

static void look_programs(json_t *checks)
{
	static const struct { const char *program, *package; } programs[] = { { "nft", "nftables" }, { "tc", "iproute2" }, { "ip", "iproute2" },
		{ "ss", "iproute2" }, { "dmsetup", "dmsetup" }, { "drbdsetup", "drbd-utils" }, { "exportfs", "nfs-kernel-server" },
		{ "fsfreeze", "util-linux" } };
	char path[128], missing[256] = "", next[256] = "";

	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		size_t next_used = strlen(next);

		if (exec_find(programs[i].program, path, sizeof path) == 0)
			continue;
		err_list(missing, sizeof missing, "%s", programs[i].program);
		if (!strstr(next, programs[i].package))
			(void)snprintf(next + next_used, sizeof next - next_used, "%s%s", next_used ? " " : "apt-get install ", programs[i].package);
	}
	if (*missing)
		add(checks, "fault programs", DOCTOR_CHAOS, DOCTOR_NOTE, next, "missing: %s; the faults that run them cannot be injected", missing);
	else
		add(checks, "fault programs", DOCTOR_CHAOS, DOCTOR_NOTE, "", "nft, tc, ip, ss, dmsetup, drbdsetup, exportfs, fsfreeze");
}

/*
 * Which faults can be injected: their own probes say. "none" needs nothing, and proves nothing about this host. What stands in the way of all has a line of
 * its own.
 */
static void look_faults(json_t *checks)
{
	char can[2048] = "", name[64], next[128];
	json_t *list = chaos_list(), *faults = json_object_get(list, "faults"), *f;
	bool one_reason = *chaos_common_reason(faults) != '\0';
	size_t i;

	json_array_foreach(faults, i, f) {
		const char *fault = json_string_value(json_object_get(f, "fault"));

		(void)snprintf(name, sizeof name, "fault %s", fault);
		(void)snprintf(next, sizeof next, "NEEDS of squall-%s(7)", fault);
		if (strcmp(fault, "none") == 0)
			continue;
		if (json_is_true(json_object_get(f, "available")))
			err_list(can, sizeof can, "%s", fault);
		else if (!one_reason)
			add(checks, name, DOCTOR_CHAOS, DOCTOR_NOTE, next, "not here: %s", json_string_value(json_object_get(f, "reason")));
	}
	if (*can)
		add(checks, "faults", DOCTOR_CHAOS, DOCTOR_OK, "", "%s", can);
	else
		add(checks, "faults", DOCTOR_CHAOS, DOCTOR_MISSING, "see the lines above; in the lab every fault but nfsd-kill can be injected", "none can be injected on this host");
	json_decref(list);
}

static void look_chaos(json_t *checks)
{
	struct err err = ERR_INIT;
	json_t *status = NULL;
	char text[768];
	size_t left;

	add(checks, "root", DOCTOR_CHAOS, geteuid() == 0 ? DOCTOR_OK : DOCTOR_MISSING, geteuid() == 0 ? "" : "faults need root; the lab and local loads do not",
	    geteuid() == 0 ? "this is root" : "this is user %u", (unsigned int)geteuid());
	if (chaos_allow_text(text, sizeof text, &err) == 0)
		add(checks, "allow file", DOCTOR_CHAOS, DOCTOR_OK, "", "%s", text);
	else
		add(checks, "allow file", DOCTOR_CHAOS, DOCTOR_MISSING, "write it as root; squall(1), FILES, has an example", "%s", err.text);
	err = (struct err)ERR_INIT;
	if (chaos_stopped(&err) < 0)
		add(checks, "stop file", DOCTOR_CHAOS, DOCTOR_MISSING, "ask who stopped it; then squall chaos stop-all --lift", "%s", err.text);
	look_programs(checks);
	look_modules(checks);
	look_faults(checks);
	err = (struct err)ERR_INIT;
	if (chaos_status(&status, &err) < 0)
		add(checks, "journal", DOCTOR_CHAOS, DOCTOR_MISSING, "look as root; squall chaos heal says what is wrong with an entry", "%s", err.text);
	left = json_array_size(json_object_get(status, "journal"));
	if (left > 0)
		add(checks, "journal", DOCTOR_CHAOS, DOCTOR_NOTE, "squall chaos status names them; squall chaos heal heals those that nobody holds",
		    "%zu faults in it, %zu of them held", left, json_array_size(json_object_get(status, "holders")));
	json_decref(status);
}

static void look_mount(json_t *checks, const char *where, const char *type)
{
	struct exec_result result = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;
	int rc = exec_child(space_child, (void *)(uintptr_t)where, ANSWER_NS, &result, &err);

	if (rc == -ETIMEDOUT)
		add(checks, "nfs mount", DOCTOR_LOAD, DOCTOR_NOTE, "look for 'server not responding' in the kernel log", "%s (%s) does not answer within 2 s", where, type);
	else
		add(checks, "nfs mount", DOCTOR_LOAD, DOCTOR_NOTE, "", "%s (%s) answers; squall run PROFILE --on local:%s/FOLDER loads it", where, type, where);
	exec_result_release(&result);
}

/* mountinfo escapes blanks and the like: such a mount is asked by its escaped name, and said not to answer as any other. */
static void look_nfs(json_t *checks)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[1024], type[32];
	unsigned int nr = 0;

	while (f && fgets(line, sizeof line, f)) {
		const char *rest = strstr(line, " - ");

		if (!rest || sscanf(rest, " - %31s", type) != 1 || (strcmp(type, "nfs") != 0 && strcmp(type, "nfs4") != 0))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %1023s", where) == 1 && nr++ < MOUNTS_MAX)
			look_mount(checks, where, type);
	}
	if (f)
		fclose(f);
	if (nr == 0)
		add(checks, "nfs mount", DOCTOR_LOAD, DOCTOR_NOTE, "", "none; a load can be raised on any folder");
}

/* /proc/net/rpc/nfsd takes no lock of nfsd, so it is read here. */
static void look_nfsd(json_t *checks)
{
	FILE *f = fopen("/proc/net/rpc/nfsd", "re");
	unsigned int threads = 0;
	char line[256];

	while (f && fgets(line, sizeof line, f))
		(void)sscanf(line, "th %u", &threads);
	if (!f)
		add(checks, "nfsd", 0, DOCTOR_NOTE, "", "not on this host");
	else
		add(checks, "nfsd", 0, DOCTOR_NOTE, threads ? "" : "the module is loaded and nothing is served: systemctl start nfs-server", "%u threads", threads);
	if (f)
		fclose(f);
}

static void look_drbd(json_t *checks)
{
	struct exec_result result = EXEC_RESULT_INIT;
	struct err err = ERR_INIT;
	char program[128];
	int rc;

	if (!module_is_loaded("drbd")) {
		add(checks, "drbd", 0, DOCTOR_NOTE, "", "not on this host");
		return;
	}
	if (exec_find("drbdsetup", program, sizeof program) < 0) {
		add(checks, "drbd", 0, DOCTOR_NOTE, "apt-get install drbd-utils", "the module is loaded, and drbdsetup is missing");
		return;
	}
	rc = exec_run((const char *const[]){ program, "status", NULL }, NULL, PROGRAM_NS, &result, &err);
	if (rc < 0 || result.status != 0)
		add(checks, "drbd", 0, DOCTOR_NOTE, "run drbdsetup status by hand", "drbdsetup status gives no answer: %s", rc < 0 ? err.text : result.err_out);
	else
		add(checks, "drbd", 0, DOCTOR_NOTE, "", "%s", result.out && *result.out ? result.out : "loaded, without resources");
	exec_result_release(&result);
}

json_t *doctor_look(void)
{
	json_t *checks = json_array(), *possible = json_object(), *check;
	size_t i;

	look_host(checks);
	look_clock(checks);
	look_space(checks, "results", "results", DOCTOR_LOAD | DOCTOR_LAB, RESULTS_BYTES, "go to another folder, or give --out DIR");
	look_nfs(checks);
	look_nfsd(checks);
	look_drbd(checks);
	look_lab(checks);
	look_chaos(checks);
	for (unsigned int role = 0; role < DOCTOR_ROLES; role++)
		(void)json_object_set_new(possible, doctor_role_names[role], json_true());
	json_array_foreach(checks, i, check) {
		const char *state = json_string_value(json_object_get(check, "state"));
		const json_t *name;
		size_t k;

		json_array_foreach(json_object_get(check, "roles"), k, name)
			if (state && strcmp(state, doctor_state_names[DOCTOR_MISSING]) == 0)
				(void)json_object_set_new(possible, json_string_value(name), json_false());
	}
	return json_pack("{s:o, s:o}", "checks", checks, "possible", possible);
}
