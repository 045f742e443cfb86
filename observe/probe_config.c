/* SPDX-License-Identifier: MIT */
/*
 * probe_config.c - what a server is configured with: its exports, what is set for its NFS, and DRBD.
 *
 * All of it is told every 10 s, because no host knows when T0 is; the record has it once (coord/pump.c).
 *
 * Exports are those of etab, where exportfs keeps them with all options in force, and never of /proc/fs/nfsd, which hangs with the server: see
 * probe_nfsd.c. What DRBD runs with is known to its own tool alone. That one may wait in the kernel for another command of DRBD, so it has a deadline, and is
 * not run again while it hangs there; it is not run without DRBD's module either, which it would load.
 */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "exec.h"
#include "parse.h"
#include "probe.h"

#define DRBDSETUP_NS (5 * NS_PER_S)
#define TEXT_BYTES_MAX (PROBE_TEXT_BYTES_MAX - 64)	/* the sentence of a cut follows */
#define SECRET "shared-secret"

/* Lines, and how much of them had no room. */
struct text {
	char at[PROBE_TEXT_BYTES_MAX];
	size_t bytes, cut;
};

struct state {
	char root[PATH_MAX];
	char *file;		/* as it was last read */
	size_t room;
	pid_t hung;		/* a drbdsetup that did not die; 0 = none */
	struct text text;
};

/* Where the line after a secret begins. Its quotes may hold anything, with a backslash before quotes and backslashes. Source: config_flags.c of drbd-utils */
static const char *secret_end(const char *at)
{
	at += strspn(at, " \t\n");
	if (*at == '"')
		for (at++; *at != '\0' && *at != '"'; at++)
			at += *at == '\\' && at[1] != '\0';
	at += strcspn(at, "\n");
	return *at == '\n' ? at + 1 : at;
}

char *drbd_show_clean(const char *text)
{
	char *clean = NULL;
	size_t bytes;
	FILE *out = open_memstream(&clean, &bytes);
	const char *at;

	if (!out)
		return NULL;
	for (; (at = strstr(text, SECRET)) != NULL; text = secret_end(at)) {
		at += strlen(SECRET);
		(void)fprintf(out, "%.*s (not recorded);\n", (int)(at - text), text);
	}
	(void)fputs(text, out);
	if (fclose(out) == 0)
		return clean;
	free(clean);
	return NULL;
}

static void text_add(struct text *t, const char *from, size_t bytes)
{
	size_t room = TEXT_BYTES_MAX - t->bytes, keep = bytes < room ? bytes : room;

	memcpy(t->at + t->bytes, from, keep);
	t->bytes += keep;
	t->cut += bytes - keep;
	t->at[t->bytes] = '\0';
}

static void line_add(struct text *t, const char *line)
{
	if (t->bytes > 0)
		text_add(t, "\n", 1);
	text_add(t, line, strcspn(line, "\n"));
}

static void lines_add(struct text *t, const char *text)
{
	for (const char *line = text; line; line = line_next(line))
		line_add(t, line);
}

/* Comments, empty lines and sections in which nothing is set are left out. */
static void settings_add(struct text *t, const char *text)
{
	const char *section = NULL;

	for (const char *line = text; line; line = line_next(line)) {
		line += strspn(line, " \t\r");
		if (strchr("\n#;", *line))	/* or at the end of the text */
			continue;
		if (*line == '[') {
			section = line;
			continue;
		}
		if (section)
			line_add(t, section);
		section = NULL;
		line_add(t, line);
	}
}

static void text_begin(struct text *t)
{
	t->bytes = t->cut = 0;
	t->at[0] = '\0';
}

static void text_tell(struct text *t, struct probe_out *out, const char *metric)
{
	if (t->cut > 0)
		(void)snprintf(t->at + t->bytes, sizeof t->at - t->bytes, "\n(cut: %zu bytes more)", t->cut);
	probe_emit(out, metric, NULL, 1, t->at);
}

static void tell_exports(struct state *s, struct probe_out *out)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/var/lib/nfs/etab", s->root);
	if (probe_read(path, &s->file, &s->room) < 0)
		return;
	text_begin(&s->text);
	lines_add(&s->text, s->file);
	text_tell(&s->text, out, "config.exports");
}

/* In the order in which they are read. Source: nfs.conf(5) */
static void tell_nfs(struct state *s, struct probe_out *out)
{
	char path[PATH_MAX + 32];
	glob_t more = { 0 };
	bool any;

	text_begin(&s->text);
	(void)snprintf(path, sizeof path, "%s/etc/nfs.conf", s->root);
	any = probe_read(path, &s->file, &s->room) >= 0;
	if (any)
		settings_add(&s->text, s->file);
	(void)snprintf(path, sizeof path, "%s/etc/nfs.conf.d/*.conf", s->root);
	if (glob(path, 0, NULL, &more) == 0)
		for (size_t i = 0; i < more.gl_pathc; i++) {
			if (probe_read(more.gl_pathv[i], &s->file, &s->room) < 0)
				continue;
			any = true;
			settings_add(&s->text, s->file);
		}
	globfree(&more);
	if (any)
		text_tell(&s->text, out, "config.nfs");
}

/* Tests have a program of their own below their root. */
static int drbdsetup_find(const struct state *s, char *ret_path, size_t bytes)
{
	if (s->root[0] == '\0')
		return exec_find("drbdsetup", ret_path, bytes);
	(void)snprintf(ret_path, bytes, "%s/usr/sbin/drbdsetup", s->root);
	return access(ret_path, X_OK) == 0 ? 0 : -ENOENT;
}

static void tell_drbd(struct state *s, struct probe_out *out)
{
	struct exec_result result = EXEC_RESULT_INIT;
	char path[PATH_MAX + 32], *clean = NULL;

	(void)snprintf(path, sizeof path, "%s/proc/drbd", s->root);
	if (access(path, F_OK) != 0 || drbdsetup_find(s, path, sizeof path) < 0)
		return;
	if (s->hung != 0 && waitpid(s->hung, NULL, WNOHANG) == 0)
		return;
	s->hung = 0;
	if (exec_run((const char *const[]){ path, "show", NULL }, NULL, DRBDSETUP_NS, &result, NULL) == 0 && result.status == 0)
		clean = drbd_show_clean(result.out ? result.out : "");
	if (result.left_behind)
		s->hung = result.pid;
	if (clean) {
		text_begin(&s->text);
		lines_add(&s->text, clean);
		text_tell(&s->text, out, "config.drbd");
	}
	free(clean);
	exec_result_release(&result);
}

/* Any source may still come. None is looked for here, where nothing may block: /var/lib/nfs may be a link to the storage under test. */
static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	(void)env;
	(void)snprintf(reason, reason_bytes, "%s", "");
	return true;
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	struct state *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	(void)snprintf(s->root, sizeof s->root, "%s", env->root);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	struct state *s = state;

	tell_exports(s, out);
	tell_nfs(s, out);
	tell_drbd(s, out);
	return 0;
}

const struct probe probe_config = {
	.name = "config",
	.period_ns = 10 * NS_PER_S,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
