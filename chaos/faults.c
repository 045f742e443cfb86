/* SPDX-License-Identifier: MIT */
/*
 * faults.c - the table of contents of chaos/, and what is done alike for every row: arguments, needs, the list.
 */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "exec.h"
#include "units.h"
#include "yaml.h"

const struct fault *const faults[] = {
	&fault_none,
	&fault_drbd_link_delay,
	&fault_drbd_link_loss,
	&fault_drbd_link_rate,
	&fault_drbd_link_cut,
	&fault_drbd_disconnect,
	&fault_drbd_suspend_io,
	&fault_drbd_resync_storm,
	&fault_drbd_resync_pause,
	&fault_drbd_verify_storm,
	&fault_drbd_peer_disk_slow,
	&fault_drbd_peer_disk_freeze,
	&fault_drbd_data_stall,
	&fault_drbd_ack_delay,
	&fault_drbd_packet_drop,
	&fault_disk_slow,
	&fault_disk_freeze,
	&fault_disk_error,
	&fault_disk_cap,
	&fault_snapshot,
	&fault_nfsd_threads,
	&fault_nfsd_hang,
	&fault_nfsd_kill,
	&fault_nfsd_stop,
	&fault_nfsd_restart,
	&fault_nfs_port_cut,
	&fault_nfs_freeze,
	&fault_nfs_unexport,
	&fault_nfs_upcall_stall,
	&fault_nfs_callback_cut,
	&fault_nfs_client_expire,
	&fault_nfs_unlock,
	&fault_net_delay,
	&fault_net_loss,
	&fault_net_rate,
	&fault_net_corrupt,
	&fault_net_duplicate,
	&fault_net_reorder,
	&fault_net_cut,
	&fault_conn_kill,
	&fault_server_cache_drop,
	&fault_client_pause,
	&fault_client_restart,
	&fault_cpu_hog,
	&fault_memory_hog,
	&fault_io_hog,
	&fault_clock_step,
	&fault_host_reboot,
	&fault_host_crash,
	&fault_power_cut,
	&fault_host_freeze,
	NULL,
};

#define FAULTS_NR (sizeof faults / sizeof faults[0])

const char *const heal_class_names[] = { "H0", "H1", "H2", "H3", NULL };
const char *const fault_verdict_names[] = { "confirmed", "mismatch", "inconclusive", "vanished", NULL };
static const char *const arg_kind_names[] = { "duration", "rate", "count", "enum", NULL };

const struct fault *fault_find(const char *name)
{
	for (size_t i = 0; faults[i]; i++)
		if (strcmp(faults[i]->name, name) == 0)
			return faults[i];
	return NULL;
}

bool chaos_is_known(const char *fault)
{
	return fault_find(fault) != NULL;
}

enum heal_class chaos_heal_class(const char *fault)
{
	const struct fault *f = fault_find(fault);

	return f ? f->heal_class : HEAL_H3;
}

bool chaos_breaks_storage(const char *fault)
{
	const struct fault *f = fault_find(fault);

	return f && (f->allowed & ALLOW_RESOURCE);
}

bool chaos_is_instant(const char *fault)
{
	const struct fault *f = fault_find(fault);

	return f && f->instant;
}

bool chaos_takes_host(const char *fault)
{
	const struct fault *f = fault_find(fault);

	return f && f->takes_host;
}

bool chaos_is_outside(const char *fault)
{
	const struct fault *f = fault_find(fault);

	return f && f->outside;
}

uint64_t fault_arg_u64(const struct fault_run *run, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(run->args, name));
}

const char *fault_arg_text(const struct fault_run *run, const char *name)
{
	const char *text = json_string_value(json_object_get(run->args, name));

	return text ? text : "";
}

const char *fault_resource(const struct fault_run *run)
{
	return run->dry ? "RESOURCE" : run->allow.resources.name[0];
}

const char *fault_export(const struct fault_run *run)
{
	return run->dry ? "EXPORT" : run->allow.exports.name[0];
}

static size_t enum_nr(const struct fault_arg *arg)
{
	size_t nr = 0;

	while (arg->names[nr])
		nr++;
	return nr;
}

void fault_number_text(const struct fault_arg *arg, uint64_t value, char *ret, size_t bytes)
{
	bool kilo = arg->kind == ARG_BITS && value % 1000 == 0;

	if (arg->kind == ARG_DURATION)
		units_exact_ns(value, ret, bytes);
	else
		(void)snprintf(ret, bytes, "%llu%s", (unsigned long long)(kilo ? value / 1000 : value), kilo ? "kbit" : arg->kind == ARG_BITS ? "bit" : "");
}

static int check_value(const struct fault_arg *arg, const json_t *value, const json_t *all, struct err *err)
{
	char min[32], max[32], names[96];
	uint64_t n;

	if (arg->kind == ARG_ENUM) {
		for (size_t i = 0; i < enum_nr(arg); i++)
			if (json_is_string(value) && strcmp(arg->names[i], json_string_value(value)) == 0)
				return 0;
		return err_set(err, -EINVAL, "'%s' is none of %s", arg->name, yaml_names(arg->names, names, sizeof names));
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(err, -EINVAL, "'%s' is no number", arg->name);
	n = (uint64_t)json_integer_value(value);
	fault_number_text(arg, arg->min, min, sizeof min);
	fault_number_text(arg, arg->max, max, sizeof max);
	if (n < arg->min || n > arg->max)
		return err_set(err, -EINVAL, "'%s' is out of range: %s to %s", arg->name, min, max);
	if (arg->not_above && n > (uint64_t)json_integer_value(json_object_get(all, arg->not_above)))
		return err_set(err, -EINVAL, "'%s' is above '%s'", arg->name, arg->not_above);
	return 0;
}

int fault_check_json(const struct fault *fault, const json_t *args, struct err *err)
{
	size_t nr = 0;
	int rc;

	for (const struct fault_arg *a = fault->args; a->name; a++, nr++) {
		rc = check_value(a, json_object_get(args, a->name), args, err);
		if (rc < 0)
			return err_prefix(err, rc, "%s", fault->name);
	}
	if (json_object_size(args) != nr)
		return err_set(err, -EINVAL, "%s: more arguments than it has", fault->name);
	return 0;
}

/* Text to JSON in the units of memory. Errors: -EINVAL, with a word for what was expected. */
static json_t *parse_value(const struct fault_arg *arg, const char *text, const char **ret_expected)
{
	uint64_t n = 0;
	char *end;
	int rc = 0;

	switch (arg->kind) {
	case ARG_DURATION:
		*ret_expected = "a duration such as 500ms";
		rc = units_parse_duration(text, &n);
		break;
	case ARG_BITS:
		*ret_expected = "a rate such as 256kbit";
		rc = units_parse_bits(text, &n);
		break;
	case ARG_COUNT:
		*ret_expected = "a whole number";
		n = strtoull(text, &end, 10);
		rc = *text >= '0' && *text <= '9' && *end == '\0' ? 0 : -EINVAL;
		break;
	case ARG_ENUM:
		for (size_t i = 0; arg->names[i]; i++)
			if (strcmp(arg->names[i], text) == 0)
				return json_string(text);
		return NULL;
	}
	return rc == 0 && n <= INT64_MAX ? json_integer((json_int_t)n) : NULL;
}

static int check_arg(const struct fault *f, const struct fault_arg *a, const struct yaml *args, const struct yaml *at, json_t *json, struct err *err)
{
	const struct yaml *node = yaml_get(args, a->name);
	const struct yaml *where = node ? node : at;
	const char *text = node ? node->text : a->fallback, *expected = "";
	char names[96];
	struct err e = ERR_INIT;
	json_t *value;

	if (!text && where)
		return yaml_error(where, err, "%s needs '%s': %s", f->name, a->name, a->help);
	if (!text)
		return err_set(err, -EINVAL, "%s needs '%s': %s", f->name, a->name, a->help);
	value = parse_value(a, text, &expected);
	if (a->kind == ARG_ENUM)
		expected = yaml_names(a->names, names, sizeof names);
	if (!value && where)
		return yaml_error(where, err, "'%s' of %s is '%s', expected %s", a->name, f->name, text, expected);
	if (!value)
		return err_set(err, -EINVAL, "'%s' of %s is '%s', expected %s", a->name, f->name, text, expected);
	json_object_set_new(json, a->name, value);
	if (check_value(a, value, json, &e) == 0)
		return 0;
	return where ? yaml_error(where, err, "%s: %s", f->name, e.text) : err_set(err, -EINVAL, "%s: %s", f->name, e.text);
}

static int unknown_fault(const char *name, const struct yaml *where, struct err *err)
{
	const char *names[FAULTS_NR] = { NULL }, *near;
	struct err said = ERR_INIT;

	for (size_t i = 0; faults[i]; i++)
		names[i] = faults[i]->name;
	near = yaml_nearest(name, names);
	if (near)
		(void)err_set(&said, -EINVAL, "unknown fault '%s'; did you mean '%s'?", name, near);
	else
		(void)err_set(&said, -EINVAL, "unknown fault '%s'; squall chaos list names all", name);
	return where ? yaml_error(where, err, "%s", said.text) : err_set(err, -EINVAL, "%s", said.text);
}

int chaos_check(const char *fault, const struct yaml *args, const struct yaml *at, json_t **ret_json, struct err *err)
{
	const char *names[16] = { NULL };
	const struct fault *f = fault_find(fault);
	const struct yaml *where = args ? args : at;
	json_t *json = NULL;
	size_t nr = 0;
	int rc = 0;

	if (!f)
		return unknown_fault(fault, at ? at : args, err);
	for (const struct fault_arg *a = f->args; a->name && nr < 15; a++)
		names[nr++] = a->name;
	if (args && args->kind != YAML_MAPPING)
		return yaml_error(args, err, "the arguments of %s must be 'name: value'", f->name);
	if (args)
		rc = yaml_check_keys(args, f->name, names, err);
	if (rc < 0)
		return rc;
	json = json_object();
	if (!json)
		return err_set(err, -ENOMEM, "out of memory");
	for (const struct fault_arg *a = f->args; a->name && rc == 0; a++)
		rc = check_arg(f, a, args, where, json, err);
	if (rc < 0)
		json_decref(json);
	else
		*ret_json = json;
	return rc;
}

enum fault_verdict fault_unseen(int rc, const struct err *err, char *evidence, size_t bytes)
{
	(void)snprintf(evidence, bytes, "could not look: %.200s", err->text[0] ? err->text : strerror(-rc));
	return FAULT_INCONCLUSIVE;
}

static int check_allowed(const struct fault *fault, const struct allow *allow, struct err *err)
{
	const struct {
		unsigned int bit;
		const char *name;
		size_t nr;
	} lists[] = { { ALLOW_RESOURCE, "resource", allow->resources.nr }, { ALLOW_EXPORT, "export", allow->exports.nr }, { ALLOW_INTERFACE, "interface", allow->interfaces.nr },
		    { ALLOW_PROCESS, "process", allow->processes.nr }, { ALLOW_SCRATCH, "scratch device", allow->scratch.nr } };

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if ((fault->allowed & lists[i].bit) && lists[i].nr == 0)
			return err_set(err, -ENOPKG, "the allow file names no %s", lists[i].name);
	return 0;
}

int fault_probe(const struct fault *fault, struct allow *ret_allow, struct err *err)
{
	char path[128];
	int rc;

	if (geteuid() != 0)
		return err_set(err, -ENOPKG, "faults need root; in the lab (squall run --on lab) they do not");
	rc = chaos_stopped(err);
	if (rc == 0)
		rc = allow_load(ret_allow, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; fault->needs[i]; i++)
		if (exec_find(fault->needs[i], path, sizeof path) < 0)
			return err_set(err, -ENOPKG, "%s needs the program %s; squall doctor names its package", fault->name, fault->needs[i]);
	rc = check_allowed(fault, ret_allow, err);
	if (rc == 0 && fault->outside)
		rc = err_set(err, -ENOPKG, "%s", fault->not_here);
	if (rc == 0 && fault->probe)
		rc = fault->probe(ret_allow, err);
	return rc < 0 ? err_prefix(err, rc, "%s", fault->name) : 0;
}

int chaos_probe(const char *fault, uint64_t for_ns, struct err *err)
{
	const struct fault *f = fault_find(fault);
	struct allow *allow;
	int rc;

	if (!f)
		return unknown_fault(fault, NULL, err);
	allow = calloc(1, sizeof *allow);
	if (!allow)
		return err_set(err, -ENOMEM, "out of memory");
	rc = fault_probe(f, allow, err);
	if (rc == 0 && allow_check_time(allow, for_ns, err) < 0)
		rc = err_prefix(err, -ENOPKG, "%s", fault);
	free(allow);
	return rc;
}

static json_t *list_args(const struct fault *f)
{
	json_t *list = json_array();

	for (const struct fault_arg *a = f->args; a->name; a++) {
		json_t *arg = json_pack("{s:s, s:s, s:s, s:s?}", "name", a->name, "kind", arg_kind_names[a->kind], "help", a->help, "default", a->fallback);
		char min[32], max[32];

		fault_number_text(a, a->min, min, sizeof min);
		fault_number_text(a, a->max, max, sizeof max);
		if (a->kind == ARG_ENUM) {
			json_t *names = json_array();

			for (size_t i = 0; a->names[i]; i++)
				json_array_append_new(names, json_string(a->names[i]));
			json_object_set_new(arg, "names", names);
		} else {
			json_object_set_new(arg, "min", json_string(min));
			json_object_set_new(arg, "max", json_string(max));
		}
		json_array_append_new(list, arg);
	}
	return list;
}

json_t *chaos_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; faults[i]; i++) {
		const struct fault *f = faults[i];
		struct err e = ERR_INIT;
		bool available = chaos_probe(f->name, 0, &e) == 0;

		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:b, s:s, s:s}", "fault", f->name, "heal_class",
						      heal_class_names[f->heal_class], "instant", f->instant, "outside", f->outside != NULL, "breaks", f->breaks, "where", f->where, "args", list_args(f),
						      "available", available, "reason", e.text, "page", f->page));
	}
	return json_pack("{s:o}", "faults", list);
}

const char *chaos_common_reason(const json_t *list)
{
	const char *first = json_string_value(json_object_get(json_array_get(list, 0), "reason"));
	const json_t *f;
	size_t i;

	json_array_foreach(list, i, f)
		if (strcmp(first, json_string_value(json_object_get(f, "reason"))) != 0)
			return "";
	return first;
}
