/* SPDX-License-Identifier: MIT */
/*
 * trace_nfsdump.c - the text of nfsdump: a line a call or reply, eight fields, of a reply its status, then names and values; numbers are
 * hexadecimal. Source: format.txt of nfsdump, Harvard 2003.
 *
 *	1006231504.285023 32.03fd 30.0801 T C3 1cf0d105 6 read fh cfbc65840a000000 off 0 count 2000 con = 12 len = 34
 *	1006231504.294708 30.0801 32.03fd T R3 1cf0d105 6 read OK ftype 1 size 72520 count 2000 eof 0 status=0 pl = 1 con = 2 len = 3
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "trace_gather.h"

#define LINE_BYTES_LONGEST 65536

static int wrong(const struct trace_gather *g, struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "%s:%llu: %s", g->name, (unsigned long long)g->line, what);
}

static bool hex(const char *text, uint64_t *ret)
{
	size_t length = strlen(text);

	if (length == 0 || length > 16 || strspn(text, "0123456789abcdef") != length)
		return false;
	*ret = strtoull(text, NULL, 16);
	return true;
}

/* The next field, by blanks; a name may hold some, and is in quotes. */
static char *next_field(char **at)
{
	char *begin = *at + strspn(*at, " \t"), *end;

	if (*begin == '\0')
		return NULL;
	end = *begin == '"' ? strstr(begin, "\" ") : NULL;
	end = end ? end + 1 : begin + strcspn(begin, " \t");
	*at = end + (*end != '\0');
	*end = '\0';
	return begin;
}

/* Of the names and values, those that say what was done to which file. The first of a kind counts: of a reply, the object's own. */
struct values {
	const char *fh, *name, *stable;
	uint64_t off, count, size;
};

static int take_values(const struct trace_gather *g, char *at, struct values *v, struct err *err)
{
	char *key, *value;
	bool sized = false;

	while ((key = next_field(&at)) && strcmp(key, "con") != 0 && (value = next_field(&at))) {
		if (strcmp(key, "fh") == 0 && !v->fh)
			v->fh = value;
		else if (strcmp(key, "name") == 0 && !v->name)
			v->name = value;
		else if (strcmp(key, "stable") == 0)
			v->stable = value;
		else if ((strcmp(key, "off") == 0 || strcmp(key, "offset") == 0) && !hex(value, &v->off))
			return wrong(g, err, "the offset is not a number in hexadecimal");
		else if (strcmp(key, "count") == 0 && !hex(value, &v->count))
			return wrong(g, err, "the count is not a number in hexadecimal");
		else if (strcmp(key, "size") == 0 && !sized)
			sized = hex(value, &v->size);
	}
	return 0;
}

/* An address without its port. */
static uint64_t host_of(char *address)
{
	address[strcspn(address, ".")] = '\0';
	return trace_hash(address, 0);
}

static int take_call(struct trace_gather *g, char *const field[8], char *rest, struct nfs_call *call, struct err *err)
{
	struct values v = { .off = 0 };
	int rc = take_values(g, rest, &v, err);

	if (rc < 0)
		return rc;
	if (call->kind != NFS_LEFT_OUT && call->kind != OP_STATFS && !v.fh)
		return wrong(g, err, "a call without a file handle");
	call->client = host_of(field[1]);
	call->file = trace_hash(v.fh ? v.fh : "", 0);
	if (v.name)
		call->file = trace_hash(v.name, call->file);
	if (call->kind == OP_PREAD || call->kind == OP_WRITE) {
		call->offset_bytes = v.off;
		call->length_bytes = v.count;
	}
	if (call->kind == OP_WRITE && v.stable && strcmp(v.stable, "U") != 0)
		call->kind = OP_WRITE_FSYNC;
	return trace_gather_call(g, call, err);
}

static int take_reply(struct trace_gather *g, char *const field[8], char *rest, uint64_t xid, bool is_lookup, struct err *err)
{
	struct nfs_reply reply = { .xid = xid, .client = host_of(field[2]) };
	char *status = next_field(&rest);
	struct values v = { .off = 0 };
	int rc;

	if (!status)
		return wrong(g, err, "a reply without its status");
	reply.missing = strcmp(status, "2") == 0;
	if (strcmp(status, "OK") != 0)
		return trace_gather_reply(g, &reply, err);
	rc = take_values(g, rest, &v, err);
	reply.size_bytes = v.size;
	reply.file = is_lookup && v.fh ? trace_hash(v.fh, 0) : 0;
	return rc == 0 ? trace_gather_reply(g, &reply, err) : rc;
}

static int take_line(struct trace_gather *g, char *line, struct err *err)
{
	struct nfs_call call = { .at_ns = 0 };
	char *field[8];
	bool version;

	if (strstr(line, "SHORT PACKET")) {
		g->summary.unreadable_nr++;
		return 0;
	}
	for (int i = 0; i < 8; i++)
		if (!(field[i] = next_field(&line)))
			return wrong(g, err, "a line of nfsdump has at least eight fields: time, from, to, U or T, C3 or R3, xid, procedure and its name");
	version = strlen(field[4]) == 2 && (field[4][1] == '2' || field[4][1] == '3');
	if (!trace_seconds(field[0], &call.at_ns))
		return wrong(g, err, "the time is not a number of seconds");
	if (!version || (field[4][0] != 'C' && field[4][0] != 'R'))
		return wrong(g, err, "the fifth field is C2 or C3 of a call, R2 or R3 of a reply");
	if (!hex(field[5], &call.xid))
		return wrong(g, err, "the xid is not a number in hexadecimal");
	if (!trace_procedure(field[7], &call.kind))
		return wrong(g, err, "the eighth field is no procedure of NFS");
	if (field[4][0] == 'C')
		return take_call(g, field, line, &call, err);
	return take_reply(g, field, line, call.xid, strcmp(field[7], "lookup") == 0, err);
}

static int take_lines(struct trace_gather *g, FILE *in, struct err *err)
{
	char *line = malloc(LINE_BYTES_LONGEST);
	int rc = line ? 0 : err_set(err, -ENOMEM, "%s: no memory for a line", g->name);

	while (rc == 0 && fgets(line, LINE_BYTES_LONGEST, in)) {
		size_t bytes = strcspn(line, "\r\n");

		g->line++;
		if (line[bytes] == '\0' && bytes == LINE_BYTES_LONGEST - 1)
			rc = wrong(g, err, "the line is longer than 65535 bytes");
		line[bytes] = '\0';
		if (rc == 0 && line[strspn(line, " \t")] != '\0')
			rc = take_line(g, line, err);
	}
	if (rc == 0 && ferror(in))
		rc = err_set(err, -EIO, "%s: it cannot be read to its end", g->name);
	free(line);
	return rc;
}

int trace_import_nfsdump(FILE *in, const char *name, struct trace *ret, struct trace_summary *ret_summary, struct err *err)
{
	struct trace_gather g;
	int rc = trace_gather_init(&g, name, err);

	if (rc == 0)
		rc = take_lines(&g, in, err);
	if (rc == 0)
		rc = trace_gather_finish(&g, ret, ret_summary, err);
	trace_gather_release(&g);
	return rc;
}
