/* SPDX-License-Identifier: MIT */
/*
 * manifest.c - sizes, seeds and paths of a dataset: what is known without reading a file of it.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "err.h"
#include "file.h"
#include "rng.h"

#define MANIFEST_SCHEMA 1
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
	m->file_seed = calloc(n, sizeof *m->file_seed);
	if (!m->size_bytes || !m->file_seed)
		return err_set(err, -ENOMEM, "dataset: no memory for the manifest of %zu files", n);
	return 0;
}

void manifest_release(struct manifest *m)
{
	free(m->size_bytes);
	free(m->file_seed);
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

int manifest_draw(const struct dataset_spec *spec, uint64_t seed, struct manifest *ret, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	uint64_t size_seed = rng_subseed(seed, "dataset sizes"), content_seed = rng_subseed(seed, "dataset content");
	struct rng rng;
	int rc;

	rc = spec_check(spec, err);
	if (rc < 0)
		goto out;
	m.spec = *spec;
	m.seed = seed;
	rc = manifest_alloc(&m, err);
	if (rc < 0)
		goto out;
	for (size_t i = 0; i < files_nr(spec); i++) {
		rng_init(&rng, content_seed, i);
		m.file_seed[i] = rng_u64(&rng) & JSON_SEED_MASK;
		m.size_bytes[i] = draw_size(spec, size_seed, i);
	}
	*ret = m;
	m = (struct manifest)MANIFEST_INIT;
out:
	manifest_release(&m);
	return rc;
}

/* FNV-1a over what the files are: a manifest that was changed by hand must not steer a removal. Source: RFC draft eastlake-fnv. */
static uint64_t digest_u64(uint64_t digest, uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++)
		digest = (digest ^ ((value >> (8 * i)) & 0xff)) * 0x100000001b3ULL;
	return digest;
}

static uint64_t manifest_digest(const struct manifest *m)
{
	uint64_t d = 0xcbf29ce484222325ULL;

	d = digest_u64(d, m->seed & JSON_SEED_MASK);
	d = digest_u64(d, m->spec.sites);
	d = digest_u64(d, m->spec.files_per_site);
	d = digest_u64(d, m->spec.depth);
	for (size_t i = 0; i < files_nr(&m->spec); i++)
		d = digest_u64(digest_u64(d, m->size_bytes[i]), m->file_seed[i]);
	return d;
}

static json_t *site_to_json(const struct manifest *m, uint32_t site)
{
	json_t *sizes = json_array(), *seeds = json_array();
	char name[DATASET_PATH_BYTES];

	for (uint32_t f = 0; f < m->spec.files_per_site; f++) {
		size_t i = (size_t)site * m->spec.files_per_site + f;

		json_array_append_new(sizes, json_integer((json_int_t)m->size_bytes[i]));
		json_array_append_new(seeds, json_integer((json_int_t)m->file_seed[i]));
	}
	dataset_site_path(site, name);
	return json_pack("{s:s, s:o, s:o}", "site", name, "sizes", sizes, "seeds", seeds);
}

int manifest_write(const char *dir, const struct manifest *m, struct err *err)
{
	json_t *sites = json_array(), *root = NULL;
	char path[4096], digest[24];
	char *text = NULL;
	int rc = -ENOMEM;

	for (uint32_t s = 0; s < m->spec.sites; s++)
		json_array_append_new(sites, site_to_json(m, s));
	(void)snprintf(digest, sizeof digest, "%016" PRIx64, manifest_digest(m));
	root = json_pack("{s:i, s:b, s:I, s:i, s:i, s:i, s:b, s:I, s:f, s:f, s:s, s:o}", "schema", MANIFEST_SCHEMA, "complete", m->complete,
			 "seed", (json_int_t)(m->seed & JSON_SEED_MASK), "sites_nr", (int)m->spec.sites,
			 "files_per_site", (int)m->spec.files_per_site, "depth", (int)m->spec.depth, "lognormal", m->spec.lognormal,
			 "size_bytes", (json_int_t)m->spec.size_bytes, "mu", m->spec.mu, "sigma", m->spec.sigma, "digest", digest,
			 "sites", sites);
	if (root)
		text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
	if (!text) {
		(void)err_set(err, rc, "%s: no memory for the manifest", dir);
		goto out;
	}
	(void)snprintf(path, sizeof path, "%s/%s", dir, DATASET_MANIFEST);
	rc = file_write(path, text, strlen(text), 0644, err);
out:
	free(text);
	json_decref(root);
	return rc;
}

static int files_from_json(struct manifest *m, const json_t *sites)
{
	if (json_array_size(sites) != m->spec.sites)
		return -EBADMSG;
	for (size_t s = 0; s < m->spec.sites; s++) {
		const json_t *site = json_array_get(sites, s);
		const json_t *sizes = json_object_get(site, "sizes"), *seeds = json_object_get(site, "seeds");

		if (json_array_size(sizes) != m->spec.files_per_site || json_array_size(seeds) != m->spec.files_per_site)
			return -EBADMSG;
		for (size_t f = 0; f < m->spec.files_per_site; f++) {
			size_t i = s * m->spec.files_per_site + f;

			m->size_bytes[i] = (uint64_t)json_integer_value(json_array_get(sizes, f));
			m->file_seed[i] = (uint64_t)json_integer_value(json_array_get(seeds, f));
		}
	}
	return 0;
}

static int manifest_from_json(json_t *root, const char *path, struct manifest *m, struct err *err)
{
	int schema, sites, files, depth, complete, lognormal, rc;
	json_int_t seed, size;
	const char *digest;
	char mine[24];
	json_t *list;

	if (json_unpack(root, "{s:i, s:b, s:I, s:i, s:i, s:i, s:b, s:I, s:F, s:F, s:s, s:o}", "schema", &schema, "complete", &complete, "seed",
			&seed, "sites_nr", &sites, "files_per_site", &files, "depth", &depth, "lognormal", &lognormal, "size_bytes", &size,
			"mu", &m->spec.mu, "sigma", &m->spec.sigma, "digest", &digest, "sites", &list) < 0 ||
	    schema != MANIFEST_SCHEMA || sites < 1 || files < 1 || depth < 0)
		return err_set(err, -EBADMSG, "%s: not a manifest of this version of squall", path);
	m->spec.sites = (unsigned int)sites;
	m->spec.files_per_site = (unsigned int)files;
	m->spec.depth = (unsigned int)depth;
	m->spec.lognormal = lognormal;
	m->spec.size_bytes = (uint64_t)size;
	m->seed = (uint64_t)seed;
	m->complete = complete;
	rc = spec_check(&m->spec, err);
	if (rc < 0)
		return rc;
	rc = manifest_alloc(m, err);
	if (rc < 0)
		return rc;
	if (files_from_json(m, list) < 0)
		return err_set(err, -EBADMSG, "%s: sites and files do not match their numbers", path);
	(void)snprintf(mine, sizeof mine, "%016" PRIx64, manifest_digest(m));
	if (strcmp(mine, digest) != 0)
		return err_set(err, -EBADMSG, "%s: the digest does not match: it was changed by hand", path);
	return 0;
}

int manifest_read(const char *dir, struct manifest *ret, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	json_t *root = NULL;
	json_error_t why;
	char path[4096];
	char *text = NULL;
	size_t bytes = 0;
	int rc;

	(void)snprintf(path, sizeof path, "%s/%s", dir, DATASET_MANIFEST);
	rc = file_read(path, MANIFEST_BYTES_MAX, &text, &bytes, err);
	if (rc < 0)
		goto out;
	root = json_loadb(text, bytes, 0, &why);
	if (!root) {
		rc = err_set(err, -EBADMSG, "%s:%d: %s", path, why.line, why.text);
		goto out;
	}
	rc = manifest_from_json(root, path, &m, err);
	if (rc < 0)
		goto out;
	*ret = m;
	m = (struct manifest)MANIFEST_INIT;
out:
	manifest_release(&m);
	json_decref(root);
	free(text);
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

void dataset_log_path(uint32_t site, const char *host, char *out)
{
	(void)snprintf(out, DATASET_PATH_BYTES, "s%04u/log/%s.log", site, host);
}
