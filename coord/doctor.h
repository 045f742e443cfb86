/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - what this host can do, and what is missing: one finding a line, each with the next step.
 *
 * Nothing is changed. Whatever may hang (a mount, a program that asks the kernel) is asked in a child with a deadline.
 */
#ifndef SQUALL_COORD_DOCTOR_H
#define SQUALL_COORD_DOCTOR_H

#include <jansson.h>

enum doctor_role { DOCTOR_LOAD = 1, DOCTOR_CHAOS = 2, DOCTOR_LAB = 4 };
#define DOCTOR_ROLES 3
extern const char *const doctor_role_names[DOCTOR_ROLES + 1];	/* bit i has name i; NULL-terminated */

/* ok: what a role needs is there. missing: it is not, and the role cannot be had here. note: worth knowing, and stops nothing. */
enum doctor_state { DOCTOR_OK, DOCTOR_MISSING, DOCTOR_NOTE };
extern const char *const doctor_state_names[];

/**
 * Look at everything.
 * @return {"checks": [{"check", "state", "roles": [], "found", "next"}], "possible": {"load": true, ...}}; new reference, NULL without memory.
 * Context: blocks a few seconds for each thing that does not answer.
 */
json_t *doctor_look(void);

#endif
