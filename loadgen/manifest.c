/* SPDX-License-Identifier: MIT */
/*
 * manifest.c - sizes and paths of a dataset: what is known without reading a file of it.
 *
 * The sizes stand in a file of their own, eight bytes each, so that a million of them costs 8 MB on disk and in memory.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset.h"
#include "err.h"
#include "file.h"
#include "json_text.h"
#include "rng.h"

#define MANIFEST_SCHEMA 2
#define JSON_SEED_MASK (UINT64_MAX >> 1)	/* JSON integers of jansson are signed */

static size_t files_nr(const struct dataset_spec *spec)
{
	return (size_t)spec->sites * spec->files_per_site;
}

static int spec_check(const struct dataset_spec *spec, struct err *err)
{
	if (spec->sites == 0 || spec->files_per_site == 0 || files_nr(spec) > FILES_MAX)
		return err_set(err, -EINVAL, "dataset: %u sites of %u files; from 1 to %u files in all are possible", spec->sites,
			       spec->files_per_site, FILES_MAX);
	if (spec->depth > DATASET_DEPTH_MAX)
		return err_set(err, -EINVAL, "dataset: depth %u; at most %u is possible", spec->depth, DATASET_DEPTH_MAX);
	return 0;
}

static int manifest_alloc(struct manifest *m, struct err *err)
{
	size_t n = files_nr(&m->spec);

	m->size_bytes = calloc(n, sizeof *m->size_bytes);
	if (!m->size_bytes)
		return err_set(err, -ENOMEM, "dataset: no memory for the manifest of %zu files", n);
	return 0;
}

void manifest_release(struct manifest *m)
{
	free(m->size_bytes);
	*m = (struct manifest)MANIFEST_INIT;
}

static uint64_t draw_size(const struct dataset_spec *spec, uint64_t seed, uint64_t idx)
{
	struct rng rng;
	double size;

	if (!spec->lognormal)
		return spec->size_bytes;
	rng_init(&rng, seed, idx);
	size = exp(spec->mu + spec->sigma * rng_normal(&rng));
	if (size >= (double)spec->size_bytes)
		return spec->size_bytes;
	return size < 1 ? 1 : (uint64_t)size;
}

/* FNV-1a over what the files are: a manifest that was changed by hand must not steer a removal. Source: RFC draft eastlake-fnv. */
#define DIGEST_INIT 0xcbf29ce484222325ULL

static uint64_t digest_u64(uint64_t digest, uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++)
		digest = (digest ^ ((value >> (8 * i)) & 0xff)) * 0x100000001b3ULL;
	return digest;
}

static uint64_t sizes_digest(const struct manifest *m)
{
	uint64_t d = DIGEST_INIT;

	for (size_t i = 0; i < files_nr(&m->spec); i++)
		d = digest_u64(d, m->size_bytes[i]);
	return d;
}

static uint64_t manifest_digest(const struct manifest *m)
{
	uint64_t d = digest_u64(DIGEST_INIT, m->seed);

	d = digest_u64(d, m->spec.sites);
	d = digest_u64(d, m->spec.files_per_site);
	d = digest_u64(d, m->spec.depth);
	return digest_u64(d, m->sizes_digest);
}

int manifest_draw(const struct dataset_spec *spec, uint64_t seed, struct manifest *ret, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	uint64_t size_seed = rng_subseed(seed, "dataset sizes");
	int rc;

	rc = spec_check(spec, err);
	if (rc < 0)
		goto out;
	m.spec = *spec;
	m.seed = seed & JSON_SEED_MASK;
	rc = manifest_alloc(&m, err);
	if (rc < 0)
		goto out;
	for (size_t i = 0; i < files_nr(spec); i++)
		m.size_bytes[i] = draw_size(spec, size_seed, i);
	m.sizes_digest = sizes_digest(&m);
	*ret = m;
	m = (struct manifest)MANIFEST_INIT;
out:
	manifest_release(&m);
	return rc;
}

bool manifest_equal(const struct manifest *a, const struct manifest *b)
{
	return a->spec.sites == b->spec.sites && a->spec.files_per_site == b->spec.files_per_site && a->spec.depth == b->spec.depth &&
	       a->seed == b->seed && a->sizes_digest == b->sizes_digest;
}

static int write_at(int root, const char *dir, const char *name, const void *data, size_t bytes, struct err *err)
{
	struct err said = ERR_INIT;
	int rc = file_write_at(root, name, data, bytes, 0644, &said);

	return rc < 0 ? err_set(err, rc, "%s/%s", dir, said.text) : 0;
}

/* @param out  room for `max` bytes. @return how many it has; -EFBIG when it has more */
static ssize_t read_at(int root, const char *dir, const char *name, void *out, size_t max, struct err *err)
{
	int fd = openat(root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	size_t used = 0;
	char more;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, -ENOENT, "%s is no dataset of squall: it has no %s; squall dataset build makes one", dir, name);
	if (fd < 0)
		return err_set(err, -errno, "%s/%s: %s", dir, name, strerror(errno));
	while (rc == 0) {
		ssize_t n = used < max ? read(fd, (char *)out + used, max - used) : read(fd, &more, 1);

		if (n < 0 && errno != EINTR)
			rc = -errno;
		else if (n > 0 && used == max)
			rc = -EFBIG;
		else if (n == 0)
			break;
		used += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return rc < 0 ? err_set(err, rc, "%s/%s: %s", dir, name, strerror(-rc)) : (ssize_t)used;
}

static void format_digest(uint64_t digest, char out[24])
{
	(void)snprintf(out, 24, "%016" PRIx64, digest);
}

static int write_head(int root, const char *dir, const struct manifest *m, struct err *err)
{
	char digest[24], sizes[24], *text = NULL;
	json_t *json;
	int rc;

	format_digest(m->sizes_digest, sizes);
	format_digest(manifest_digest(m), digest);
	json = json_pack("{s:i, s:b, s:I, s:i, s:i, s:i, s:b, s:I, s:f, s:f, s:s, s:s}", "schema", MANIFEST_SCHEMA, "complete", m->complete, "seed",
			 (json_int_t)m->seed, "sites_nr", (int)m->spec.sites, "files_per_site", (int)m->spec.files_per_site, "depth", (int)m->spec.depth,
			 "lognormal", m->spec.lognormal, "size_bytes", (json_int_t)m->spec.size_bytes, "mu", m->spec.mu, "sigma", m->spec.sigma,
			 "sizes_digest", sizes, "digest", digest);
	if (json)
		text = json_text(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	rc = text ? write_at(root, dir, DATASET_MANIFEST, text, strlen(text), err) : err_set(err, -ENOMEM, "%s: no memory for the manifest", dir);
	free(text);
	json_decref(json);
	return rc;
}

static int write_sizes(int root, const char *dir, const struct manifest *m, struct err *err)
{
	size_t n = files_nr(&m->spec);
	uint64_t *sizes = calloc(n, sizeof *sizes);
	int rc;

	if (!sizes)
		return err_set(err, -ENOMEM, "%s: no memory for the sizes of %zu files", dir, n);
	for (size_t i = 0; i < n; i++)
		sizes[i] = htole64(m->size_bytes[i]);
	rc = write_at(root, dir, DATASET_SIZES, sizes, n * sizeof *sizes, err);
	free(sizes);
	return rc;
}

int manifest_write(int root, const char *dir, const struct manifest *m, struct err *err)
{
	int rc = write_head(root, dir, m, err);

	return rc < 0 || m->complete ? rc : write_sizes(root, dir, m, err);
}

static int head_from_json(json_t *json, const char *path, struct manifest *m, struct err *err)
{
	int schema = 0, sites, files, depth, complete, lognormal;
	const char *digest, *sizes;
	json_int_t seed, size;
	char mine[24], *end;

	if (json_unpack(json, "{s:i}", "schema", &schema) < 0 || schema != MANIFEST_SCHEMA)
		return err_set(err, -EBADMSG, "%s: not a manifest of this version of squall (its schema is %d, not %d)", path, schema, MANIFEST_SCHEMA);
	if (json_unpack(json, "{s:b, s:I, s:i, s:i, s:i, s:b, s:I, s:F, s:F, s:s, s:s}", "complete", &complete, "seed", &seed, "sites_nr", &sites,
			"files_per_site", &files, "depth", &depth, "lognormal", &lognormal, "size_bytes", &size, "mu", &m->spec.mu, "sigma",
			&m->spec.sigma, "sizes_digest", &sizes, "digest", &digest) < 0 ||
	    sites < 1 || files < 1 || depth < 0)
		return err_set(err, -EBADMSG, "%s: not a manifest of squall", path);
	m->spec.sites = (unsigned int)sites;
	m->spec.files_per_site = (unsigned int)files;
	m->spec.depth = (unsigned int)depth;
	m->spec.lognormal = lognormal;
	m->spec.size_bytes = (uint64_t)size;
	m->seed = (uint64_t)seed;
	m->complete = complete;
	m->sizes_digest = strtoull(sizes, &end, 16);
	format_digest(manifest_digest(m), mine);
	if (*end != '\0' || strcmp(mine, digest) != 0)
		return err_set(err, -EBADMSG, "%s: the digest does not match: it was changed by hand", path);
	return spec_check(&m->spec, err);
}

int manifest_read_head(int root, const char *dir, struct manifest *ret, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	char path[4096], *text = malloc(MANIFEST_BYTES_MAX);
	json_t *json = NULL;
	json_error_t why;
	ssize_t bytes;
	int rc;

	if (!text)
		return err_set(err, -ENOMEM, "%s: no memory for the manifest", dir);
	bytes = read_at(root, dir, DATASET_MANIFEST, text, MANIFEST_BYTES_MAX, err);
	if (bytes < 0) {
		rc = (int)bytes;
		goto out;
	}
	(void)snprintf(path, sizeof path, "%s/%s", dir, DATASET_MANIFEST);
	json = json_loadb(text, (size_t)bytes, 0, &why);
	if (!json) {
		rc = err_set(err, -EBADMSG, "%s:%d: %s", path, why.line, why.text);
		goto out;
	}
	rc = head_from_json(json, path, &m, err);
	if (rc == 0)
		*ret = m;
out:
	json_decref(json);
	free(text);
	return rc;
}

static int read_sizes(int root, const char *dir, struct manifest *m, struct err *err)
{
	size_t n = files_nr(&m->spec);
	int rc = manifest_alloc(m, err);
	ssize_t bytes;

	if (rc < 0)
		return rc;
	bytes = read_at(root, dir, DATASET_SIZES, m->size_bytes, n * sizeof *m->size_bytes, err);
	if (bytes < 0)
		return (int)bytes;
	for (size_t i = 0; i < n; i++)
		m->size_bytes[i] = le64toh(m->size_bytes[i]);
	if (sizes_digest(m) != m->sizes_digest)
		return err_set(err, -EBADMSG, "%s/%s: not the sizes that the manifest was written with", dir, DATASET_SIZES);
	return 0;
}

int manifest_read_at(int root, const char *dir, struct manifest *ret, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	int rc = manifest_read_head(root, dir, &m, err);

	if (rc == 0)
		rc = read_sizes(root, dir, &m, err);
	if (rc == 0) {
		*ret = m;
		m = (struct manifest)MANIFEST_INIT;
	}
	manifest_release(&m);
	return rc;
}

int manifest_read(const char *dir, struct manifest *ret, struct err *err)
{
	int root = -1, rc = dataset_open_root(dir, &root, err);

	if (rc < 0)
		return rc;
	rc = manifest_read_at(root, dir, ret, err);
	close(root);
	return rc;
}

void dataset_site_path(uint32_t site, char *out)
{
	(void)snprintf(out, DATASET_PATH_BYTES, "s%04u", site);
}

void dataset_folder_path(const struct dataset_spec *spec, uint32_t site, uint32_t file, unsigned int levels, char *out)
{
	int n = snprintf(out, DATASET_PATH_BYTES, "s%04u", site);

	assert(levels <= spec->depth && spec->depth <= DATASET_DEPTH_MAX);
	for (unsigned int l = 0; l < levels; l++)
		n += snprintf(out + n, DATASET_PATH_BYTES - (size_t)n, "/d%u", (file >> l) & 1);
}

void dataset_file_path(const struct dataset_spec *spec, uint32_t site, uint32_t file, char *out)
{
	size_t n;

	dataset_folder_path(spec, site, file, spec->depth, out);
	n = strlen(out);
	(void)snprintf(out + n, DATASET_PATH_BYTES - n, "/f%05u", file);
}

void dataset_log_folder_path(uint32_t site, char *out)
{
	(void)snprintf(out, DATASET_PATH_BYTES, "s%04u/log", site);
}

void dataset_log_path(uint32_t site, const char *host, char *out)
{
	(void)snprintf(out, DATASET_PATH_BYTES, "s%04u/log/%s.log", site, host);
}
