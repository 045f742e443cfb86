/* SPDX-License-Identifier: MIT */
/*
 * spool.c - the file of a spool, as a crash or a bad disk may have left it: what is given out has numbers that go up and is the same after it is opened
 * again, and what is put in comes behind it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "fuzz.h"
#include "spool.h"

struct seen {
	uint64_t last, nr, bytes;
};

static bool look(uint64_t number, const char *text, void *arg)
{
	struct seen *seen = arg;

	CHECK(number > seen->last || (number == 0 && seen->nr == 0));
	seen->last = number;
	seen->nr++;
	seen->bytes += strlen(text);
	return true;
}

static struct seen walk(struct spool *s)
{
	struct seen seen = { .nr = 0 };

	CHECK(spool_walk(s, 0, look, &seen) == 0);
	return seen;
}

static void write_half(int half, const uint8_t *data, size_t size)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "%s/run.%d.spool", fuzz_folder(), half);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && file_write_all(fd, data, size) == 0);
	close(fd);
}

/* The first byte says how much of the input is the first file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t first = size > 0 ? (size - 1) * data[0] / 255 : 0;
	struct err err = ERR_INIT;
	struct seen before, after;
	struct spool *s = NULL;
	uint64_t number = 0;

	if (size == 0)
		return 0;
	write_half(0, data + 1, first);
	write_half(1, data + 1 + first, size - 1 - first);
	if (spool_open(fuzz_folder(), "run", &s, &err) < 0) {
		CHECK(err.text[0] != '\0');
		return 0;
	}
	before = walk(s);
	spool_skip(s, before.last + 5);
	CHECK(spool_put(s, "{}", 2, &number) == 0 && (before.nr == 0 || number > before.last + 5 || before.last + 5 >= UINT64_MAX / 2));
	spool_close(s);
	CHECK(spool_open(fuzz_folder(), "run", &s, &err) == 0 && spool_cut_bytes(s) == 0);
	after = walk(s);
	CHECK(after.nr == before.nr + 1 && after.last == number && after.bytes == before.bytes + 2);
	spool_forget(s, UINT64_MAX);
	CHECK(walk(s).nr == 0);
	spool_close(s);
	return 0;
}
