/* SPDX-License-Identifier: MIT */
/*
 * hlog_read.c - an interval log of HdrHistogram, by squall or by another: the percentiles of each tag over the whole log.
 *
 *	# comment		of which StartTime is looked at
 *	"legend"
 *	[Tag=NAME,]start,length,max,histogram
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "hdr.h"
#include "report.h"

#define LOG_BYTES_MAX ((size_t)256 << 20)
#define TAGS_MAX 1024

struct tag {
	const char *name;	/* "" = lines without a tag */
	uint64_t intervals;
	struct hdr all;
};

struct log {
	const char *path;
	unsigned int line;
	double start_s;		/* of StartTime; 0 = it has none */
	struct tag tag[TAGS_MAX];
	unsigned int tags_nr;
};

static const struct {
	const char *name;
	double q;
} columns[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "p9999", 0.9999 }, { "max", 1 } };

#define COLUMNS_NR (sizeof columns / sizeof columns[0])

static struct tag *tag_find(struct log *log, const char *name)
{
	for (unsigned int i = 0; i < log->tags_nr; i++)
		if (strcmp(log->tag[i].name, name) == 0)
			return &log->tag[i];
	if (log->tags_nr == TAGS_MAX)
		return NULL;
	log->tag[log->tags_nr].name = name;
	return &log->tag[log->tags_nr++];
}

/* A field that is a number, and the comma after it. */
static bool skip_number(char **at)
{
	char *end;

	(void)strtod(*at, &end);
	if (end == *at || *end != ',')
		return false;
	*at = end + 1;
	return true;
}

static int take_line(struct log *log, char *line, struct err *err)
{
	struct hdr one = { 0 };
	const char *name = "";
	char *at = line;
	struct tag *tag;
	int rc;

	if (strncmp(at, "Tag=", 4) == 0) {
		name = at + 4;
		at = strchr(at, ',');
		if (!at)
			return err_set(err, -EBADMSG, "%s:%u: a tag and nothing after it", log->path, log->line);
		*at++ = '\0';
	}
	if (!skip_number(&at) || !skip_number(&at) || !skip_number(&at))
		return err_set(err, -EBADMSG, "%s:%u: no line of an interval log: start, length, greatest value and histogram are wanted", log->path, log->line);
	tag = tag_find(log, name);
	if (!tag)
		return err_set(err, -E2BIG, "%s:%u: more than %d tags", log->path, log->line, TAGS_MAX);
	rc = hdr_decode(at, &one, err);
	if (rc < 0)
		return err_prefix(err, rc, "%s:%u", log->path, log->line);
	rc = hdr_merge(&tag->all, &one);
	hdr_release(&one);
	if (rc < 0)
		return err_set(err, rc, "%s:%u: %s", log->path, log->line, rc == -EOVERFLOW ? "the counts are more than 2^63" : strerror(-rc));
	tag->intervals++;
	return 0;
}

static int take_text(struct log *log, char *text, struct err *err)
{
	static const char start[] = "#[StartTime: ";
	char *line, *rest = text;
	int rc = 0;

	while (rc == 0 && (line = strsep(&rest, "\n"))) {
		size_t length = strlen(line);

		log->line++;
		while (length > 0 && isspace((unsigned char)line[length - 1]))
			line[--length] = '\0';
		if (strncmp(line, start, sizeof start - 1) == 0)
			log->start_s = strtod(line + sizeof start - 1, NULL);
		else if (*line != '#' && *line != '"' && *line != '\0')
			rc = take_line(log, line, err);
	}
	if (rc == 0 && log->tags_nr == 0)
		rc = err_set(err, -EBADMSG, "%s: it has no interval; is it a log of HdrHistogram?", log->path);
	return rc;
}

static json_t *to_json(const struct log *log)
{
	json_t *tags = json_object();

	for (unsigned int i = 0; i < log->tags_nr; i++) {
		const struct tag *t = &log->tag[i];
		json_t *one = json_pack("{s:I, s:I}", "intervals", (json_int_t)t->intervals, "count", (json_int_t)t->all.total);

		for (size_t k = 0; k < COLUMNS_NR; k++)
			json_object_set_new(one, columns[k].name, t->all.total ? json_integer((json_int_t)hdr_quantile(&t->all, columns[k].q)) : json_null());
		json_object_set_new(tags, t->name, one);
	}
	return json_pack("{s:o, s:o}", "start_s", log->start_s > 0 ? json_real(log->start_s) : json_null(), "tags", tags);
}

static void print_text(const struct log *log, FILE *out)
{
	(void)fprintf(out, "%-28s %9s %12s %15s %15s %15s %15s %15s %15s\n", "tag", "intervals", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max");
	for (unsigned int i = 0; i < log->tags_nr; i++) {
		const struct tag *t = &log->tag[i];

		(void)fprintf(out, "%-28s %9llu %12llu", *t->name != '\0' ? t->name : "(no tag)", (unsigned long long)t->intervals,
			      (unsigned long long)t->all.total);
		for (size_t k = 0; k < COLUMNS_NR; k++)
			if (t->all.total > 0)
				(void)fprintf(out, " %15llu", (unsigned long long)hdr_quantile(&t->all, columns[k].q));
			else
				(void)fprintf(out, " %15s", "-");
		(void)fputc('\n', out);
	}
	(void)fputs("values are as logged, to 3 digits, the upper ends of their buckets; squall logs ns\n", out);
}

int report_hlog_file(const char *path, bool json, FILE *out, struct err *err)
{
	struct log *log = calloc(1, sizeof *log);
	char *text = NULL;
	json_t *all = NULL;
	size_t bytes = 0;
	int rc = log ? file_read(path, LOG_BYTES_MAX, &text, &bytes, err) : err_set(err, -ENOMEM, "report: no memory");

	if (rc < 0)
		goto out;
	log->path = path;
	rc = strlen(text) == bytes ? take_text(log, text, err) : err_set(err, -EBADMSG, "%s: it is no text", path);
	if (rc < 0)
		goto out;
	if (json) {
		all = to_json(log);
		(void)json_dumpf(all, out, JSON_INDENT(1));
		(void)fputc('\n', out);
	} else {
		print_text(log, out);
	}
	rc = fflush(out) != 0 || ferror(out) ? -EIO : 0;
out:
	for (unsigned int i = 0; log && i < log->tags_nr; i++)
		hdr_release(&log->tag[i].all);
	json_decref(all);
	free(text);
	free(log);
	return rc;
}
