/* SPDX-License-Identifier: MIT */
/*
 * probes.c - THE table of probes.
 */
#include "probe.h"

const struct probe *const probes[] = {
	&probe_nfsd,
	&probe_drbd,
	&probe_mountstats,
	&probe_disks,
	&probe_cpu,
	&probe_pressure,
	&probe_memory,
	&probe_kernel_log,
	&probe_config,
};

const unsigned int probes_nr = sizeof probes / sizeof probes[0];
