/* SPDX-License-Identifier: MIT */
/*
 * fleet_file.h - FLEET.yaml: the hosts of a fleet, how ssh reaches them, and what the agent of each is for.
 *
 *	folder: fleet				of the certificates; beside the file, made by the first deployment
 *	bus: mqtts://192.0.2.1:8883		the broker, at its address in the management network
 *	ssh_config: ssh_config			optional; else that of the user
 *	hosts:
 *	- {name: client-1, address: 192.0.2.11, roles: [load, observe], mount: /mnt/home, user: www-data}
 *	- {name: store-a, address: 192.0.2.21, roles: [chaos, observe]}
 *	storage: [[store-a, store-b]]		optional: who are peers of DRBD
 *
 * An entry is an agent; load is raised by an ordinary user and faults are injected by root, so a host that does both is two entries.
 */
#ifndef SQUALL_COORD_FLEET_FILE_H
#define SQUALL_COORD_FLEET_FILE_H

#include <stdbool.h>

#include "certificate.h"
#include "fleet.h"

#define FLEET_PATH_BYTES 256

struct fleet_host {
	char name[CERTIFICATE_NAME_BYTES];
	char address[128];		/* as ssh is given it: a name, an IPv4 address, or a Host of its configuration; USER@ may precede it */
	char roles[32];			/* "load,observe", as of --role */
	char user[33];			/* as whom the agent runs; "" = root, for chaos */
	char mount[FLEET_PATH_BYTES];	/* where the storage under test is; "" without the role load */
};

struct fleet_file {
	char path[FLEET_PATH_BYTES];
	char folder[FLEET_PATH_BYTES];	/* as seen from here */
	char url[64];
	char ssh_config[FLEET_PATH_BYTES];	/* as seen from here; "" = the user's */
	struct fleet_host host[HOSTS_MAX];
	int hosts_nr;
	struct fleet_pair pair[HOSTS_MAX / 2];
	int pairs_nr;
};

/**
 * Read a fleet file. No word of it can be an option of ssh, an option of the agent or a specifier of systemd: what could be is refused.
 * Errors: -EINVAL with file:line; -errno of reading it
 */
int fleet_file_load(const char *path, struct fleet_file *ret, struct err *err);

/** fleet_load() of its folder. Errors: -EINVAL also when that was made for another broker */
int fleet_file_folder(const struct fleet_file *file, struct fleet *ret, struct err *err);

/** Whether a host of the file has a certificate in its folder. Errors: -EINVAL it has none yet */
int fleet_file_check_host(const struct fleet_file *file, const struct fleet *fleet, const struct fleet_host *host, struct err *err);

#endif
