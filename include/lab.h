/* SPDX-License-Identifier: MIT */
/*
 * lab.h - the VM lab: two DRBD storage nodes with nfsd and N NFS clients, from Debian packages, without root.
 */
#ifndef SQUALL_LAB_H
#define SQUALL_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

struct err;

#define LAB_NODES_MAX 10

/* Where the guests see the broker of a run: an address of their network to the host, behind which lab/relay.c is. */
#define LAB_BUS_ADDRESS "10.0.9.100"
#define LAB_BUS_PORT "8883"
#define LAB_BUS_URL "mqtts://" LAB_BUS_ADDRESS ":" LAB_BUS_PORT

/* Where the agent of a guest looks for its identity; it waits until there is cert.pem. */
#define LAB_IDENTITY "/var/lib/squall/identity"

struct lab_node {
	char name[NAME_BYTES];	/* store-a, store-b, client-1, ... */
	char roles[32];		/* "load,chaos,observe" or "chaos,observe" */
	char dir[64];		/* where the dataset is seen in the guest: "/mnt/home" on clients, "/srv/home" on stores */
};

struct lab_info {
	bool running;
	bool kvm;
	char bus_url[64];	/* mqtts://127.0.0.1:PORT, where LAB_BUS_URL leads to: the broker is the run's */
	char bus_dir[128];	/* does not exist yet; what is put there ends with the lab */
	struct lab_node nodes[LAB_NODES_MAX];
	unsigned int nodes_nr;
	uint64_t up_ns;		/* how long it took */
};

struct lab_program {
	const char *program, *package;
};

enum lab_kvm { LAB_KVM_NO_DEVICE, LAB_KVM_BROKEN, LAB_KVM_WORKS, LAB_KVM_NOT_TRIED };

struct lab_needs {
	struct lab_program missing[4];	/* static texts */
	unsigned int missing_nr;
	enum lab_kvm kvm;		/* as it was tried since the boot: asking boots nothing */
	uint64_t memory_bytes;		/* of all guests */
	uint64_t disk_bytes;		/* in the cache */
	char cache[4096];
};

/** What a lab of this shape asks of its host. Looks, and changes nothing. */
void lab_needs(const struct lab_spec *spec, struct lab_needs *ret);

/** Called with what is being done now, for the user to read. */
typedef void (*lab_progress)(const char *what, void *arg);

/**
 * Boot the lab, or find the one that runs with the same spec.
 * Errors: -ENOPKG a program or package that the host lacks; -EBUSY a run that goes on has it; -ETIMEDOUT with the node and its last console line; -errno.
 */
int lab_up(const struct lab_spec *spec, lab_progress progress, void *arg, struct lab_info *ret_info, struct err *err);

/**
 * A fresh and identical lab for a run: built, filled with the dataset and saved once per (spec, dataset, seed, program); restored from then on.
 * What runs now is taken down first, and from then on it is the lab of this process: nobody else takes it down unasked. Errors: as above.
 */
int lab_fresh(const struct lab_spec *spec, const struct dataset_spec *dataset, uint64_t seed, lab_progress progress, void *arg,
	      struct lab_info *ret_info, struct err *err);

int lab_status(struct lab_info *ret_info, struct err *err);

/** Run a command in a node through the control channel, its output to our stdout and stderr. @return its exit status, or -errno */
int lab_exec(const char *node, char *const argv[], uint64_t timeout_ns, struct err *err);

/** Write a file of this host into a node. */
int lab_put(const char *node, const char *from, const char *to, struct err *err);

/** Reset a node as its power button would. */
int lab_reset(const char *node, struct err *err);

/** Stop the virtual processors of a node, with all its clocks; let them go on, and set the time of day that they missed. Errors: -EIO what QEMU said */
int lab_freeze(const char *node, struct err *err);
int lab_thaw(const char *node, struct err *err);
int lab_is_frozen(const char *node, bool *ret_frozen, struct err *err);

/** The disk of a store as QEMU sees it. */
struct lab_disk {
	uint64_t iops;		/* at most so many requests a second; 0 = no cap */
	uint64_t requests;	/* reads and writes that are done, since the node's start */
};

/** @param iops  0 = no cap */
int lab_cap_disk(const char *node, uint64_t iops, struct err *err);
int lab_look_disk(const char *node, struct lab_disk *ret, struct err *err);

/** End every process of the lab, of a run that goes on too, and remove everything but the cache. A lab that is not up is fine. */
int lab_down(struct err *err);

/* The hidden commands that run as processes of the lab: "lab-switch" and "lab-relay" on the host, "lab-control" in the guest. @return exit status */
int lab_switch_main(int argc, char **argv);
int lab_relay_main(int argc, char **argv);
int lab_control_main(int argc, char **argv);

#endif
