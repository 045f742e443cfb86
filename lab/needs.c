/* SPDX-License-Identifier: MIT */
/*
 * needs.c - what a lab asks of its host, looked at and not tried: nothing is made, fetched or booted.
 */
#include <stdio.h>
#include <string.h>

#include "exec.h"
#include "image.h"
#include "lab.h"
#include "vm.h"

#define DISK_BYTES_NEEDED (2ull << 30)	/* seen: 0.2 GiB of packages and images, 1.1 GiB of a saved lab, overlays of one that runs */

void lab_needs(const struct lab_spec *spec, struct lab_needs *ret)
{
	static const struct lab_program programs[] = { { "qemu-system-x86_64", "qemu-system-x86" }, { "mosquitto", "mosquitto" }, { "apt-get", "apt" }, { "dpkg-deb", "dpkg" } };
	char path[128];

	*ret = (struct lab_needs){ .disk_bytes = DISK_BYTES_NEEDED };
	lab_cache_path(ret->cache, sizeof ret->cache);
	ret->kvm = vm_kvm_known(ret->cache);
	ret->memory_bytes = vm_memory_bytes(spec->clients);
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
		if (exec_find(programs[i].program, path, sizeof path) < 0)
			ret->missing[ret->missing_nr++] = programs[i];
}
