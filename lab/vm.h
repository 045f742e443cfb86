/* SPDX-License-Identifier: MIT */
/*
 * vm.h - the guests as QEMU processes: started, waited for, saved, restored.
 */
#ifndef SQUALL_LAB_VM_H
#define SQUALL_LAB_VM_H

#include "image.h"
#include "state.h"

/** Whether this host has what runs guests; asked before anything is fetched. Errors: -ENOPKG with the package. */
int vm_possible(struct err *err);

/**
 * Whether KVM really runs a guest here: /dev/kvm alone proves nothing, so a guest is booted with it once per boot of this host.
 */
bool vm_kvm_works(const struct lab_state *state, const char *cache, const struct lab_image *image);

/** Wait for the end of a child, whatever signal comes meanwhile. @return 1 it has ended, 0 its time is over, -errno */
int vm_await_end(pid_t pid, uint64_t for_ns);

/** What vm_kvm_works() found since the boot of this host. */
enum lab_kvm vm_kvm_known(const char *cache);

/** A port of this host that is free now. Somebody may take it until it is used: who uses it says so. 0 = none */
uint16_t vm_free_port(void);

/** Of two stores and so many clients. */
uint64_t vm_memory_bytes(unsigned int clients);

/**
 * Start a guest.
 * @param saved  folder of a saved lab, whose disks are the base of throw-away overlays and whose memory is mapped; NULL = boot on fresh disks.
 */
int vm_start(struct lab_state *state, struct lab_vm *vm, const struct lab_spec *spec, const struct lab_image *image, const char *saved, struct err *err);

/** Wait until every guest says on its console that it is ready. Errors: -EIO it failed or died, -ETIMEDOUT; with its last line. */
int vm_wait_ready(const struct lab_state *state, uint64_t timeout_ns, lab_progress progress, void *arg, struct err *err);

/** Stop all guests, booted with memory on file, and write their devices to DIR/NODE.devices; then end them. Disks and memory stay where they are. */
int vm_save_all(struct lab_state *state, const char *dir, struct err *err);

/** Let all restored guests go on, as soon as their devices are read. */
int vm_continue_all(const struct lab_state *state, struct err *err);

int vm_reset(const struct lab_state *state, const struct lab_vm *vm, struct err *err);

/** As lab.h has them. */
int vm_freeze(const struct lab_state *state, const struct lab_vm *vm, struct err *err);
int vm_thaw(const struct lab_state *state, const struct lab_vm *vm, struct err *err);
int vm_is_frozen(const struct lab_state *state, const struct lab_vm *vm, bool *ret_frozen, struct err *err);
int vm_cap_disk(const struct lab_state *state, const struct lab_vm *vm, uint64_t iops, struct err *err);
int vm_look_disk(const struct lab_state *state, const struct lab_vm *vm, struct lab_disk *ret, struct err *err);

#endif
