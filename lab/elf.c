/* SPDX-License-Identifier: MIT */
/*
 * elf.c - DT_NEEDED of programs, "depends=" of kernel modules. Every offset of the file is checked before it is used.
 */
#include <elf.h>

#include "elf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const void *at(const void *data, size_t bytes, uint64_t offset, uint64_t length)
{
	return offset <= bytes && length <= bytes - offset ? (const char *)data + offset : NULL;
}

static const Elf64_Ehdr *header(const void *data, size_t bytes)
{
	const Elf64_Ehdr *e = at(data, bytes, 0, sizeof *e);

	if (!e || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_phentsize != sizeof(Elf64_Phdr))
		return NULL;
	return at(data, bytes, e->e_phoff, (uint64_t)e->e_phnum * sizeof(Elf64_Phdr)) ? e : NULL;
}

static const Elf64_Phdr *segments(const void *data, const Elf64_Ehdr *e)
{
	return (const void *)((const char *)data + e->e_phoff);
}

/* Where in the file an address of the running program comes from. */
static uint64_t file_offset(const void *data, const Elf64_Ehdr *e, uint64_t address)
{
	for (int i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = &segments(data, e)[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr && address - p->p_vaddr < p->p_filesz)
			return address - p->p_vaddr + p->p_offset;
	}
	return UINT64_MAX;
}

static int walk(const void *data, size_t bytes, const Elf64_Ehdr *e, const Elf64_Phdr *dynamic, int (*take)(const char *, void *), void *arg)
{
	const Elf64_Dyn *dyn = at(data, bytes, dynamic->p_offset, dynamic->p_filesz);
	size_t nr = dynamic->p_filesz / sizeof *dyn;
	uint64_t names = UINT64_MAX;

	for (size_t i = 0; dyn && i < nr && dyn[i].d_tag != DT_NULL; i++)
		if (dyn[i].d_tag == DT_STRTAB)
			names = file_offset(data, e, dyn[i].d_un.d_ptr);
	for (size_t i = 0; dyn && i < nr && dyn[i].d_tag != DT_NULL; i++) {
		const char *name;
		int rc;

		if (dyn[i].d_tag != DT_NEEDED || names == UINT64_MAX || dyn[i].d_un.d_val > bytes || names > bytes - dyn[i].d_un.d_val)
			continue;
		name = at(data, bytes, names + dyn[i].d_un.d_val, 1);
		if (!name || !memchr(name, '\0', bytes - (size_t)(names + dyn[i].d_un.d_val)))
			continue;
		rc = take(name, arg);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int elf_needed(const void *data, size_t bytes, int (*take)(const char *library, void *arg), void *arg)
{
	const Elf64_Ehdr *e = header(data, bytes);

	for (int i = 0; e && i < e->e_phnum; i++)
		if (segments(data, e)[i].p_type == PT_DYNAMIC)
			return walk(data, bytes, e, &segments(data, e)[i], take, arg);
	return 0;
}

int elf_module_depends(const void *data, size_t bytes, int (*take)(const char *module, void *arg), void *arg)
{
	static const char key[] = "\0depends=";
	const char *found = memmem(data, bytes, key, sizeof key - 1), *end;
	char list[1024], *rest = list, *name;

	if (!found)
		return 0;
	found += sizeof key - 1;
	end = memchr(found, '\0', bytes - (size_t)(found - (const char *)data));
	if (!end || (size_t)(end - found) >= sizeof list)
		return 0;
	memcpy(list, found, (size_t)(end - found) + 1);
	while ((name = strsep(&rest, ","))) {
		int rc = *name != '\0' ? take(name, arg) : 0;

		if (rc != 0)
			return rc;
	}
	return 0;
}
