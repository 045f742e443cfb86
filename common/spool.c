/* SPDX-License-Identifier: MIT */
/*
 * spool.c - see spool.h.
 *
 * Nothing is ever moved within a file. Of the two one is written; when it has grown and all of the other is forgotten, the other is emptied and they change
 * places. To empty one its head is written with the next number, and what is behind it cut off; a crash between the two leaves records of numbers below the
 * head's, which are as good as forgotten.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "bus.h"
#include "err.h"
#include "spool.h"

#define MAGIC "squallS1"
#define SUFFIX ".spool"
#define FIRST ".0" SUFFIX
#define HALF_BYTES_MAX (SPOOL_BYTES_MAX / 2)
#define NUMBER_MAX (UINT64_MAX / 2)
#define HALF_BYTES (1u << 20)	/* that is grown */
#define CLOSE_NS 100000000	/* a disk that is well has written by then */

struct head {
	char magic[8];
	uint64_t first;		/* lower numbers do not count */
	uint32_t crc, zero;	/* of all before it */
};

struct record {
	uint32_t crc;		/* of all after it, and the text */
	uint32_t bytes;
	uint64_t number;
};

struct half {
	int fd;
	char path[PATH_MAX];
	uint64_t end;		/* offset */
	uint64_t low, last;	/* the least and the greatest number in it that count; 0 = none */
};

struct spool {
	struct half half[2];
	int writes;		/* which of them is written; what is in the other is older */
	uint64_t first, next;	/* of what is not forgotten; the next to be given */
	uint64_t cut_bytes;
	io_context_t aio;	/* for fdatasync; 0: the kernel writes when it likes */
	bool syncing;
	struct iocb sync;
};

static uint32_t crc_of(const struct record *r, const char *text)
{
	uLong crc = crc32(0, (const Bytef *)&r->bytes, sizeof *r - offsetof(struct record, bytes));

	return (uint32_t)crc32(crc, (const Bytef *)text, r->bytes);
}

static int write_at(int fd, uint64_t at, const void *data, size_t bytes)
{
	const char *from = data;

	while (bytes > 0) {
		ssize_t n = pwrite(fd, from, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		at += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* @return 1, or 0 when the file has no more so much */
static int read_at(int fd, uint64_t at, void *data, size_t bytes)
{
	char *to = data;

	while (bytes > 0) {
		ssize_t n = pread(fd, to, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		to += n;
		at += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 1;
}

/* The record at an offset. @param ret_text  NULL-terminated, to be freed. @return 1, 0 there is none, -EBADMSG, -ENOMEM, -errno */
static int read_record(const struct half *h, uint64_t at, struct record *ret, char **ret_text)
{
	int rc = read_at(h->fd, at, ret, sizeof *ret);
	char *text;

	if (rc <= 0)
		return rc;
	if (ret->bytes > BUS_MESSAGE_BYTES_MAX)
		return -EBADMSG;
	text = malloc(ret->bytes + 1u);
	if (!text)
		return -ENOMEM;
	rc = read_at(h->fd, at + sizeof *ret, text, ret->bytes);
	if (rc == 1 && crc_of(ret, text) != ret->crc)
		rc = -EBADMSG;
	if (rc != 1) {
		free(text);
		return rc == 0 ? -EBADMSG : rc;
	}
	text[ret->bytes] = '\0';
	*ret_text = text;
	return 1;
}

/*
 * The disk is told to keep what is written, and not waited for; what comes meanwhile is kept with the next. Source: io_submit(2), IOCB_CMD_FDSYNC since
 * Linux 4.18.
 */
static void keep(struct spool *s)
{
	struct iocb *sync = &s->sync;
	struct io_event event;
	struct timespec now = { 0, 0 };

	if (!s->aio)
		return;
	if (s->syncing && io_getevents(s->aio, 0, 1, &event, &now) == 1)
		s->syncing = false;
	if (s->syncing)
		return;
	io_prep_fdsync(sync, s->half[s->writes].fd);
	sync->aio_lio_opcode = IO_CMD_FDSYNC;
	s->syncing = io_submit(s->aio, 1, &sync) == 1;
}

static int write_head(const struct half *h, uint64_t first)
{
	struct head head = { .magic = MAGIC, .first = first };

	head.crc = (uint32_t)crc32(0, (const Bytef *)&head, offsetof(struct head, crc));
	return write_at(h->fd, 0, &head, sizeof head);
}

static int empty(struct half *h, uint64_t next)
{
	int rc = write_head(h, next);

	if (rc == 0 && ftruncate(h->fd, sizeof(struct head)) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	h->end = sizeof(struct head);
	h->last = 0;
	return 0;
}

/* Behind the head: what is a record counts, and what comes after the last one is cut off. */
static int take_in_records(struct spool *s, struct half *h, const struct head *head, uint64_t bytes)
{
	uint64_t before = 0;
	struct record r;
	char *text = NULL;
	int rc;

	h->end = sizeof *head;
	while ((rc = read_record(h, h->end, &r, &text)) == 1) {
		free(text);
		if (r.number <= before || r.number > NUMBER_MAX)
			break;
		before = r.number;
		if (r.number >= head->first) {
			h->low = h->low != 0 ? h->low : r.number;
			h->last = r.number;
		}
		h->end += sizeof r + r.bytes;
	}
	if (rc < 0 && rc != -EBADMSG)
		return rc;
	s->cut_bytes += bytes - h->end;
	return ftruncate(h->fd, (off_t)h->end) < 0 ? -errno : 0;
}

static int take_in(struct spool *s, struct half *h)
{
	struct head head;
	struct stat st;
	int rc = read_at(h->fd, 0, &head, sizeof head);

	if (rc < 0 || fstat(h->fd, &st) < 0)
		return rc < 0 ? rc : -errno;
	if (rc == 0) {	/* new, or torn before there was anything in it */
		s->cut_bytes += (uint64_t)st.st_size;
		return empty(h, 1);
	}
	if (memcmp(head.magic, MAGIC, sizeof head.magic) != 0 || head.first == 0 || head.first > NUMBER_MAX || head.crc != (uint32_t)crc32(0, (const Bytef *)&head, offsetof(struct head, crc)))
		return -EBADMSG;
	rc = take_in_records(s, h, &head, (uint64_t)st.st_size);
	if (s->next < head.first)
		s->next = head.first;
	if (s->next < h->last + 1)
		s->next = h->last + 1;
	if (h->last != 0 && (s->first == 0 || head.first < s->first))
		s->first = head.first;
	return rc;
}

/* @return the bytes of the run's name, 0 = this is no first half of a spool */
static size_t run_bytes(const char *name)
{
	size_t bytes = strlen(name), suffix = strlen(FIRST);

	return bytes > suffix && strcmp(name + bytes - suffix, FIRST) == 0 ? bytes - suffix : 0;
}

/* The run whose spool was written last before all others. @return how many there are */
static unsigned int find_oldest(int folder, char ret_run[NAME_MAX + 1])
{
	struct timespec when = { 0, 0 };
	struct dirent *d;
	unsigned int nr = 0;
	DIR *list = fdopendir(folder);

	while (list && (d = readdir(list))) {
		size_t bytes = run_bytes(d->d_name);
		struct stat st;

		if (bytes == 0 || fstatat(folder, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (nr++ > 0 && (st.st_mtim.tv_sec > when.tv_sec || (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec >= when.tv_nsec)))
			continue;
		when = st.st_mtim;
		(void)snprintf(ret_run, NAME_MAX + 1, "%.*s", (int)bytes, d->d_name);
	}
	if (list)
		closedir(list);
	return nr;
}

/* Of runs that nobody has collected the oldest go, until one more may be there. */
static void make_room(const char *dir)
{
	char run[NAME_MAX + 1], path[PATH_MAX];

	for (int folder; (folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0;) {
		if (find_oldest(folder, run) < SPOOL_RUNS_MAX)
			return;
		for (int i = 1; i >= 0; i--)
			if (snprintf(path, sizeof path, "%s/%s.%d" SUFFIX, dir, run, i) >= (int)sizeof path || (unlink(path) < 0 && errno != ENOENT))
				return;
	}
}

static bool name_is_fine(const char *run)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	return *run != '\0' && *run != '.' && run[strspn(run, fine)] == '\0' && strlen(run) < 128;
}

static int open_half(const char *dir, const char *run, int i, int flags, struct half *h, struct err *err)
{
	int n = snprintf(h->path, sizeof h->path, "%s/%s.%d" SUFFIX, dir, run, i);

	if (n < 0 || (size_t)n >= sizeof h->path)
		return err_set(err, -ENAMETOOLONG, "spool: the path of %s is too long", dir);
	h->fd = open(h->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (h->fd < 0)
		return err_set(err, -errno, "%s: %s", h->path, strerror(errno));
	if (flock(h->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "%s: %s", h->path, errno == EWOULDBLOCK ? "another agent has it" : strerror(errno));
	return 0;
}

static int open_halves(const char *dir, const char *run, bool make, struct spool *s, struct err *err)
{
	char first[PATH_MAX];
	int rc = 0;

	if (!name_is_fine(run))
		return err_set(err, -EINVAL, "spool: '%.64s' is no name of a run", run);
	if (make && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	if (make && snprintf(first, sizeof first, "%s/%s" FIRST, dir, run) < (int)sizeof first && access(first, F_OK) < 0)
		make_room(dir);
	for (int i = 0; i < 2 && rc == 0; i++) {
		struct half *h = &s->half[i];

		rc = open_half(dir, run, i, make || i == 1 ? O_CREAT : 0, h, err);
		if (rc < 0)
			return rc;
		rc = take_in(s, h);
		if (rc < 0)
			return err_set(err, rc, "%s: %s", h->path, rc == -EBADMSG ? "it is no spool, or its head is damaged" : strerror(-rc));
	}
	if (s->first == 0)
		s->first = s->next;
	s->writes = s->half[1].last > s->half[0].last;
	if (s->half[!s->writes].last >= s->half[s->writes].low && s->half[!s->writes].last != 0)
		return err_set(err, -EBADMSG, "%s: its numbers are also in the other half; neither is believed", s->half[s->writes].path);
	(void)io_setup(1, &s->aio);
	return 0;
}

/*
 * io_destroy() waits for what is under way, on a dead disk for ever: then the context is left to the end of the process. What is under way has the file
 * open, and so the lock, unless it is given back.
 */
static void release(struct spool *s)
{
	struct timespec patience = { .tv_nsec = CLOSE_NS };
	struct io_event event;

	if (s->syncing && io_getevents(s->aio, 1, 1, &event, &patience) == 1)
		s->syncing = false;
	if (s->aio && !s->syncing)
		(void)io_destroy(s->aio);
	for (int i = 0; i < 2; i++)
		if (s->half[i].fd >= 0) {
			(void)flock(s->half[i].fd, LOCK_UN);
			close(s->half[i].fd);
		}
	free(s);
}

static int open_spool(const char *dir, const char *run, bool make, struct spool **ret, struct err *err)
{
	struct spool *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return err_set(err, -ENOMEM, "spool: no memory");
	s->half[0].fd = s->half[1].fd = -1;
	s->next = 1;
	rc = open_halves(dir, run, make, s, err);
	if (rc < 0)
		release(s);
	else
		*ret = s;
	return rc;
}

int spool_open(const char *dir, const char *run, struct spool **ret, struct err *err)
{
	return open_spool(dir, run, true, ret, err);
}

int spool_find(const char *dir, const char *run, struct spool **ret, struct err *err)
{
	return open_spool(dir, run, false, ret, err);
}

/* To the other one, when this one has grown and that one has nothing any more that counts. */
static void change(struct spool *s)
{
	struct half *other = &s->half[!s->writes];

	if (s->half[s->writes].end > HALF_BYTES && other->last < s->first && empty(other, s->next) == 0)
		s->writes = !s->writes;
}

int spool_put(struct spool *s, const char *text, size_t bytes, uint64_t *ret_number)
{
	struct record r = { .bytes = (uint32_t)bytes, .number = s->next };
	struct half *h;
	int rc;

	change(s);
	h = &s->half[s->writes];
	*ret_number = s->next++;
	if (bytes > BUS_MESSAGE_BYTES_MAX || h->end + sizeof r + bytes > HALF_BYTES_MAX)
		return -ENOSPC;
	r.crc = crc_of(&r, text);
	rc = write_at(h->fd, h->end, &r, sizeof r);
	if (rc == 0)
		rc = write_at(h->fd, h->end + sizeof r, text, bytes);
	if (rc < 0) {
		(void)!ftruncate(h->fd, (off_t)h->end);
		return rc;
	}
	h->end += sizeof r + bytes;
	h->last = r.number;
	keep(s);
	return 0;
}

void spool_skip(struct spool *s, uint64_t number)
{
	bool is_empty = s->first == s->next;

	if (number < s->next || number >= NUMBER_MAX)
		return;
	s->next = number + 1;
	if (is_empty)
		s->first = s->next;
}

void spool_forget(struct spool *s, uint64_t number)
{
	if (number < s->first)
		return;
	s->first = number < s->next ? number + 1 : s->next;
	for (int i = 0; i < 2; i++)
		if (s->half[i].last != 0 && s->half[i].last < s->first)
			(void)empty(&s->half[i], s->next);
	keep(s);
}

/* @return 1 no more is wanted, 0, -errno */
static int walk(const struct half *h, uint64_t wanted, bool (*take)(uint64_t number, const char *text, void *arg), void *arg)
{
	struct record r;
	char *text = NULL;

	for (uint64_t at = sizeof(struct head); at < h->end && h->last >= wanted; at += sizeof r + r.bytes) {
		int rc = read_record(h, at, &r, &text);
		bool more;

		if (rc <= 0)
			return rc < 0 ? rc : -EBADMSG;
		more = r.number < wanted || take(r.number, text, arg);
		free(text);
		if (!more)
			return 1;
	}
	return 0;
}

int spool_walk(const struct spool *s, uint64_t after, bool (*take)(uint64_t number, const char *text, void *arg), void *arg)
{
	uint64_t wanted = after < s->first ? s->first : after < s->next ? after + 1 : s->next;
	int rc = walk(&s->half[!s->writes], wanted, take, arg);

	if (rc == 0)
		rc = walk(&s->half[s->writes], wanted, take, arg);
	return rc < 0 ? rc : 0;
}

uint64_t spool_cut_bytes(const struct spool *s)
{
	return s->cut_bytes;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	for (int i = 1; i >= 0 && s->first == s->next; i--)	/* the first is the one that says that there is a spool */
		(void)unlink(s->half[i].path);
	release(s);
}
