/* SPDX-License-Identifier: MIT */
/*
 * wire.c - what of the load reached the server: the ops of each client beside the RPC calls that its kernel counted on the mount.
 *
 * A read that the page cache answers makes no READ call, and is no load of the server: many of them make a storm look like one that it is not. The
 * counters are looked at once a second, so both ends of the run are known to a second.
 */
#include <string.h>

#include "judge.h"
#include "record.h"

static json_t *find_host(const json_t *wire, const char *name)
{
	json_t *host;
	size_t i;

	json_array_foreach(wire, i, host)
		if (strcmp(json_string_value(json_object_get(host, "host")), name) == 0)
			return host;
	return NULL;
}

static json_t *find_or_add_host(json_t *wire, const char *name)
{
	json_t *host = find_host(wire, name);

	if (host)
		return host;
	host = json_pack("{s:s, s:I, s:I, s:I, s:I, s:{}}", "host", name, "ops", (json_int_t)0, "reads", (json_int_t)0, "rpcs", (json_int_t)0, "read_rpcs",
			 (json_int_t)0, "by_rpc");
	json_array_append_new(wire, host);
	return host;
}

static void add(json_t *host, const char *key, json_int_t nr)
{
	json_object_set_new(host, key, json_integer(json_integer_value(json_object_get(host, key)) + nr));
}

/* host, RPC, calls */
static int add_calls(void *row, void *arg)
{
	json_t *host = find_or_add_host(arg, record_text(row, 0));
	json_int_t nr = sqlite3_column_int64(row, 2);

	add(host, "rpcs", nr);
	json_object_set_new(json_object_get(host, "by_rpc"), record_text(row, 1), json_integer(nr));
	if (strcmp(record_text(row, 1), "READ") == 0 || strcmp(record_text(row, 1), "READ_PLUS") == 0)
		add(host, "read_rpcs", nr);
	return 0;
}

/* host, ops that were done, reads among them; of a host without counters there is nothing to compare */
static int add_ops(void *row, void *arg)
{
	json_t *host = find_host(arg, record_text(row, 0));

	if (!host)
		return 0;
	add(host, "ops", sqlite3_column_int64(row, 1));
	add(host, "reads", sqlite3_column_int64(row, 2));
	return 0;
}

/* host, options of its mount, the latest last */
static int add_mount(void *row, void *arg)
{
	json_t *host = find_host(arg, record_text(row, 0));

	if (host)
		json_object_set_new(host, "mount", json_string(record_text(row, 1)));
	return 0;
}

int judge_wire(struct record *record, json_t *verdict, struct err *err)
{
	/* A counter that is seen for the first time in mid-run was 0 before; one that falls is that of a new mount. */
	static const char calls[] =
		"SELECT host, label, SUM(CASE WHEN value >= before THEN value - before ELSE value END) AS nr FROM (SELECT host, label, value,"
		" COALESCE(LAG(value) OVER (PARTITION BY host, label ORDER BY t_ns),"
		"  CASE WHEN t_ns > (SELECT MIN(t_ns) FROM samples AS f WHERE f.metric = 'mount.ops' AND f.host = s.host AND f.t_ns >= 0) THEN 0 ELSE value END) AS before"
		" FROM samples AS s WHERE metric = 'mount.ops' AND t_ns >= 0) GROUP BY host, label HAVING nr > 0 ORDER BY host, nr DESC";
	static const char ops[] = "SELECT host, SUM(ok), SUM(CASE WHEN op IN ('read', 'pread', 'first_byte', 'read_first', 'read_all') THEN ok ELSE 0 END) FROM intervals WHERE op <> '' GROUP BY host";
	static const char mounts[] = "SELECT host, text FROM samples WHERE metric = 'mount.options' ORDER BY t_ns";
	json_t *wire = json_array();
	int rc = record_query(record, calls, NULL, add_calls, wire, err);

	if (rc == 0)
		rc = record_query(record, ops, NULL, add_ops, wire, err);
	if (rc == 0)
		rc = record_query(record, mounts, NULL, add_mount, wire, err);
	json_object_set_new(verdict, "wire", wire);
	return rc;
}
