/* SPDX-License-Identifier: MIT */
/*
 * engine_null.c - does nothing: what is measured with it is squall itself.
 */
#include "engine.h"
#include "engines.h"

static int null_open(const struct engine_env *env, void **ret_ctx, struct err *err)
{
	(void)env;
	(void)err;
	*ret_ctx = NULL;
	return 0;
}

static int64_t null_run(void *ctx, char *buffer, size_t buffer_bytes, const struct op *op)
{
	(void)ctx;
	(void)buffer;
	(void)buffer_bytes;
	(void)op;
	return 0;
}

static void null_close(void *ctx)
{
	(void)ctx;
}

const struct engine engine_null = {
	.name = "null",
	.summary = "does nothing and succeeds",
	.needs_dataset = false,
	.open = null_open,
	.run = null_run,
	.close = null_close,
};
