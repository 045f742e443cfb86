/* SPDX-License-Identifier: MIT */
/*
 * replay.c - feeds the files of the folders that are named to a target, each also cut short at its middle and with its last byte changed.
 */
#include <dirent.h>

#include "err.h"
#include "file.h"
#include "fuzz.h"

#define FILE_BYTES_MAX (1u << 20)

static void feed(const char *path)
{
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t bytes = 0;

	if (file_read(path, FILE_BYTES_MAX, &text, &bytes, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	(void)LLVMFuzzerTestOneInput((const uint8_t *)text, bytes);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)text, bytes / 2);
	if (bytes > 0) {
		text[bytes - 1] ^= 1;
		(void)LLVMFuzzerTestOneInput((const uint8_t *)text, bytes);
	}
	free(text);
}

int main(int argc, char **argv)
{
	unsigned int nr = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		const struct dirent *entry;
		char path[4096];

		while (dir && (entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			feed(path);
			nr++;
		}
		if (dir)
			closedir(dir);
	}
	if (nr == 0) {
		fprintf(stderr, "%s: there is no input\n", argc > 1 ? argv[1] : argv[0]);
		return 1;
	}
	return 0;
}
