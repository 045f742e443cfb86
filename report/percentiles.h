/* SPDX-License-Identifier: MIT */
/*
 * percentiles.h - latencies of a job, an op or a phase out of the record, with what was still in flight counted in.
 */
#ifndef SQUALL_REPORT_PERCENTILES_H
#define SQUALL_REPORT_PERCENTILES_H

#include <jansson.h>
#include <stdint.h>

struct err;
struct hist;
struct record;

/* What to sum up; NULL = all. op "" is the job itself. */
struct selection {
	const char *job, *op, *phase;
};

/**
 * The shape of verdict.json's "response" and "service", of one selection.
 * A quantile that censoring keeps from being reached is null, and its lower bound stands in at_least_ns. Arrivals that were not issued count as censored at
 * their age: they were due, and nobody served them.
 * @return new references in both
 */
int percentiles_read(struct record *record, const struct selection *selection, json_t **ret_response, json_t **ret_service, struct err *err);

/** Add the response times of a selection to `done`, and the ages of what never ended, was never issued or timed out to `censored`. */
int percentiles_merge(struct record *record, const struct selection *selection, struct hist *done, struct hist *censored, struct err *err);

/** A quantile of a response or service object: its value, or its lower bound. @return whether it was reached */
int percentiles_value(const json_t *object, const char *name, uint64_t *ret_ns);

#endif
