/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - records with known answers, written by hand row by row. For tests/unit/report alone.
 */
#ifndef SQUALL_TESTS_REPORT_FIXTURE_H
#define SQUALL_TESTS_REPORT_FIXTURE_H

#include <jansson.h>
#include <stdint.h>

#include "record.h"

#define S 1000000000ll

/**
 * A sound run of 60 s: baseline to 20 s, storm to 40 s, after to 60 s; host c with one page job "web", 600 pages of 10 ms, all ok; nothing else.
 * @param signature  lines of YAML below "signature:", or NULL
 */
struct record *fixture_open(const char *signature);
void fixture_close(struct record *record);

/** Run SQL; the test fails when it fails. */
void fixture_sql(struct record *record, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** n responses of the same value into intervals (job "web", op "") at a second. */
void fixture_responses(struct record *record, int second, const char *phase, unsigned int n, uint64_t ns);

/** Ages from first to last in equal steps into censored (job "web", op ""). */
void fixture_censored(struct record *record, const char *phase, const char *kind, unsigned int n, uint64_t first_ns, uint64_t last_ns);

/** Judge; the test fails when that fails. @return new reference */
json_t *fixture_judge(struct record *record);

/** The verdict as people read it; the test fails when it cannot be printed. */
void fixture_text(const json_t *verdict, char *ret, size_t bytes);

/** The verdict word, and whether a reason (of void or doubt) has this text in it. */
const char *fixture_verdict(const json_t *verdict);
int fixture_has_reason(const json_t *verdict, const char *text);

#endif
