/* SPDX-License-Identifier: MIT */
/*
 * child.c - the child's side of a probe.
 *
 * One JSON object a line. An empty line means "alive, nothing to say" and comes once a second from a probe that is silent otherwise.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "file.h"
#include "json_text.h"
#include "probe.h"

#define CHILD_FD 3
#define ALIVE_NS NS_PER_S

/* Kernel text is not always UTF-8, and JSON must be: other bytes become '?', and so do control characters, of which JSON makes six bytes each. */
static void text_clean(const char *text, char *out, size_t out_bytes)
{
	size_t n = 0;

	for (; text[n] != '\0' && n < out_bytes - 1; n++)
		out[n] = (signed char)text[n] < ' ' && text[n] != '\n' && text[n] != '\t' ? '?' : text[n];
	if (text[n] != '\0')
		memcpy(out + n - 3, "...", 3);
	out[n] = '\0';
}

static void out_add(struct probe_out *out, const char *text, size_t bytes)
{
	size_t room = out->room ? out->room : 4096;
	char *grown;

	while (room - out->bytes < bytes)
		room *= 2;
	if (room != out->room) {
		grown = realloc(out->text, room);
		if (!grown)
			_exit(ENOMEM);	/* a probe is disposable; the gap is a sample */
		out->text = grown;
		out->room = room;
	}
	memcpy(out->text + out->bytes, text, bytes);
	out->bytes += bytes;
}

void probe_emit(struct probe_out *out, const char *metric, const char *label, double value, const char *text)
{
	char clean_label[PROBE_LABEL_BYTES_MAX], clean_text[PROBE_TEXT_BYTES_MAX];
	json_t *sample;
	char *line;

	if (label)
		text_clean(label, clean_label, sizeof clean_label);
	if (text)
		text_clean(text, clean_text, sizeof clean_text);
	sample = json_pack("{s:I, s:s, s:f, s:s*, s:s*}", "t_ns", (json_int_t)out->now_ns, "metric", metric, "value", value, "label",
			   label ? clean_label : NULL, "text", text ? clean_text : NULL);
	line = sample ? json_text(sample, JSON_COMPACT) : NULL;
	json_decref(sample);
	if (!line)
		_exit(ENOMEM);
	out_add(out, line, strlen(line));
	out_add(out, "\n", 1);
	free(line);
}

int probe_read(const char *path, char **buffer, size_t *room)
{
	size_t used = 0, grown_room;
	ssize_t n = 1;
	char *grown;
	int fd, rc = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (rc == 0 && n > 0) {
		if (*room - used < 2) {
			grown_room = *room ? *room * 2 : 4096;
			grown = grown_room > PROBE_FILE_BYTES_MAX ? NULL : realloc(*buffer, grown_room);
			if (!grown) {
				rc = grown_room > PROBE_FILE_BYTES_MAX ? -EFBIG : -ENOMEM;
				break;
			}
			*buffer = grown;
			*room = grown_room;
		}
		n = read(fd, *buffer + used, *room - used - 1);
		if (n < 0)
			rc = -errno;
		else
			used += (size_t)n;
	}
	(void)close(fd);
	if (rc < 0)
		return rc;
	(*buffer)[used] = '\0';
	return (int)used;
}

bool probe_file_available(const struct probe_env *env, const char *name, char *reason, size_t reason_bytes)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s%s", env->root, name);
	if (access(path, R_OK) == 0)
		return true;
	(void)snprintf(reason, reason_bytes, "%s cannot be read", path);
	return false;
}

int probe_file_open(const struct probe_env *env, const char *name, size_t bytes, void **ret_state)
{
	struct probe_file *file = calloc(1, bytes);

	if (!file)
		return -ENOMEM;
	(void)snprintf(file->path, sizeof file->path, "%s%s", env->root, name);
	*ret_state = file;
	return 0;
}

int probe_file_read(struct probe_file *file)
{
	return probe_read(file->path, &file->text, &file->room);
}

static void out_flush(struct probe_out *out)
{
	if (out->bytes == 0 && out->now_ns - out->written_ns >= ALIVE_NS)
		out_add(out, "\n", 1);
	if (out->bytes == 0)
		return;
	if (file_write_all(out->fd, out->text, out->bytes) < 0)
		_exit(EPIPE);
	out->bytes = 0;
	out->written_ns = out->now_ns;
}

static void child_loop(const struct probe *probe, const struct probe_env *env)
{
	struct probe_out out = { .fd = CHILD_FD };
	void *state = NULL;
	uint64_t due_ns;
	int rc;

	rc = probe->open(env, &state);
	if (rc < 0)
		_exit(-rc);
	due_ns = clock_mono_ns();
	for (;;) {
		out.now_ns = clock_mono_ns();
		rc = probe->sample(state, &out);
		if (rc < 0)
			_exit(-rc);
		out_flush(&out);
		/* Missed instants are left out, the raster stays. */
		out.now_ns = clock_mono_ns();
		due_ns += ((out.now_ns - due_ns) / probe->period_ns + 1) * probe->period_ns;
		clock_sleep_until_ns(due_ns);
	}
}

static void child_isolate(int fd, pid_t parent)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)	/* it died before the line above */
		_exit(0);
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &act, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd != CHILD_FD && dup2(fd, CHILD_FD) < 0)
		_exit(errno);
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < CHILD_FD; i++)
		(void)dup2(null, i);
	(void)close_range(CHILD_FD + 1, ~0u, 0);
}

pid_t probe_child_start(const struct probe *probe, const struct probe_env *env, int *ret_fd)
{
	pid_t parent = getpid(), pid;
	int fd[2], rc;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		rc = -errno;
		(void)close(fd[0]);
		(void)close(fd[1]);
		return rc;
	}
	if (pid == 0) {
		child_isolate(fd[1], parent);
		child_loop(probe, env);
	}
	(void)setpgid(pid, pid);	/* both sides: whoever comes first */
	(void)close(fd[1]);
	(void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
	*ret_fd = fd[0];
	return pid;
}
