/* SPDX-License-Identifier: MIT */
/*
 * layers_test.c - what layers that may not include each other say of the same thing is the same.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../../chaos/faults.h"
#include "../../../report/signature.h"

Test(layers, the_report_knows_the_faults_that_take_a_host)
{
	size_t bytes = 0;

	for (int i = 0; faults[i]; i++) {
		char name[64];
		int n = snprintf(name, sizeof name, "'%s'", faults[i]->name);

		cr_expect_eq(strstr(FAULTS_THAT_TAKE_HOSTS, name) != NULL, faults[i]->takes_host, "%s", name);
		bytes += faults[i]->takes_host ? (size_t)n + (bytes > 0 ? strlen(", ") : 0) : 0;
	}
	cr_expect_eq(bytes, strlen(FAULTS_THAT_TAKE_HOSTS), "it names one that is no fault");
}
