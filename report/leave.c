/* SPDX-License-Identifier: MIT */
/*
 * leave.c - what a run leaves beside its record, for other tools and for people's eyes.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "report.h"

static const struct {
	const char *name;
	int (*print)(struct record *record, const json_t *verdict, FILE *out, struct err *err);
} files[] = { { "latency.hlog", report_hlog }, { "report.html", report_html } };

int report_leave(const char *dir, struct record *record, const json_t *verdict, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && rc == 0; i++) {
		char path[PATH_MAX], *text = NULL;
		size_t bytes = 0;
		FILE *out = open_memstream(&text, &bytes);

		(void)snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
		rc = out ? files[i].print(record, verdict, out, err) : -ENOMEM;
		if (out && fclose(out) != 0 && rc == 0)
			rc = -ENOMEM;
		if (rc == 0)
			rc = file_write(path, text, bytes, 0644, err);
		free(text);
		if (rc < 0)
			(void)err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	return rc;
}
