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
	"Usage: squall report RUN [--format text|json] [--json]\n"
	"       squall report --list-metrics [--json]\n"
	"\n"
	"Judge a run again from its record, and print what it says. RUN is the folder of a run, also of one that was cut off.\n"
	"\n"
	"  --format text|json  (default: text)\n"
	"  --json              the same as --format json\n"
	"  --list-metrics      what signatures and guards may name\n"
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

/* DIR, or DIR/run.db */
static int report(const char *run, bool json, struct err *err)
{
	struct record *record = NULL;
	json_t *verdict = NULL;
	char dir[4096];
	size_t bytes;
	int rc;

	(void)snprintf(dir, sizeof dir, "%s", run);
	bytes = strlen(dir);
	if (bytes > 7 && strcmp(dir + bytes - 7, "/run.db") == 0)
		dir[bytes - 7] = '\0';
	rc = record_open(dir, false, &record, err);
	if (rc == 0)
		rc = report_judge(record, &verdict, err);
	if (rc == 0 && json)
		rc = json_dumpf(verdict, stdout, JSON_INDENT(1)) < 0 || putchar('\n') == EOF || fflush(stdout) != 0 ? -EIO : 0;
	else if (rc == 0)
		rc = report_text(record, verdict, stdout);
	if (rc == -EIO)
		(void)err_set(err, rc, "stdout: it could not be written");
	if (rc == 0)
		rc = report_exit_status(verdict);
	json_decref(verdict);
	record_close(record);
	return rc;
}

int cmd_report(int argc, char **argv)
{
	static const struct option long_options[] = { { "format", required_argument, NULL, 'f' }, { "json", no_argument, NULL, 'j' },
						      { "list-metrics", no_argument, NULL, 'm' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct err err = ERR_INIT;
	bool json = false, metrics = false;
	int option, rc = command_check_options("report", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
		if (option == 'j' || (option == 'f' && strcmp(optarg, "json") == 0))
			json = true;
		else if (option == 'm')
			metrics = true;
		else if (option == 'f' && strcmp(optarg, "text") != 0)
			rc = err_set(&err, -EINVAL, "report: --format %s: write text or json", optarg);
		else if (option != 'f')
			rc = err_set(&err, -EINVAL, "report: see squall report --help");
	}
	if (rc == 0 && !metrics && optind != argc - 1)
		rc = err_set(&err, -EINVAL, "report: the folder of one run is wanted; see squall report --help");
	if (rc == 0)
		rc = metrics ? list_metrics(json) : report(argv[optind], json, &err);
	if (rc < 0) {
		fprintf(stderr, "squall: %s\n", err.text[0] != '\0' ? err.text : strerror(-rc));
		return (int)err_exit_status(rc);
	}
	return rc;
}
