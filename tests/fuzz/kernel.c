/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - the kernel's texts: all parsers of them, on any text.
 */
#include <math.h>

#include "../../observe/parse.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct drbd_minor minors[DRBD_MINORS_MAX];
	static struct mount_stats mount;
	char *text = fuzz_text(data, size), *message = malloc(64);
	struct nfsd_thread_state thread;
	struct pressure_line pressure;
	struct memory_line memory;
	struct cpu_line cpu;
	struct disk_line disk;
	uint64_t age = 0;

	CHECK(message);
	(void)nfsd_status_parse(text, &thread);
	CHECK(drbd_proc_parse(text, minors) <= DRBD_MINORS_MAX);
	(void)drbd_oldest_parse(text, &age);
	if (mountstats_parse(text, "/mnt", &mount))
		CHECK(mount.ops_nr <= MOUNT_OPS_MAX);
	if (disk_line_parse(text, &disk))
		CHECK(strlen(disk.name) < sizeof disk.name);
	if (pressure_line_parse(text, &pressure))
		CHECK(strlen(pressure.kind) < sizeof pressure.kind);
	if (memory_line_parse(text, &memory))
		CHECK(strlen(memory.key) < sizeof memory.key);
	(void)cpu_line_parse(text, &cpu);
	if (kmsg_parse(text, message, 64))
		CHECK(strlen(message) < 64);
	free(drbd_show_clean(text));
	free(message);
	free(text);
	return 0;
}
