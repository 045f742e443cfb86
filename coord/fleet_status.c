/* SPDX-License-Identifier: MIT */
/*
 * fleet_status.c - who of a fleet is there: every agent is asked for its hello, as a run does it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "broker.h"
#include "bus.h"
#include "clock.h"
#include "err.h"
#include "fleet.h"

#define AGAIN_NS (NS_PER_S / 2)
#define GOODBYE_NS (2 * NS_PER_S)

struct asked {
	bool joined;
	uint64_t again_ns;	/* when to ask again who was not there */
	json_t *hello;		/* NULL: it has not answered */
};

static void ask(struct bus *bus, const char *name, struct asked *a, uint64_t now)
{
	if (a->joined || a->hello || now < a->again_ns || bus_join(bus, name, NULL) < 0)
		return;
	a->joined = true;
	(void)bus_send(bus, name, "hello", NULL);
}

static int take(const struct fleet *f, struct asked asked[], const struct bus_message *m)
{
	for (int i = 0; i < f->agents_nr; i++) {
		if (strcmp(f->agent[i], m->peer) != 0)
			continue;
		if (strcmp(m->kind, "gone") == 0) {
			asked[i].joined = false;
			asked[i].again_ns = clock_mono_ns() + AGAIN_NS;
		} else if (strcmp(m->kind, "hello") == 0 && !asked[i].hello) {
			asked[i].hello = json_incref(m->body);
			return 1;
		}
	}
	return 0;
}

static int ask_all(const struct fleet *f, struct bus *bus, struct asked asked[], uint64_t deadline)
{
	int left = f->agents_nr;

	while (left > 0 && clock_mono_ns() < deadline) {
		uint64_t now = clock_mono_ns();
		struct bus_message m;
		int rc;

		for (int i = 0; i < f->agents_nr; i++)
			ask(bus, f->agent[i], &asked[i], now);
		rc = bus_next(bus, now + AGAIN_NS < deadline ? now + AGAIN_NS : deadline, &m);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		left -= take(f, asked, &m);
		json_decref(m.body);
	}
	for (int i = 0; i < f->agents_nr; i++)
		if (asked[i].joined)
			(void)bus_send(bus, f->agent[i], "bye", NULL);
	(void)bus_flush(bus, clock_mono_ns() + GOODBYE_NS);
	return 0;
}

/* What it says of itself is printed: a text, and harmless. */
static json_t *said(const json_t *hello, const char *key)
{
	const char *value = json_string_value(json_object_get(hello, key));
	char *text = strdup(value ? value : "");
	json_t *ret;

	if (text)
		err_make_harmless(text, false);
	ret = text ? json_string(text) : NULL;
	free(text);
	return ret;
}

json_t *fleet_status_of(const char *name, const json_t *hello)
{
	static const char *const keys[] = { "roles", "version", "kernel" };
	json_t *one = json_pack("{s:s, s:b}", "name", name, "here", hello != NULL);

	for (size_t k = 0; k < sizeof keys / sizeof keys[0] && hello; k++)
		(void)json_object_set_new(one, keys[k], said(hello, keys[k]));
	return one;
}

static json_t *to_json(const struct fleet *f, const struct asked asked[])
{
	json_t *list = json_array();

	for (int i = 0; i < f->agents_nr; i++)
		(void)json_array_append_new(list, fleet_status_of(f->agent[i], asked[i].hello));
	return json_pack("{s:i, s:s, s:s, s:o}", "schema", 1, "bus", f->url, "version", agent_version(), "agents", list);
}

int fleet_status(const char *dir, uint64_t wait_ns, json_t **ret, struct err *err)
{
	struct asked asked[HOSTS_MAX] = { { .joined = false } };
	struct broker broker = BROKER_INIT;
	struct fleet f = FLEET_INIT;
	struct bus *bus = bus_new();
	int rc = bus ? fleet_load(dir, &f, err) : err_set(err, -ENOMEM, "fleet: no memory");

	if (rc == 0)
		rc = fleet_serve(&f, &broker, err);
	if (rc == 0)
		rc = fleet_connect(&f, bus, err);
	if (rc == 0) {
		rc = ask_all(&f, bus, asked, clock_mono_ns() + wait_ns);
		if (rc < 0)
			(void)err_set(err, rc, "bus: %s", strerror(-rc));
	}
	if (rc == 0) {
		*ret = to_json(&f, asked);
		rc = *ret ? 0 : err_set(err, -ENOMEM, "fleet: no memory");
	}
	for (int i = 0; i < f.agents_nr; i++)
		json_decref(asked[i].hello);
	bus_free(bus);
	broker_stop(&broker);
	fleet_release(&f);
	return rc;
}
