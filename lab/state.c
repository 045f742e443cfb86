/* SPDX-License-Identifier: MIT */
/*
 * state.c - DIR/state.json, and the life and end of the processes named in it.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "json_text.h"

#define STATE_BYTES_MAX (64u << 10)
#define END_MS 5000

static int state_dir(char *ret, size_t bytes, struct err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (runtime && runtime[0] == '/')
		n = snprintf(ret, bytes, "%s/squall-lab", runtime);
	else
		n = snprintf(ret, bytes, "/tmp/squall-lab-%u", (unsigned int)getuid());
	return (size_t)n < bytes - 32 ? 0 : err_set(err, -ENAMETOOLONG, "XDG_RUNTIME_DIR: %s is too long for the lab's sockets", runtime);
}

/* In /tmp the name could have been taken by another user. */
static int check_owner(const char *dir, struct err *err)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077))
		return err_set(err, -EPERM, "%s is not a folder of this user alone; remove it, or set XDG_RUNTIME_DIR", dir);
	return 0;
}

/* QEMU, which starts it too, reads a comma as the end of its name, and a quotation mark as the beginning of another. */
static int find_program(char *ret, size_t bytes, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", ret, bytes - 1);

	if (n < 0)
		return err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
	ret[n] = '\0';
	if ((size_t)n == bytes - 1 || strpbrk(ret, ",'\"\\"))
		return err_set(err, -EINVAL, "the lab cannot run %s: its path is longer than %zu bytes, or has one of , ' \" \\ in it", ret, bytes - 2);
	return 0;
}

int state_new(struct lab_state *state, struct err *err)
{
	int rc;

	*state = (struct lab_state){ 0 };
	rc = find_program(state->program, sizeof state->program, err);
	if (rc == 0)
		rc = state_dir(state->dir, sizeof state->dir, err);
	if (rc == 0 && mkdir(state->dir, 0700) < 0 && errno != EEXIST)
		rc = err_set(err, -errno, "%s: %s", state->dir, strerror(errno));
	return rc == 0 ? check_owner(state->dir, err) : rc;
}

static uint64_t start_time(pid_t pid)
{
	char path[64], *text = NULL, *p;
	uint64_t start = 0;
	size_t bytes;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (pid <= 0 || file_read(path, 4096, &text, &bytes, NULL) < 0)
		return 0;
	p = strrchr(text, ')');		/* the name may hold spaces and brackets; the state follows it, field 3 */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		start = strtoull(p + 1, NULL, 10);
	free(text);
	return start;
}

static bool is_alive(const struct lab_process *p)
{
	return p->pid > 0 && p->start != 0 && start_time(p->pid) == p->start;
}

bool state_is_alive(const struct lab_state *state)
{
	for (unsigned int i = 0; i < state->vms_nr; i++)
		if (!is_alive(&state->vm[i].process))
			return false;
	return state->vms_nr > 0 && is_alive(&state->lan);
}

bool state_is_taken(const struct lab_state *state)
{
	return state->run.pid != getpid() && is_alive(&state->run);
}

void state_take(struct lab_state *state)
{
	state->run = (struct lab_process){ .pid = getpid(), .start = start_time(getpid()) };
}

static json_t *process_to_json(const struct lab_process *p)
{
	return json_pack("{s:i, s:I}", "pid", (int)p->pid, "start", (json_int_t)p->start);
}

static struct lab_process process_from_json(const json_t *json)
{
	return (struct lab_process){ .pid = (pid_t)json_integer_value(json_object_get(json, "pid")),
				     .start = (uint64_t)json_integer_value(json_object_get(json, "start")) };
}

int state_save(const struct lab_state *state, struct err *err)
{
	json_t *vms = json_array(), *json;
	char path[160], *text;
	int rc;

	for (unsigned int i = 0; i < state->vms_nr; i++)
		json_array_append_new(vms, json_pack("{s:s, s:o, s:i}", "name", state->vm[i].name, "process", process_to_json(&state->vm[i].process),
						     "control", state->vm[i].control));
	json = json_pack("{s:s, s:b, s:b, s:i, s:o, s:o, s:o}", "key", state->key, "kvm", state->kvm, "ready", state->ready, "bus", state->bus, "run",
			 process_to_json(&state->run), "lan", process_to_json(&state->lan), "vms", vms);
	text = json ? json_text(json, JSON_INDENT(1)) : NULL;
	(void)snprintf(path, sizeof path, "%s/state.json", state->dir);
	rc = text ? file_write(path, text, strlen(text), 0600, err) : err_set(err, -ENOMEM, "lab: no memory");
	free(text);
	json_decref(json);
	return rc;
}

int state_load(struct lab_state *ret, struct err *err)
{
	char path[160], *text = NULL;
	json_t *json, *vm;
	size_t bytes, i;
	int rc;

	*ret = (struct lab_state){ 0 };
	rc = state_dir(ret->dir, sizeof ret->dir, err);
	if (rc < 0)
		return rc;
	if (access(ret->dir, F_OK) < 0)
		return 0;
	rc = check_owner(ret->dir, err);
	if (rc < 0)
		return rc;
	(void)snprintf(path, sizeof path, "%s/state.json", ret->dir);
	if (file_read(path, STATE_BYTES_MAX, &text, &bytes, NULL) < 0)
		return 1;	/* a folder and nothing in it: a start that was cut off at once */
	json = json_loads(text, 0, NULL);
	free(text);
	(void)snprintf(ret->key, sizeof ret->key, "%s", json_is_string(json_object_get(json, "key")) ? json_string_value(json_object_get(json, "key")) : "");
	ret->kvm = json_is_true(json_object_get(json, "kvm"));
	ret->ready = json_is_true(json_object_get(json, "ready"));
	ret->bus = (uint16_t)json_integer_value(json_object_get(json, "bus"));
	ret->run = process_from_json(json_object_get(json, "run"));
	ret->lan = process_from_json(json_object_get(json, "lan"));
	json_array_foreach(json_object_get(json, "vms"), i, vm) {
		const char *name = json_string_value(json_object_get(vm, "name"));
		struct lab_vm *to = &ret->vm[ret->vms_nr];

		if (!name || ret->vms_nr == LAB_NODES_MAX)
			continue;
		(void)snprintf(to->name, sizeof to->name, "%s", name);
		to->process = process_from_json(json_object_get(vm, "process"));
		to->control = (uint16_t)json_integer_value(json_object_get(vm, "control"));
		ret->vms_nr++;
	}
	json_decref(json);
	return 1;
}

static int end(const struct lab_process *p, struct err *err)
{
	int pidfd = p->pid > 0 ? exec_pidfd(p->pid) : -1;
	struct pollfd wait = { .fd = pidfd, .events = POLLIN };
	int rc = 0;

	/* The descriptor first, then the look: what it names now is what is killed. */
	if (pidfd >= 0 && is_alive(p)) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		if (poll(&wait, 1, END_MS) != 1)
			rc = err_set(err, -ETIMEDOUT, "lab: process %d does not end", (int)p->pid);
		else
			(void)waitpid(p->pid, NULL, WNOHANG);	/* of another command's lab it is not our child */
	}
	if (pidfd >= 0)
		close(pidfd);
	return rc;
}

int state_end(struct lab_state *state, struct err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < state->vms_nr; i++) {
		int one = end(&state->vm[i].process, err);

		rc = rc < 0 ? rc : one;
	}
	if (rc == 0)
		rc = end(&state->lan, err);
	return rc == 0 ? file_remove_tree(state->dir, err) : rc;
}

/* A process that outlives its starter keeps nothing of the starter's open: no lock, no pipe of a caller that waits for its end. */
static void close_others(int keep)
{
	if (keep > 3)
		(void)close_range(3, (unsigned int)keep - 1, 0);
	(void)close_range((unsigned int)keep + 1, ~0u, 0);
}

int state_spawn(const struct lab_state *state, const char *const argv[], const char *input, const char *log, struct lab_process *ret, struct err *err)
{
	char path[160];
	pid_t pid;
	int pipes[2], failed = 0;

	(void)snprintf(path, sizeof path, "%s/%s", state->dir, log);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_set(err, -errno, "lab: pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		int in = open(input ? input : "/dev/null", O_RDONLY | O_CLOEXEC), out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		(void)setsid();
		(void)setenv("TMPDIR", state->dir, 1);
		if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0) {
			close_others(pipes[1]);
			(void)execv(argv[0], (char *const *)argv);
		}
		failed = errno;
		(void)file_write_all(pipes[1], &failed, sizeof failed);
		_exit(127);
	}
	close(pipes[1]);
	/* The pipe closes at the exec, or tells why there was none. */
	if (pid > 0 && read(pipes[0], &failed, sizeof failed) == (ssize_t)sizeof failed)
		pid = -1;
	else if (pid < 0)
		failed = errno;
	close(pipes[0]);
	if (pid < 0)
		return err_set(err, failed == ENOENT ? -ENOPKG : -failed, "%s: %s", argv[0], strerror(failed));
	*ret = (struct lab_process){ .pid = pid, .start = start_time(pid) };
	return 0;
}
