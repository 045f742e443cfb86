/* SPDX-License-Identifier: MIT */
/*
 * engines.c - THE table of engines. A new one is a file engine_X.c, one line here, one in engine_traits[] and a page.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"
#include "engines.h"
#include "err.h"

const struct engine *const engines[] = {
	&engine_null,
	&engine_sync,
	&engine_libaio,
	&engine_io_uring,
	&engine_nfs3,
	NULL,
};

const struct engine *engine_find(const char *name)
{
	for (size_t i = 0; engines[i]; i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return NULL;
}

/* Whether another engine can do all that the job asks. */
static bool can_do(const struct engine *e, const struct job *job, unsigned int slots)
{
	const struct engine_traits *t = engine_traits_find(e->name);

	for (int k = 0; k < OP_NR; k++)
		if (job_has(job, (enum op_kind)k) && !((job->direct ? t->direct : t->ops) & 1u << k))
			return false;
	return slots <= t->slots_max && (!t->needs_queue || job->queue_max > 0 || job->arrival.kind == ARRIVAL_CLOSED);
}

int engine_choose(const struct job *job, unsigned int slots, const struct engine **ret, struct err *ret_why, struct err *err)
{
	static const struct engine *const others[] = { &engine_sync, &engine_libaio };
	const struct engine *own = engine_find(job->engine);
	struct err why = ERR_INIT;
	int rc;

	if (!own)
		return err_set(err, -EINVAL, "job %s: no engine '%s'", job->name, job->engine);
	*ret = own;
	*ret_why = (struct err)ERR_INIT;
	rc = own->probe ? own->probe(&why) : 0;
	if (rc == 0)
		return 0;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (others[i] != own && can_do(others[i], job, slots)) {
			*ret = others[i];
			(void)err_set(ret_why, 0, "job %s runs on engine %s instead of %s: %s", job->name, others[i]->name, own->name, why.text);
			return 0;
		}
	return err_set(err, rc, "job %s: engine %s: %s; no other engine can do what this job asks", job->name, own->name, why.text);
}
