/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the file of a trace, and the same as one text for a profile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "err.h"
#include "file.h"
#include "trace.h"

static const char first_line[] = "# squall trace 1", columns[] = "time_ns,client,op,file,offset_bytes,length_bytes";

void trace_release(struct trace *trace)
{
	free(trace->op);
	*trace = (struct trace){ .op = NULL };
}

int trace_print(const struct trace *trace, FILE *out)
{
	(void)fprintf(out, "%s\n%s\n", first_line, columns);
	for (uint32_t i = 0; i < trace->ops_nr; i++) {
		const struct trace_op *op = &trace->op[i];

		(void)fprintf(out, "%llu,%u,%s,%016llx,%llu,%u\n", (unsigned long long)op->at_ns, op->client, op_kind_names[op->kind],
			      (unsigned long long)op->file, (unsigned long long)op->offset_bytes, op->length_bytes);
	}
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

/* A whole field that is a number of this base. */
static bool number(const char *field, int base, uint64_t max, uint64_t *ret)
{
	static const char *const digits[] = { "0123456789", "0123456789abcdef" };
	size_t length = field ? strlen(field) : 0;

	if (length == 0 || length > 20 || strspn(field, digits[base == 16]) != length)
		return false;
	errno = 0;
	*ret = strtoull(field, NULL, base);
	return errno == 0 && *ret <= max;
}

static bool op_named(const char *field, enum op_kind *ret)
{
	for (unsigned int k = 0; field && k < OP_NR; k++)
		if (strcmp(op_kind_names[k], field) == 0) {
			*ret = (enum op_kind)k;
			return !op_needs_page(*ret);
		}
	return false;
}

/* @param line  is taken apart. @return what is wrong with it, or NULL */
static const char *parse_line(char *line, struct trace_op *ret)
{
	char *field[6];
	uint64_t client, length;

	for (int i = 0; i < 6; i++)
		field[i] = strsep(&line, ",");
	if (line || !field[5])
		return "a line has six columns: time_ns,client,op,file,offset_bytes,length_bytes";
	if (!number(field[0], 10, INT64_MAX, &ret->at_ns))
		return "the time is not a number of ns";
	if (!number(field[1], 10, UINT32_MAX, &client))
		return "the client is not a number";
	if (!op_named(field[2], &ret->kind))
		return "this is no op that stands alone; docs/ops has their names";
	if (!number(field[3], 16, UINT64_MAX, &ret->file))
		return "the file is not a number in hexadecimal";
	if (!number(field[4], 10, INT64_MAX, &ret->offset_bytes))
		return "the offset is not a number of bytes";
	if (!number(field[5], 10, TRACE_OP_BYTES_MAX, &length))
		return "the length is not a number of bytes up to 1048576";
	ret->client = (uint32_t)client;
	ret->length_bytes = (uint32_t)length;
	return NULL;
}

/* Room for all lines at once: they are counted first. */
static int parse_lines(char *text, const char *name, struct trace *t, struct err *err)
{
	unsigned int line = 0;
	const char *wrong = NULL;

	for (char *next = text, *at; !wrong && (at = strsep(&next, "\n"));) {
		struct trace_op *op = &t->op[t->ops_nr];

		line++;
		if (line == 1 && strcmp(at, first_line) != 0)
			return err_set(err, -EINVAL, "%s:1: this is no trace of squall: its first line is '%s'; see squall trace import", name, first_line);
		if (line == 2 && strcmp(at, columns) != 0)
			return err_set(err, -EINVAL, "%s:2: the second line is '%s'", name, columns);
		if (line <= 2 || at[0] == '\0' || at[0] == '#')
			continue;
		if (t->ops_nr == TRACE_OPS_MAX)
			return err_set(err, -EFBIG, "%s:%u: a trace has at most %u ops; cut it into several", name, line, TRACE_OPS_MAX);
		wrong = parse_line(at, op);
		if (!wrong && t->ops_nr > 0 && op->at_ns < op[-1].at_ns)
			wrong = "the time is before that of the line above";
		if (!wrong)
			t->ops_nr++;
	}
	if (wrong)
		return err_set(err, -EINVAL, "%s:%u: %s", name, line, wrong);
	return t->ops_nr > 0 ? 0 : err_set(err, -EINVAL, "%s:%u: a trace without an op", name, line);
}

int trace_parse(const char *text, const char *name, struct trace *ret, struct err *err)
{
	struct trace t = { .op = NULL };
	char *copy = strdup(text);
	size_t lines = 1;
	int rc;

	for (const char *c = text; (c = strchr(c, '\n')); c++)
		lines++;
	t.op = copy ? calloc(lines < TRACE_OPS_MAX ? lines : TRACE_OPS_MAX, sizeof *t.op) : NULL;
	rc = t.op ? parse_lines(copy, name, &t, err) : err_set(err, -ENOMEM, "%s: no memory for a trace of %zu lines", name, lines);
	free(copy);
	if (rc < 0)
		trace_release(&t);
	else
		*ret = t;
	return rc;
}

int trace_read(const char *path, struct trace *ret, struct err *err)
{
	char *text = NULL;
	int rc = file_read(path, TRACE_TEXT_BYTES_MAX, &text, NULL, err);

	if (rc == 0)
		rc = trace_parse(text, path, ret, err);
	free(text);
	return rc;
}

/* The length of the text comes first, 4 bytes, little-endian: what is unpacked needs no more room than it says. */
static int deflate_text(const char *text, size_t bytes, uint8_t **ret, size_t *ret_bytes)
{
	uLongf room = compressBound(bytes);
	uint8_t *out = malloc(4 + room);

	if (!out || compress2(out + 4, &room, (const uint8_t *)text, bytes, Z_BEST_COMPRESSION) != Z_OK) {
		free(out);
		return -ENOMEM;
	}
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(bytes >> 8 * i);
	*ret = out;
	*ret_bytes = 4 + room;
	return 0;
}

int trace_pack(const struct trace *trace, char **ret_text, struct err *err)
{
	uint8_t *packed = NULL;
	char *text = NULL;
	size_t bytes = 0, packed_bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	int rc = out ? trace_print(trace, out) : -ENOMEM;

	if (out && fclose(out) != 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = deflate_text(text, bytes, &packed, &packed_bytes);
	*ret_text = rc == 0 ? base64_encode(packed, packed_bytes) : NULL;
	free(packed);
	free(text);
	if (!*ret_text)
		return err_set(err, -ENOMEM, "no memory to pack a trace of %u ops", trace->ops_nr);
	if (strlen(*ret_text) <= TRACE_PACKED_BYTES_MAX)
		return 0;
	free(*ret_text);
	*ret_text = NULL;
	return err_set(err, -EFBIG, "a trace of %u ops takes more than %u bytes of the profile; cut it", trace->ops_nr, TRACE_PACKED_BYTES_MAX);
}

int trace_unpack(const char *packed, const char *name, struct trace *ret, struct err *err)
{
	uint8_t *bytes = NULL;
	char *text = NULL;
	size_t bytes_nr = 0;
	uLongf length = 0;
	int rc = base64_decode(packed, &bytes, &bytes_nr);

	if (rc == 0 && bytes_nr > 4)
		length = (uLongf)bytes[0] | (uLongf)bytes[1] << 8 | (uLongf)bytes[2] << 16 | (uLongf)bytes[3] << 24;
	if (rc == 0 && (length == 0 || length > TRACE_TEXT_BYTES_MAX))
		rc = -EBADMSG;
	if (rc == 0 && !(text = malloc(length + 1)))
		rc = -ENOMEM;
	if (rc == 0 && uncompress((uint8_t *)text, &length, bytes + 4, bytes_nr - 4) != Z_OK)
		rc = -EBADMSG;
	if (rc < 0) {
		rc = err_set(err, rc == -ENOMEM ? rc : -EINVAL, "%s: %s", name, rc == -ENOMEM ? "no memory to unpack it" : "it is cut or was changed");
	} else {
		text[length] = '\0';
		rc = trace_parse(text, name, ret, err);
	}
	free(bytes);
	free(text);
	return rc;
}
