/* SPDX-License-Identifier: MIT */
/*
 * engine_io_uring.c - the kernel's io_uring: one loop keeps many ops in flight, each of them a chain of calls.
 *
 *	pread			read, of a file that was opened before the start
 *	stat, stat_miss		statx
 *	all others		open ─ read, read, ... or write ─ fsync ─ close; after an error close alone
 *
 * A slot has one request in the ring at a time; the next call of its chain is put down when the one before is reaped. What the kernel
 * cannot do at once it does in a thread of its own, and by default has a few of them a ring: on a dead server a queue would form inside of
 * the kernel, and ops would count as in flight that have not left this host. Hence as many threads as slots are asked for.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"
#include "engines.h"
#include "err.h"
#include "files.h"
#include "scratch.h"

#define PIECE_BYTES (64u << 10)		/* a longer file is read in pieces of it; a multiple of what O_DIRECT wants */
#define KERNEL_THREADS_MAX 4096u	/* of a loop, as of a synchronous engine */

enum step {
	STEP_OPEN,
	STEP_READ,
	STEP_WRITE,
	STEP_FSYNC,
	STEP_CLOSE,
	STEP_STAT,
	STEP_DONE,
};

/* An op on its way. */
struct chain {
	enum op_kind kind;
	enum step step;			/* in the ring at this moment */
	size_t idx;			/* of its file */
	uint64_t offset, bytes;		/* of the next read or write */
	uint64_t done;			/* bytes so far */
	int64_t error;			/* the first one, or 0 */
	int fd;
	const char *path;		/* of its file, or `name` */
	char name[FILES_PATH_BYTES];
	struct open_how how;
	struct statx found;
};

struct uring {
	unsigned int ops;		/* as in engine_traits[] */
	struct files files;
	struct kept kept;		/* pread's; none for a job without pread */
	size_t buffer_bytes;		/* of a slot */
	int read_flags;			/* of open */
};

struct loop {
	const struct uring *u;
	struct io_uring ring;
	bool opened;			/* there is a ring */
	uint32_t slots_nr;
	struct chain *chain;		/* of each slot */
	char *buffer;			/* slots_nr times buffer_bytes, aligned for O_DIRECT */
};

static int uring_probe(struct err *err)
{
	static const int wanted[] = { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_OPENAT2, IORING_OP_CLOSE, IORING_OP_FSYNC, IORING_OP_STATX };
	unsigned int threads[2] = { 0, 0 };
	struct io_uring_probe *ops = NULL;
	struct io_uring ring;
	int rc = io_uring_queue_init(2, &ring, 0);

	if (rc == -ENOSYS)
		return err_set(err, rc, "this kernel has no io_uring");
	if (rc == -EPERM || rc == -EACCES)
		return err_set(err, rc, "io_uring is forbidden here, by the sysctl kernel.io_uring_disabled or a seccomp filter");
	if (rc < 0)
		return err_set(err, rc, "io_uring cannot be used here: %s", strerror(-rc));
	ops = io_uring_get_probe_ring(&ring);
	rc = ops ? 0 : -ENOTSUP;
	for (size_t i = 0; rc == 0 && i < sizeof wanted / sizeof wanted[0]; i++)
		rc = io_uring_opcode_supported(ops, wanted[i]) ? 0 : -ENOTSUP;
	if (rc == 0 && !(ring.features & IORING_FEAT_EXT_ARG))
		rc = -ENOTSUP;
	if (rc == 0)
		rc = io_uring_register_iowq_max_workers(&ring, threads);	/* zeros ask, and change nothing */
	io_uring_free_probe(ops);
	io_uring_queue_exit(&ring);
	return rc < 0 ? err_set(err, rc, "the io_uring of this kernel cannot do what is wanted; Linux 5.15 can") : 0;
}

static void uring_close(void *ctx)
{
	struct uring *u = ctx;

	if (!u)
		return;
	kept_release(&u->kept);
	files_release(&u->files);
	free(u);
}

static int uring_open(const struct engine_env *env, void **ret_ctx, struct err *err)
{
	struct uring *u = calloc(1, sizeof *u);
	int rc;

	if (!u)
		return err_set(err, -ENOMEM, "io_uring: no memory");
	u->ops = engine_traits_find("io_uring")->ops;
	u->buffer_bytes = job_has(env->job, OP_READ) ? PIECE_BYTES : PREAD_BYTES;
	u->read_flags = O_RDONLY | O_CLOEXEC | (env->job->direct ? O_DIRECT : 0);
	rc = files_open(&u->files, env, err);
	if (rc == 0 && job_has(env->job, OP_PREAD))
		rc = kept_open_all(&u->kept, &u->files, env, err);
	if (rc == 0)
		rc = scratch_prepare(u->files.root, &env->manifest->spec, env->host, env->job, err);
	if (rc < 0)
		goto out;
	(void)files_keep_max(&u->files);	/* an op has a descriptor, too */
	*ret_ctx = u;
	u = NULL;
out:
	uring_close(u);
	return rc;
}

static void loop_close(void *loop)
{
	struct loop *o = loop;

	if (!o)
		return;
	if (o->opened)
		io_uring_queue_exit(&o->ring);
	if (o->buffer)
		munmap(o->buffer, o->slots_nr * o->u->buffer_bytes);
	free(o->chain);
	free(o);
}

static int ring_open(struct loop *o, struct err *err)
{
	unsigned int threads[2] = { o->slots_nr, o->slots_nr };
	int rc = io_uring_queue_init(o->slots_nr, &o->ring, 0);

	if (rc < 0)
		return err_set(err, rc, "io_uring: no ring for %u ops: %s%s", o->slots_nr, strerror(-rc),
			       rc == -ENOMEM ? "; raise the limit of locked memory" : "");
	o->opened = true;
	for (int i = 0; i < 2; i++)
		threads[i] = threads[i] < KERNEL_THREADS_MAX ? threads[i] : KERNEL_THREADS_MAX;
	rc = io_uring_register_iowq_max_workers(&o->ring, threads);
	return rc < 0 ? err_set(err, rc, "io_uring: %u threads of the kernel: %s", o->slots_nr, strerror(-rc)) : 0;
}

static int loop_open(void *ctx, uint32_t slots_nr, void **ret_loop, struct err *err)
{
	struct loop *o = calloc(1, sizeof *o);
	int rc;

	if (!o)
		return err_set(err, -ENOMEM, "io_uring: no memory");
	o->u = ctx;
	o->slots_nr = slots_nr;
	o->chain = calloc(slots_nr, sizeof *o->chain);
	o->buffer = mmap(NULL, slots_nr * o->u->buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (o->buffer == MAP_FAILED)
		o->buffer = NULL;
	rc = o->chain && o->buffer ? ring_open(o, err) : err_set(err, -ENOMEM, "io_uring: no memory for %u slots", slots_nr);
	if (rc < 0)
		goto out;
	*ret_loop = o;
	o = NULL;
out:
	loop_close(o);
	return rc;
}

/* What is written is reached as dataset_openat() does it. */
static struct open_how open_how(const struct uring *u, enum op_kind kind)
{
	struct open_how how = { .flags = (unsigned int)u->read_flags };

	if (kind == OP_APPEND_FSYNC || kind == OP_WRITE || kind == OP_WRITE_FSYNC)
		how = (struct open_how){ .flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	if (kind == OP_APPEND_FSYNC) {
		how.flags |= O_APPEND | O_CREAT;
		how.mode = 0644;
	}
	return how;
}

/* Whole blocks, because O_DIRECT wants them; the end of the file ends the read. */
static unsigned int read_bytes(const struct uring *u, const struct chain *c)
{
	uint64_t bytes = (c->bytes + PREAD_BYTES - 1) & ~(uint64_t)(PREAD_BYTES - 1);

	if (c->kind == OP_FIRST_BYTE)
		return 1;
	if (c->kind == OP_PREAD)
		return (unsigned int)c->bytes;
	return (unsigned int)(bytes < u->buffer_bytes ? bytes : u->buffer_bytes);
}

/* Into the ring, which has room: it is as large as there are slots, and each has one request in it. */
static void put_down(struct loop *o, uint32_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&o->ring);
	char *buffer = o->buffer + slot * o->u->buffer_bytes;
	struct chain *c = &o->chain[slot];

	assert(sqe && c->step != STEP_DONE);
	switch (c->step) {
	case STEP_OPEN:
		c->how = open_how(o->u, c->kind);
		io_uring_prep_openat2(sqe, o->u->files.root, c->path, &c->how);
		break;
	case STEP_READ:
		io_uring_prep_read(sqe, c->fd, buffer, read_bytes(o->u, c), c->offset);
		break;
	case STEP_WRITE:
		io_uring_prep_write(sqe, c->fd, buffer, (unsigned int)c->bytes, c->offset);
		break;
	case STEP_FSYNC:
		io_uring_prep_fsync(sqe, c->fd, 0);
		break;
	case STEP_CLOSE:
		io_uring_prep_close(sqe, c->fd);
		break;
	case STEP_STAT:
		io_uring_prep_statx(sqe, o->u->files.root, c->path, AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, &c->found);
		break;
	case STEP_DONE:
		break;
	}
	io_uring_sqe_set_data64(sqe, slot);
}

static void begin_read(const struct uring *u, struct chain *c, const struct op *op)
{
	c->bytes = u->files.size_bytes[c->idx];
	c->path = files_path(&u->files, c->idx);
	if (op->kind != OP_PREAD)
		return;
	c->idx %= u->kept.nr;
	c->step = STEP_READ;
	c->fd = u->kept.fd[c->idx];
	c->bytes = PREAD_BYTES;
	c->offset = files_pread_offset(&u->files, c->idx, op->draw);
}

static void begin_write(const struct uring *u, struct chain *c, const struct op *op, char *buffer)
{
	op_path(NULL, u->files.host, op, c->name);	/* of these ops no path depends on the spec */
	if (op->kind == OP_APPEND_FSYNC) {
		c->bytes = (uint64_t)files_log_line(op->draw, buffer);
		return;
	}
	c->bytes = SCRATCH_BLOCK_BYTES;
	c->offset = op->draw % (SCRATCH_DATA_BYTES / SCRATCH_BLOCK_BYTES) * SCRATCH_BLOCK_BYTES;
	memset(buffer, (int)(op->draw & 0xff), SCRATCH_BLOCK_BYTES);
}

static int uring_submit(void *loop, uint32_t slot, const struct op *op)
{
	struct loop *o = loop;
	struct chain *c = &o->chain[slot];

	if (!(o->u->ops & 1u << op->kind) || (op->kind == OP_PREAD && o->u->kept.nr == 0))
		return -ENOTSUP;
	c->kind = op->kind;
	c->step = op->kind == OP_STAT || op->kind == OP_STAT_MISS ? STEP_STAT : STEP_OPEN;
	c->idx = files_idx(&o->u->files, op);
	c->offset = c->done = 0;
	c->error = 0;
	c->fd = -1;
	c->path = c->name;
	if (op->kind == OP_STAT_MISS)
		files_miss_path(&o->u->files, c->idx, op->draw, c->name);
	else if (op->kind == OP_APPEND_FSYNC || op->kind == OP_WRITE || op->kind == OP_WRITE_FSYNC)
		begin_write(o->u, c, op, o->buffer + slot * o->u->buffer_bytes);
	else
		begin_read(o->u, c, op);
	put_down(o, slot);
	return 0;
}

/* What is left over stays in the ring, and the next turn hands it on: EAGAIN and EBUSY are about memory, and pass. */
static void uring_flush(void *loop)
{
	struct loop *o = loop;
	int rc = 1;

	while (io_uring_sq_ready(&o->ring) > 0 && (rc > 0 || rc == -EINTR))
		rc = io_uring_submit(&o->ring);
}

static enum step after_open(enum op_kind kind)
{
	if (kind == OP_OPEN)
		return STEP_CLOSE;
	return kind == OP_READ || kind == OP_FIRST_BYTE ? STEP_READ : STEP_WRITE;
}

static enum step after_read(const struct uring *u, struct chain *c, const char *buffer, int res)
{
	bool rest = files_is_part(&u->files, c->idx, c->offset, res, read_bytes(u, c));
	int64_t n = files_check(&u->files, c->idx, c->offset, buffer, res, rest ? (uint64_t)res : read_bytes(u, c));

	if (n < 0)
		c->error = n;
	else
		c->done += (uint64_t)n;
	c->offset += n > 0 ? (uint64_t)n : 0;
	c->bytes -= n > 0 ? (uint64_t)n : c->bytes;	/* no more than are there: files_check() has looked */
	if (c->kind == OP_PREAD)
		return n > 0 && rest ? STEP_READ : STEP_DONE;
	return c->kind == OP_READ && c->bytes > 0 ? STEP_READ : STEP_CLOSE;
}

static enum step after_write(struct chain *c, int res)
{
	c->done = (uint64_t)res;
	if (c->done < c->bytes) {
		c->error = -EIO;
		return STEP_CLOSE;
	}
	return c->kind == OP_WRITE ? STEP_CLOSE : STEP_FSYNC;
}

/* @param buffer  of the slot. @param res  of the call that was in the ring. @return the next one */
static enum step after(const struct uring *u, struct chain *c, const char *buffer, int res)
{
	if (c->kind == OP_STAT_MISS)
		res = res == -ENOENT ? 0 : res < 0 ? res : -EEXIST;
	if (res < 0) {
		c->error = c->error ? c->error : res;
		return c->step == STEP_OPEN || c->step == STEP_STAT || c->step == STEP_CLOSE || c->kind == OP_PREAD ? STEP_DONE : STEP_CLOSE;
	}
	switch (c->step) {
	case STEP_OPEN:
		c->fd = res;
		return after_open(c->kind);
	case STEP_READ:
		return after_read(u, c, buffer, res);
	case STEP_WRITE:
		return after_write(c, res);
	case STEP_FSYNC:
		return STEP_CLOSE;
	case STEP_CLOSE:
	case STEP_STAT:
	case STEP_DONE:
		break;
	}
	return STEP_DONE;
}

static int wait_cqe(struct loop *o, uint64_t wait_ns, struct io_uring_cqe **ret)
{
	struct __kernel_timespec wait = { .tv_sec = (int64_t)(wait_ns / NS_PER_S), .tv_nsec = (long long)(wait_ns % NS_PER_S) };

	if (wait_ns == 0 || io_uring_sq_ready(&o->ring) > 0)	/* what was not handed over is not waited for */
		return io_uring_peek_cqe(&o->ring, ret);
	return wait_ns == UINT64_MAX ? io_uring_wait_cqe(&o->ring, ret) : io_uring_wait_cqe_timeout(&o->ring, ret, &wait);
}

static uint32_t uring_reap(void *loop, uint64_t wait_ns, struct completion *done, uint32_t done_max)
{
	struct loop *o = loop;
	struct io_uring_cqe *cqe;
	uint32_t nr = 0;
	int rc = wait_cqe(o, wait_ns, &cqe);

	for (; rc == 0 && nr < done_max; rc = nr < done_max ? io_uring_peek_cqe(&o->ring, &cqe) : 1) {
		uint32_t slot = (uint32_t)io_uring_cqe_get_data64(cqe);
		struct chain *c = &o->chain[slot];

		c->step = after(o->u, c, o->buffer + slot * o->u->buffer_bytes, cqe->res);
		io_uring_cqe_seen(&o->ring, cqe);
		if (c->step == STEP_DONE)
			done[nr++] = (struct completion){ .slot = slot, .result = c->error ? c->error : (int64_t)c->done };
		else
			put_down(o, slot);
	}
	return nr;
}

const struct engine engine_io_uring = {
	.name = "io_uring",
	.summary = "asynchronous ops through io_uring: reads, names, writes with fsync",
	.needs_dataset = true,
	.probe = uring_probe,
	.open = uring_open,
	.loop_open = loop_open,
	.submit = uring_submit,
	.flush = uring_flush,
	.reap = uring_reap,
	.loop_close = loop_close,
	.close = uring_close,
};
