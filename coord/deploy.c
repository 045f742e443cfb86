/* SPDX-License-Identifier: MIT */
/*
 * deploy.c - the user's ssh and scp, run for many hosts at a time.
 *
 * The scripts have no quotation mark ' and no newline in them: the login shell of the host, whichever it is, hands them to sh as they are.
 */
#include "deploy.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "fleet.h"
#include "fleet_file.h"

#define HOST_NS (120 * NS_PER_S)	/* to ask a host; and to put or remove */
#define PROGRAM_BYTES_MAX (256u << 20)
#define SUMS_BYTES 1024
#define VERSION_BYTES 64
#define PATH_BYTES 512
#define ARGV_MAX 32

static const char *const pems[] = { "key.pem", "cert.pem", "ca.pem", "coordinator.pem" };
#define PEMS_NR (sizeof pems / sizeof pems[0])

#define SCRIPT(text) "exec sh -c '" \
	"set -eu; PATH=$PATH:/usr/sbin:/sbin; IFS= read -r name; dir=" DEPLOY_ROOT "/$name; unit=squall-$name.service; " text "'"

/* Nothing is there: nothing is said. Else the version, the state of the unit, and the digests in the order of sums_of(). */
static const char ask_script[] = SCRIPT(
	"cd \"$dir\" 2>/dev/null || exit 0; "
	"echo \"version $(./squall --version 2>/dev/null | head -n 1)\"; "
	"if command -v systemctl >/dev/null; then echo \"state $(systemctl is-active \"$unit\" 2>/dev/null || :)\"; else echo \"state none\"; fi; "
	"sha256sum squall key.pem cert.pem ca.pem coordinator.pem \"$unit\" 2>/dev/null || :");

static const char make_room_script[] = SCRIPT(
	"[ \"$(id -u)\" = 0 ] || { echo \"the login is $(id -un); ssh must reach root\" >&2; exit 1; }; "
	"mkdir -p -m 755 " DEPLOY_ROOT "; rm -rf \"$dir.new\"; mkdir -m 700 \"$dir.new\"");

/* A program that does not start there, for want of a library, replaces nothing. */
static const char put_script[] = SCRIPT(
	"trap \"rm -rf $dir.new\" EXIT; cd \"$dir.new\"; chmod 755 squall; chmod 600 key.pem; chmod 644 cert.pem ca.pem coordinator.pem \"$unit\"; ./squall --version >/dev/null; "
	"rm -rf \"$dir.old\"; [ ! -d \"$dir\" ] || mv \"$dir\" \"$dir.old\"; mv \"$dir.new\" \"$dir\"; chmod 755 \"$dir\"; rm -rf \"$dir.old\"; "
	"command -v systemctl >/dev/null || { echo \"state none\"; exit 0; }; "
	"systemctl --quiet enable \"$dir/$unit\"; systemctl daemon-reload; systemctl restart \"$unit\"; echo \"state started\"");

/* A holder of a fault is a process of the same program: while one is left, so is what undoes the fault. */
static const char remove_script[] = SCRIPT(
	"[ -d \"$dir\" ] || [ -d \"$dir.new\" ] || [ -d \"$dir.old\" ] || { echo absent; exit 0; }; "
	"[ ! -f \"$dir/$unit\" ] || ! command -v systemctl >/dev/null || systemctl --quiet disable --now \"$unit\"; "
	"for exe in /proc/[0-9]*/exe; do case $(readlink \"$exe\" || :) in \"$dir\"/* | \"$dir\".old/*) pid=${exe#/proc/}; "
	"echo \"squall still runs there, as process ${pid%/exe}: end it and remove again\" >&2; exit 1 ;; esac; done; "
	"! grep -qs ^ExecStopPost= \"$dir/$unit\" || \"$dir/squall\" chaos heal >/dev/null; "
	"rm -rf \"/var/lib/squall-$name\" \"$dir.new\" \"$dir.old\" \"$dir\"; rmdir " DEPLOY_ROOT " 2>/dev/null || :; "
	"! command -v systemctl >/dev/null || systemctl daemon-reload; echo removed");

struct task {
	const struct fleet_host *host;
	char version[VERSION_BYTES];	/* that is there; "" = nothing is */
	bool is_as_wanted;
	bool done;			/* or failed: the host has had its line */
	bool failed;
};

struct deploy {
	const struct fleet_file *file;
	enum deploy_what what;
	struct fleet fleet;
	char link[FLEET_PATH_BYTES + 8];	/* "squall" in the fleet's folder, to this program: scp takes the name from it. "" = not made */
	char sha[2 * EVP_MAX_MD_SIZE + 1];	/* of this program */
	struct task task[HOSTS_MAX];
	int (*work)(struct deploy *d, struct task *t, struct err *err);
	pthread_mutex_t lock;		/* of next and say */
	int next;
	deploy_say say;
	void *arg;
};

static void say(struct deploy *d, struct task *t, bool failed, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void say(struct deploy *d, struct task *t, bool failed, const char *format, ...)
{
	char text[ERR_TEXT_BYTES + PATH_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	err_make_harmless(text, false);
	t->done = true;
	pthread_mutex_lock(&d->lock);
	d->say(t->host->name, text, failed, d->arg);
	pthread_mutex_unlock(&d->lock);
}

/* The beginning of a command line of ssh or scp. Of our environment they see where the user's keys are, and nothing else. @return words */
static size_t begin(const struct deploy *d, const char *program, char agent[PATH_BYTES], const char *argv[ARGV_MAX])
{
	const char *const socket = getenv("SSH_AUTH_SOCK");
	size_t nr = 0;

	argv[nr++] = "/usr/bin/env";
	if (socket && snprintf(agent, PATH_BYTES, "SSH_AUTH_SOCK=%s", socket) < PATH_BYTES)
		argv[nr++] = agent;
	argv[nr++] = program;
	for (const char *const *p = (const char *const[]){ "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", NULL }; *p; p++)
		argv[nr++] = *p;
	if (d->file->ssh_config[0] != '\0') {
		argv[nr++] = "-F";
		argv[nr++] = d->file->ssh_config;
	}
	argv[nr++] = "--";
	return nr;
}

static int run(const char *const argv[], const char *name, uint64_t deadline, struct exec_result *ret, struct err *err)
{
	uint64_t now = clock_mono_ns();
	int rc = exec_run(argv, name, now < deadline ? deadline - now : 1, ret, NULL);

	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "it was not done within %llu s", (unsigned long long)(HOST_NS / NS_PER_S));
	if (rc < 0)
		return err_set(err, rc, "ssh: %s", strerror(-rc));
	return ret->status == 0 ? 0 : err_set(err, -EIO, "%.300s", exec_last_line(ret->err_out));
}

/* One of the scripts above. @param ret  what it has said; may be NULL */
static int remote(const struct deploy *d, const struct fleet_host *h, const char *script, uint64_t deadline, char **ret, struct err *err)
{
	char agent[PATH_BYTES], name[sizeof h->name + 1];
	struct exec_result result = EXEC_RESULT_INIT;
	const char *argv[ARGV_MAX];
	size_t nr = begin(d, "ssh", agent, argv);
	int rc;

	argv[nr++] = h->address;
	argv[nr++] = script;
	argv[nr] = NULL;
	(void)snprintf(name, sizeof name, "%s\n", h->name);
	rc = run(argv, name, deadline, &result, err);
	if (rc == 0 && ret) {
		*ret = result.out ? result.out : strdup("");
		result.out = NULL;
		rc = *ret ? 0 : err_set(err, -ENOMEM, "no memory");
	}
	exec_result_release(&result);
	return rc;
}

static const char *local(const struct deploy *d, const struct fleet_host *h, const char *file, char ret[PATH_BYTES])
{
	(void)snprintf(ret, PATH_BYTES, "%s/agents/%s/%s", d->file->folder, h->name, file);
	return ret;
}

static const char *unit_name(const struct fleet_host *h, char ret[64])
{
	(void)snprintf(ret, 64, "squall-%s.service", h->name);
	return ret;
}

static int copy(const struct deploy *d, const struct fleet_host *h, uint64_t deadline, struct err *err)
{
	char agent[PATH_BYTES], to[PATH_BYTES], unit[64], from[PEMS_NR + 2][PATH_BYTES];
	struct exec_result result = EXEC_RESULT_INIT;
	const char *argv[ARGV_MAX];
	size_t nr = begin(d, "scp", agent, argv);
	int rc;

	(void)snprintf(from[0], sizeof from[0], "%s", d->link);
	for (size_t i = 0; i < PEMS_NR; i++)
		(void)local(d, h, pems[i], from[i + 1]);
	(void)local(d, h, unit_name(h, unit), from[PEMS_NR + 1]);
	for (size_t i = 0; i < PEMS_NR + 2; i++)
		argv[nr++] = from[i];
	(void)snprintf(to, sizeof to, "%s:" DEPLOY_ROOT "/%s.new/", h->address, h->name);
	argv[nr++] = to;
	argv[nr] = NULL;
	rc = run(argv, NULL, deadline, &result, err);
	exec_result_release(&result);
	return rc;
}

static int digest(const char *path, char ret[2 * EVP_MAX_MD_SIZE + 1], struct err *err)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int nr = 0;
	char *data = NULL;
	size_t bytes;
	int rc = file_read(path, PROGRAM_BYTES_MAX, &data, &bytes, err);

	if (rc == 0 && EVP_Digest(data, bytes, sum, &nr, EVP_sha256(), NULL) != 1)
		rc = err_set(err, -ENOMEM, "%s: no digest", path);
	for (unsigned int i = 0; i < nr && rc == 0; i++)
		(void)snprintf(ret + (size_t)2 * i, 3, "%02x", sum[i]);
	free(data);
	return rc;
}

/* What sha256sum prints on a host where all is as it should be. */
static int sums_of(const struct deploy *d, const struct fleet_host *h, char ret[SUMS_BYTES], struct err *err)
{
	char path[PATH_BYTES], unit[64], sha[sizeof d->sha];
	int used = snprintf(ret, SUMS_BYTES, "%s  squall\n", d->sha), rc = 0;

	(void)unit_name(h, unit);
	for (size_t i = 0; i < PEMS_NR + 1 && rc == 0; i++) {
		const char *file = i < PEMS_NR ? pems[i] : unit;

		rc = digest(local(d, h, file, path), sha, err);
		used += rc == 0 ? snprintf(ret + used, SUMS_BYTES - (size_t)used, "%s  %s\n", sha, file) : 0;
	}
	return rc;
}

static int ask(struct deploy *d, struct task *t, struct err *err)
{
	char *said = NULL, *rest, *version, *state, sums[SUMS_BYTES];
	int rc = remote(d, t->host, ask_script, clock_mono_ns() + HOST_NS, &said, err);

	if (rc == 0)
		rc = sums_of(d, t->host, sums, err);
	rest = said;
	version = rc == 0 ? strsep(&rest, "\n") : NULL;
	state = rest ? strsep(&rest, "\n") : NULL;
	if (rest && strncmp(version, "version ", 8) == 0 && strncmp(state, "state ", 6) == 0) {
		bool named = strncmp(version + 8, "squall ", 7) == 0;

		(void)snprintf(t->version, sizeof t->version, "%.60s", named ? version + 15 : "a program that does not start");
		err_make_harmless(t->version, false);
		t->is_as_wanted = strcmp(rest, sums) == 0 && (strcmp(state + 6, "none") == 0 || strcmp(state + 6, "active") == 0);
	} else if (rc == 0 && *version != '\0') {
		rc = err_set(err, -EBADMSG, "it says '%.60s', which nobody has asked for; does a login there print something?", version);
	}
	free(said);
	return rc;
}

static int put(struct deploy *d, struct task *t, struct err *err)
{
	uint64_t deadline = clock_mono_ns() + HOST_NS;
	const struct fleet_host *h = t->host;
	char *said = NULL;
	int rc = remote(d, h, make_room_script, deadline, NULL, err);

	if (rc == 0)
		rc = copy(d, h, deadline, err);
	if (rc == 0)
		rc = remote(d, h, put_script, deadline, &said, err);
	if (rc == 0 && strstr(said, "state started"))
		say(d, t, false, "squall %s, its agent is started", agent_version());
	else if (rc == 0)
		say(d, t, false, "squall %s; there is no systemd to start its agent: " DEPLOY_ROOT "/%s/squall agent --bus %s --identity " DEPLOY_ROOT "/%s --role %s%s%s",
		    agent_version(), h->name, d->file->url, h->name, h->roles, h->mount[0] ? " --dir " : "", h->mount);
	free(said);
	return rc;
}

static int take_away(struct deploy *d, struct task *t, struct err *err)
{
	char *said = NULL;
	int rc = remote(d, t->host, remove_script, clock_mono_ns() + HOST_NS, &said, err);

	if (rc == 0 && fleet_has(&d->fleet, t->host->name)) {
		pthread_mutex_lock(&d->lock);
		rc = fleet_revoke(d->file->folder, t->host->name, err);
		pthread_mutex_unlock(&d->lock);
	}
	if (rc >= 0)
		say(d, t, false, "%s", strncmp(said, "absent", 6) == 0 ? "nothing is there" : "removed");
	free(said);
	return rc < 0 ? rc : 0;
}

static void *crew(void *arg)
{
	struct deploy *d = arg;

	for (;;) {
		struct err err = ERR_INIT;
		struct task *t;
		int i;

		pthread_mutex_lock(&d->lock);
		i = d->next++;
		pthread_mutex_unlock(&d->lock);
		if (i >= d->file->hosts_nr)
			return NULL;
		t = &d->task[i];
		if (t->done)
			continue;
		t->failed = d->work(d, t, &err) < 0;
		if (t->failed)
			say(d, t, true, "%s", err.text);
	}
}

/* One thread waits for one host at a time; it is among those who would be waited for anyway, so this one is one of them. */
static void each(struct deploy *d, int (*work)(struct deploy *d, struct task *t, struct err *err))
{
	pthread_t thread[DEPLOY_AT_ONCE - 1];
	int nr = 0;

	d->work = work;
	d->next = 0;
	while (nr < DEPLOY_AT_ONCE - 1 && nr < d->file->hosts_nr - 1 && pthread_create(&thread[nr], NULL, crew, d) == 0)
		nr++;
	(void)crew(d);
	while (nr > 0)
		(void)pthread_join(thread[--nr], NULL);
}

/* The folder with what belongs on the hosts, and the lock that a run takes too. */
static int prepare_folder(struct deploy *d, struct err *err)
{
	const struct fleet_file *f = d->file;
	char path[PATH_BYTES];
	struct stat st;
	int rc = 0;

	(void)snprintf(path, sizeof path, "%s/fleet.json", f->folder);
	if (d->what == DEPLOY_PUT && lstat(path, &st) < 0 && errno == ENOENT)
		rc = fleet_init(f->folder, f->url, NULL, err);
	if (rc == 0)
		rc = fleet_file_folder(f, &d->fleet, err);
	return rc < 0 ? rc : fleet_lock(&d->fleet, err);
}

static int prepare_host(struct deploy *d, const struct fleet_host *h, struct err *err)
{
	char path[PATH_BYTES], unit[64], *text;
	int rc = d->what == DEPLOY_PUT && !fleet_has(&d->fleet, h->name) ? fleet_add(d->file->folder, h->name, err) : 0;

	if (rc == 0 && d->what != DEPLOY_PUT)
		rc = fleet_file_check_host(d->file, &d->fleet, h, err);
	if (rc < 0)
		return rc;
	text = deploy_unit(h, d->file->url);
	rc = text ? file_write(local(d, h, unit_name(h, unit), path), text, strlen(text), 0644, err) : err_set(err, -ENOMEM, "no memory");
	free(text);
	return rc;
}

/* This program by the name that it has on the hosts, also when its file has been replaced meanwhile. */
static int prepare_program(struct deploy *d, struct err *err)
{
	char program[PATH_BYTES];
	int rc = exec_find("ssh", program, sizeof program) < 0 || exec_find("scp", program, sizeof program) < 0 ?
		err_set(err, -ENOPKG, "ssh and scp are missing on this host: openssh-client") : digest("/proc/self/exe", d->sha, err);

	if (rc < 0)
		return rc;
	(void)snprintf(program, sizeof program, "/proc/%d/exe", (int)getpid());
	(void)snprintf(d->link, sizeof d->link, "%s/squall", d->file->folder);
	(void)unlink(d->link);		/* of a deployment that was killed: the folder is locked */
	return symlink(program, d->link) < 0 ? err_set(err, -errno, "%s: %s", d->link, strerror(errno)) : 0;
}

/* "a is 0.1 x, b is 0.1 y" of those that have another version. @param ret  "" before */
static void list_others(const struct deploy *d, char *ret, size_t bytes)
{
	for (int i = 0; i < d->file->hosts_nr; i++) {
		const struct task *t = &d->task[i];

		if (t->version[0] != '\0' && strcmp(t->version, agent_version()) != 0)
			err_list(ret, bytes, "%s is %s", t->host->name, t->version);
	}
}

/* After the hosts were asked: whose turn it is not, and whether it may be anybody's. */
static int choose(struct deploy *d, struct err *err)
{
	char others[ERR_TEXT_BYTES - 128] = "";

	if (d->what == DEPLOY_PUT)
		list_others(d, others, sizeof others);
	if (*others)
		return err_set(err, -EPROTO, "this is squall %s, but %s: squall fleet upgrade makes them the same; nothing was changed", agent_version(), others);
	for (int i = 0; i < d->file->hosts_nr; i++) {
		struct task *t = &d->task[i];

		if (t->done)
			continue;
		if (d->what == DEPLOY_UPGRADE && t->version[0] == '\0') {
			t->failed = true;
			say(d, t, true, "nothing is there to be upgraded; squall fleet deploy --on %s", d->file->path);
		} else if (d->what == DEPLOY_UPGRADE ? strcmp(t->version, agent_version()) == 0 : t->is_as_wanted) {
			say(d, t, false, "squall %s, as before", t->version);
		}
	}
	return 0;
}

static int report_failed(const struct deploy *d, struct err *err)
{
	char names[ERR_TEXT_BYTES - 128] = "";
	int nr = 0;

	for (int i = 0; i < d->file->hosts_nr; i++)
		if (d->task[i].failed) {
			err_list(names, sizeof names, "%s", d->task[i].host->name);
			nr++;
		}
	return nr == 0 ? 0 : err_set(err, -EIO, "not done on %d of %d hosts: %s", nr, d->file->hosts_nr, names);
}

static int put_all(struct deploy *d, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < d->file->hosts_nr && rc == 0; i++)
		rc = prepare_host(d, d->task[i].host, err);
	if (rc == 0)
		rc = prepare_program(d, err);
	if (rc < 0)
		return rc;
	each(d, ask);
	rc = choose(d, err);
	if (rc == 0)
		each(d, put);
	return rc;
}

int deploy_do(const struct fleet_file *file, enum deploy_what what, deploy_say say_to, void *arg, struct err *err)
{
	struct deploy d = { .file = file, .what = what, .fleet = FLEET_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .say = say_to, .arg = arg };
	int rc = prepare_folder(&d, err);

	for (int i = 0; i < file->hosts_nr; i++)
		d.task[i].host = &file->host[i];
	if (rc == 0 && what == DEPLOY_REMOVE)
		each(&d, take_away);
	else if (rc == 0)
		rc = put_all(&d, err);
	if (d.link[0] != '\0')
		(void)unlink(d.link);
	fleet_release(&d.fleet);
	return rc < 0 ? rc : report_failed(&d, err);
}
