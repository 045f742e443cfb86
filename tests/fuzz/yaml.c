/* SPDX-License-Identifier: MIT */
/*
 * yaml.c - any text: an error with a place, or a tree that comes back the same after it was printed.
 */
#include "err.h"
#include "fuzz.h"

#include "../../include/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *printed = NULL, *again = NULL;
	struct yaml *root = NULL, *back = NULL;
	struct err err = ERR_INIT;

	if (yaml_parse(text, "f", &root, &err) < 0) {
		CHECK(strncmp(err.text, "f:", 2) == 0);
	} else {
		CHECK(yaml_print(root, &printed) == 0);
		CHECK(yaml_parse(printed, "f", &back, NULL) == 0);
		CHECK(yaml_print(back, &again) == 0 && strcmp(printed, again) == 0);
	}
	free(again);
	free(printed);
	yaml_tree_free(back);
	yaml_tree_free(root);
	free(text);
	return 0;
}
