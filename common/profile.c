/* SPDX-License-Identifier: MIT */
/*
 * profile.c - from a YAML tree to struct profile, and back with every default written out.
 *
 * The order matters: phases are known before jobs and faults, which name them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "profile_parts.h"
#include "trace.h"

const char *const verdict_names[] = { "reproduced", "absent", "inconclusive", "void", NULL };

int profile_phase(const struct profile *p, const char *name)
{
	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (strcmp(p->phases[i].name, name) == 0)
			return (int)i;
	return -1;
}

int profile_beside(const struct profile *p, const char *name, char **ret_path, struct err *err)
{
	const char *slash = strrchr(p->file, '/');
	int folder = name[0] != '/' && slash ? (int)(slash - p->file) + 1 : 0;

	if (asprintf(ret_path, "%.*s%s", folder, p->file, name) >= 0)
		return 0;
	*ret_path = NULL;
	return err_set(err, -ENOMEM, "%s: no memory", p->file);
}

static int parse_size(const struct yaml *node, struct dataset_spec *d, struct err *err)
{
	static const char *const keys[] = { "mu", "sigma", "max", NULL };
	static const char *const kinds[] = { "lognormal", NULL };
	const struct yaml *curve;
	int rc;

	if (node->kind == YAML_SCALAR)
		return yaml_to_size(node, &d->size_bytes, err);
	rc = yaml_check_keys(node, "size", kinds, err);
	curve = yaml_get(node, "lognormal");
	if (rc == 0)
		rc = curve ? yaml_check_keys(curve, "lognormal", keys, err) : yaml_error(node, err, "size is 4KiB or {lognormal: {mu, sigma, max}}");
	for (int i = 0; i < 3 && rc == 0; i++)
		if (!yaml_get(curve, keys[i]))
			rc = yaml_error(curve, err, "lognormal needs mu, sigma and max");
	d->lognormal = true;
	if (rc == 0)
		rc = yaml_to_double(yaml_get(curve, "mu"), &d->mu, err);
	if (rc == 0)
		rc = yaml_to_double(yaml_get(curve, "sigma"), &d->sigma, err);
	if (rc == 0 && (d->mu < 0 || d->mu > 40 || d->sigma < 0 || d->sigma > 10))
		rc = yaml_error(curve, err, "mu is 0 to 40 and sigma 0 to 10, of the logarithm of bytes");
	return rc == 0 ? yaml_to_size(yaml_get(curve, "max"), &d->size_bytes, err) : rc;
}

static int parse_dataset(struct profile *p, const struct yaml *node, struct err *err)
{
	static const char *const keys[] = { "sites", "files_per_site", "depth", "size", "cache", NULL };
	static const char *const caches[] = { "as-is", "cold", NULL };
	unsigned int cache = 0;
	uint64_t v[3] = { 1, 100, 2 };
	const uint64_t max[3] = { DATASET_SITES_MAX, DATASET_SITE_FILES_MAX, DATASET_DEPTH_MAX };
	int rc;

	p->dataset.size_bytes = 4096;
	if (!node)
		return yaml_error(p->tree, err, "dataset is missing: {sites: 40, files_per_site: 100, size: 4KiB, depth: 4}");
	rc = yaml_check_keys(node, "dataset", keys, err);
	for (int i = 0; i < 3 && rc == 0; i++)
		if (yaml_get(node, keys[i]))
			rc = yaml_to_u64(yaml_get(node, keys[i]), 1, max[i], &v[i], err);
	if (rc == 0 && yaml_get(node, "cache"))
		rc = yaml_to_enum(yaml_get(node, "cache"), caches, &cache, err);
	p->cold = cache == 1;
	p->dataset.sites = (unsigned int)v[0];
	p->dataset.files_per_site = (unsigned int)v[1];
	p->dataset.depth = (unsigned int)v[2];
	if (rc == 0 && yaml_get(node, "size"))
		rc = parse_size(yaml_get(node, "size"), &p->dataset, err);
	return rc;
}

static int parse_lab(struct profile *p, const struct yaml *node, struct err *err)
{
	static const char *const keys[] = { "clients", "nfsd_threads", "filesystem", "mount_options", NULL };
	static const char *const filesystems[] = { "xfs", "ext4", NULL };
	uint64_t clients = 2, threads = 8;
	unsigned int fs = 0;
	int rc = node ? yaml_check_keys(node, "lab", keys, err) : 0;

	if (rc == 0 && yaml_get(node, "clients"))
		rc = yaml_to_u64(yaml_get(node, "clients"), 1, 8, &clients, err);
	if (rc == 0 && yaml_get(node, "nfsd_threads"))
		rc = yaml_to_u64(yaml_get(node, "nfsd_threads"), 1, 256, &threads, err);
	if (rc == 0 && yaml_get(node, "filesystem"))
		rc = yaml_to_enum(yaml_get(node, "filesystem"), filesystems, &fs, err);
	if (rc == 0 && yaml_get(node, "mount_options"))
		rc = yaml_to_text(yaml_get(node, "mount_options"), p->lab.mount_options, sizeof p->lab.mount_options, err);
	p->lab.clients = (unsigned int)clients;
	p->lab.nfsd_threads = (unsigned int)threads;
	memcpy(p->lab.filesystem, filesystems[fs], strlen(filesystems[fs]) + 1);
	return rc;
}

static int parse_phases(struct profile *p, const struct yaml *node, struct err *err)
{
	static const char *const keys[] = { "name", "for", NULL };
	int rc = 0;

	if (!node || node->kind != YAML_SEQUENCE || node->children_nr == 0)
		return yaml_error(node ? node : p->tree, err, "phases is missing: [{name: baseline, for: 30s}, ...]");
	for (const struct yaml *c = node->child; c && rc == 0; c = c->next) {
		struct phase *phase = &p->phases[p->phases_nr];

		if (p->phases_nr == PHASES_MAX)
			return yaml_error(c, err, "more than %d phases", PHASES_MAX);
		rc = yaml_check_keys(c, "a phase", keys, err);
		if (rc == 0 && (!yaml_get(c, "name") || !yaml_get(c, "for")))
			rc = yaml_error(c, err, "a phase needs a name and a time: {name: storm, for: 60s}");
		if (rc == 0)
			rc = yaml_to_text(yaml_get(c, "name"), phase->name, sizeof phase->name, err);
		if (rc == 0 && profile_phase(p, phase->name) >= 0)
			rc = yaml_error(c, err, "the phase '%s' is there twice", phase->name);
		if (rc == 0)
			rc = yaml_to_duration(yaml_get(c, "for"), &phase->for_ns, err);
		if (rc == 0 && phase->for_ns < 1000000000)
			rc = yaml_error(c, err, "the phase '%s' is shorter than a second", phase->name);
		phase->calibrate = strcmp(phase->name, "calibrate") == 0;
		p->phases_nr++;
	}
	if (rc == 0 && profile_phase(p, "baseline") < 0)
		rc = yaml_error(node, err, "a profile has a phase named baseline");
	return rc;
}

int profile_check_kind(const struct yaml *node, enum yaml_kind kind, const char *wanted, struct err *err)
{
	return node->kind == kind ? 0 : yaml_error(node, err, "%s", wanted);
}

int profile_parse_lines(const struct yaml *node, struct named_line *to, unsigned int max, unsigned int *ret_nr, struct err *err)
{
	for (const struct yaml *c = node->child; c; c = c->next) {
		struct named_line *line = &to[*ret_nr];
		int rc;

		if (*ret_nr == max)
			return yaml_error(c, err, "more than %u of them", max);
		if (c->key && strlen(c->key) >= sizeof line->name)
			return yaml_error(c, err, "the name '%s' is longer than %d characters", c->key, NAME_BYTES - 1);
		if (c->key)
			memcpy(line->name, c->key, strlen(c->key) + 1);
		rc = yaml_to_text(c, line->text, sizeof line->text, err);
		if (rc < 0)
			return rc;
		line->line = c->line;
		(*ret_nr)++;
	}
	return 0;
}

static int check_read_only(const struct profile *p, struct err *err)
{
	for (unsigned int i = 0; i < p->jobs_nr; i++)
		for (int k = 0; k < OP_NR; k++)
			if (op_writes((enum op_kind)k) && job_has(&p->jobs[i], (enum op_kind)k))
				return err_set(err, -EINVAL, "%s:%u: the job '%s' does %s, which writes to the dataset; guards.read_only forbids it", p->file,
					       p->jobs[i].line, p->jobs[i].name, op_kind_names[k]);
	return 0;
}

static int parse_guards(struct profile *p, const struct yaml *node, struct err *err)
{
	static const char *const keys[] = { "stop_if", "max_run", "read_only", NULL };
	int rc = node ? yaml_check_keys(node, "guards", keys, err) : 0;

	p->max_run_ns = 900 * 1000000000ull;
	if (rc == 0 && yaml_get(node, "max_run"))
		rc = yaml_to_duration(yaml_get(node, "max_run"), &p->max_run_ns, err);
	if (rc == 0 && yaml_get(node, "stop_if"))
		rc = profile_check_kind(yaml_get(node, "stop_if"), YAML_SEQUENCE, "stop_if is a list of conditions: [\"sites.down_ratio > 0.9 for 120s\"]", err);
	if (rc == 0 && yaml_get(node, "stop_if"))
		rc = profile_parse_lines(yaml_get(node, "stop_if"), p->guards, GUARDS_MAX, &p->guards_nr, err);
	if (rc == 0 && yaml_get(node, "read_only"))
		rc = yaml_to_bool(yaml_get(node, "read_only"), &p->read_only, err);
	return rc == 0 && p->read_only ? check_read_only(p, err) : rc;
}

static int parse_jobs_and_faults(struct profile *p, struct err *err)
{
	const struct yaml *jobs = yaml_get(p->tree, "jobs"), *faults = yaml_get(p->tree, "faults"), *c;
	int rc = 0;

	if (!jobs || jobs->kind != YAML_MAPPING || jobs->children_nr == 0)
		return yaml_error(jobs ? jobs : p->tree, err, "jobs is missing: {reads: {mix: {read: 1}, arrival: {constant: 100/s}}}");
	if (faults && faults->kind != YAML_SEQUENCE)
		return yaml_error(faults, err, "faults must be a list");
	for (c = jobs->child; c && rc == 0; c = c->next) {
		if (p->jobs_nr == JOBS_MAX)
			return yaml_error(c, err, "more than %d jobs", JOBS_MAX);
		rc = profile_parse_job(p, c, &p->jobs[p->jobs_nr++], err);
	}
	for (c = faults ? faults->child : NULL; c && rc == 0; c = c->next) {
		if (p->faults_nr == FAULTS_MAX)
			return yaml_error(c, err, "more than %d faults", FAULTS_MAX);
		rc = profile_parse_fault(p, c, &p->faults[p->faults_nr++], err);
	}
	if (rc == 0)
		rc = profile_expand_faults(p, err);
	return rc == 0 ? profile_check_times(p, err) : rc;
}

static int parse_head(struct profile *p, struct err *err)
{
	static const char *const keys[] = { "name",   "seed",	   "dataset", "lab",	"jobs", "phases",
					    "faults", "signature", "expect",  "guards", "arms", "sweep", "pages", "random_faults", NULL };
	static const char *const expects[] = { "reproduced", "absent", NULL };
	unsigned int expect = 1;
	int rc = yaml_check_keys(p->tree, "the profile", keys, err);

	if (rc == 0 && !yaml_get(p->tree, "name"))
		rc = yaml_error(p->tree, err, "name is missing");
	if (rc == 0)
		rc = yaml_to_text(yaml_get(p->tree, "name"), p->name, sizeof p->name, err);
	if (rc == 0 && (p->name[0] == '\0' || p->name[0] == '.' || strchr(p->name, '/')))
		rc = yaml_error(yaml_get(p->tree, "name"), err, "'%s' cannot be the name of a folder", p->name);
	p->seed = 1;
	if (rc == 0 && yaml_get(p->tree, "seed"))
		rc = yaml_to_u64(yaml_get(p->tree, "seed"), 0, INT64_MAX, &p->seed, err);
	if (rc == 0 && yaml_get(p->tree, "expect"))
		rc = yaml_to_enum(yaml_get(p->tree, "expect"), expects, &expect, err);
	p->expect = expect == 0 ? VERDICT_REPRODUCED : VERDICT_ABSENT;
	return rc;
}

static int parse_tree(struct profile *p, struct err *err)
{
	int rc = parse_head(p, err);

	if (rc == 0)
		rc = parse_dataset(p, yaml_get(p->tree, "dataset"), err);
	if (rc == 0)
		rc = parse_lab(p, yaml_get(p->tree, "lab"), err);
	if (rc == 0)
		rc = parse_phases(p, yaml_get(p->tree, "phases"), err);
	if (rc == 0)
		rc = profile_check_pages(p, err);
	if (rc == 0)
		rc = parse_jobs_and_faults(p, err);
	if (rc == 0 && yaml_get(p->tree, "signature"))
		rc = profile_check_kind(yaml_get(p->tree, "signature"), YAML_MAPPING, "signature is a mapping of names and conditions: {hung: nfsd.hung_ratio >= 0.5 for 10s}",
				err);
	if (rc == 0 && yaml_get(p->tree, "signature"))
		rc = profile_parse_lines(yaml_get(p->tree, "signature"), p->signature, SIGNATURE_MAX, &p->signature_nr, err);
	if (rc == 0)
		rc = parse_guards(p, yaml_get(p->tree, "guards"), err);
	return rc == 0 ? profile_parse_arms(p, err) : rc;
}

/* A default, written where the profile is silent. */
static int fill(struct profile *p, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fill(struct profile *p, struct err *err, const char *format, ...)
{
	char text[LINE_BYTES], key[LINE_BYTES];
	const struct yaml *at = p->tree;
	char *rest = NULL;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	memcpy(key, text, sizeof key);
	key[strcspn(key, "=")] = '\0';
	for (char *part = strtok_r(key, ".", &rest); part && at; part = strtok_r(NULL, ".", &rest))
		at = yaml_get(at, part);
	return at ? 0 : yaml_set(p->tree, text, err);
}

/* A timeline that was read from a file is written out: agents and the record have the profile alone. */
static int fill_replay(struct profile *p, const struct job *j, struct err *err)
{
	char *points = NULL, *set = NULL;
	int rc = profile_print_replay(&j->arrival, &points);

	if (rc == 0 && asprintf(&set, "jobs.%s.arrival.replay={points: '%s', poisson: %s}", j->name, points, j->arrival.random ? "true" : "false") < 0) {
		set = NULL;
		rc = -ENOMEM;
	}
	if (rc < 0)
		rc = err_set(err, rc, "%s: no memory for the timeline of '%s'", p->file, j->name);
	else if (strchr(j->name, '.'))	/* a dotted path cannot name it */
		rc = err_set(err, -EINVAL, "%s:%u: '%s' replays a timeline: its name must have no dot", p->file, j->line, j->name);
	else
		rc = yaml_set(p->tree, set, err);
	free(points);
	free(set);
	return rc;
}

/* So is a trace. */
static int fill_trace(struct profile *p, const struct job *j, struct err *err)
{
	char *packed = NULL, *set = NULL;
	int rc = trace_pack(&j->trace, &packed, err);

	if (rc < 0)
		return err_prefix(err, rc, "%s:%u", p->file, j->line);
	if (asprintf(&set, "jobs.%s.trace={packed: %s, speed: %.10g}", j->name, packed, j->trace_speed) < 0) {
		set = NULL;
		rc = err_set(err, -ENOMEM, "%s: no memory for the trace of '%s'", p->file, j->name);
	}
	if (rc == 0 && strchr(j->name, '.'))
		rc = err_set(err, -EINVAL, "%s:%u: '%s' replays a trace: its name must have no dot", p->file, j->line, j->name);
	if (rc == 0)
		rc = yaml_set(p->tree, set, err);
	free(packed);
	free(set);
	return rc;
}

static int fill_defaults(struct profile *p, struct err *err)
{
	int rc = fill(p, err, "seed=%llu", (unsigned long long)p->seed);

	rc = rc ? rc : fill(p, err, "expect=%s", verdict_names[p->expect]);
	rc = rc ? rc : fill(p, err, "guards.max_run=%llus", (unsigned long long)(p->max_run_ns / 1000000000));
	rc = rc ? rc : fill(p, err, "guards.read_only=%s", p->read_only ? "true" : "false");
	rc = rc ? rc : fill(p, err, "dataset.cache=%s", p->cold ? "cold" : "as-is");
	rc = rc ? rc : fill(p, err, "lab.clients=%u", p->lab.clients);
	rc = rc ? rc : fill(p, err, "lab.nfsd_threads=%u", p->lab.nfsd_threads);
	rc = rc ? rc : fill(p, err, "lab.filesystem=%s", p->lab.filesystem);
	for (unsigned int i = 0; i < p->jobs_nr && rc == 0; i++) {
		const struct job *j = &p->jobs[i];

		if (j->trace.ops_nr > 0)
			rc = fill_trace(p, j, err);
		else if (j->arrival.kind == ARRIVAL_REPLAY)
			rc = fill_replay(p, j, err);
		if (rc < 0)
			return rc;
		if (strchr(j->name, '.'))	/* a dotted path cannot name it */
			continue;
		rc = fill(p, err, "jobs.%s.engine=%s", j->name, j->engine);
		if (rc == 0 && j->nfs.server[0])
			rc = fill(p, err, "jobs.%s.nfs.port=%u", j->name, j->nfs.port);
		if (rc == 0 && j->nfs.server[0])
			rc = fill(p, err, "jobs.%s.nfs.mount_port=%u", j->name, j->nfs.mount_port);
		rc = rc ? rc : fill(p, err, "jobs.%s.direct=%s", j->name, j->direct ? "true" : "false");
		rc = rc ? rc : fill(p, err, "jobs.%s.verify=%s", j->name, j->verify ? "true" : "false");
		if (j->trace.ops_nr == 0)
			rc = rc ? rc : fill(p, err, "jobs.%s.order=%s", j->name, j->order == ORDER_WALK ? "walk" : "random");
		rc = rc ? rc : fill(p, err, "jobs.%s.slots=%u", j->name, j->slots);
		rc = rc ? rc : fill(p, err, "jobs.%s.queue=%u", j->name, j->queue_max);
		if (rc == 0 && j->retry.tries > 0)
			rc = fill(p, err, "jobs.%s.retry.tries=%u", j->name, j->retry.tries);
		if (rc == 0 && j->retry.tries > 0)
			rc = fill(p, err, "jobs.%s.retry.backoff=%gx", j->name, j->retry.backoff);
	}
	return rc;
}

int profile_parse(const char *text, const char *file, const char *const sets[], struct profile *ret_profile, struct err *err)
{
	struct profile p = PROFILE_INIT;
	int rc = yaml_parse(text, file, &p.tree, err);

	for (; rc == 0 && sets && *sets; sets++)
		rc = yaml_set(p.tree, *sets, err);
	(void)snprintf(p.file, sizeof p.file, "%s", file);
	if (rc == 0)
		rc = parse_tree(&p, err);
	if (rc == 0)
		rc = fill_defaults(&p, err);
	if (rc < 0) {
		profile_release(&p);
		return rc;
	}
	*ret_profile = p;	/* ownership of the tree passes */
	return 0;
}

int profile_load(const char *path, const char *const sets[], struct profile *ret_profile, struct err *err)
{
	struct err said = ERR_INIT;
	char *text = NULL;
	int rc = file_read(path, PROFILE_BYTES_MAX, &text, NULL, &said);

	if (rc == -ENOMEM || rc == -EIO || rc == -EMFILE || rc == -ENFILE)
		return err_set(err, rc, "%s", said.text);
	if (rc < 0)		/* a name that cannot be read is a mistake of the command line */
		return err_set(err, -EINVAL, "%s%s", said.text, rc == -ENOENT || rc == -EISDIR ? "; a profile is a YAML file, such as profiles/smoke.yaml" : "");
	rc = profile_parse(text, path, sets, ret_profile, err);
	free(text);
	return rc;
}

void profile_release(struct profile *profile)
{
	for (unsigned int i = 0; i < profile->jobs_nr; i++) {
		free(profile->jobs[i].arrival.pieces);
		profile->jobs[i].arrival.pieces = NULL;
		trace_release(&profile->jobs[i].trace);
	}
	free(profile->arms);
	yaml_tree_free(profile->tree);
	profile->arms = NULL;
	profile->tree = NULL;
}

int profile_print(const struct profile *profile, char **ret_text)
{
	return yaml_print(profile->tree, ret_text);
}

bool profile_needs_calibration(const struct profile *profile)
{
	for (unsigned int i = 0; i < profile->jobs_nr; i++)
		if (arrival_needs_capacity(&profile->jobs[i].arrival))
			return true;
	return false;
}
