/* SPDX-License-Identifier: MIT */
/*
 * profile_jobs.c - jobs, their ops and their limits; for their arrivals see profile_arrivals.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "profile_parts.h"

#define SLOTS_DEFAULT 64
#define QUEUE_DEFAULT 100000
#define NFS_PORT 2049
#define MOUNT_PORT 20048		/* registered for mountd, and what rpc.mountd takes by /etc/services */
#define ZIPF_DEFAULT 1.0
#define ZIPF_MIN 0.05		/* below it is as good as uniform, above the maximum one file is as good as all there is */
#define ZIPF_MAX 5.0
#define TRIES_DEFAULT 3
#define OPS_THAT_CHANGE (1u << OP_APPEND_FSYNC | 1u << OP_CHMOD | 1u << OP_WRITE | 1u << OP_WRITE_FSYNC | 1u << OP_CREATE | 1u << OP_RENAME | 1u << OP_UNLINK)
#define BACKOFF_MAX 10.0

uint64_t retry_wait_ns(const struct retry *retry, unsigned int try_idx)
{
	double ns = (double)retry->after_ns;

	for (unsigned int i = 0; i < try_idx; i++)
		ns *= retry->backoff;
	return ns < TRIES_NS_MAX ? (uint64_t)ns : TRIES_NS_MAX;
}

static uint64_t all_tries_ns(const struct retry *retry)
{
	uint64_t ns = 0;

	for (unsigned int i = 0; i < retry->tries; i++)
		ns += retry_wait_ns(retry, i);
	return ns;
}

uint64_t job_gives_up_ns(const struct job *job)
{
	return job->retry.tries > 0 ? all_tries_ns(&job->retry) : job->timeout_ns;
}

static int parse_mix(const struct yaml *node, struct job *j, struct err *err)
{
	uint64_t weight, sum = 0;
	int rc = yaml_check_keys(node, "mix", op_kind_names, err);

	for (const struct yaml *c = rc == 0 ? node->child : NULL; c && rc == 0; c = c->next)
		for (unsigned int k = 0; k < OP_NR; k++)
			if (strcmp(op_kind_names[k], c->key) == 0) {
				rc = yaml_to_u64(c, 0, 1000000, &weight, err);
				j->mix[k] = (unsigned int)weight;
				sum += weight;
				if (rc == 0 && weight > 0 && op_needs_page((enum op_kind)k))
					rc = yaml_error(c, err, "%s works in a page alone: %s", op_kind_names[k],
							k >= OP_CREATE ? "[create, rename] or [create, unlink]" : "[open_only, read_first, read_all, close]");
			}
	if (rc == 0 && sum == 0)
		rc = yaml_error(node, err, "the mix of '%s' has no op", j->name);
	return rc;
}

static int parse_phases(const struct profile *p, const struct yaml *node, struct job *j, struct err *err)
{
	if (!node) {
		for (unsigned int i = 0; i < p->phases_nr; i++)
			if (!p->phases[i].calibrate)
				j->phases |= 1u << i;
		return 0;
	}
	if (node->kind != YAML_SEQUENCE || node->children_nr == 0)
		return yaml_error(node, err, "phases of '%s' must be a list of phases", j->name);
	for (const struct yaml *c = node->child; c; c = c->next) {
		int idx = c->kind == YAML_SCALAR ? profile_phase(p, c->text) : -1;

		if (idx < 0 || p->phases[idx].calibrate)
			return yaml_error(c, err, "'%s' is no phase of this profile", c->kind == YAML_SCALAR ? c->text : "this");
		j->phases |= 1u << idx;
	}
	return 0;
}

/* A name, or {zipf: EXPONENT}. */
static int parse_order(const struct yaml *node, struct job *j, struct err *err)
{
	static const char *const orders[] = { [ORDER_RANDOM] = "random", [ORDER_WALK] = "walk", [ORDER_ZIPF] = "zipf", NULL };
	static const char *const zipf[] = { "zipf", NULL };
	unsigned int order = ORDER_ZIPF;
	int rc;

	j->zipf_s = ZIPF_DEFAULT;
	if (node->kind == YAML_MAPPING) {
		rc = yaml_check_keys(node, "order", zipf, err);
		if (rc == 0 && node->children_nr != 1)
			rc = yaml_error(node, err, "order is random, walk, zipf or {zipf: 0.9}");
		if (rc == 0)
			rc = yaml_to_double(node->child, &j->zipf_s, err);
		if (rc == 0 && !(j->zipf_s >= ZIPF_MIN && j->zipf_s <= ZIPF_MAX))
			rc = yaml_error(node->child, err, "the exponent of zipf is %g to %g", ZIPF_MIN, ZIPF_MAX);
	} else {
		rc = yaml_to_enum(node, orders, &order, err);
	}
	j->order = (enum order)order;
	return rc;
}

/* "2x" */
static int parse_backoff(const struct yaml *node, double *ret, struct err *err)
{
	char *end = NULL;

	if (node->kind == YAML_SCALAR && node->text[0] >= '0' && node->text[0] <= '9')
		*ret = strtod(node->text, &end);
	if (!end || strcmp(end, "x") != 0)
		return yaml_error(node, err, "backoff: '%s' is no factor; write 2x", node->kind == YAML_SCALAR ? node->text : "this");
	if (!(*ret >= 1 && *ret <= BACKOFF_MAX))
		return yaml_error(node, err, "backoff: '%s' is out of range; 1x to %gx can be given", node->text, BACKOFF_MAX);
	return 0;
}

static int parse_retry(const struct yaml *node, struct job *j, struct err *err)
{
	static const char *const keys[] = { "after", "tries", "backoff", NULL };
	const struct yaml *after, *tries, *backoff;
	struct retry retry = { .backoff = 1 };
	uint64_t number = TRIES_DEFAULT;
	int rc = yaml_check_keys(node, "retry", keys, err);

	if (rc < 0)
		return rc;
	after = yaml_get(node, "after");
	tries = yaml_get(node, "tries");
	backoff = yaml_get(node, "backoff");
	if (!after)
		return yaml_error(node, err, "retry needs the time after which an attempt is given up: {after: 2s, tries: 3}");
	rc = yaml_to_duration(after, &retry.after_ns, err);
	if (rc == 0 && retry.after_ns == 0)
		rc = yaml_error(after, err, "'after' must be longer than 0");
	if (rc == 0 && tries)
		rc = yaml_to_u64(tries, 2, TRIES_MAX, &number, err);
	retry.tries = (unsigned int)number;
	if (rc == 0 && backoff)
		rc = parse_backoff(backoff, &retry.backoff, err);
	if (rc == 0 && all_tries_ns(&retry) > TRIES_NS_MAX)
		rc = yaml_error(node, err, "the attempts of an arrival would be waited for longer than 24h; take fewer tries or less backoff");
	j->retry = retry;
	return rc;
}

/* What does not go together with a retry. */
static int check_retry(const struct yaml *node, const struct job *j, struct err *err)
{
	const struct yaml *retry = yaml_get(node, "retry");

	if (!retry)
		return 0;
	if (j->arrival.kind == ARRIVAL_CLOSED)
		return yaml_error(retry, err, "a closed loop has no retry: each slot waits for its op");
	if (j->timeout_ns > 0)
		return yaml_error(retry, err, "'%s' has a timeout and a retry; leave the timeout out: the last attempt is given up like the others", j->name);
	if (j->queue_max == 0)
		return yaml_error(yaml_get(node, "queue"), err, "retry needs a queue of 1 or more");
	return 0;
}

static int parse_limits(const struct yaml *node, const struct engine_traits *t, struct job *j, struct err *err)
{
	const struct yaml *value;
	uint64_t number = SLOTS_DEFAULT;
	int rc = 0;

	if ((value = yaml_get(node, "slots")))
		rc = yaml_to_u64(value, 1, t->slots_max, &number, err);
	j->slots = (unsigned int)number;
	number = QUEUE_DEFAULT;
	if (rc == 0 && (value = yaml_get(node, "queue")))
		rc = yaml_to_u64(value, 0, 10000000, &number, err);
	j->queue_max = (unsigned int)number;
	if (rc == 0 && (value = yaml_get(node, "timeout")))
		rc = yaml_to_duration(value, &j->timeout_ns, err);
	if (rc == 0 && (value = yaml_get(node, "log_ops"))) {
		j->logs_ops = true;
		rc = yaml_to_duration(value, &j->log_from_ns, err);
	}
	if (rc == 0 && (value = yaml_get(node, "retry")))
		rc = parse_retry(value, j, err);
	if (rc == 0)
		rc = check_retry(node, j, err);
	if (rc == 0 && (value = yaml_get(node, "order")))
		rc = parse_order(value, j, err);
	return rc;
}

static int unknown_engine(const struct yaml *name, struct err *err)
{
	const char *names[16] = { NULL };
	unsigned int ignored;

	for (size_t i = 0; i < sizeof names / sizeof names[0] - 1 && engine_traits[i].name; i++)
		names[i] = engine_traits[i].name;
	return yaml_to_enum(name, names, &ignored, err);
}

static int parse_engine(const struct yaml *node, struct job *j, const struct engine_traits **ret, struct err *err)
{
	const struct yaml *name = yaml_get(node, "engine"), *direct = yaml_get(node, "direct"), *verify = yaml_get(node, "verify");
	int rc = 0;

	if (name)
		rc = yaml_to_text(name, j->engine, sizeof j->engine, err);
	if (rc == 0 && direct)
		rc = yaml_to_bool(direct, &j->direct, err);
	if (rc == 0 && verify)
		rc = yaml_to_bool(verify, &j->verify, err);
	if (rc < 0)
		return rc;
	*ret = engine_traits_find(j->engine);
	if (!*ret)
		return unknown_engine(name, err);
	if (j->direct && !(*ret)->direct)
		return yaml_error(direct, err, "engine %s has no direct: true", j->engine);
	return 0;
}

static int parse_port(const struct yaml *node, const char *key, unsigned int *port, struct err *err)
{
	const struct yaml *value = yaml_get(node, key);
	uint64_t number = *port;
	int rc = value ? yaml_to_u64(value, 1, 65535, &number, err) : 0;

	*port = (unsigned int)number;
	return rc;
}

static int parse_nfs(const struct yaml *node, struct nfs_target *n, struct err *err)
{
	static const char *const keys[] = { "server", "path", "port", "mount_port", "lock_port", "deadline", "first_uid", NULL };
	const struct yaml *server, *path, *value;
	uint64_t uid = 0;
	int rc = yaml_check_keys(node, "nfs", keys, err);

	if (rc < 0)
		return rc;
	server = yaml_get(node, "server");
	path = yaml_get(node, "path");
	if (!server || !path)
		return yaml_error(node, err, "nfs needs a server and a path, such as {server: 10.0.0.1, path: /srv/home}");
	rc = yaml_to_text(server, n->server, sizeof n->server, err);
	if (rc == 0)
		rc = yaml_to_text(path, n->path, sizeof n->path, err);
	if (rc == 0 && n->path[0] != '/')
		rc = yaml_error(path, err, "the path of an export begins with '/'");
	if (rc == 0)
		rc = parse_port(node, "port", &n->port, err);
	if (rc == 0)
		rc = parse_port(node, "mount_port", &n->mount_port, err);
	if (rc == 0)
		rc = parse_port(node, "lock_port", &n->lock_port, err);
	if (rc == 0 && (value = yaml_get(node, "deadline")))
		rc = yaml_to_duration(value, &n->deadline_ns, err);
	n->own_users = yaml_get(node, "first_uid");
	if (rc == 0 && n->own_users)
		rc = yaml_to_u64(yaml_get(node, "first_uid"), 1, UINT32_MAX - SLOTS_MAX - 1, &uid, err);
	n->first_uid = (uint32_t)uid;
	return rc;
}

static int parse_server(const struct yaml *node, const struct engine_traits *t, struct job *j, struct err *err)
{
	const struct yaml *nfs = yaml_get(node, "nfs");

	j->nfs = (struct nfs_target){ .port = NFS_PORT, .mount_port = MOUNT_PORT };
	if (!nfs && t->needs_server)
		return yaml_error(node, err, "engine %s needs nfs: {server: , path: }", t->name);
	if (nfs && !t->needs_server)
		return yaml_error(nfs, err, "engine %s has no nfs: it works below the folder of the run", t->name);
	return nfs ? parse_nfs(nfs, &j->nfs, err) : 0;
}

static int check_op(const struct yaml *node, const struct yaml *where, const struct job *j, const struct engine_traits *t, unsigned int kind, struct err *err)
{
	if (!(t->ops & 1u << kind))
		return yaml_error(where, err, "engine %s cannot do %s", t->name, op_kind_names[kind]);
	if (kind == OP_LOCK && t->needs_server && j->nfs.lock_port == 0)
		return yaml_error(where, err, "engine %s needs the lock_port of nfs for lock: rpcinfo -p SERVER names it (nlockmgr, version 4, tcp)", t->name);
	if (j->nfs.own_users && OPS_THAT_CHANGE & 1u << kind)
		return yaml_error(where, err, "with first_uid no client may do %s: the tree belongs to whoever built it", op_kind_names[kind]);
	if (j->direct && !(t->direct & 1u << kind))
		return yaml_error(yaml_get(node, "direct"), err, "engine %s has no direct: true for %s", t->name, op_kind_names[kind]);
	return 0;
}

/* What the job wants, held against what its engine can do. */
static int check_engine(const struct yaml *node, const struct job *j, const struct engine_traits *t, struct err *err)
{
	const struct yaml *queue = yaml_get(node, "queue"), *mix = yaml_get(node, "mix");
	int rc = 0;

	for (unsigned int k = 0; k < OP_NR && rc == 0; k++)
		if (j->mix[k] > 0)
			rc = check_op(node, mix ? yaml_get(mix, op_kind_names[k]) : yaml_get(node, "trace"), j, t, k, err);
	for (unsigned int i = 0; i < j->page_nr && rc == 0; i++)
		rc = check_op(node, yaml_get(node, "page"), j, t, j->page[i], err);
	if (rc < 0)
		return rc;
	if (t->needs_queue && j->queue_max == 0 && j->arrival.kind != ARRIVAL_CLOSED)
		return yaml_error(queue, err, "engine %s needs a queue of 1 or more", t->name);
	return 0;
}

static uint64_t runs_for_ns(const struct profile *p, const struct job *j)
{
	uint64_t ns = 0;

	for (unsigned int i = 0; i < p->phases_nr; i++)
		if (j->phases & 1u << i)
			ns += p->phases[i].for_ns;
	return ns;
}

/* What is done and when: drawn. */
static int parse_work(const struct profile *p, const struct yaml *node, struct job *j, struct err *err)
{
	const struct yaml *mix = yaml_get(node, "mix"), *page = yaml_get(node, "page");
	int rc;

	if (!mix == !page)
		return yaml_error(node, err, "'%s' needs either a mix of ops or a page", j->name);
	if (!yaml_get(node, "arrival"))
		return yaml_error(node, err, "'%s' needs an arrival, such as {poisson: 100/s}", j->name);
	rc = mix ? parse_mix(mix, j, err) : profile_parse_page(p, page, j, err);
	return rc == 0 ? profile_parse_arrival(p, yaml_get(node, "arrival"), runs_for_ns(p, j), &j->arrival, err) : rc;
}

/* The same: replayed. */
static int parse_traced(const struct profile *p, const struct yaml *node, struct job *j, struct err *err)
{
	static const char *const others[] = { "mix", "page", "order", "arrival" };

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (yaml_get(node, others[i]))
			return yaml_error(yaml_get(node, others[i]), err, "'%s' has a trace, which says what is done and when: it has no %s", j->name, others[i]);
	return profile_parse_trace(p, yaml_get(node, "trace"), j, err);
}

int profile_parse_job(struct profile *p, const struct yaml *node, struct job *ret, struct err *err)
{
	static const char *const keys[] = { "engine", "nfs", "direct", "verify", "mix", "page", "order", "arrival", "trace", "timeout", "retry", "slots", "queue", "phases", "log_ops", NULL };
	const struct engine_traits *traits;
	int rc;

	*ret = (struct job){ .engine = "sync", .verify = true, .line = node->line };
	if (strlen(node->key) >= sizeof ret->name)
		return yaml_error(node, err, "the name '%s' is longer than %d characters", node->key, NAME_BYTES - 1);
	memcpy(ret->name, node->key, strlen(node->key) + 1);
	rc = yaml_check_keys(node, "a job", keys, err);
	if (rc < 0)
		return rc;
	rc = parse_phases(p, yaml_get(node, "phases"), ret, err);
	if (rc == 0)
		rc = yaml_get(node, "trace") ? parse_traced(p, node, ret, err) : parse_work(p, node, ret, err);
	if (rc == 0)
		rc = parse_engine(node, ret, &traits, err);
	if (rc == 0)
		rc = parse_server(node, traits, ret, err);
	if (rc == 0)
		rc = parse_limits(node, traits, ret, err);
	if (rc == 0)
		rc = check_engine(node, ret, traits, err);
	return rc;
}
