/* SPDX-License-Identifier: MIT */
/*
 * manifest.c - the manifest of a dataset, which steers what is removed: one that was changed is refused. Beside it lie the sizes of two files.
 */
#include "../../loadgen/dataset.h"
#include "err.h"
#include "file.h"
#include "fuzz.h"
#include "load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t sizes[16] = { [0] = 1, [8] = 2 };
	struct manifest m = MANIFEST_INIT;
	struct err err = ERR_INIT;
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", fuzz_folder(), DATASET_SIZES);
	CHECK(file_write(path, sizes, sizeof sizes, 0600, &err) == 0);
	(void)snprintf(path, sizeof path, "%s/%s", fuzz_folder(), DATASET_MANIFEST);
	CHECK(file_write(path, data, size, 0600, &err) == 0);
	if (manifest_read(fuzz_folder(), &m, &err) < 0)
		CHECK(err.text[0] != '\0' && !m.size_bytes);
	else
		CHECK(m.size_bytes && m.size_bytes[0] == 1 && m.size_bytes[1] == 2 && m.spec.sites * m.spec.files_per_site == 2);
	manifest_release(&m);
	return 0;
}
