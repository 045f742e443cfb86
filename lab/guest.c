/* SPDX-License-Identifier: MIT */
/*
 * guest.c - lab/guest/ as data of the program.
 */
#include "guest.h"

#define EMBED(name, file)                                                                         \
	__asm__(".section .rodata\n" #name "_data:\n.incbin \"lab/guest/" file "\"\n" #name "_end:\n.byte 0\n.previous\n"); \
	extern const unsigned char name##_data[] __asm__(#name "_data"), name##_end[] __asm__(#name "_end")

EMBED(guest_init, "init");
EMBED(guest_store, "store");
EMBED(guest_client, "client");
EMBED(guest_hosts, "hosts");
EMBED(guest_drbd, "drbd.conf");
EMBED(guest_allow, "allow.yaml");

const struct guest_file guest_files[] = {
	{ "init", 0755, guest_init_data, guest_init_end },
	{ "lab/store", 0644, guest_store_data, guest_store_end },
	{ "lab/client", 0644, guest_client_data, guest_client_end },
	{ "etc/hosts", 0644, guest_hosts_data, guest_hosts_end },
	{ "etc/drbd.conf", 0644, guest_drbd_data, guest_drbd_end },
	{ "etc/squall/allow.yaml", 0644, guest_allow_data, guest_allow_end },
};
const size_t guest_files_nr = sizeof guest_files / sizeof guest_files[0];
