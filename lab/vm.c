/* SPDX-License-Identifier: MIT */
/*
 * vm.c - the command line of QEMU, the consoles, and saving and restoring a whole lab.
 *
 * Networks: eth0 is QEMU's own (the host's way in, and the way to the broker; restricted: nothing else goes out), eth1 the storage network through the switch, eth2 of the storage
 * nodes a point-to-point link for replication.
 */
#include "vm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "qmp.h"
#include "tsc.h"

#define QEMU "/usr/bin/qemu-system-x86_64"
#define STORE_MIB 512
#define CLIENT_MIB 384
#define DISK "disk"		/* of a store, under DRBD */
#define DISK_BYTES ((2ull << 30) + (512ull << 20))	/* of the volume, and of what a snapshot of it may need */
#define STATE_BYTES (64ull << 20)
#define PROBE_NS (5 * NS_PER_S)
#define ARGS_MAX 96
/* norandmaps: TCG keeps what it has translated by its address too, and translates a program anew that lies elsewhere each time. */
#define KERNEL_LINE "console=ttyS0 quiet panic=-1 mitigations=off nokaslr norandmaps tsc=reliable no_timer_check nowatchdog nopti audit=0 selinux=0 apparmor=0 " \
		    "cryptomgr.notests random.trust_cpu=on"

struct command {
	const char *argv[ARGS_MAX];
	char text[ARGS_MAX][1200];
	int nr;
};

static void add(struct command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct command *c, const char *format, ...)
{
	va_list args;

	if (c->nr == ARGS_MAX - 1)
		return;
	va_start(args, format);
	(void)vsnprintf(c->text[c->nr], sizeof c->text[0], format, args);
	va_end(args);
	c->argv[c->nr] = c->text[c->nr];
	c->nr++;
}

static void add_machine(struct command *c, const char *name, bool kvm, int mib, const struct lab_image *image)
{
	add(c, QEMU);
	for (const char *const *p = (const char *const[]){ "-nodefaults", "-no-user-config", "-display", "none", "-smp", "1", "-rtc", "base=utc", "-device",
							   "virtio-rng-pci", "-M", "q35,usb=off,vmport=off", NULL };
	     *p; p++)
		add(c, "%s", *p);
	add(c, "-name");
	add(c, "%s", name);
	add(c, "-accel");
	add(c, "%s", kvm ? "kvm" : "tcg,thread=multi,tb-size=128");
	add(c, "-cpu");
	add(c, "%s", kvm ? "host" : "qemu64");
	add(c, "-m");
	add(c, "%d", mib);
	add(c, "-kernel");
	add(c, "%s", image->kernel);
	add(c, "-initrd");
	add(c, "%s", image->initramfs);
}

/*
 * Without event indices: with them QEMU (7.2, virtio_net_tx_complete()) goes on after a send that had to wait, and may then look at the guest's ring before
 * the guest sees that it is to notify again. The guest does not, and no frame ever leaves it from then on.
 */
static void add_nic(struct command *c, int idx, int node, const char *netdev)
{
	add(c, "-netdev");
	add(c, "%s", netdev);
	add(c, "-device");
	add(c, "virtio-net-pci,event_idx=off,netdev=n%d,mac=52:54:00:00:%02x:%02x,romfile=", idx, idx, node + 1);
}

static void add_networks(struct command *c, const struct lab_state *state, const struct lab_vm *vm)
{
	int node = (int)(vm - state->vm);
	char text[1024], own[160];

	(void)snprintf(text, sizeof text,
		       "user,id=n0,restrict=on,net=10.0.9.0/24,hostfwd=tcp:127.0.0.1:%u-10.0.9.15:2222,"
		       "guestfwd=tcp:" LAB_BUS_ADDRESS ":" LAB_BUS_PORT "-cmd:'%s' lab-relay %u",
		       vm->control, state->program, state->bus);
	add_nic(c, 0, node, text);
	(void)snprintf(own, sizeof own, "%s/san.%s", state->dir, vm->name);
	(void)snprintf(text, sizeof text, "dgram,id=n1,local.type=unix,local.path=%s.vm,remote.type=unix,remote.path=%s.sw", own, own);
	add_nic(c, 1, node, text);
	if (strncmp(vm->name, "store-", 6) != 0)
		return;
	(void)snprintf(text, sizeof text, "dgram,id=n2,local.type=unix,local.path=%s/repl.%s,remote.type=unix,remote.path=%s/repl.store-%c", state->dir, vm->name,
		       state->dir, vm->name[6] == 'a' ? 'b' : 'a');
	add_nic(c, 2, node, text);
}

static void add_disk(struct command *c, const char *folder, const struct lab_vm *vm, const char *kind, bool overlay)
{
	add(c, "-drive");
	add(c, "file=%s/%s.%s,if=none,id=%s,format=raw,cache=unsafe,aio=threads,discard=unmap%s", folder, vm->name, kind, kind, overlay ? ",snapshot=on" : "");
	add(c, "-device");
	add(c, "virtio-blk-pci,drive=%s,serial=%s", kind, kind);
}

/*
 * Memory that is saved is a file that the guest has run on; restored it is mapped privately, and nothing of it is copied before it is written to.
 * Migration then carries the devices alone.
 */
static void add_memory(struct command *c, const char *folder, const struct lab_vm *vm, int mib, bool overlay)
{
	add(c, "-object");
	add(c, "memory-backend-file,id=ram,size=%dM,mem-path=%s/%s.memory,share=%s", mib, folder, vm->name, overlay ? "off" : "on");
	add(c, "-machine");
	add(c, "memory-backend=ram");
}

static int make_disk(const struct lab_state *state, const struct lab_vm *vm, const char *kind, uint64_t bytes, struct err *err)
{
	char path[192];
	int fd, rc = 0;

	(void)snprintf(path, sizeof path, "%s/%s.%s", state->dir, vm->name, kind);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

uint16_t vm_free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || getsockname(fd, (struct sockaddr *)&at, &bytes) < 0)
		at.sin_port = 0;
	if (fd >= 0)
		close(fd);
	return ntohs(at.sin_port);
}

static void add_kernel_line(struct command *c, const struct lab_vm *vm, const struct lab_spec *spec, bool kvm)
{
	char tsc[48] = "";

	if (!kvm && tsc_khz() > 0)
		(void)snprintf(tsc, sizeof tsc, " tsc_early_khz=%u", tsc_khz());
	add(c, "-append");
	add(c, KERNEL_LINE "%s squall.node=%s squall.bus=" LAB_BUS_URL " squall.identity=" LAB_IDENTITY " squall.clients=%u squall.nfsd=%u squall.fs=%s%s%s", tsc,
	    vm->name, spec->clients, spec->nfsd_threads, spec->filesystem,
	    spec->mount_options[0] != '\0' ? " squall.mount=" : "", spec->mount_options);
}

/* Read from the disk now what is not in this host's memory, so that no guest waits for it in mid-run. Its holes stay holes. */
static void warm(const char *path)
{
	off_t begin, end = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (begin = lseek(fd, end, SEEK_DATA)) >= 0 && (end = lseek(fd, begin, SEEK_HOLE)) > begin) {
		void *at = mmap(NULL, (size_t)(end - begin), PROT_READ, MAP_SHARED, fd, begin);

		if (at == MAP_FAILED)
			break;
		(void)madvise(at, (size_t)(end - begin), MADV_POPULATE_READ);
		(void)munmap(at, (size_t)(end - begin));
	}
	if (fd >= 0)
		close(fd);
}

int vm_possible(struct err *err)
{
	return access(QEMU, X_OK) == 0 ? 0 : err_set(err, -ENOPKG, "the lab needs " QEMU ": install the package qemu-system-x86");
}

int vm_start(struct lab_state *state, struct lab_vm *vm, const struct lab_spec *spec, const struct lab_image *image, const char *saved, struct err *err)
{
	bool store = strncmp(vm->name, "store-", 6) == 0;
	struct command *c = calloc(1, sizeof *c);
	const char *folder = saved ? saved : state->dir;
	char log[64], path[4400];
	int rc = c ? 0 : -ENOMEM;

	if (rc == 0 && !saved && store)
		rc = make_disk(state, vm, "disk", DISK_BYTES, err);
	if (rc == 0 && !saved)
		rc = make_disk(state, vm, "state", STATE_BYTES, err);
	if (rc < 0) {
		free(c);
		return err_set(err, rc, "lab: no memory");
	}
	vm->control = vm_free_port();
	add_machine(c, vm->name, state->kvm, store ? STORE_MIB : CLIENT_MIB, image);
	if (saved || state->memory_on_file)
		add_memory(c, folder, vm, store ? STORE_MIB : CLIENT_MIB, saved != NULL);
	add_kernel_line(c, vm, spec, state->kvm);
	add(c, "-serial");
	add(c, "file:%s/%s.console", state->dir, vm->name);
	add(c, "-qmp");
	add(c, "unix:%s/%s.qmp,server=on,wait=off", state->dir, vm->name);
	add_networks(c, state, vm);
	if (store)
		add_disk(c, folder, vm, DISK, saved != NULL);
	add_disk(c, folder, vm, "state", saved != NULL);
	if (saved) {
		add(c, "-incoming");
		add(c, "defer");
		(void)snprintf(path, sizeof path, "%.4000s/%s.memory", saved, vm->name);
		warm(path);
		(void)snprintf(path, sizeof path, "%.4000s/%s.devices", saved, vm->name);
	}
	(void)snprintf(log, sizeof log, "%s.qemu", vm->name);
	rc = state_spawn(state, c->argv, saved ? path : NULL, log, &vm->process, err);
	free(c);
	return rc;
}

static char *console(const struct lab_state *state, const char *name)
{
	char path[192], *text = NULL;
	size_t bytes;

	(void)snprintf(path, sizeof path, "%s/%s.console", state->dir, name);
	return file_read(path, 8u << 20, &text, &bytes, NULL) == 0 ? text : NULL;
}

/* @return 1 ready, 0 not yet, -EIO */
static int look(const struct lab_state *state, const struct lab_vm *vm, struct err *err)
{
	char ready[96], failed[96], *text = console(state, vm->name), *found;
	int rc = 0;

	(void)snprintf(ready, sizeof ready, "squall-lab: ready %s", vm->name);
	(void)snprintf(failed, sizeof failed, "squall-lab: failed %s: ", vm->name);
	if (text && strstr(text, ready)) {
		rc = 1;
	} else if (text && (found = strstr(text, failed))) {
		found += strlen(failed);
		rc = err_set(err, -EIO, "lab: %s: %.*s", vm->name, (int)strcspn(found, "\r\n"), found);
	}
	free(text);
	return rc;
}

static const char *last_line(char *text)
{
	size_t bytes = text ? strlen(text) : 0;

	while (bytes > 0 && strchr("\r\n ", text[bytes - 1]))
		text[--bytes] = '\0';
	return bytes == 0 ? "(nothing)" : strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
}

static int not_ready(const struct lab_state *state, const struct lab_vm *vm, int rc, const char *what, struct err *err)
{
	char path[192], *text = console(state, vm->name), *said = NULL;
	size_t bytes;

	(void)snprintf(path, sizeof path, "%s/%s.qemu", state->dir, vm->name);
	(void)file_read(path, 1u << 16, &said, &bytes, NULL);
	rc = err_set(err, rc, "lab: %s %s; its console ends with: %.150s; QEMU: %.150s", vm->name, what, last_line(text), last_line(said));
	free(text);
	free(said);
	return rc;
}

int vm_wait_ready(const struct lab_state *state, uint64_t timeout_ns, lab_progress progress, void *arg, struct err *err)
{
	uint64_t deadline = clock_mono_ns() + timeout_ns, now;
	struct pollfd fds[LAB_NODES_MAX + 1];
	bool ready[LAB_NODES_MAX] = { false };
	unsigned int left = state->vms_nr, waiting = 0;
	int rc = 0, watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	fds[state->vms_nr] = (struct pollfd){ .fd = watch, .events = POLLIN };
	(void)inotify_add_watch(watch, state->dir, IN_MODIFY);
	for (unsigned int i = 0; i < state->vms_nr; i++)
		fds[i] = (struct pollfd){ .fd = exec_pidfd(state->vm[i].process.pid), .events = POLLIN };
	while (rc == 0 && left > 0) {
		char events[4096], text[96];

		for (unsigned int i = 0; i < state->vms_nr && rc >= 0; i++) {
			if (ready[i] || (rc = look(state, &state->vm[i], err)) <= 0) {
				waiting = ready[i] ? waiting : i;
				continue;
			}
			ready[i] = true;
			left--;
			(void)snprintf(text, sizeof text, "%s is ready", state->vm[i].name);
			progress(text, arg);
		}
		now = clock_mono_ns();
		rc = rc > 0 ? 0 : rc;
		if (rc < 0 || left == 0)
			break;
		if (now >= deadline || poll(fds, state->vms_nr + 1, (int)((deadline - now) / NS_PER_MS) + 1) == 0)
			rc = not_ready(state, &state->vm[waiting], -ETIMEDOUT, "was not ready in time", err);
		for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++)
			if (fds[i].fd < 0 || fds[i].revents)
				rc = not_ready(state, &state->vm[i], -EIO, "has ended", err);
		while (read(watch, events, sizeof events) > 0)
			;
	}
	for (unsigned int i = 0; i <= state->vms_nr; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return rc;
}

static int qmp(const struct lab_state *state, const struct lab_vm *vm, const char *command, json_t *arguments, json_t **ret, struct err *err)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/%s.qmp", state->dir, vm->name);
	return qmp_run(path, command, arguments, 10 * NS_PER_S, ret, err);
}

/* @return whether the guest's `query` answers with this status; bounded in time by the caller */
static bool has_status(const struct lab_state *state, const struct lab_vm *vm, const char *query, const char *status)
{
	json_t *json = NULL;
	const char *is;
	bool yes;

	if (qmp(state, vm, query, NULL, &json, NULL) < 0)
		return false;
	is = json_string_value(json_object_get(json, "status"));
	yes = is && strcmp(is, status) == 0;
	json_decref(json);
	return yes;
}

static int wait_status(const struct lab_state *state, const struct lab_vm *vm, const char *query, const char *status, struct err *err)
{
	uint64_t deadline = clock_mono_ns() + 60 * NS_PER_S;

	while (!has_status(state, vm, query, status)) {
		/* QEMU tells of this in events to a connection that was there before; asking again is simpler and as quick. */
		struct timespec pause = { .tv_nsec = 5 * (long)NS_PER_MS };

		if (clock_mono_ns() >= deadline)
			return err_set(err, -ETIMEDOUT, "lab: %s did not come to %s '%s' within 60 s", vm->name, query, status);
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static int without_memory(const struct lab_state *state, const struct lab_vm *vm, struct err *err)
{
	return qmp(state, vm, "migrate-set-capabilities", json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "x-ignore-shared", "state", 1), NULL, err);
}

int vm_save_all(struct lab_state *state, const char *dir, struct err *err)
{
	char target[4400];
	int rc = 0;

	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++)
		rc = qmp(state, &state->vm[i], "stop", NULL, NULL, err);
	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++) {
		(void)snprintf(target, sizeof target, "exec:exec cat >'%.4000s/%s.devices'", dir, state->vm[i].name);
		rc = without_memory(state, &state->vm[i], err);
		if (rc == 0)
			rc = qmp(state, &state->vm[i], "migrate", json_pack("{s:s}", "uri", target), NULL, err);
	}
	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++)
		rc = wait_status(state, &state->vm[i], "query-migrate", "completed", err);
	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++)
		rc = qmp(state, &state->vm[i], "quit", NULL, NULL, err);
	return rc;
}

int vm_continue_all(const struct lab_state *state, struct err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++) {
		rc = wait_status(state, &state->vm[i], "query-status", "inmigrate", err);
		if (rc == 0)
			rc = without_memory(state, &state->vm[i], err);
		if (rc == 0)
			rc = qmp(state, &state->vm[i], "migrate-incoming", json_pack("{s:s}", "uri", "fd:0"), NULL, err);
	}
	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++)
		rc = wait_status(state, &state->vm[i], "query-status", "paused", err);
	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++)
		rc = qmp(state, &state->vm[i], "cont", NULL, NULL, err);
	return rc;
}

int vm_reset(const struct lab_state *state, const struct lab_vm *vm, struct err *err)
{
	return qmp(state, vm, "system_reset", NULL, NULL, err);
}

int vm_freeze(const struct lab_state *state, const struct lab_vm *vm, struct err *err)
{
	return qmp(state, vm, "stop", NULL, NULL, err);
}

int vm_thaw(const struct lab_state *state, const struct lab_vm *vm, struct err *err)
{
	return qmp(state, vm, "cont", NULL, NULL, err);
}

int vm_is_frozen(const struct lab_state *state, const struct lab_vm *vm, bool *ret_frozen, struct err *err)
{
	json_t *json = NULL;
	int rc = qmp(state, vm, "query-status", NULL, &json, err);

	if (rc == 0)
		*ret_frozen = !json_is_true(json_object_get(json, "running"));
	json_decref(json);
	return rc;
}

/* Requests that are over the cap wait in QEMU; the guest sees a slow disk. */
int vm_cap_disk(const struct lab_state *state, const struct lab_vm *vm, uint64_t iops, struct err *err)
{
	return qmp(state, vm, "block_set_io_throttle", json_pack("{s:s, s:i, s:i, s:i, s:I, s:i, s:i}", "device", DISK, "bps", 0, "bps_rd", 0, "bps_wr", 0, "iops",
								  (json_int_t)iops, "iops_rd", 0, "iops_wr", 0), NULL, err);
}

/* The entry of the disk in what a query has answered. */
static const json_t *disk_in(const json_t *list)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *device = json_string_value(json_object_get(entry, "device"));

		if (device && strcmp(device, DISK) == 0)
			return entry;
	}
	return NULL;
}

int vm_look_disk(const struct lab_state *state, const struct lab_vm *vm, struct lab_disk *ret, struct err *err)
{
	json_t *block = NULL, *stats = NULL;
	json_int_t iops = 0, rd = 0, wr = 0;
	int rc = qmp(state, vm, "query-block", NULL, &block, err);

	if (rc == 0)
		rc = qmp(state, vm, "query-blockstats", NULL, &stats, err);
	if (rc == 0 && (json_unpack((json_t *)disk_in(block), "{s:{s:I}}", "inserted", "iops", &iops) < 0 ||
			json_unpack((json_t *)disk_in(stats), "{s:{s:I, s:I}}", "stats", "rd_operations", &rd, "wr_operations", &wr) < 0))
		rc = err_set(err, -ENODEV, "QEMU does not tell of the disk of %s", vm->name);
	if (rc == 0)
		*ret = (struct lab_disk){ (uint64_t)iops, (uint64_t)(rd + wr) };
	json_decref(block);
	json_decref(stats);
	return rc;
}

int vm_await_end(pid_t pid, uint64_t for_ns)
{
	struct pollfd wait = { .fd = exec_pidfd(pid), .events = POLLIN };
	uint64_t now = clock_mono_ns(), deadline = now + for_ns;
	int rc;

	do {
		rc = poll(&wait, 1, now < deadline ? (int)((deadline - now) / NS_PER_MS) + 1 : 0) < 0 ? -errno : wait.revents != 0;
		now = clock_mono_ns();
	} while (rc == -EINTR);
	if (wait.fd >= 0)
		close(wait.fd);
	return rc;
}

/* @param ret_works  whether the guest came up. @return whether it had the time to: else that says nothing */
static bool probe(const struct lab_state *state, const struct lab_image *image, bool *ret_works)
{
	struct command *c = calloc(1, sizeof *c);
	struct lab_process process = { 0 };
	bool had_time = false;
	char *text = NULL;

	*ret_works = false;
	if (!c)
		return false;
	add_machine(c, "probe", true, CLIENT_MIB, image);
	add(c, "-append");
	add(c, KERNEL_LINE " squall.node=probe");
	add(c, "-serial");
	add(c, "file:%s/probe.console", state->dir);
	if (state_spawn(state, c->argv, NULL, "probe.qemu", &process, NULL) == 0) {
		had_time = vm_await_end(process.pid, PROBE_NS) >= 0;
		(void)kill(process.pid, SIGKILL);
		(void)waitpid(process.pid, NULL, 0);
		text = console(state, "probe");
		*ret_works = text && strstr(text, "squall-lab: ready probe");
	}
	free(text);
	free(c);
	return had_time;
}

/* Where the answer is kept: it holds until the next boot. */
static int kvm_path(const char *cache, char *ret, size_t bytes)
{
	char *boot = NULL;
	size_t read;

	if (file_read("/proc/sys/kernel/random/boot_id", 64, &boot, &read, NULL) < 0)
		return -ENOENT;
	(void)snprintf(ret, bytes, "%.4000s/kvm-%.36s", cache, boot);
	free(boot);
	return 0;
}

enum lab_kvm vm_kvm_known(const char *cache)
{
	enum lab_kvm known = LAB_KVM_NOT_TRIED;
	char path[4200], *text = NULL;
	size_t bytes;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return LAB_KVM_NO_DEVICE;
	if (kvm_path(cache, path, sizeof path) == 0 && file_read(path, 16, &text, &bytes, NULL) == 0)
		known = text[0] == '1' ? LAB_KVM_WORKS : LAB_KVM_BROKEN;
	free(text);
	return known;
}

uint64_t vm_memory_bytes(unsigned int clients)
{
	return (2ull * STORE_MIB + (uint64_t)clients * CLIENT_MIB) << 20;
}

bool vm_kvm_works(const struct lab_state *state, const char *cache, const struct lab_image *image)
{
	enum lab_kvm known = vm_kvm_known(cache);
	char path[4200];
	bool works;

	if (known != LAB_KVM_NOT_TRIED)
		return known == LAB_KVM_WORKS;
	if (kvm_path(cache, path, sizeof path) < 0)
		return false;
	if (!probe(state, image, &works))
		return works;
	lab_cache_keep_newest(cache, "kvm-", 0);
	(void)file_write(path, works ? "1" : "0", 1, 0644, NULL);
	return works;
}
