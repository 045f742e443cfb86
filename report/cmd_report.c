/* SPDX-License-Identifier: MIT */
/*
 * cmd_report.c - `squall report`: judge a record again, and print what it says.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "record.h"
#include "report.h"

static const char help[] =
	"Usage: squall report RUN [--format FORMAT] [--json]\n"
	"       squall report FILE.hlog [--json]\n"
	"       squall report --list-metrics [--json]\n"
	"\n"
	"Judge a run again from its record, and print what it says. RUN is the folder of a run, also of one that was cut off.\n"
	"Of an interval log of HdrHistogram, by whomever, print the percentiles of each tag.\n"
	"\n"
	"  --format text         the verdict for people (default)\n"
	"  --format json         verdict.json; --json is the same\n"
	"  --format html         one page with everything in it: squall report RUN --format html > run.html\n"
	"  --format hlog         response times as an interval log of HdrHistogram\n"
	"  --format csv          a row a second, job and op, with the metrics of that second\n"
	"  --format openmetrics  the same for a database of metrics, with instants\n"
	"  --list-metrics        what signatures and guards may name\n"
	"\n"
	"Exit status: 0 as expected, 1 not as expected, 2 usage error, 3 no record or a damaged one, 4 inconclusive or void.\n";

static int list_metrics(bool json)
{
	json_t *list = report_metrics(), *metric;
	size_t i;

	if (json)
		(void)json_dumpf(list, stdout, JSON_INDENT(1));
	json_array_foreach(list, i, metric)
		if (!json)
			printf("%-24s %-4s %s (from %s)\n", json_string_value(json_object_get(metric, "metric")), json_string_value(json_object_get(metric, "unit")),
			       json_string_value(json_object_get(metric, "meaning")), json_string_value(json_object_get(metric, "source")));
	if (json)
		(void)putchar('\n');
	json_decref(list);
	return 0;
}

static int print_text(struct record *record, const json_t *verdict, FILE *out, struct err *err)
{
	(void)record;
	(void)err;
	return report_text(verdict, out);
}

static int print_json(struct record *record, const json_t *verdict, FILE *out, struct err *err)
{
	(void)record;
	(void)err;
	return json_dumpf(verdict, out, JSON_INDENT(1)) < 0 || fputc('\n', out) == EOF || fflush(out) != 0 ? -EIO : 0;
}

static const struct format {
	const char *name;
	int (*print)(struct record *record, const json_t *verdict, FILE *out, struct err *err);
} formats[] = { { "text", print_text }, { "json", print_json }, { "hlog", report_hlog }, { "csv", report_csv },
	      { "openmetrics", report_openmetrics }, { "html", report_html } };

#define FORMATS_NR (sizeof formats / sizeof formats[0])

static bool ends_with(const char *text, const char *end)
{
	size_t bytes = strlen(text), end_bytes = strlen(end);

	return bytes > end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* DIR, or DIR/run.db */
static int report(const char *run, const struct format *format, struct err *err)
{
	struct record *record = NULL;
	json_t *verdict = NULL;
	char dir[4096];
	int rc;

	(void)snprintf(dir, sizeof dir, "%s", run);
	if (ends_with(dir, "/run.db"))
		dir[strlen(dir) - strlen("/run.db")] = '\0';
	rc = record_open(dir, false, &record, err);
	if (rc == 0)
		rc = report_judge(record, &verdict, err);
	if (rc == 0)
		rc = format->print(record, verdict, stdout, err);
	if (rc == -EIO)
		(void)err_set(err, rc, "stdout: it could not be written");
	if (rc == 0)
		rc = report_exit_status(verdict);
	json_decref(verdict);
	record_close(record);
	return rc;
}

static int report_file(const char *path, const struct format *format, struct err *err)
{
	int rc;

	if (format->print != print_text && format->print != print_json)
		return err_set(err, -EINVAL, "report: a log of histograms is printed as text or json, not as %s", format->name);
	rc = report_hlog_file(path, format->print == print_json, stdout, err);
	return rc == -EIO ? err_set(err, rc, "stdout: it could not be written") : rc;
}

int cmd_report(int argc, char **argv)
{
	static const struct option long_options[] = { { "format", required_argument, NULL, 'f' }, { "json", no_argument, NULL, 'j' },
						      { "list-metrics", no_argument, NULL, 'm' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct err err = ERR_INIT;
	const struct format *format = &formats[0];
	bool metrics = false;
	int option, rc = command_check_options("report", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
		if (option == 'j' || option == 'f') {
			format = command_find(&err, "report: the format", option == 'j' ? "json" : optarg, formats, FORMATS_NR, sizeof formats[0]);
			rc = format ? 0 : -EINVAL;
		} else if (option == 'm') {
			metrics = true;
		} else {
			rc = err_set(&err, -EINVAL, "report: see squall report --help");
		}
	}
	if (rc == 0 && !metrics && optind != argc - 1)
		rc = err_set(&err, -EINVAL, "report: one folder of a run, or one .hlog file, is wanted; see squall report --help");
	if (rc == 0)
		rc = metrics ? list_metrics(format->print == print_json) :
		     ends_with(argv[optind], ".hlog") ? report_file(argv[optind], format, &err) : report(argv[optind], format, &err);
	if (rc < 0) {
		fprintf(stderr, "squall: %s\n", err.text[0] != '\0' ? err.text : strerror(-rc));
		return (int)err_exit_status(rc);
	}
	return rc;
}
