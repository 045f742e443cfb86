/* SPDX-License-Identifier: MIT */
/*
 * lab.c - the whole lab: up, found again, saved with its dataset, restored, down.
 *
 * A saved lab is CACHE/lab-KEY/{NODE.disk, NODE.state, NODE.memory, NODE.devices}: disks, memory and devices belong to the same instant and are never
 * written again: restored guests write into overlays that end with them.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "err.h"
#include "exec.h"
#include "file.h"
#include "image.h"
#include "parallel.h"
#include "state.h"
#include "units.h"
#include "vm.h"

#define READY_NS (120 * NS_PER_S)
#define DATASET_NS (600 * NS_PER_S)
#define SAVED_KEPT 3
#define PUT_BYTES_MAX (1u << 20)

static void say_nothing(const char *what, void *arg)
{
	(void)what;
	(void)arg;
}

/* One command at a time changes the lab. @return a descriptor to close, or -errno */
static int lock(const char *cache, struct err *err)
{
	char path[4200];
	int fd;

	(void)snprintf(path, sizeof path, "%.4000s/lock", cache);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		int rc = err_set(err, -errno, "%s: %s", path, strerror(errno));

		if (fd >= 0)
			close(fd);
		return rc;
	}
	return fd;
}

static void fill_info(const struct lab_state *state, struct lab_info *ret)
{
	*ret = (struct lab_info){ .running = state->ready && state_is_alive(state), .kvm = state->kvm, .nodes_nr = state->vms_nr };
	(void)snprintf(ret->bus_url, sizeof ret->bus_url, "mqtts://127.0.0.1:%u", state->bus);
	(void)snprintf(ret->bus_dir, sizeof ret->bus_dir, "%s/bus", state->dir);
	for (unsigned int i = 0; i < state->vms_nr; i++) {
		bool store = strncmp(state->vm[i].name, "store-", 6) == 0;
		struct lab_node *node = &ret->nodes[i];

		(void)snprintf(node->name, sizeof node->name, "%s", state->vm[i].name);
		(void)snprintf(node->roles, sizeof node->roles, "%s", store ? "chaos,observe" : "load,chaos,observe");
		(void)snprintf(node->dir, sizeof node->dir, "%s", store ? "/srv/home" : "/mnt/home");
	}
}

static void name_nodes(struct lab_state *state, unsigned int clients)
{
	state->vms_nr = 0;
	(void)snprintf(state->vm[state->vms_nr++].name, NAME_BYTES, "store-a");
	(void)snprintf(state->vm[state->vms_nr++].name, NAME_BYTES, "store-b");
	for (unsigned int i = 1; i <= clients && state->vms_nr < LAB_NODES_MAX; i++)
		(void)snprintf(state->vm[state->vms_nr++].name, NAME_BYTES, "client-%u", i);
}

static int start_lan(struct lab_state *state, struct err *err)
{
	const char *argv[LAB_NODES_MAX + 5] = { state->program, "lab-switch", state->dir };

	for (unsigned int i = 0; i < state->vms_nr; i++)
		argv[i + 3] = state->vm[i].name;
	return state_spawn(state, argv, NULL, "switch.log", &state->lan, err);
}

/* Every process is in the state file before the next is started: whatever dies now, `lab down` finds them. */
static int start_all(struct lab_state *state, const struct lab_spec *spec, const struct lab_image *image, const char *saved, struct err *err)
{
	int rc = start_lan(state, err);

	state->bus = vm_free_port();
	if (rc == 0)
		rc = state_save(state, err);
	for (unsigned int i = 0; i < state->vms_nr && rc == 0; i++) {
		rc = vm_start(state, &state->vm[i], spec, image, saved, err);
		if (rc == 0)
			rc = state_save(state, err);
	}
	return rc;
}

struct opening {
	char cache[4096];
	struct lab_image image;
	struct lab_state state;
	int lock;
};

/* @param forced  also the lab of a run that goes on */
static int down(bool forced, struct err *err)
{
	struct lab_state *old = calloc(1, sizeof *old);
	int rc = old ? state_load(old, err) : err_set(err, -ENOMEM, "lab: no memory");

	if (rc == 1 && !forced && state_is_taken(old))
		rc = err_set(err, -EBUSY, "the lab is in use by squall run (process %d): wait for its end, or set XDG_RUNTIME_DIR to another folder for a lab beside it",
			     (int)old->run.pid);
	else if (rc == 1)
		rc = state_end(old, err);
	free(old);
	return rc;
}

static int open_lab(struct opening *o, lab_progress progress, void *arg, struct err *err)
{
	int rc = vm_possible(err);

	o->lock = -1;
	if (rc == 0)
		rc = lab_cache(o->cache, sizeof o->cache, err);
	if (rc == 0 && strchr(o->cache, '\''))
		rc = err_set(err, -EINVAL, "the cache %s must not have a ' in its name", o->cache);
	if (rc == 0)
		rc = o->lock = lock(o->cache, err);
	return rc < 0 ? rc : image_get(o->cache, progress, arg, &o->image, err);
}

static void spec_key(const struct lab_spec *spec, const struct lab_image *image, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s %u %u %s %s", image->digest, spec->clients, spec->nfsd_threads, spec->filesystem, spec->mount_options);
}

/* A lab from nothing; after a failure nothing of it is left. */
static int boot(struct opening *o, const struct lab_spec *spec, bool memory_on_file, lab_progress progress, void *arg, struct err *err)
{
	int rc = down(false, err);

	if (rc == 0)
		rc = state_new(&o->state, err);
	if (rc < 0)
		return rc;
	o->state.memory_on_file = memory_on_file;
	spec_key(spec, &o->image, o->state.key, sizeof o->state.key);
	o->state.kvm = vm_kvm_works(&o->state, o->cache, &o->image);
	name_nodes(&o->state, spec->clients);
	progress(o->state.kvm ? "booting the guests (KVM)" : "booting the guests (TCG: KVM does not work here)", arg);
	rc = start_all(&o->state, spec, &o->image, NULL, err);
	if (rc == 0)
		rc = vm_wait_ready(&o->state, READY_NS, progress, arg, err);
	if (rc == 0) {
		o->state.ready = true;
		rc = state_save(&o->state, err);
	}
	if (rc < 0)
		(void)state_end(&o->state, NULL);
	return rc;
}

int lab_up(const struct lab_spec *spec, lab_progress progress, void *arg, struct lab_info *ret_info, struct err *err)
{
	struct opening *o = calloc(1, sizeof *o);
	uint64_t begin = clock_mono_ns();
	char key[384];
	int rc;

	if (!o)
		return err_set(err, -ENOMEM, "lab: no memory");
	progress = progress ? progress : say_nothing;
	rc = open_lab(o, progress, arg, err);
	if (rc == 0) {
		spec_key(spec, &o->image, key, sizeof key);
		rc = state_load(&o->state, err);
		if (rc == 1 && o->state.ready && strcmp(o->state.key, key) == 0 && state_is_alive(&o->state))
			rc = 0;
		else if (rc >= 0)
			rc = boot(o, spec, false, progress, arg, err);
	}
	if (rc == 0)
		fill_info(&o->state, ret_info);
	ret_info->up_ns = clock_mono_ns() - begin;
	if (o->lock >= 0)
		close(o->lock);
	free(o);
	return rc;
}

/*
 * What is saved is a tree that has been in use: everything was read once since it was written, so that reading it again changes no atime
 * (relatime), and nothing of it waits in the log of the filesystem, which would all go out at once in a second of the baseline.
 */
static int write_dataset(const struct lab_state *state, const struct dataset_spec *d, uint64_t seed, struct err *err)
{
	static const char path[] = "/run/dataset.yaml";
	static const char age[] = "squall dataset verify /srv/home >/dev/null && find /srv/home >/dev/null && sync && "
				  "busybox fsfreeze --freeze /srv/home && busybox fsfreeze --unfreeze /srv/home";
	char text[1024], size[128];
	int rc;

	if (d->lognormal)
		(void)snprintf(size, sizeof size, "{lognormal: {mu: %.17g, sigma: %.17g, max: %lluB}}", d->mu, d->sigma, (unsigned long long)d->size_bytes);
	else
		(void)snprintf(size, sizeof size, "%lluB", (unsigned long long)d->size_bytes);
	(void)snprintf(text, sizeof text,
		       "name: dataset\nseed: %llu\ndataset: {sites: %u, files_per_site: %u, size: %s, depth: %u}\n"
		       "jobs: {reads: {engine: sync, mix: {read: 1}, arrival: {constant: 1/s}}}\nphases: [{name: baseline, for: 1s}]\nexpect: absent\n",
		       (unsigned long long)seed, d->sites, d->files_per_site, size, d->depth);
	rc = control_put(state->vm[0].control, path, text, strlen(text), err);
	if (rc == 0)
		rc = control_exec(state->vm[0].control, (const char *const[]){ "squall", "dataset", "build", "/srv/home", "--profile", path, NULL }, DATASET_NS, -1,
				  STDERR_FILENO, err);
	if (rc > 0)
		return err_set(err, -EIO, "lab: the dataset could not be built on store-a (exit status %d)", rc);
	if (rc == 0)
		rc = control_exec(state->vm[0].control, (const char *const[]){ "sh", "-c", age, NULL }, DATASET_NS, -1, STDERR_FILENO, err);
	return rc > 0 ? err_set(err, -EIO, "lab: the dataset on store-a could not be read back (exit status %d)", rc) : rc;
}

/* The guests' devices, memory and disks go into a folder that gets its name when it is whole. */
static int save(struct opening *o, const char *saved, struct err *err)
{
	char partial[4300], from[192], to[4400];
	int rc;

	(void)snprintf(partial, sizeof partial, "%.4000s/partial-lab.%d", o->cache, (int)getpid());
	rc = file_mkdirs(partial, 0700, err);
	if (rc == 0)
		rc = vm_save_all(&o->state, partial, err);
	for (unsigned int i = 0; i < 3 * o->state.vms_nr && rc == 0; i++) {
		const char *kind = ((const char *const[]){ "disk", "state", "memory" })[i % 3];

		(void)snprintf(from, sizeof from, "%s/%s.%s", o->state.dir, o->state.vm[i / 3].name, kind);
		(void)snprintf(to, sizeof to, "%s/%s.%s", partial, o->state.vm[i / 3].name, kind);
		if (access(from, F_OK) < 0)
			continue;
		if (rename(from, to) == 0)
			continue;
		/* Another file system: cp keeps the holes. */
		rc = errno != EXDEV ? err_set(err, -errno, "%s: %s", to, strerror(errno)) :
				      exec_check((const char *const[]){ "/usr/bin/cp", "--sparse=always", from, to, NULL }, NULL, DATASET_NS, err);
	}
	(void)state_end(&o->state, NULL);
	if (rc == 0 && rename(partial, saved) < 0)
		rc = err_set(err, -errno, "%s: %s", saved, strerror(errno));
	if (rc < 0)
		(void)file_remove_tree(partial, NULL);
	return rc;
}

static int set_clock(unsigned int idx, void *arg, struct err *err)
{
	const struct lab_state *state = arg;

	return control_set_clock(state->vm[idx].control, err);
}

static int restore(struct opening *o, const struct lab_spec *spec, const char *saved, lab_progress progress, void *arg, struct err *err)
{
	uint64_t begin_ns = clock_mono_ns();
	bool kvm = o->state.kvm;
	char text[64], took[24];
	int rc = down(false, err);

	if (rc == 0)
		rc = state_new(&o->state, err);
	if (rc < 0)
		return rc;
	o->state.kvm = kvm;
	(void)snprintf(o->state.key, sizeof o->state.key, "fresh %.360s", strrchr(saved, '/') + 1);
	name_nodes(&o->state, spec->clients);
	rc = start_all(&o->state, spec, &o->image, saved, err);
	if (rc == 0)
		rc = vm_continue_all(&o->state, err);
	if (rc == 0) {
		(void)snprintf(text, sizeof text, "restored after %s", units_format_ns(clock_mono_ns() - begin_ns, took, sizeof took));
		progress(text, arg);
	}
	if (rc == 0)
		rc = parallel_each(o->state.vms_nr, set_clock, &o->state, err);
	if (rc == 0) {
		o->state.ready = true;
		state_take(&o->state);
		rc = state_save(&o->state, err);
	}
	if (rc < 0)
		(void)state_end(&o->state, NULL);
	return rc;
}

static uint64_t mix(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

static void saved_path(const struct opening *o, const struct lab_spec *spec, const struct dataset_spec *d, uint64_t seed, char *ret, size_t bytes)
{
	char text[1024], key[384];

	spec_key(spec, &o->image, key, sizeof key);
	(void)snprintf(text, sizeof text, "%s %d %u %u %u %d %llu %.17g %.17g %llu", key, o->state.kvm, d->sites, d->files_per_site, d->depth, d->lognormal,
		       (unsigned long long)d->size_bytes, d->mu, d->sigma, (unsigned long long)seed);
	(void)snprintf(ret, bytes, "%.4000s/lab-%016llx", o->cache, (unsigned long long)mix(0xcbf29ce484222325u, text));
}

static int fresh(struct opening *o, const struct lab_spec *spec, const struct dataset_spec *d, uint64_t seed, lab_progress progress, void *arg, struct err *err)
{
	char saved[4200];
	int rc = down(false, err);

	if (rc == 0)
		rc = state_new(&o->state, err);
	if (rc < 0)
		return rc;
	o->state.kvm = vm_kvm_works(&o->state, o->cache, &o->image);
	saved_path(o, spec, d, seed, saved, sizeof saved);
	if (access(saved, R_OK) < 0) {
		rc = boot(o, spec, true, progress, arg, err);
		if (rc < 0)
			return rc;
		progress("building the dataset on store-a", arg);
		rc = write_dataset(&o->state, d, seed, err);
		if (rc < 0) {
			(void)state_end(&o->state, NULL);
			return rc;
		}
		progress("saving the lab", arg);
		rc = save(o, saved, err);
		lab_cache_keep_newest(o->cache, "lab-", SAVED_KEPT);
	}
	progress("restoring the saved lab", arg);
	return rc == 0 ? restore(o, spec, saved, progress, arg, err) : rc;
}

int lab_fresh(const struct lab_spec *spec, const struct dataset_spec *dataset, uint64_t seed, lab_progress progress, void *arg, struct lab_info *ret_info,
	      struct err *err)
{
	struct opening *o = calloc(1, sizeof *o);
	uint64_t begin = clock_mono_ns();
	int rc;

	if (!o)
		return err_set(err, -ENOMEM, "lab: no memory");
	progress = progress ? progress : say_nothing;
	rc = open_lab(o, progress, arg, err);
	if (rc == 0)
		rc = fresh(o, spec, dataset, seed, progress, arg, err);
	if (rc == 0)
		fill_info(&o->state, ret_info);
	ret_info->up_ns = clock_mono_ns() - begin;
	if (o->lock >= 0)
		close(o->lock);
	free(o);
	return rc;
}

int lab_status(struct lab_info *ret_info, struct err *err)
{
	struct lab_state *state = calloc(1, sizeof *state);
	int rc = state ? state_load(state, err) : err_set(err, -ENOMEM, "lab: no memory");

	*ret_info = (struct lab_info){ 0 };
	if (rc == 1)
		fill_info(state, ret_info);
	free(state);
	return rc < 0 ? rc : 0;
}

static int find_node(const char *node, struct lab_state *ret, const struct lab_vm **ret_vm, struct err *err)
{
	int rc = state_load(ret, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || !state_is_alive(ret))
		return err_set(err, -ENOENT, "the lab is not up; squall lab up boots it");
	for (unsigned int i = 0; i < ret->vms_nr; i++)
		if (strcmp(ret->vm[i].name, node) == 0) {
			*ret_vm = &ret->vm[i];
			return 0;
		}
	return err_set(err, -EINVAL, "the lab has no node '%s'; squall lab status names them", node);
}

/* @param ret_state  to be freed, whatever is returned */
static int open_node(const char *node, struct lab_state **ret_state, const struct lab_vm **ret_vm, struct err *err)
{
	*ret_state = calloc(1, sizeof **ret_state);
	return *ret_state ? find_node(node, *ret_state, ret_vm, err) : err_set(err, -ENOMEM, "lab: no memory");
}

int lab_exec(const char *node, char *const argv[], uint64_t timeout_ns, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = control_exec(vm->control, (const char *const *)argv, timeout_ns, STDOUT_FILENO, STDERR_FILENO, err);
	free(state);
	return rc;
}

int lab_put(const char *node, const char *from, const char *to, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	char *data = NULL;
	size_t bytes = 0;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = file_read(from, PUT_BYTES_MAX, &data, &bytes, err);
	if (rc == 0)
		rc = control_put(vm->control, to, data, bytes, err);
	free(data);
	free(state);
	return rc;
}

int lab_reset(const char *node, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = vm_reset(state, vm, err);
	free(state);
	return rc;
}

int lab_freeze(const char *node, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = vm_freeze(state, vm, err);
	free(state);
	return rc;
}

int lab_thaw(const char *node, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = vm_thaw(state, vm, err);
	if (rc == 0)
		rc = control_set_clock(vm->control, err);
	free(state);
	return rc;
}

int lab_is_frozen(const char *node, bool *ret_frozen, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = vm_is_frozen(state, vm, ret_frozen, err);
	free(state);
	return rc;
}

int lab_cap_disk(const char *node, uint64_t iops, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = vm_cap_disk(state, vm, iops, err);
	free(state);
	return rc;
}

int lab_look_disk(const char *node, struct lab_disk *ret, struct err *err)
{
	struct lab_state *state;
	const struct lab_vm *vm;
	int rc = open_node(node, &state, &vm, err);

	if (rc == 0)
		rc = vm_look_disk(state, vm, ret, err);
	free(state);
	return rc;
}

int lab_down(struct err *err)
{
	char cache[4096];
	int fd, rc = lab_cache(cache, sizeof cache, err);

	if (rc < 0)
		return rc;
	fd = lock(cache, err);
	rc = fd < 0 ? fd : down(true, err);
	if (fd >= 0)
		close(fd);
	return rc;
}
