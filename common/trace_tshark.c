/* SPDX-License-Identifier: MIT */
/*
 * trace_tshark.c - the JSON of `tshark -Y nfs -T json --no-duplicate-keys`: a list of packets, read one at a time.
 *
 *	[ {"_source": {"layers": {"frame": {"frame.time_epoch": "1000.000000000"}, "ip": {"ip.src": ..}, "rpc": {"rpc.xid": ..}, "nfs": {..}}}}, .. ]
 *
 * A packet that holds several calls has lists of "rpc" and "nfs", of equal length. All values are texts. Names of fields: the display filter
 * reference of Wireshark; seen with tshark 4.0.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "trace_gather.h"

#define PACKET_BYTES_MAX (4u << 20)	/* a reply of 1 MiB is there in hexadecimal */
#define DEPTH_MAX 32

/* Text of one packet. */
struct packet {
	char *text;
	size_t bytes, room;
	uint64_t line;		/* on which it begins */
};

static int wrong(const struct trace_gather *g, struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "%s:%llu: %s", g->name, (unsigned long long)g->line, what);
}

static int add(const struct trace_gather *g, struct packet *p, int c, struct err *err)
{
	size_t room = p->room ? 2 * p->room : 16384;
	char *more;

	if (p->bytes == PACKET_BYTES_MAX)
		return wrong(g, err, "a packet takes more than 4194304 bytes; leave the data out, with tshark -j \"frame ip ipv6 rpc nfs\"");
	if (p->bytes == p->room) {
		more = realloc(p->text, room);
		if (!more)
			return err_set(err, -ENOMEM, "%s: no memory for a packet", g->name);
		p->text = more;
		p->room = room;
	}
	p->text[p->bytes++] = (char)c;
	return 0;
}

/* The value of a field, wherever it is below; of a list the first. */
static const char *find_below(const json_t *json, const char *key, unsigned int depth)
{
	const json_t *value = json_object_get(json, key), *below;
	const char *found = NULL, *ignored;
	size_t i;

	if (json_is_array(value))
		value = json_array_get(value, 0);
	if (json_is_string(value))
		return json_string_value(value);
	if (depth == DEPTH_MAX)
		return NULL;
	if (json_is_object(json)) {
		json_object_foreach((json_t *)(uintptr_t)json, ignored, below)
			if (!found)
				found = find_below(below, key, depth + 1);
	} else {
		json_array_foreach(json, i, below)
			if (!found)
				found = find_below(below, key, depth + 1);
	}
	return found;
}

static const char *find(const json_t *json, const char *key)
{
	return find_below(json, key, 0);
}

/* "8192", "0x1f"; what is not there is 0. */
static bool number_of(const json_t *json, const char *key, uint64_t *ret)
{
	const char *text = find(json, key);
	char *end;

	*ret = 0;
	if (!text)
		return true;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	return errno == 0 && *end == '\0';
}

/* The op of a call of version 3 or 4. Source: RFC 1813; RFC 8881 18 for numbers of operations. */
static int kind_of(uint64_t version, uint64_t procedure, const json_t *nfs)
{
	static const char *const v3[] = { "null",  "getattr", "setattr", "lookup", "access",  "readlink", "read",   "write",  "create", "mkdir",   "symlink",
					  "mknod", "remove",  "rmdir",	 "rename", "link",    "readdir",  "readdirp", "fsstat", "fsinfo", "pathconf", "commit" };
	uint64_t operation = 0;
	int kind = NFS_LEFT_OUT;

	if (version == 3 && procedure < sizeof v3 / sizeof v3[0])
		(void)trace_procedure(v3[procedure], &kind);
	if (version != 4 || !number_of(nfs, "nfs.main_opcode", &operation))
		return kind;
	switch (operation) {
	case 3:
		return OP_ACCESS;
	case 9:
	case 15:
		return OP_STAT;
	case 12:
		return OP_LOCK;
	case 18:
		return OP_OPEN;
	case 25:
		return OP_PREAD;
	case 26:
		return OP_READDIR_STAT;
	case 27:
		return OP_READLINK;
	case 34:
		return OP_CHMOD;
	case 38:
		return OP_WRITE;
	default:
		return NFS_LEFT_OUT;
	}
}

static uint64_t file_of(const json_t *nfs)
{
	static const char *const names[] = { "nfs.name", "nfs.pathname.component" };
	const char *handle = find(nfs, "nfs.fhandle"), *name = NULL;
	uint64_t file;

	if (!handle)
		handle = find(nfs, "nfs.fh.hash");
	file = trace_hash(handle ? handle : "", 0);
	for (size_t i = 0; i < sizeof names / sizeof names[0] && !name; i++)
		name = find(nfs, names[i]);
	return name ? trace_hash(name, file) : file;
}

static int take_call(struct trace_gather *g, struct nfs_call *call, uint64_t version, const json_t *nfs, struct err *err)
{
	uint64_t stable;

	call->file = file_of(nfs);
	if (call->kind == OP_PREAD || call->kind == OP_WRITE) {
		if (!number_of(nfs, version == 3 ? "nfs.offset3" : "nfs.offset4", &call->offset_bytes) ||
		    !number_of(nfs, version == 3 ? "nfs.count3" : "nfs.count4", &call->length_bytes))
			return wrong(g, err, "the offset or the count is not a number");
	}
	if (!number_of(nfs, version == 3 ? "nfs.write.stable" : "nfs.stable_how4", &stable))
		return wrong(g, err, "how stable a write is is not a number");
	if (call->kind == OP_WRITE && stable > 0)
		call->kind = OP_WRITE_FSYNC;
	return trace_gather_call(g, call, err);
}

static int take_reply(struct trace_gather *g, uint64_t client, uint64_t xid, int kind, const json_t *nfs, struct err *err)
{
	struct nfs_reply reply = { .client = client, .xid = xid };
	const char *handle = kind == OP_STAT ? find(nfs, "nfs.fhandle") : NULL;
	uint64_t status;

	if (!number_of(nfs, "nfs.status", &status) || !number_of(nfs, "nfs.fattr3.size", &reply.size_bytes))
		return wrong(g, err, "the status or the size of a reply is not a number");
	reply.missing = status == 2;
	if (status == 0 && handle)
		reply.file = trace_hash(handle, 0);
	return trace_gather_reply(g, &reply, err);
}

/* One call or reply. @param at_ns,source,target  of its packet */
static int take_message(struct trace_gather *g, uint64_t at_ns, const char *source, const char *target, const json_t *rpc, const json_t *nfs, struct err *err)
{
	struct nfs_call call = { .at_ns = at_ns };
	uint64_t type, version, procedure;

	if (!find(rpc, "rpc.xid") || !find(rpc, "rpc.msgtyp"))
		return 0;	/* a part of a message, of which the whole is elsewhere */
	if (!number_of(rpc, "rpc.xid", &call.xid) || !number_of(rpc, "rpc.msgtyp", &type) || !number_of(rpc, "rpc.programversion", &version) ||
	    !number_of(rpc, "rpc.procedure", &procedure))
		return wrong(g, err, "a field of rpc is not a number");
	call.kind = kind_of(version, procedure, nfs);
	call.client = trace_hash(type == 0 ? source : target, 0);
	if (type == 0)
		return take_call(g, &call, version, nfs, err);
	return take_reply(g, call.client, call.xid, call.kind, nfs, err);
}

static int take_layers(struct trace_gather *g, const json_t *layers, struct err *err)
{
	const json_t *rpc = json_object_get(layers, "rpc"), *nfs = json_object_get(layers, "nfs"), *ip = json_object_get(layers, "ip");
	const char *time = find(json_object_get(layers, "frame"), "frame.time_epoch"), *source, *target;
	size_t nr = json_is_array(nfs) ? json_array_size(nfs) : 1;
	uint64_t at_ns;
	int rc = 0;

	if (!nfs)
		return 0;
	source = find(layers, ip ? "ip.src" : "ipv6.src");
	target = find(layers, ip ? "ip.dst" : "ipv6.dst");
	if (!rpc || !time || !source || !target || !trace_seconds(time, &at_ns))
		return wrong(g, err, "a packet of NFS needs the layers frame, ip or ipv6, rpc and nfs");
	if ((json_is_array(rpc) ? json_array_size(rpc) : 1) != nr)
		return wrong(g, err, "a packet has another number of calls in rpc than in nfs");
	for (size_t i = 0; i < nr && rc == 0; i++)
		rc = take_message(g, at_ns, source, target, json_is_array(rpc) ? json_array_get(rpc, i) : rpc, json_is_array(nfs) ? json_array_get(nfs, i) : nfs, err);
	return rc;
}

static int take_packet(struct trace_gather *g, const struct packet *p, struct err *err)
{
	json_error_t why;
	json_t *json;
	int rc;

	/* A packet with two of the same name has lost one of them already. */
	json = json_loadb(p->text, p->bytes, JSON_REJECT_DUPLICATES, &why);
	if (!json && json_error_code(&why) == json_error_duplicate_key)
		return wrong(g, err, "a packet has two fields of the same name; make it with tshark -T json --no-duplicate-keys");
	if (!json)
		return err_set(err, -EINVAL, "%s:%llu: this is not JSON: %s", g->name, (unsigned long long)p->line + (unsigned long long)(why.line > 0 ? why.line - 1 : 0), why.text);
	rc = take_layers(g, json_object_get(json_object_get(json, "_source"), "layers"), err);
	json_decref(json);
	return rc;
}

/* Cuts the list into its packets, by their braces. */
static int take_list(struct trace_gather *g, FILE *in, struct packet *p, struct err *err)
{
	bool begun = false, ended = false, in_text = false, escaped = false;
	uint64_t line = 1;
	unsigned int depth = 0;
	int c, rc = 0;

	while (rc == 0 && (c = getc(in)) != EOF) {
		g->line = depth > 0 ? p->line : line;
		line += c == '\n';
		if (depth == 0) {
			if (c == '{' && begun && !ended) {
				p->bytes = 0;
				p->line = g->line;
				depth = 1;
				rc = add(g, p, c, err);
			} else if (c == '[' && !begun) {
				begun = true;
			} else if (c == ']' && begun && !ended) {
				ended = true;
			} else if (c == '\0' || !strchr(" \t\r\n,", c) || (c == ',' && (!begun || ended))) {
				rc = wrong(g, err, "this is no list of packets, as tshark -T json prints it");
			}
			continue;
		}
		rc = add(g, p, c, err);
		if (in_text) {
			in_text = escaped || c != '"';
			escaped = !escaped && c == '\\';
			continue;
		}
		in_text = c == '"';
		depth += c == '{';
		depth -= c == '}';
		if (rc == 0 && depth == 0)
			rc = take_packet(g, p, err);
	}
	if (rc == 0 && ferror(in))
		rc = err_set(err, -EIO, "%s: it cannot be read to its end", g->name);
	if (rc == 0 && !ended)
		rc = wrong(g, err, begun ? "the list of packets does not end" : "this is no list of packets, as tshark -T json prints it");
	return rc;
}

int trace_import_tshark(FILE *in, const char *name, struct trace *ret, struct trace_summary *ret_summary, struct err *err)
{
	struct packet packet = { .text = NULL };
	struct trace_gather g;
	int rc = trace_gather_init(&g, name, err);

	if (rc == 0)
		rc = take_list(&g, in, &packet, err);
	if (rc == 0)
		rc = trace_gather_finish(&g, ret, ret_summary, err);
	free(packet.text);
	trace_gather_release(&g);
	return rc;
}
