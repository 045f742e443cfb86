/* SPDX-License-Identifier: MIT */
/*
 * trace_gather.c - see trace_gather.h.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "rng.h"
#include "trace_gather.h"

#define CELLS_NR (4 * TRACE_OPS_MAX)	/* a call has an entry whether it is replayed or not, and so have those that are left out: at most half are used */
#define SECONDS_MAX 10000000000u	/* the year 2286 */
#define LOG_BYTES_MAX 40		/* mu of a profile is at most that */

uint64_t trace_hash(const char *text, uint64_t more)
{
	uint64_t h = more ^ 0xcbf29ce484222325ull;	/* FNV-1a, then mixed: its low bits are poor */

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
	h = rng_mix(h);
	return h ? h : 1;
}

bool trace_procedure(const char *name, int *ret_kind)
{
	static const struct {
		const char *name;
		int kind;
	} procedures[] = {
		{ "null", NFS_LEFT_OUT },   { "getattr", OP_STAT },	{ "setattr", OP_CHMOD },    { "root", NFS_LEFT_OUT },	 { "lookup", OP_STAT },
		{ "access", OP_ACCESS },    { "readlink", OP_READLINK }, { "read", OP_PREAD },	    { "wrcache", NFS_LEFT_OUT }, { "write", OP_WRITE },
		{ "create", NFS_LEFT_OUT }, { "mkdir", NFS_LEFT_OUT },	{ "symlink", NFS_LEFT_OUT }, { "mknod", NFS_LEFT_OUT },	 { "remove", NFS_LEFT_OUT },
		{ "rmdir", NFS_LEFT_OUT },  { "rename", NFS_LEFT_OUT },	{ "link", NFS_LEFT_OUT },   { "readdir", OP_READDIR },	 { "readdirp", OP_READDIR_STAT },
		{ "fsstat", OP_STATFS },    { "statfs", OP_STATFS },	{ "fsinfo", NFS_LEFT_OUT }, { "pathconf", NFS_LEFT_OUT }, { "commit", NFS_LEFT_OUT },
	};

	for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
		if (strcmp(procedures[i].name, name) == 0) {
			*ret_kind = procedures[i].kind;
			return true;
		}
	return false;
}

bool trace_seconds(const char *text, uint64_t *ret_ns)
{
	uint64_t s, ns = 0;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	s = strtoull(text, &end, 10);
	if (s > SECONDS_MAX || (*end != '.' && *end != '\0'))
		return false;
	end += *end == '.';
	for (uint64_t unit = 100000000; *end >= '0' && *end <= '9'; end++, unit /= 10)
		ns += unit * (uint64_t)(*end - '0');
	*ret_ns = s * 1000000000 + ns;
	return *end == '\0';
}

/* @return where the value of the key is, 0 the first time; NULL when the table is full. */
static uint64_t *look_up(struct trace_table *t, uint64_t key)
{
	uint32_t i = (uint32_t)(rng_mix(key) % CELLS_NR);

	while (t->cell[i].value != 0 && t->cell[i].key != key)
		i = (i + 1) % CELLS_NR;
	if (t->cell[i].value == 0) {
		if (t->used_nr == CELLS_NR / 2)
			return NULL;
		t->used_nr++;
		t->cell[i].key = key;
	}
	return &t->cell[i].value;
}

static uint64_t call_key(uint64_t client, uint64_t xid)
{
	return rng_mix(client) ^ rng_mix(xid);
}

int trace_gather_init(struct trace_gather *g, const char *name, struct err *err)
{
	struct trace_table *tables[] = { &g->calls, &g->clients, &g->files };
	bool there;

	*g = (struct trace_gather){ .name = name, .trace.op = calloc(TRACE_OPS_MAX, sizeof *g->trace.op) };
	there = g->trace.op != NULL;
	for (int i = 0; i < 3; i++) {
		tables[i]->cell = calloc(CELLS_NR, sizeof *tables[i]->cell);
		there = there && tables[i]->cell;
	}
	return there ? 0 : err_set(err, -ENOMEM, "%s: no memory for a trace", name);
}

void trace_gather_release(struct trace_gather *g)
{
	free(g->calls.cell);
	free(g->clients.cell);
	free(g->files.cell);
	trace_release(&g->trace);
}

static int too_many(const struct trace_gather *g, const char *what, struct err *err)
{
	return err_set(err, -EFBIG, "%s:%llu: more than %u %s; import a shorter part of the capture", g->name, (unsigned long long)g->line, TRACE_OPS_MAX, what);
}

/* The largest end or size that was seen. */
static int note_size(struct trace_gather *g, uint64_t file, uint64_t bytes, struct err *err)
{
	uint64_t *size = look_up(&g->files, file);

	if (!size)
		return too_many(g, "files", err);
	if (*size < bytes + 1)
		*size = bytes + 1;
	return 0;
}

int trace_gather_call(struct trace_gather *g, const struct nfs_call *call, struct err *err)
{
	uint64_t *seen, *client;

	if (call->kind == NFS_LEFT_OUT) {
		g->summary.left_out_nr++;
		return 0;
	}
	if (call->offset_bytes > INT64_MAX || call->length_bytes > UINT32_MAX)
		return err_set(err, -EINVAL, "%s:%llu: an offset or a length that no file has", g->name, (unsigned long long)g->line);
	if (g->trace.ops_nr == TRACE_OPS_MAX)
		return too_many(g, "ops", err);
	seen = look_up(&g->calls, call_key(call->client, call->xid));
	client = look_up(&g->clients, call->client);
	if (!seen || !client)
		return too_many(g, seen ? "clients" : "calls", err);
	if (*seen) {
		g->summary.repeated_nr++;
		return 0;
	}
	if (*client == 0)
		*client = ++g->summary.clients_nr;
	g->trace.op[g->trace.ops_nr++] = (struct trace_op){
		.at_ns = call->at_ns,
		.file = call->file,
		.offset_bytes = call->offset_bytes,
		.length_bytes = call->length_bytes < TRACE_OP_BYTES_MAX ? (uint32_t)call->length_bytes : TRACE_OP_BYTES_MAX,
		.client = (uint32_t)*client - 1,
		.kind = (enum op_kind)call->kind,
	};
	*seen = g->trace.ops_nr;
	return note_size(g, call->file, call->offset_bytes + call->length_bytes, err);
}

int trace_gather_reply(struct trace_gather *g, const struct nfs_reply *reply, struct err *err)
{
	uint64_t *seen = look_up(&g->calls, call_key(reply->client, reply->xid));
	struct trace_op *op;

	if (!seen)
		return too_many(g, "calls", err);
	if (*seen == 0) {	/* of a call before the capture, or of one that is left out */
		g->calls.used_nr--;
		return 0;
	}
	op = &g->trace.op[*seen - 1];
	if (reply->missing && op->kind == OP_STAT)
		op->kind = OP_STAT_MISS;
	if (reply->file)
		op->file = reply->file;
	return reply->size_bytes > 0 && reply->size_bytes <= INT64_MAX ? note_size(g, op->file, reply->size_bytes, err) : 0;
}

static int by_time(const void *a, const void *b)
{
	const struct trace_op *x = a, *y = b;

	return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

/* Sites of at most 100 files; mean and deviation of the logarithms of the sizes that were seen. */
static void fit(struct trace_gather *g)
{
	struct dataset_spec *spec = &g->summary.spec;
	double sum = 0, squares = 0, nr = 0;

	for (uint32_t i = 0; i < CELLS_NR; i++) {
		uint64_t bytes = g->files.cell[i].value;

		if (bytes == 0)
			continue;
		g->summary.files_nr++;
		if (--bytes == 0)
			continue;
		spec->size_bytes = bytes > spec->size_bytes ? bytes : spec->size_bytes;
		sum += log((double)bytes);
		squares += log((double)bytes) * log((double)bytes);
		nr++;
	}
	spec->sites = (g->summary.files_nr + 99) / 100;
	spec->files_per_site = (g->summary.files_nr + spec->sites - 1) / spec->sites;
	spec->depth = 2;
	spec->lognormal = true;
	spec->mu = nr > 0 ? fmin(LOG_BYTES_MAX, sum / nr) : 0;
	spec->sigma = nr > 0 ? fmin(10, sqrt(fmax(0, squares / nr - sum / nr * (sum / nr)))) : 0;
	spec->size_bytes = spec->size_bytes > 0 ? spec->size_bytes : 1;
}

int trace_gather_finish(struct trace_gather *g, struct trace *ret, struct trace_summary *ret_summary, struct err *err)
{
	if (g->trace.ops_nr == 0)
		return err_set(err, -EINVAL, "%s:%llu: no call of NFS in it that could be replayed", g->name, (unsigned long long)g->line);
	qsort(g->trace.op, g->trace.ops_nr, sizeof *g->trace.op, by_time);
	for (uint32_t i = g->trace.ops_nr; i-- > 0;)
		g->trace.op[i].at_ns -= g->trace.op[0].at_ns;
	fit(g);
	*ret = g->trace;
	g->trace = (struct trace){ .op = NULL };
	*ret_summary = g->summary;
	return 0;
}
