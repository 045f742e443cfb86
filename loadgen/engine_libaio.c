/* SPDX-License-Identifier: MIT */
/*
 * engine_libaio.c - the kernel's AIO: one loop keeps many preads in flight.
 *
 * It does pread alone. Opening, stat and the like have no asynchronous form here, and one that hangs would stop the whole loop; the
 * files are therefore opened before the start. Even a pread is only asynchronous with direct: true on a file system that can: else
 * io_submit() itself does the I/O, which is measured as submit_blocked.
 */
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"
#include "engines.h"
#include "err.h"
#include "files.h"

struct libaio {
	struct files files;
	struct kept kept;
};

struct loop {
	const struct libaio *l;
	io_context_t ctx;
	uint32_t slots_nr, batch_nr, failed_nr;
	struct iocb *iocb;		/* of each slot */
	size_t *idx;			/* of each slot: the file that it reads */
	struct iocb **batch;		/* put down, not flushed yet */
	struct io_event *event;
	struct completion *failed;	/* refused by io_submit() */
	char *buffer;			/* slots_nr times PREAD_BYTES, aligned for O_DIRECT */
};

static void libaio_close(void *ctx)
{
	struct libaio *l = ctx;

	if (!l)
		return;
	kept_release(&l->kept);
	files_release(&l->files);
	free(l);
}

static int libaio_open(const struct engine_env *env, void **ret_ctx, struct err *err)
{
	struct libaio *l = calloc(1, sizeof *l);
	int rc;

	if (!l)
		return err_set(err, -ENOMEM, "libaio: no memory");
	rc = files_open(&l->files, env, err);
	if (rc == 0)
		rc = kept_open_all(&l->kept, &l->files, env, err);
	if (rc < 0)
		goto out;
	*ret_ctx = l;
	l = NULL;
out:
	libaio_close(l);
	return rc;
}

static void loop_close(void *loop)
{
	struct loop *o = loop;

	if (!o)
		return;
	if (o->ctx)
		(void)io_destroy(o->ctx);
	if (o->buffer)
		munmap(o->buffer, (size_t)o->slots_nr * PREAD_BYTES);
	free(o->iocb);
	free(o->idx);
	free(o->batch);
	free(o->event);
	free(o->failed);
	free(o);
}

static int loop_open(void *ctx, uint32_t slots_nr, void **ret_loop, struct err *err)
{
	struct loop *o = calloc(1, sizeof *o);
	int rc = 0;

	if (!o)
		return err_set(err, -ENOMEM, "libaio: no memory");
	o->l = ctx;
	o->slots_nr = slots_nr;
	o->iocb = calloc(slots_nr, sizeof *o->iocb);
	o->idx = calloc(slots_nr, sizeof *o->idx);
	o->batch = calloc(slots_nr, sizeof *o->batch);
	o->event = calloc(slots_nr, sizeof *o->event);
	o->failed = calloc(slots_nr, sizeof *o->failed);
	o->buffer = mmap(NULL, (size_t)slots_nr * PREAD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->buffer == MAP_FAILED)
		o->buffer = NULL;
	if (!o->iocb || !o->idx || !o->batch || !o->event || !o->failed || !o->buffer) {
		rc = err_set(err, -ENOMEM, "libaio: no memory for %u slots", slots_nr);
		goto out;
	}
	rc = io_setup((int)slots_nr, &o->ctx);
	if (rc < 0) {
		(void)err_set(err, rc, "libaio: io_setup for %u ops: %s%s", slots_nr, strerror(-rc),
			      rc == -EAGAIN ? "; raise the sysctl fs.aio-max-nr" : "");
		goto out;
	}
	*ret_loop = o;
	o = NULL;
out:
	loop_close(o);
	return rc;
}

static int libaio_submit(void *loop, uint32_t slot, const struct op *op)
{
	struct loop *o = loop;
	size_t idx = files_idx(&o->l->files, op) % o->l->kept.nr;

	if (op->kind != OP_PREAD)
		return -ENOTSUP;
	io_prep_pread(&o->iocb[slot], o->l->kept.fd[idx], o->buffer + (size_t)slot * PREAD_BYTES, PREAD_BYTES,
		      (long long)files_pread_offset(&o->l->files, idx, op->draw));
	o->iocb[slot].data = (void *)(uintptr_t)slot;
	o->idx[slot] = idx;
	o->batch[o->batch_nr++] = &o->iocb[slot];
	return 0;
}

static uint32_t slot_of(const void *data)
{
	return (uint32_t)(uintptr_t)data;
}

static void libaio_flush(void *loop)
{
	struct loop *o = loop;
	uint32_t from = 0;

	while (from < o->batch_nr) {
		int n = io_submit(o->ctx, (long)(o->batch_nr - from), o->batch + from);

		if (n > 0) {
			from += (uint32_t)n;
		} else if (n != -EINTR) {	/* it is about the first one */
			o->failed[o->failed_nr++] = (struct completion){ .slot = slot_of(o->batch[from++]->data), .result = n < 0 ? n : -EAGAIN };
		}
	}
	o->batch_nr = 0;
}

/* What an event says of its op. @return whether the op is over; else the rest of it is put down. */
static bool is_over(struct loop *o, const struct io_event *e, struct completion *ret)
{
	const struct files *f = &o->l->files;
	uint32_t slot = slot_of(e->data);
	struct iocb *c = &o->iocb[slot];
	uint64_t offset = (uint64_t)c->u.c.offset, wanted = c->u.c.nbytes;
	bool rest = files_is_part(f, o->idx[slot], offset, (int64_t)e->res, wanted);
	int64_t n = files_check(f, o->idx[slot], offset, c->u.c.buf, (int64_t)e->res, rest ? e->res : wanted);

	if (n > 0 && rest) {
		c->u.c.offset += n;
		c->u.c.nbytes -= (uint64_t)n;
		o->batch[o->batch_nr++] = c;
		return false;
	}
	*ret = (struct completion){ .slot = slot, .result = n < 0 ? n : (int64_t)(PREAD_BYTES - wanted) + n };
	return true;
}

static uint32_t libaio_reap(void *loop, uint64_t wait_ns, struct completion *done, uint32_t done_max)
{
	struct timespec wait = { .tv_sec = (time_t)(wait_ns / NS_PER_S), .tv_nsec = (long)(wait_ns % NS_PER_S) };
	struct loop *o = loop;
	uint32_t nr = o->failed_nr < done_max ? o->failed_nr : done_max;
	int n;

	if (nr > 0) {
		o->failed_nr -= nr;
		memcpy(done, o->failed + o->failed_nr, nr * sizeof *done);
		return nr;
	}
	n = io_getevents(o->ctx, wait_ns > 0, (long)(done_max < o->slots_nr ? done_max : o->slots_nr), o->event,
			 wait_ns == UINT64_MAX ? NULL : &wait);
	for (int i = 0; i < n; i++)
		nr += is_over(o, &o->event[i], &done[nr]);
	return nr;
}

const struct engine engine_libaio = {
	.name = "libaio",
	.summary = "asynchronous pread through the kernel's AIO, many in flight a thread",
	.needs_dataset = true,
	.open = libaio_open,
	.loop_open = loop_open,
	.submit = libaio_submit,
	.flush = libaio_flush,
	.reap = libaio_reap,
	.loop_close = loop_close,
	.close = libaio_close,
};
