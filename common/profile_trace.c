/* SPDX-License-Identifier: MIT */
/*
 * profile_trace.c - `trace` of a job: a file, or what was packed of one, and how fast it is replayed.
 */
#include <errno.h>
#include <stdlib.h>

#include "err.h"
#include "profile_parts.h"
#include "trace.h"

#define SPEED_MIN 0.001
#define SPEED_MAX 1000.0
#define REST_NS 1000000000u	/* of a trace that takes no time: its mean rate is that of a second */

static int read_trace(const struct profile *p, const struct yaml *node, struct trace *ret, struct err *err)
{
	const struct yaml *file = yaml_get(node, "file"), *packed = yaml_get(node, "packed");
	struct err why = ERR_INIT;
	char *path = NULL;
	int rc;

	if (!file == !packed || (file ? file : packed)->kind != YAML_SCALAR)
		return yaml_error(node, err, "a trace needs a file of squall trace import: {file: monday.trace, speed: 2}");
	if (packed) {
		rc = trace_unpack(packed->text, "packed", ret, &why);
	} else {
		rc = profile_beside(p, file->text, &path, &why);
		if (rc == 0)
			rc = trace_read(path, ret, &why);
		free(path);
	}
	if (rc == -ENOMEM)
		return err_set(err, rc, "%s", why.text);
	return rc < 0 ? yaml_error(node, err, "the trace cannot be read: %s", why.text) : 0;
}

/* Its mean rate, then nothing more: what a plan can show of it. */
static int set_arrival(const struct yaml *node, struct job *j, struct err *err)
{
	uint64_t ns = (uint64_t)((double)j->trace.op[j->trace.ops_nr - 1].at_ns / j->trace_speed);
	struct rate rate = { RATE_ABSOLUTE, 0 };

	j->arrival = (struct arrival){ .kind = ARRIVAL_REPLAY, .pieces = calloc(2, sizeof *j->arrival.pieces), .pieces_nr = 2 };
	if (!j->arrival.pieces)
		return err_set(err, -ENOMEM, "%s:%u: no memory for a trace", node->file, node->line);
	j->arrival.pieces[1] = (struct rate_piece){ .from = rate, .to = rate };
	ns = ns > 0 ? ns : REST_NS;
	rate.value = j->trace.ops_nr * 1e9 / (double)ns;
	j->arrival.pieces[0] = (struct rate_piece){ .for_ns = ns, .from = rate, .to = rate };
	return 0;
}

int profile_parse_trace(const struct profile *p, const struct yaml *node, struct job *j, struct err *err)
{
	static const char *const keys[] = { "file", "packed", "speed", NULL };
	uint64_t all_nr = 0;
	int rc = yaml_check_keys(node, "trace", keys, err);

	j->trace_speed = 1;
	if (rc == 0 && yaml_get(node, "speed"))
		rc = yaml_to_double(yaml_get(node, "speed"), &j->trace_speed, err);
	if (rc == 0 && !(j->trace_speed >= SPEED_MIN && j->trace_speed <= SPEED_MAX))
		rc = yaml_error(yaml_get(node, "speed"), err, "the speed of a trace is %g to %g; 1 is as it was", SPEED_MIN, SPEED_MAX);
	if (rc == 0)
		rc = read_trace(p, node, &j->trace, err);
	for (unsigned int i = 0; i < p->jobs_nr && rc == 0; i++)
		all_nr += p->jobs[i].trace.ops_nr;	/* this one is among them */
	if (rc == 0 && all_nr > TRACE_OPS_MAX)
		rc = yaml_error(node, err, "the traces of all jobs together have more than %u ops", TRACE_OPS_MAX);
	for (uint32_t i = 0; i < j->trace.ops_nr && rc == 0; i++)
		j->mix[j->trace.op[i].kind]++;
	return rc == 0 ? set_arrival(node, j, err) : rc;
}
