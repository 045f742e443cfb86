/* SPDX-License-Identifier: MIT */
/*
 * probe_pressure.c - the share of time in which tasks wait for CPU, I/O and memory: /proc/pressure.
 *
 * Source: Documentation/accounting/psi.rst of Linux. avg10 is the kernel's own running average of 10 s, in percent.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "probe.h"

static const struct { const char *file, *metric; } resources[] = {
	{ "cpu", "pressure.cpu" }, { "io", "pressure.io" }, { "memory", "pressure.memory" },
};

struct state {
	char root[PATH_MAX];
	char *text;
	size_t room;
};

bool pressure_line_parse(const char *line, struct pressure_line *ret)
{
	char one[LINE_BYTES];

	return line_copy(line, one, sizeof one) && sscanf(one, "%7s avg10=%lf", ret->kind, &ret->avg10_pct) == 2 &&
	       (strcmp(ret->kind, "some") == 0 || strcmp(ret->kind, "full") == 0);
}

static bool available(const struct probe_env *env, char *reason, size_t reason_bytes)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/proc/pressure/cpu", env->root);
	if (access(path, R_OK) == 0)
		return true;
	(void)snprintf(reason, reason_bytes, "the kernel has no pressure stall information: boot with psi=1");
	return false;
}

static int probe_open(const struct probe_env *env, void **ret_state)
{
	struct state *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	(void)snprintf(s->root, sizeof s->root, "%s", env->root);
	*ret_state = s;
	return 0;
}

static int sample(void *state, struct probe_out *out)
{
	char path[PATH_MAX + 32];
	struct pressure_line pressure;
	struct state *s = state;
	int rc;

	for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/proc/pressure/%s", s->root, resources[i].file);
		rc = probe_read(path, &s->text, &s->room);
		if (rc < 0)
			return rc;
		for (const char *line = s->text; line; line = line_next(line)) {
			if (pressure_line_parse(line, &pressure))
				probe_emit(out, resources[i].metric, pressure.kind, pressure.avg10_pct, NULL);
		}
	}
	return 0;
}

const struct probe probe_pressure = {
	.name = "pressure",
	.period_ns = NS_PER_S,
	.available = available,
	.open = probe_open,
	.sample = sample,
};
