/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - a run of one host, "local", and one fault, with a record in a folder of its own; as it is before its start.
 */
#ifndef SQUALL_TESTS_COORD_FIXTURE_H
#define SQUALL_TESTS_COORD_FIXTURE_H

#include "../../../coord/run.h"

struct run *fixture_begin(void);
void fixture_end(struct run *run);

#endif
