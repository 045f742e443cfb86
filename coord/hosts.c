/* SPDX-License-Identifier: MIT */
/*
 * hosts.c - where the agents are, how they are reached, and how far their clocks are from ours.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "fleet.h"
#include "fleet_file.h"
#include "lab.h"
#include "parallel.h"
#include "run.h"

#define REBOOT_SILENCE_NS (5 * NS_PER_S)
#define MEET_NS (20 * NS_PER_S)
#define QUIET_NS (2 * NS_PER_S)		/* a wait that is longer is said */
#define BUILD_NS (300 * NS_PER_S)
#define MANY_FILES 10000		/* which may take seconds to build */
#define PINGED_AT_ONCE 16
#define CLOCK_MAX_NS (INT64_MAX / 4)	/* 73 years after the boot */
#define CALL_HOST_NS (25 * NS_PER_MS)	/* so long for each host between two calls to those that are not there, */
#define CALL_MAX_NS NS_PER_S		/* and this at the most: the broker has to answer them */

struct host *hosts_find(struct run *run, const char *name)
{
	for (int i = 0; i < run->hosts_nr; i++)
		if (strcmp(run->host[i].name, name) == 0)
			return &run->host[i];
	return NULL;
}

bool host_has(const struct host *host, const char *role)
{
	return strstr(host->roles, role) != NULL;
}

bool host_may_read(int64_t host_ns)
{
	return host_ns >= 0 && host_ns <= CLOCK_MAX_NS;
}

int64_t host_time(const struct run *run, const struct host *host, int64_t host_ns)
{
	int64_t now = run_now(run), at = now;

	if (host_may_read(host_ns))
		at = host_ns + (host_ns < host->froze_ns ? host->offset_before_ns : host->offset_ns) - (int64_t)run->t0_ns;
	return at < now ? at : now;
}

/* The agent of this host: the same program, forked, on a socket pair. It dies with us. */
static int fork_agent(struct run *run, struct host *host, struct err *err)
{
	int fd[2], rc;
	char bus[32];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return err_set(err, -errno, "run: socketpair: %s", strerror(errno));
	host->pid = fork();
	if (host->pid < 0) {
		rc = -errno;
		close(fd[0]);
		close(fd[1]);
		return err_set(err, rc, "run: fork: %s", strerror(-rc));
	}
	if (host->pid == 0) {
		int own = dup(fd[1]);	/* without close-on-exec */

		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (own < 0 || getppid() != parent)
			_exit(EXIT_BROKEN);
		(void)snprintf(bus, sizeof bus, "fd:%d", own);
		execl("/proc/self/exe", "squall", "agent", "--bus", bus, "--name", host->name, "--role", host->roles, "--dir", host->dir, (char *)NULL);
		_exit(EXIT_BROKEN);
	}
	close(fd[1]);
	rc = bus_attach(run->bus, host->name, fd[0], err);
	if (rc < 0)
		close(fd[0]);
	host->connected = rc == 0;
	return rc;
}

struct build {
	const char *dir;
	const struct dataset_spec *spec;
	uint64_t seed;
};

static int build_in_child(int fd, void *arg)
{
	const struct build *b = arg;
	struct err err = ERR_INIT;
	int rc = dataset_build(b->dir, b->spec, b->seed, DATASET_WHOLE, 0, NULL, &err);

	if (rc < 0)
		(void)file_write_all(fd, err.text, strlen(err.text));
	return rc < 0 ? (int)err_exit_status(rc) + 1 : 0;
}

/* The folder may be on storage that hangs: a child builds, with a deadline. */
static int build_dataset(struct run *run, const char *dir, struct err *err)
{
	struct build build = { .dir = dir, .spec = &run->profile.dataset, .seed = run->profile.seed };
	struct exec_result result = EXEC_RESULT_INIT;
	unsigned long long files = (unsigned long long)build.spec->sites * build.spec->files_per_site;
	int rc;

	if (files >= MANY_FILES)
		progress_say(run, "dataset: %llu files in %s, which are built unless they are there", files, dir);
	rc = exec_child(build_in_child, &build, BUILD_NS, &result, NULL);
	if (rc == -ETIMEDOUT)
		rc = err_set(err, rc, "%s: the dataset is not whole after %.0f s; squall dataset build goes on with it, and takes its time", dir, (double)BUILD_NS / 1e9);
	else if (rc < 0)
		rc = err_set(err, rc, "%s: no process to build the dataset: %s", dir, strerror(-rc));
	else if (result.status != 0)
		rc = err_set(err, result.status == EXIT_USAGE + 1 ? -EINVAL : result.status == EXIT_NEEDS + 1 ? -ENOPKG : -EIO, "%s",
			     result.out && *result.out ? result.out : "the dataset could not be built");
	exec_result_release(&result);
	return rc;
}

/* As its agent is given it: the mount is found by the text of an absolute path. */
static int absolute(const char *dir, char *ret, size_t bytes, struct err *err)
{
	char *here = dir[0] == '/' ? NULL : getcwd(NULL, 0);
	int used;

	while (strncmp(dir, "./", 2) == 0)
		dir += 2;
	used = snprintf(ret, bytes, "%s%s%s", here ? here : "", here ? "/" : "", dir);
	free(here);
	return used < 0 || (size_t)used >= bytes ? err_set(err, -ENAMETOOLONG, "%s: the path is too long", dir) : 0;
}

static int open_local(struct run *run, const char *dir, struct err *err)
{
	struct host *host = &run->host[0];
	int rc = possible_here(run, err);

	if (rc == 0)
		rc = exec_path_answers(dir, err);
	if (rc == 0 && !run->profile.read_only)
		rc = build_dataset(run, dir, err);
	if (rc < 0)
		return rc;
	run->hosts_nr = 1;
	(void)snprintf(host->name, sizeof host->name, "local");
	(void)snprintf(host->roles, sizeof host->roles, "load,chaos,observe");
	rc = absolute(dir, host->dir, sizeof host->dir, err);
	return rc < 0 ? rc : fork_agent(run, host, err);
}

static int join(struct run *run, struct host *host, struct err *err)
{
	int rc = bus_join(run->bus, host->name, err);

	host->connected = rc == 0;
	return rc;
}

/* The agents need not be there yet: hosts_retry() calls them again. */
static int open_fleet(struct run *run, struct err *err)
{
	int rc = fleet_connect(run->fleet, run->bus, err);

	if (rc == 0 && run->fleet->agents_nr == 0)
		return err_set(err, -EINVAL, "the fleet in %s has no hosts; squall fleet add %s NAME adds one", run->fleet->dir, run->fleet->dir);
	for (int i = 0; i < run->fleet->agents_nr && rc == 0; i++) {
		struct host *host = &run->host[run->hosts_nr++];

		(void)snprintf(host->name, sizeof host->name, "%s", run->fleet->agent[i]);
		rc = join(run, host, err);
	}
	return rc;
}

/* A file says which agents of its folder are meant, and who are peers. */
static int load_fleet_file(struct fleet *fleet, const char *path, struct err *err)
{
	struct fleet_file file = { .hosts_nr = 0 };
	int rc = fleet_file_load(path, &file, err);

	if (rc == 0)
		rc = fleet_file_folder(&file, fleet, err);
	for (int i = 0; i < file.hosts_nr && rc == 0; i++)
		rc = fleet_file_check_host(&file, fleet, &file.host[i], err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < file.hosts_nr; i++)
		memcpy(fleet->agent[i], file.host[i].name, sizeof fleet->agent[i]);
	fleet->agents_nr = file.hosts_nr;
	memcpy(fleet->pair, file.pair, sizeof fleet->pair);
	fleet->pairs_nr = file.pairs_nr;
	return 0;
}

static int load_fleet(struct run *run, const char *dir, struct err *err)
{
	run->fleet = calloc(1, sizeof *run->fleet);
	if (!run->fleet)
		return err_set(err, -ENOMEM, "run: no memory");
	run->fleet->lock = -1;
	return dir ? fleet_load(dir, run->fleet, err) : load_fleet_file(run->fleet, run->options->on, err);
}

/* The certificate comes last: the agent begins with it. */
static int give_identity(unsigned int idx, void *arg, struct err *err)
{
	static const char *const files[] = { "ca.pem", "coordinator.pem", "key.pem", "cert.pem" };
	const struct lab_info *info = arg;
	const char *node = info->nodes[idx].name;
	int rc = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && rc == 0; i++) {
		char from[320], to[64];

		(void)snprintf(from, sizeof from, "%s/agents/%s/%s", info->bus_dir, node, files[i]);
		(void)snprintf(to, sizeof to, LAB_IDENTITY "/%s", files[i]);
		rc = lab_put(node, from, to, err);
	}
	return rc;
}

static void lab_says(const char *what, void *arg)
{
	progress_say(arg, "lab: %s", what);
}

/* A fleet for this run alone, and a lab that has nothing of any other. The broker is there before an agent that would call it in vain, and then wait. */
static int open_lab(struct run *run, struct err *err)
{
	struct lab_info info = { 0 };
	int rc = broker_possible(err);

	if (rc == 0)
		rc = lab_fresh(&run->profile.lab, &run->profile.dataset, run->profile.seed, lab_says, run, &info, err);
	if (rc == 0)
		rc = fleet_init(info.bus_dir, info.bus_url, LAB_BUS_ADDRESS, err);
	for (unsigned int i = 0; i < info.nodes_nr && rc == 0; i++)
		rc = fleet_add(info.bus_dir, info.nodes[i].name, err);
	if (rc == 0)
		rc = load_fleet(run, info.bus_dir, err);
	if (rc == 0)
		rc = fleet_serve(run->fleet, &run->broker, err);
	if (rc == 0)
		rc = parallel_each(info.nodes_nr, give_identity, &info, err);
	return rc < 0 ? rc : open_fleet(run, err);
}

static bool has_said_hello(const struct host *host)
{
	return host->boot[0] != '\0';
}

static bool is_synced(const struct host *host)
{
	return !host->connected || host->synced;
}

/* The name of the first host that is not as it should be, or NULL. */
static const char *silent_host(const struct run *run, bool (*is_fine)(const struct host *host))
{
	for (int i = 0; i < run->hosts_nr; i++)
		if (!is_fine(&run->host[i]))
			return run->host[i].name;
	return NULL;
}

static bool all_said_hello(struct run *run, void *arg)
{
	(void)arg;
	return !silent_host(run, has_said_hello);
}

/* "a, b": all that have not, as far as there is room. */
static const char *not_there(const struct run *run, char *ret, size_t bytes)
{
	ret[0] = '\0';
	for (int i = 0; i < run->hosts_nr; i++)
		if (!has_said_hello(&run->host[i]))
			err_list(ret, bytes, "%s", run->host[i].name);
	return ret;
}

/* What follows "local:" or "fleet:", or NULL. */
static const char *folder_of(const char *on, const char *where)
{
	size_t bytes = strlen(where);

	return strncmp(on, where, bytes) == 0 && on[bytes] == ':' && on[bytes + 1] != '\0' ? on + bytes + 1 : NULL;
}

static bool will_be_there(const struct run *run, const char *name)
{
	char client[NAME_BYTES];

	if (folder_of(run->options->on, "local"))
		return strcmp(name, "local") == 0;
	if (run->fleet)
		return fleet_has(run->fleet, name);
	for (unsigned int i = 1; i <= run->profile.lab.clients; i++) {
		(void)snprintf(client, sizeof client, "client-%u", i);
		if (strcmp(name, client) == 0)
			return true;
	}
	return strcmp(name, "store-a") == 0 || strcmp(name, "store-b") == 0;
}

static bool is_file(const char *on)
{
	size_t bytes = strlen(on);

	return bytes > 5 && strcmp(on + bytes - 5, ".yaml") == 0;
}

int hosts_check(struct run *run, struct err *err)
{
	const char *on = run->options->on, *local = folder_of(on, "local"), *dir = folder_of(on, "fleet");
	bool file = !local && !dir && is_file(on);
	int rc;

	if (!local && !dir && !file && strcmp(on, "lab") != 0)
		return err_set(err, -EINVAL, "--on %s: write lab, local:DIR, fleet:DIR or FLEET.yaml", on);
	rc = dir || file ? load_fleet(run, dir, err) : 0;
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < run->profile.faults_nr; i++) {
		const struct fault_plan *f = &run->profile.faults[i];

		if (f->on[0] != '\0' && !will_be_there(run, f->on))
			return err_set(err, -EINVAL, "%s:%u: %s is to be injected on '%s', which a run on %s does not have; %s", run->profile.file, f->line,
				       f->fault, f->on, on, local ? "its one host is 'local'" : run->fleet ? "squall fleet adds a host" :
				       "it has store-a, store-b and client-1 to the number of lab.clients");
	}
	return schedule_check_peers(run, err);
}

/* All that are another, so that one attempt is enough to know. */
static int check_versions(const struct run *run, struct err *err)
{
	char others[ERR_TEXT_BYTES - 128] = "";

	for (int i = 0; i < run->hosts_nr; i++) {
		const struct host *host = &run->host[i];

		if (strcmp(host->version, agent_version()) != 0)
			err_list(others, sizeof others, "%s is %s", host->name, host->version);
	}
	return *others ? err_set(err, -EPROTO, "this is squall %s, but %s: all must be the same", agent_version(), others) : 0;
}

int hosts_connect(struct run *run, struct err *err)
{
	const char *local = folder_of(run->options->on, "local");

	if (run->fleet) {
		int rc = fleet_serve(run->fleet, &run->broker, err);

		return rc < 0 ? rc : open_fleet(run, err);
	}
	return local ? open_local(run, local, err) : open_lab(run, err);
}

static void say_hello(struct run *run, struct host *host)
{
	bool goes_on = run->going_on || host_is_awaited(host, clock_mono_ns());
	json_t *body = goes_on ? json_pack("{s:s, s:I}", "run", run->run_name, "after", (json_int_t)host->told) : NULL;

	(void)bus_send(run->bus, host->name, "hello", body);
}

void hosts_greet(struct run *run)
{
	for (int i = 0; i < run->hosts_nr; i++)
		say_hello(run, &run->host[i]);
}

int hosts_meet(struct run *run, struct err *err)
{
	uint64_t begin_ns = clock_mono_ns();
	char names[ERR_TEXT_BYTES / 2];
	const char *url;
	int rc;

	hosts_greet(run);
	url = run->fleet && strcmp(run->options->on, "lab") != 0 ? run->fleet->url : "";	/* in the lab nobody starts an agent by hand */
	rc = run_pump(run, all_said_hello, NULL, begin_ns + QUIET_NS, err);
	if (rc == 0) {
		progress_say(run, "waiting up to %.0f s for the agent of %s", (double)MEET_NS / 1e9, not_there(run, names, sizeof names));
		rc = run_pump(run, all_said_hello, NULL, begin_ns + MEET_NS, err);
	}
	if (rc == 0)
		return err_set(err, -ETIMEDOUT, "the agent of %s did not answer within %.0f s%s%s", not_there(run, names, sizeof names), (double)MEET_NS / 1e9,
			       *url ? "; it belongs there: squall agent --bus " : "", url);
	return rc < 0 ? rc : check_versions(run, err);
}

int hosts_open(struct run *run, struct err *err)
{
	int rc = hosts_connect(run, err);

	if (rc == 0)
		rc = hosts_meet(run, err);
	return rc < 0 ? rc : hosts_sync(run, err);
}

static bool all_synced(struct run *run, void *arg)
{
	(void)arg;
	return !silent_host(run, is_synced);
}

/* A ping to some hosts, and their answers. */
static int ping(struct run *run, int first, int end, struct err *err)
{
	int rc;

	for (int i = first; i < end && i < run->hosts_nr; i++) {
		run->host[i].synced = false;
		run->host[i].next_lease_ns = 0;
	}
	rc = run_pump(run, all_synced, NULL, clock_mono_ns() + 10 * NS_PER_S, err);
	return rc != 0 ? rc : err_set(err, -ETIMEDOUT, "the agent of %s did not answer a ping within 10 s", silent_host(run, is_synced));
}

/* Ten round trips to each host, of which the quickest counts. Few at a time: what waits behind the pings of others has no quick round trip. */
int hosts_sync(struct run *run, struct err *err)
{
	for (int turn = 0; turn < 10; turn++)
		for (int first = 0; first < run->hosts_nr; first += PINGED_AT_ONCE) {
			int rc = ping(run, first, first + PINGED_AT_ONCE, err);

			if (rc < 0)
				return rc;
		}
	for (int i = 0; i < run->hosts_nr && run->t0_ns == 0; i++)	/* of a run under way it is a reason why it is void */
		if (run->host[i].clock_wrong[0] != '\0')
			return err_set(err, -EIO, "%s", run->host[i].clock_wrong);
	return 0;
}

/* A host that was reset says no goodbye, and the broker waits long for one: silence ends a connection too. */
static void give_up_silent(struct run *run, struct host *host, uint64_t now)
{
	uint64_t limit = host->rebooting ? REBOOT_SILENCE_NS : AGENT_LEASE_NS;

	if (!host->connected || host->frozen || host->heard_ns == 0 || now < host->heard_ns + limit)
		return;
	bus_detach(run->bus, host->name);
	host_gone(run, host);
}

static void look_after_broker(struct run *run)
{
	struct err err = ERR_INIT;
	int rc = fleet_look_after(run->fleet, &run->broker, &err);

	if (rc == 0)
		return;
	progress_say(run, "the broker has ended%s%s", rc == 1 ? " and was started again" : ": ", err.text);
	run_note(run, "", "note", -1, run_now(run), rc == 1 ? "the broker had ended and was started again" : "the broker has ended");
}

void hosts_retry(struct run *run, uint64_t now)
{
	uint64_t all_ns = (unsigned int)run->hosts_nr * CALL_HOST_NS, pause_ns = all_ns < CALL_MAX_NS ? all_ns : CALL_MAX_NS;

	if (run->fleet)
		look_after_broker(run);
	for (int i = 0; i < run->hosts_nr; i++) {
		struct host *host = &run->host[i];

		give_up_silent(run, host, now);
		if (host->connected || host->frozen || !run->fleet || now < host->retry_ns)
			continue;
		host->retry_ns = now + pause_ns;
		bus_detach(run->bus, host->name);
		if (!host_is_awaited(host, now))
			host->heard_ns = now;
		if (join(run, host, NULL) == 0)
			say_hello(run, host);
	}
}

/* A forked agent ends when its connection does; one that does not is killed. */
static void reap(pid_t pid)
{
	int pidfd = exec_pidfd(pid);
	struct pollfd wait = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0) {
		if (poll(&wait, 1, 10000) == 0)
			(void)kill(pid, SIGKILL);
		(void)poll(&wait, 1, 1000);
		close(pidfd);
	}
	(void)waitpid(pid, NULL, WNOHANG);
}

void host_release(struct host *host)
{
	json_decref(host->last);
	json_decref(host->answer);
	json_decref(host->config);
}

void hosts_close(struct run *run)
{
	for (int i = 0; i < FAULTS_MAX; i++)
		outside_close(&run->fault[i].outside);
	for (int i = 0; i < run->hosts_nr; i++)
		(void)bus_send(run->bus, run->host[i].name, "bye", json_pack("{s:I}", "kept", run->sealed ? INT64_MAX : (json_int_t)run->host[i].kept));
	(void)bus_flush(run->bus, clock_mono_ns() + 2 * NS_PER_S);
	for (int i = 0; i < run->hosts_nr; i++) {
		bus_detach(run->bus, run->host[i].name);
		if (run->host[i].pid > 0)
			reap(run->host[i].pid);
		host_release(&run->host[i]);
	}
	run->hosts_nr = 0;
	bus_free(run->bus);
	run->bus = NULL;
	broker_stop(&run->broker);
	if (run->fleet)
		fleet_release(run->fleet);
	free(run->fleet);
	run->fleet = NULL;
}
