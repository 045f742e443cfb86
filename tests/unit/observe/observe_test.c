/* SPDX-License-Identifier: MIT */
/*
 * observe_test.c - the life of the probes: they come, they hang, they are killed, and the agent never waits for them.
 *
 * The probes themselves run on a tree of the test's own that looks like /proc.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "json_text.h"
#include "observe.h"

#include "../../../observe/probe.h"

static char root[64];

static void root_make(void)
{
	snprintf(root, sizeof root, "/tmp/squall-observe-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
}

static void root_remove(void)
{
	cr_assert_eq(file_remove_tree(root, NULL), 0);
}

TestSuite(observe, .init = root_make, .fini = root_remove, .timeout = 60);

static void put_file(const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", root, name);
	*strrchr(path, '/') = '\0';
	cr_assert_eq(file_mkdirs(path, 0755, NULL), 0);
	snprintf(path, sizeof path, "%s/%s", root, name);
	cr_assert_eq(file_write(path, text, strlen(text), 0644, NULL), 0);
}

/* A file that is kept open by its reader must be changed in place. */
static void put_in_place(const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, name);
	fd = open(path, O_WRONLY);
	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	close(fd);
}

static struct observe *start(const struct probe *probe, const char *mount)
{
	struct probe_env env = { .root = root, .path = mount };
	struct observe *o = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(observe_start_table(&probe, 1, &env, &o, &err), 0, "%s", err.text);
	return o;
}

/* Take until a sample of this metric (and label) comes. @return a new reference, or NULL at the deadline */
static json_t *wait_for(struct observe *o, const char *metric, const char *label, unsigned int seconds)
{
	uint64_t end_ns = clock_mono_ns() + seconds * NS_PER_S;
	json_t *found = NULL;

	while (!found && clock_mono_ns() < end_ns) {
		struct pollfd p[OBSERVE_FDS_MAX];
		int fds[OBSERVE_FDS_MAX], nr = observe_fds(o, fds);
		uint64_t before_ns;
		json_t *samples, *s;
		size_t i;

		for (int f = 0; f < nr; f++)
			p[f] = (struct pollfd){ .fd = fds[f], .events = POLLIN };
		(void)poll(p, (nfds_t)nr, 200);
		before_ns = clock_mono_ns();
		samples = observe_take(o);
		cr_expect_lt(clock_mono_ns() - before_ns, NS_PER_S, "observe_take() waited");
		json_array_foreach(samples, i, s) {
			const char *l = json_string_value(json_object_get(s, "label"));

			if (!found && strcmp(json_string_value(json_object_get(s, "metric")), metric) == 0 && (!label || (l && strcmp(l, label) == 0)))
				found = json_incref(s);
		}
		json_decref(samples);
	}
	return found;
}

static double wait_value(struct observe *o, const char *metric, const char *label)
{
	json_t *s = wait_for(o, metric, label, 10);
	double value;

	cr_assert_not_null(s, "%s %s never came", metric, label ? label : "");
	value = json_number_value(json_object_get(s, "value"));
	json_decref(s);
	return value;
}

static bool always(const struct probe_env *env, char *reason, size_t bytes)
{
	(void)env;
	(void)bytes;
	reason[0] = '\0';
	return true;
}

static int open_nothing(const struct probe_env *env, void **ret_state)
{
	*ret_state = (void *)(uintptr_t)env;
	return 0;
}

static int sample_tick(void *state, struct probe_out *out)
{
	(void)state;
	probe_emit(out, "test.tick", "l\xff", 4.5, "a \"text\"\n");
	return 0;
}

/* A read that never returns: a FIFO that nobody writes to. */
static int sample_fifo(void *state, struct probe_out *out)
{
	const struct probe_env *env = state;
	char path[256], *buffer = NULL;
	size_t room = 0;

	(void)out;
	snprintf(path, sizeof path, "%s/fifo", env->root);
	return probe_read(path, &buffer, &room);
}

static int sample_garbage(void *state, struct probe_out *out)
{
	(void)state;
	return (int)-(write(out->fd, "[1, 2]\n", 7) < 0);
}

static int sample_ends(void *state, struct probe_out *out)
{
	(void)state;
	(void)out;
	return -ENODEV;
}

static int sample_silent(void *state, struct probe_out *out)
{
	(void)state;
	(void)out;
	return 0;
}

#define TEST_PROBE(which) static const struct probe which = { \
	.name = #which, .period_ns = 100 * NS_PER_MS, .available = always, .open = open_nothing, .sample = sample_##which }
TEST_PROBE(tick);
TEST_PROBE(fifo);
TEST_PROBE(garbage);
TEST_PROBE(ends);
TEST_PROBE(silent);

Test(observe, samples_have_the_documented_shape)
{
	struct observe *o = start(&tick, NULL);
	json_t *s = wait_for(o, "test.tick", NULL, 10);

	cr_assert_not_null(s);
	cr_expect_eq(json_number_value(json_object_get(s, "value")), 4.5);
	cr_expect_str_eq(json_string_value(json_object_get(s, "label")), "l?");
	cr_expect_str_eq(json_string_value(json_object_get(s, "text")), "a \"text\"\n");
	cr_expect_leq((uint64_t)json_integer_value(json_object_get(s, "t_ns")), clock_mono_ns());
	json_decref(s);
	observe_stop(o);
}

Test(observe, a_killed_child_leaves_a_gap_and_comes_back)
{
	struct observe *o = start(&tick, NULL);
	int pid = observe_pid(o, "tick");
	json_t *gap;

	(void)wait_value(o, "test.tick", NULL);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	gap = wait_for(o, "probe.gap", "tick", 10);
	cr_assert_not_null(gap);
	json_decref(gap);
	(void)wait_value(o, "test.tick", NULL);
	cr_expect_neq(observe_pid(o, "tick"), pid);
	cr_expect_neq(observe_pid(o, "tick"), 0);
	observe_stop(o);
}

Test(observe, a_stopped_child_is_killed_at_its_deadline)
{
	struct observe *o = start(&tick, NULL);
	int pid = observe_pid(o, "tick");
	double gap_s;

	(void)wait_value(o, "test.tick", NULL);
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	gap_s = wait_value(o, "probe.gap", "tick");
	cr_expect(gap_s >= 3 && gap_s < 5, "%g", gap_s);
	(void)wait_value(o, "test.tick", NULL);
	observe_stop(o);
	cr_expect_eq(kill(pid, 0), -1);
}

Test(observe, a_read_that_hangs_never_blocks_the_agent)
{
	char path[256];
	struct observe *o;

	snprintf(path, sizeof path, "%s/fifo", root);
	cr_assert_eq(mkfifo(path, 0600), 0);
	o = start(&fifo, NULL);
	cr_expect_geq(wait_value(o, "probe.gap", "fifo"), 3);	/* wait_for() measures each take */
	cr_expect_geq(wait_value(o, "probe.gap", "fifo"), 3);
	observe_stop(o);
}

Test(observe, what_is_not_a_sample_is_a_gap)
{
	struct observe *o = start(&garbage, NULL);

	(void)wait_value(o, "probe.gap", "garbage");
	observe_stop(o);
}

Test(observe, a_child_that_ends_at_once_does_not_spin)
{
	struct observe *o = start(&ends, NULL);
	uint64_t start_ns = clock_mono_ns();

	for (int i = 0; i < 3; i++)
		(void)wait_value(o, "probe.gap", "ends");
	cr_expect_geq(clock_mono_ns() - start_ns, 2 * NS_PER_S);
	observe_stop(o);
}

Test(observe, silence_of_a_living_child_is_no_gap)
{
	struct observe *o = start(&silent, NULL);

	cr_expect_null(wait_for(o, "probe.gap", NULL, 5));
	observe_stop(o);
}

static unsigned int children_nr(void)
{
	unsigned int nr = 0;
	siginfo_t info;

	info.si_pid = 0;
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		nr++;		/* living or dead, there is one */
	return nr;
}

Test(observe, stop_leaves_no_process_and_no_descriptor)
{
	const struct probe *const table[] = { &tick, &fifo, &ends, &silent };
	struct probe_env env = { .root = root };
	int before = open("/dev/null", O_RDONLY), after;
	struct observe *o = NULL;
	char path[256];

	close(before);
	snprintf(path, sizeof path, "%s/fifo", root);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(observe_start_table(table, 4, &env, &o, NULL), 0);
	(void)wait_value(o, "test.tick", NULL);
	cr_expect_eq(children_nr(), 1);
	observe_stop(o);
	cr_expect_eq(children_nr(), 0);
	after = open("/dev/null", O_RDONLY);
	cr_expect_eq(before, after);
	close(after);
}

Test(observe, the_children_hold_no_descriptor_of_the_agent)
{
	int fd[2];
	char byte;
	struct observe *o;

	cr_assert_eq(pipe(fd), 0);
	o = start(&tick, NULL);
	(void)wait_value(o, "test.tick", NULL);
	close(fd[1]);
	cr_expect_eq(read(fd[0], &byte, 1), 0, "the pipe has an end only when no child holds it");
	observe_stop(o);
}

static int agent_that_dies(void *arg)
{
	struct observe *o = start(&tick, NULL);
	int pid = observe_pid(o, "tick");

	json_decref(wait_for(o, "test.tick", NULL, 10));
	return write(*(int *)arg, &pid, sizeof pid) == sizeof pid ? 0 : 1;
}

Test(observe, the_children_die_with_the_agent)
{
	int fd[2], pid = 0;
	uint64_t end_ns = clock_mono_ns() + 10 * NS_PER_S;
	pid_t agent;

	cr_assert_eq(pipe(fd), 0);
	agent = fork();
	if (agent == 0)
		_exit(agent_that_dies(&fd[1]));
	cr_assert_eq(read(fd[0], &pid, sizeof pid), sizeof pid);
	cr_assert_eq(waitpid(agent, NULL, 0), agent);
	while (clock_mono_ns() < end_ns) {
		char path[64], *text = NULL;
		size_t bytes;

		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		if (file_read(path, 4096, &text, &bytes, NULL) < 0)
			return;
		if (strstr(text, ") Z ")) {	/* dead, and its new parent is slow to say so */
			free(text);
			return;
		}
		free(text);
		(void)poll(NULL, 0, 10);
	}
	cr_assert_fail("%d still runs", pid);
}

static const char hung_status[] = "Name:\tnfsd\nState:\tD (disk sleep)\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";

static void thread_make(int pid, const char *comm, const char *status, const char *wchan)
{
	char name[64];

	snprintf(name, sizeof name, "proc/%d/comm", pid);
	put_file(name, comm);
	snprintf(name, sizeof name, "proc/%d/status", pid);
	put_file(name, status);
	snprintf(name, sizeof name, "proc/%d/wchan", pid);
	put_file(name, wchan);
}

Test(observe, nfsd_waits_for_its_threads_and_counts_hung_time)
{
	struct observe *o;
	double hung, total, blocked;

	put_file("proc/1/comm", "init\n");
	o = start(&probe_nfsd, NULL);
	cr_expect_null(wait_for(o, "nfsd.threads", NULL, 2), "no threads: no samples");
	thread_make(50, "nfsd\n", hung_status, "drbd_al_begin_io");
	thread_make(51, "nfsd\n", hung_status, "svc_tcp_sendto");
	thread_make(52, "nfsdcld\n", hung_status, "drbd_al_begin_io");
	cr_expect_eq(wait_value(o, "nfsd.threads", NULL), 2);
	blocked = wait_value(o, "nfsd.blocked", NULL);
	cr_expect_eq(blocked, 1);
	(void)wait_value(o, "nfsd.hung_ns", NULL);
	hung = wait_value(o, "nfsd.hung_ns", NULL);
	cr_expect(hung > 0.5e9, "%g", hung);
	put_in_place("proc/50/status", "Name:\tnfsd\nState:\tD (disk sleep)\nvoluntary_ctxt_switches:\t41\nnonvoluntary_ctxt_switches:\t2\n");
	put_in_place("proc/50/wchan", "svc_recv\0\0\0\0");
	(void)wait_value(o, "nfsd.hung_ns", NULL);
	hung = wait_value(o, "nfsd.hung_ns", NULL);
	cr_expect_eq(wait_value(o, "nfsd.hung_ns", NULL), hung, "it has moved on: no more hung time");
	total = wait_value(o, "nfsd.total_ns", NULL);
	cr_expect(total > 2 * hung, "two threads, one hung for a part: %g of %g", hung, total);
	observe_stop(o);
}

/* The parent of a vfork() is in D until its child ends: a wait in the kernel that needs no server and no broken disk. */
static void hang_in_the_kernel(int seconds)
{
	(void)prctl(PR_SET_NAME, "nfsd");
	if (vfork() == 0) {
		(void)poll(NULL, 0, seconds * 1000);
		_exit(0);
	}
	_exit(0);
}

Test(observe, a_real_wait_in_the_kernel_is_hung_time)
{
	struct probe_env env = { .root = "" };
	const struct probe *const table[] = { &probe_nfsd };
	struct observe *o = NULL;
	pid_t pid = fork();
	double hung = 0;

	if (pid == 0)
		hang_in_the_kernel(4);
	cr_assert_eq(observe_start_table(table, 1, &env, &o, NULL), 0);
	for (int i = 0; i < 5 && hung < 1e9; i++)
		hung = wait_value(o, "nfsd.hung_ns", NULL);
	cr_expect(hung >= 1e9, "%g", hung);
	observe_stop(o);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static char *fixture(const char *name)
{
	char path[256], *text = NULL;
	size_t bytes;

	snprintf(path, sizeof path, "tests/unit/observe/data/%s", name);
	cr_assert_eq(file_read(path, 1u << 20, &text, &bytes, NULL), 0);
	return text;
}

static void put_fixture(const char *name, const char *file)
{
	char *text = fixture(file);

	put_file(name, text);
	free(text);
}

Test(observe, drbd_emits_states_and_the_oldest_request)
{
	struct observe *o;
	json_t *s;

	put_fixture("proc/drbd", "drbd-two-minors.txt");
	put_fixture("sys/kernel/debug/drbd/resources/r0/volumes/0/oldest_requests", "oldest-writes-and-read.txt");
	put_fixture("sys/kernel/debug/drbd/resources/r1/volumes/0/oldest_requests", "oldest-none.txt");
	o = start(&probe_drbd, NULL);
	cr_expect_eq(wait_value(o, "drbd.oldest_request_ns", NULL), 2190e6);
	cr_expect_eq(wait_value(o, "drbd.pending", "0"), 46);
	cr_expect_eq(wait_value(o, "drbd.connected", "3"), 0);
	s = wait_for(o, "drbd.connected", "0", 10);
	cr_expect_str_eq(json_string_value(json_object_get(s, "text")), "Connected");
	json_decref(s);
	put_file("proc/drbd", " 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n    ns:1 lo:0 pe:5 ua:0 ap:5 ep:1\n");
	s = wait_for(o, "drbd.ap_pending", NULL, 10);
	while (s && json_object_get(s, "label")) {	/* of before */
		json_decref(s);
		s = wait_for(o, "drbd.ap_pending", NULL, 10);
	}
	cr_assert_not_null(s, "one minor needs no label");
	cr_expect_eq(json_number_value(json_object_get(s, "value")), 5);
	json_decref(s);
	observe_stop(o);
}

Test(observe, mountstats_emits_ops_that_were_used)
{
	struct observe *o;
	json_t *samples;
	json_t *s;
	size_t i;

	put_fixture("proc/self/mountstats", "mountstats.txt");
	o = start(&probe_mountstats, "/mnt/home/");
	samples = NULL;
	for (int tries = 0; tries < 100 && json_array_size(samples) == 0; tries++) {
		json_decref(samples);
		(void)poll(NULL, 0, 50);
		samples = observe_take(o);
	}
	cr_assert_gt(json_array_size(samples), 3);
	json_array_foreach(samples, i, s) {
		const char *metric = json_string_value(json_object_get(s, "metric")), *label = json_string_value(json_object_get(s, "label"));
		double value = json_number_value(json_object_get(s, "value"));

		cr_expect(!label || strcmp(label, "COMMIT") != 0, "no op, no sample");
		if (!label)
			cr_expect(strcmp(metric, "mount.ops") != 0);
		else if (strcmp(label, "READ") == 0)
			cr_expect_eq(value, strcmp(metric, "mount.ops") == 0 ? 1000 : strcmp(metric, "mount.retrans") == 0 ? 7 : 32e9);
		else if (strcmp(label, "WRITE") == 0)
			cr_expect_str_neq(metric, "mount.rtt_ns");
		else if (strcmp(label, "OPEN") == 0 && strcmp(metric, "mount.retrans") == 0)
			cr_expect_eq(value, 0);
	}
	json_decref(samples);
	observe_stop(o);
}

Test(observe, disks_pressure_memory_and_cpu_emit)
{
	struct observe *o;

	put_fixture("proc/diskstats", "diskstats.txt");
	put_fixture("proc/pressure/cpu", "pressure-io.txt");
	put_fixture("proc/pressure/io", "pressure-io.txt");
	put_fixture("proc/pressure/memory", "pressure-io.txt");
	o = start(&probe_disks, NULL);
	cr_expect_eq(wait_value(o, "disk.busy_ns", "vda"), 5555e6);
	observe_stop(o);
	o = start(&probe_pressure, NULL);
	cr_expect_eq(wait_value(o, "pressure.memory", "full"), 60.5);
	observe_stop(o);
	put_fixture("proc/meminfo", "meminfo.txt");
	o = start(&probe_memory, NULL);
	cr_expect_eq(wait_value(o, "memory.cached", NULL), 81920.0 * 1024);
	observe_stop(o);
	put_fixture("proc/stat", "stat.txt");
	o = start(&probe_cpu, NULL);
	cr_expect_eq(wait_value(o, "cpu.idle_ns", NULL), 92.5e9 * 100 / (double)sysconf(_SC_CLK_TCK));
	observe_stop(o);
}

Test(observe, the_kernel_log_is_read_from_now_on)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	struct observe *o;
	char reason[256] = "";
	struct probe_env env = { .root = "" };

	if (fd >= 0)
		close(fd);
	if (fd < 0 || !probe_kernel_log.available(&env, reason, sizeof reason))
		cr_skip_test("needs /dev/kmsg");
	root_remove();
	root[0] = '\0';
	o = start(&probe_kernel_log, NULL);
	cr_expect_null(wait_for(o, "probe.gap", NULL, 4), "a kernel that says nothing is no gap");
	observe_stop(o);
	root_make();
}

/* As a shell does it: what it prints, or how it hangs. */
static void put_drbdsetup(const char *script)
{
	char path[256];

	put_file("proc/drbd", "version: 8.4.11\n");
	put_file("usr/sbin/drbdsetup", script);
	snprintf(path, sizeof path, "%s/usr/sbin/drbdsetup", root);
	cr_assert_eq(chmod(path, 0755), 0);
}

#define expect_text(o, metric, expected) do {                                                             \
	json_t *told = wait_for(o, metric, NULL, 20);                                                     \
	cr_assert_not_null(told, "%s never came", metric);                                                \
	cr_expect_eq(json_number_value(json_object_get(told, "value")), 1);                               \
	cr_expect_str_eq(json_string_value(json_object_get(told, "text")), expected);                     \
	json_decref(told);                                                                                \
} while (0)

Test(observe, config_tells_exports_as_they_are_in_force)
{
	char *etab = fixture("etab.txt");
	struct observe *o;

	put_file("var/lib/nfs/etab", etab);
	etab[strlen(etab) - 1] = '\0';
	o = start(&probe_config, NULL);
	expect_text(o, "config.exports", etab);
	observe_stop(o);
	free(etab);
}

Test(observe, config_tells_what_is_set_in_all_files_of_nfs)
{
	struct observe *o;

	put_file("etc/nfs.conf", "# of all\n[general]\n\n  [exportd]\n# threads=1\n[nfsd]\n threads=16\n;port=0\nvers3=y");
	put_file("etc/nfs.conf.d/b.conf", "[lockd]\nport=4045\n");
	put_file("etc/nfs.conf.d/a.conf", "[nfsd]\nthreads=8\n");
	put_file("etc/nfs.conf.d/c.conf.old", "[nfsd]\nthreads=1\n");
	o = start(&probe_config, NULL);
	expect_text(o, "config.nfs", "[nfsd]\nthreads=16\nvers3=y\n[nfsd]\nthreads=8\n[lockd]\nport=4045");
	observe_stop(o);
}

Test(observe, config_tells_drbd_without_its_secret)
{
	char script[1024], here[512], *all;
	const char *text;
	struct observe *o;
	json_t *s;

	cr_assert_not_null(getcwd(here, sizeof here));
	snprintf(script, sizeof script, "#!/bin/sh\n[ \"$*\" = show ] && exec cat '%s/tests/unit/observe/data/drbdsetup-show.txt'\n", here);
	put_drbdsetup(script);
	o = start(&probe_config, NULL);
	s = wait_for(o, "config.drbd", NULL, 10);
	cr_assert_not_null(s);
	text = json_string_value(json_object_get(s, "text"));
	cr_expect(strncmp(text, "resource r0 {\n", 14) == 0 && strstr(text, "verify-alg      \t\"crc32c\";"), "%s", text);
	cr_expect(strstr(text, "shared-secret (not recorded);\n        timeout "), "%s", text);
	all = json_text(s, 0);
	cr_expect(!strstr(all, "hunter2") && !strstr(all, "; } "), "%s", all);
	free(all);
	json_decref(s);
	observe_stop(o);
}

Test(observe, config_is_silent_about_what_is_not_there)
{
	struct observe *o;
	char path[256];

	put_drbdsetup("#!/bin/sh\necho 'resource r0 {'\nexit 20\n");
	put_file("etc/nfs.conf", "[nfsd]\n");
	o = start(&probe_config, NULL);
	cr_expect_null(wait_for(o, "config.drbd", NULL, 2), "it has failed");
	observe_stop(o);
	o = start(&probe_config, NULL);
	expect_text(o, "config.nfs", "");
	cr_expect_null(wait_for(o, "config.exports", NULL, 1));
	observe_stop(o);
	put_drbdsetup("#!/bin/sh\necho 'resource r0 {'\n");
	snprintf(path, sizeof path, "%s/proc/drbd", root);
	cr_assert_eq(unlink(path), 0);
	o = start(&probe_config, NULL);
	cr_expect_null(wait_for(o, "config.drbd", NULL, 2), "without its module it is not asked");
	observe_stop(o);
}

Test(observe, config_goes_on_while_drbdsetup_hangs)
{
	char script[256], path[256], *text = NULL;
	struct observe *o;
	size_t bytes;
	pid_t pid;

	snprintf(script, sizeof script, "#!/bin/sh\necho $$ >%s/pid\nexec cat %s/fifo\n", root, root);
	put_drbdsetup(script);
	put_file("etc/nfs.conf", "[nfsd]\nthreads=8\n");
	snprintf(path, sizeof path, "%s/fifo", root);
	cr_assert_eq(mkfifo(path, 0600), 0);
	o = start(&probe_config, NULL);
	expect_text(o, "config.nfs", "[nfsd]\nthreads=8");
	snprintf(path, sizeof path, "%s/pid", root);
	cr_assert_eq(file_read(path, 64, &text, &bytes, NULL), 0);
	pid = (pid_t)strtol(text, NULL, 10);
	free(text);
	expect_text(o, "config.nfs", "[nfsd]\nthreads=8");
	cr_expect_eq(kill(pid, 0), -1, "the first was left running");
	observe_stop(o);
}

/* Of quotes and control characters JSON makes more than one byte. */
Test(observe, a_long_configuration_is_cut_and_says_so)
{
	static char etab[40001];
	struct observe *o;
	const char *text;
	json_t *s;

	for (size_t i = 0; i < sizeof etab - 1; i++)
		etab[i] = i % 2 ? '"' : '\x01';
	put_file("var/lib/nfs/etab", etab);
	o = start(&probe_config, NULL);
	s = wait_for(o, "config.exports", NULL, 10);
	cr_assert_not_null(s);
	text = json_string_value(json_object_get(s, "text"));
	cr_expect(strlen(text) < 16384 && strstr(text, "?\"?\"\n(cut: 23680 bytes more)"), "%zu: %s", strlen(text), text + strlen(text) - 40);
	json_decref(s);
	observe_stop(o);
}

Test(observe, every_probe_has_a_page_and_all_that_can_run_here_start)
{
	json_t *list = observe_list(), *item;
	struct observe *o = NULL;
	size_t i;

	cr_assert_eq(json_array_size(list), probes_nr);
	cr_assert_leq(probes_nr, OBSERVE_FDS_MAX);
	json_array_foreach(list, i, item) {
		const char *page = json_string_value(json_object_get(item, "page"));

		cr_expect_eq(access(page, R_OK), 0, "%s", page);
		cr_expect(json_is_boolean(json_object_get(item, "available")));
		cr_expect(json_is_true(json_object_get(item, "available")) || json_string_length(json_object_get(item, "reason")) > 0);
	}
	json_decref(list);
	cr_assert_eq(observe_start(NULL, &o, NULL), 0);
	cr_expect_null(wait_for(o, "probe.gap", NULL, 2));
	cr_expect_eq(observe_pid(o, "mountstats"), 0, "no mount, no mountstats");
	observe_stop(o);
}
