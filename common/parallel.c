/* SPDX-License-Identifier: MIT */
/*
 * parallel.c - see parallel.h.
 */
#include "parallel.h"

#include <assert.h>
#include <pthread.h>

#include "err.h"

struct part {
	int (*one)(unsigned int idx, void *arg, struct err *err);
	void *arg;
	unsigned int idx;
	int rc;
	struct err err;
};

static void *do_part(void *arg)
{
	struct part *p = arg;

	p->rc = p->one(p->idx, p->arg, &p->err);
	return NULL;
}

int parallel_each(unsigned int nr, int (*one)(unsigned int idx, void *arg, struct err *err), void *arg, struct err *err)
{
	struct part part[PARALLEL_MAX];
	pthread_t thread[PARALLEL_MAX];
	unsigned int started = 0;

	assert(nr <= PARALLEL_MAX);
	for (unsigned int i = 0; i < nr; i++)
		part[i] = (struct part){ .one = one, .arg = arg, .idx = i, .err = ERR_INIT };
	while (started < nr && pthread_create(&thread[started], NULL, do_part, &part[started]) == 0)
		started++;
	for (unsigned int i = started; i < nr; i++)
		(void)do_part(&part[i]);	/* one after the other, where there are no more threads */
	for (unsigned int i = 0; i < started; i++)
		(void)pthread_join(thread[i], NULL);
	for (unsigned int i = 0; i < nr; i++)
		if (part[i].rc < 0)
			return err_set(err, part[i].rc, "%s", part[i].err.text);
	return 0;
}
