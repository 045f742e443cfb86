/* SPDX-License-Identifier: MIT */
/*
 * evil_test.c - an agent with a valid certificate that follows no rule, and a broker that lets it: neither gets more than noise.
 */
#include <criterion/criterion.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../common/bus_seal.h"
#include "../../../common/bus_window.h"
#include "broker_fixture.h"
#include "clock.h"
#include "err.h"
#include "file.h"

#define HEARD_MAX 512
#define TURN_NS (5 * NS_PER_MS)
#define EVENT_NS (120 * NS_PER_S)	/* what is to come does so at last, however busy the host is */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_BYTES_MAX (512u << 20)	/* it keeps 256 MiB of what was freed */
#else
#define GROWTH_BYTES_MAX (64u << 20)
#endif

/* A client of MQTT that is nobody's but this test's. */
struct raw {
	struct mosquitto *client;
	bool connected;
	int answers, denied;		/* of what it has published */
	struct {
		char topic[64];
		char *text;
		size_t bytes;
	} heard[HEARD_MAX];
	int heard_nr;
};

TestSuite(evil, .fini = fixture_end, .timeout = 60);

/* A claim is tested with one broker, and with two that are joined by a bridge. */
#define EVIL_TEST(claim) \
	static void claim(void (*begin)(void)); \
	Test(evil, claim) \
	{ \
		claim(fixture_begin); \
	} \
	Test(evil, claim##_over_a_bridge) \
	{ \
		claim(fixture_begin_bridged); \
	} \
	static void claim(void (*begin)(void))

static void on_connect(struct mosquitto *client, void *arg, int reason, int flags, const mosquitto_property *properties)
{
	struct raw *r = arg;

	(void)client;
	(void)flags;
	(void)properties;
	r->connected = reason == 0;
}

static void on_publish(struct mosquitto *client, void *arg, int id, int reason, const mosquitto_property *properties)
{
	struct raw *r = arg;

	(void)client;
	(void)id;
	(void)properties;
	r->answers++;
	r->denied += reason == MQTT_RC_NOT_AUTHORIZED;
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *m, const mosquitto_property *properties)
{
	struct raw *r = arg;

	(void)client;
	(void)properties;
	if (r->heard_nr == HEARD_MAX)
		return;
	(void)snprintf(r->heard[r->heard_nr].topic, sizeof r->heard[0].topic, "%s", m->topic);
	r->heard[r->heard_nr].bytes = (size_t)m->payloadlen;
	r->heard[r->heard_nr].text = malloc((size_t)m->payloadlen + 1);
	memcpy(r->heard[r->heard_nr].text, m->payload, (size_t)m->payloadlen);
	r->heard_nr++;
}

static void raw_serve(struct raw *r, uint64_t for_ns)
{
	uint64_t end = clock_mono_ns() + for_ns;

	do
		(void)mosquitto_loop(r->client, (int)(TURN_NS / NS_PER_MS), 1);
	while (clock_mono_ns() < end);
}

static void raw_open(struct raw *r, const char *identity, const char *client_id)
{
	char ca[128], cert[128], key[128];

	*r = (struct raw){ .client = NULL };
	(void)mosquitto_lib_init();
	(void)snprintf(ca, sizeof ca, "%s/ca.pem", in(identity));
	(void)snprintf(cert, sizeof cert, "%s/cert.pem", in(identity));
	(void)snprintf(key, sizeof key, "%s/key.pem", in(identity));
	r->client = mosquitto_new(client_id, true, r);
	mosquitto_connect_v5_callback_set(r->client, on_connect);
	mosquitto_publish_v5_callback_set(r->client, on_publish);
	mosquitto_message_v5_callback_set(r->client, on_message);
	cr_assert_eq(mosquitto_int_option(r->client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5), 0);
	cr_assert_eq(mosquitto_tls_set(r->client, ca, NULL, cert, key, NULL), 0);
	cr_assert_eq(mosquitto_connect(r->client, "127.0.0.1", (int)strtol(strrchr(url_of(identity), ':') + 1, NULL, 10), 10), 0);
	for (int turn = 0; turn < 200 && !r->connected; turn++)
		raw_serve(r, TURN_NS);
	cr_assert(r->connected);
}

static void raw_close(struct raw *r)
{
	for (int i = 0; i < r->heard_nr; i++)
		free(r->heard[i].text);
	(void)mosquitto_disconnect(r->client);
	mosquitto_destroy(r->client);
	(void)mosquitto_lib_cleanup();
}

/* @return whether the broker has taken it */
static bool raw_publish(struct raw *r, const char *topic, const char *text, size_t bytes)
{
	int answers = r->answers, denied = r->denied;

	cr_assert_eq(mosquitto_publish_v5(r->client, NULL, topic, (int)bytes, text, 1, false, NULL), 0);
	for (int turn = 0; turn < 400 && r->answers == answers; turn++)
		raw_serve(r, TURN_NS);
	cr_assert_gt(r->answers, answers, "no answer of the broker to a message on %s", topic);
	return r->denied == denied;
}

static void raw_subscribe(struct raw *r, const char *topic)
{
	(void)mosquitto_subscribe_v5(r->client, NULL, topic, 1, 0, NULL);
	raw_serve(r, 10 * TURN_NS);
}

/* Coordinator, agent, and what they have said to each other. */
struct pair {
	struct bus *a, *b;
	int sent, taken, back;		/* to the agent, by the agent, and the agent's answers that came */
};

static void serve(struct pair *p)
{
	struct bus_message m;

	while (bus_next(p->b, clock_mono_ns() + NS_PER_MS, &m) == 1) {
		cr_assert_str_eq(m.kind, "tick", "the agent got '%s'", m.kind);
		cr_assert_eq(json_integer_value(json_object_get(m.body, "i")), p->taken);
		cr_assert_eq(bus_send(p->b, BUS_COORDINATOR, "tock", json_pack("{s:i}", "i", p->taken)), 0);
		p->taken++;
		json_decref(m.body);
	}
	while (bus_next(p->a, clock_mono_ns() + NS_PER_MS, &m) == 1) {
		cr_assert_str_eq(m.peer, "agent");
		cr_assert_str_eq(m.kind, "tock", "the coordinator got '%s'", m.kind);
		cr_assert_eq(json_integer_value(json_object_get(m.body, "i")), p->back);
		p->back++;
		json_decref(m.body);
	}
}

/* One more each way. Under a flood it may take as long as a peer may be silent, on a host that is busy with other tests besides. */
static void exchange(struct pair *p)
{
	uint64_t deadline = clock_mono_ns() + WINDOW_PATIENCE_NS;

	cr_assert_eq(bus_send(p->a, "agent", "tick", json_pack("{s:i}", "i", p->sent++)), 0);
	while (p->back < p->sent && clock_mono_ns() < deadline) {
		(void)bus_accept(p->b, clock_mono_ns(), NULL);
		serve(p);
	}
	cr_assert_eq(p->back, p->sent);
}

static void pair_open(struct pair *p)
{
	struct err err = ERR_INIT;

	*p = (struct pair){ .sent = 0 };
	open_bus(&p->a, BUS_COORDINATOR);
	open_bus(&p->b, "agent");
	cr_assert_eq(bus_join(p->a, "agent", &err), 0, "%s", err.text);
	exchange(p);
}

static void pair_close(struct pair *p)
{
	bus_free(p->a);
	bus_free(p->b);
}

EVIL_TEST(an_agent_can_neither_command_nor_answer_for_another)
{
	static const char *const topics[] = { "squall/down/agent", "squall/up/agent", "squall/all", "squall/down/evil", "squall/up/coordinator", "other" };
	static const char command[] = "{\"kind\": \"stop\"}";
	struct pair p;
	struct raw evil;

	begin();
	fixture_agent("evil");
	pair_open(&p);
	raw_open(&evil, "evil", "evil");
	for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
		cr_assert_not(raw_publish(&evil, topics[i], command, strlen(command)), "the broker took a message on %s", topics[i]);
	cr_assert(raw_publish(&evil, "squall/up/evil", command, strlen(command)));
	exchange(&p);
	cr_assert_eq(bus_refused(p.b).forged, 0);	/* nothing came as far as the agent */
	raw_close(&evil);
	pair_close(&p);
}

EVIL_TEST(an_agent_hears_nothing_of_another)
{
	static const char *const topics[] = { "#", "squall/#", "squall/up/#", "squall/up/agent", "squall/down/agent", "+/+/+", "$SYS/#", "$share/x/squall/#" };
	struct pair p;
	struct raw evil;

	begin();
	fixture_agent("evil");
	pair_open(&p);
	raw_open(&evil, "evil", "evil");
	for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
		raw_subscribe(&evil, topics[i]);
	for (int i = 0; i < 10; i++)
		exchange(&p);
	raw_serve(&evil, NS_PER_S / 5);
	cr_assert_eq(evil.heard_nr, 0, "it heard something on %s", evil.heard[0].topic);
	raw_close(&evil);
	pair_close(&p);
}

EVIL_TEST(an_agent_that_takes_the_client_id_of_another_hits_only_itself)
{
	struct pair p;
	struct raw evil;

	begin();
	fixture_agent("evil");
	pair_open(&p);
	raw_open(&evil, "evil", "agent");
	raw_subscribe(&evil, "squall/down/agent");
	for (int i = 0; i < 10; i++)
		exchange(&p);
	cr_assert_not(raw_publish(&evil, "squall/up/agent", "x", 1));
	raw_serve(&evil, NS_PER_S / 5);
	cr_assert_eq(evil.heard_nr, 0);
	raw_close(&evil);
	pair_close(&p);
}

static uint64_t resident_bytes(void)
{
	char *text = NULL, *at;
	uint64_t pages = 0;

	if (file_read("/proc/self/statm", 256, &text, NULL, NULL) == 0 && (at = strchr(text, ' ')))
		pages = strtoull(at, NULL, 10);
	free(text);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* As much as the broker takes, and no more than that in this process. */
static void flood(const char *identity)
{
	static char text[1u << 18];
	struct raw evil;
	int rc = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);		/* a test that fails leaves nothing behind */
	(void)setpriority(PRIO_PROCESS, 0, 19);		/* it is the broker that is flooded, and not a host that does other things besides */
	memset(text, 'x', sizeof text);
	raw_open(&evil, identity, identity);
	for (int sent = 1; rc == MOSQ_ERR_SUCCESS; sent++) {
		rc = mosquitto_publish_v5(evil.client, NULL, "squall/up/evil", sizeof text, text, 1, false, NULL);
		while (rc == MOSQ_ERR_SUCCESS && (mosquitto_want_write(evil.client) || sent - evil.answers >= 4))
			rc = mosquitto_loop(evil.client, 5, 1);
	}
}

EVIL_TEST(a_flood_costs_the_others_time_and_nothing_else)
{
	struct pair p;
	uint64_t before, end, size;
	pid_t evil;
	int nr = 0;

	begin();
	fixture_agent("evil");
	pair_open(&p);
	before = resident_bytes();
	evil = fork();
	if (evil == 0) {
		flood("evil");
		_exit(0);
	}
	end = clock_mono_ns() + 3 * NS_PER_S;
	while (clock_mono_ns() < end) {
		exchange(&p);
		nr++;
	}
	size = resident_bytes();
	cr_assert_eq(waitpid(evil, NULL, WNOHANG), 0, "the flood has ended by itself");
	cr_assert_eq(kill(evil, SIGKILL), 0);
	cr_assert_eq(waitpid(evil, NULL, 0), evil);
	cr_assert_gt(nr, 0);
	cr_assert_lt(size, before + GROWTH_BYTES_MAX, "from %llu to %llu bytes", (unsigned long long)before, (unsigned long long)size);
	pair_close(&p);
}

EVIL_TEST(an_agent_of_ours_that_floods_is_not_heard_any_more)
{
	uint64_t deadline;
	struct bus_message m;
	bool gone = false;
	struct pair p;
	pid_t evil;

	begin();
	fixture_agent("evil");
	pair_open(&p);
	cr_assert_eq(bus_join(p.a, "evil", NULL), 0);
	evil = fork();
	if (evil == 0) {
		flood("evil");
		_exit(0);
	}
	deadline = clock_mono_ns() + EVENT_NS;
	while (!gone && clock_mono_ns() < deadline) {
		if (bus_next(p.a, clock_mono_ns() + 10 * NS_PER_MS, &m) != 1)
			continue;
		cr_assert_str_eq(m.peer, "evil");
		cr_assert_str_eq(m.kind, "gone");
		json_decref(m.body);
		gone = true;
	}
	cr_assert(gone, "it is still listened to");
	for (int i = 0; i < 10; i++)
		exchange(&p);
	cr_assert_eq(kill(evil, SIGKILL), 0);
	cr_assert_eq(waitpid(evil, NULL, 0), evil);
	pair_close(&p);
}

static const char acl_careless[] =
	"topic readwrite #\nuser coordinator\ntopic readwrite #\nuser agent\ntopic readwrite #\nuser evil\ntopic readwrite #\nuser bridge\ntopic readwrite #\n";

/* The broker has begun to read its list, and comes to the end of it: what it has lost does not come at all. */
static bool soon_may_publish(struct raw *evil, bool may)
{
	uint64_t deadline = clock_mono_ns() + EVENT_NS;

	while (raw_publish(evil, "squall/nobody", "", 0) != may)
		if (clock_mono_ns() > deadline)
			return false;
	return true;
}

/* From here on the broker lets everybody do everything, and the evil one is connected to it. */
static void make_careless(struct raw *ret_evil)
{
	fixture_agent("evil");
	fixture_set_acl(acl_careless);
	raw_open(ret_evil, "evil", "evil");
	cr_assert(soon_may_publish(ret_evil, true));
}

/*
 * As when two agents are revoked, one after the other: the second time the broker is asked while it reads for the first. Its lists are long, so that it
 * reads for long enough.
 */
Test(evil, a_list_that_comes_while_the_broker_reads_is_read_too)
{
	static const char line[] = "# nobody\n", closed[] = "user coordinator\ntopic readwrite #\n";
	const size_t padding = (8u << 20) / (sizeof line - 1) * (sizeof line - 1);
	char *list = malloc(padding + sizeof acl_careless);
	struct raw evil;

	fixture_begin();
	fixture_agent("evil");
	for (size_t at = 0; at < padding; at += sizeof line - 1)
		memcpy(list + at, line, sizeof line - 1);
	(void)stpcpy(list + padding, closed);
	fixture_set_acl(list);
	raw_open(&evil, "evil", "evil");
	for (int turn = 0; turn < 4; turn++) {
		struct pollfd read = { .fd = inotify_init1(IN_CLOEXEC), .events = POLLIN };

		cr_assert_geq(inotify_add_watch(read.fd, in("broker/acl"), IN_OPEN), 0);
		cr_assert_eq(broker_reload(in("broker"), NULL), 1);
		cr_assert_eq(poll(&read, 1, (int)(EVENT_NS / NS_PER_MS)), 1);
		close(read.fd);
		(void)stpcpy(list + padding, turn % 2 ? closed : acl_careless);
		fixture_set_acl(list);
		cr_assert(soon_may_publish(&evil, turn % 2 == 0), "turn %d", turn);
	}
	raw_close(&evil);
	free(list);
}

/* What the coordinator has sent down, as the evil one has heard it. @param nth  counted from 0, and from the last when below */
static int sealed_heard(const struct raw *evil, int nth)
{
	int found = 0, step = nth < 0 ? -1 : 1;

	nth = nth < 0 ? -nth - 1 : nth;
	for (int i = step < 0 ? evil->heard_nr - 1 : 0; i >= 0 && i < evil->heard_nr; i += step)
		if (strcmp(evil->heard[i].topic, "squall/down/agent") == 0 && evil->heard[i].bytes > 128 && memchr(evil->heard[i].text, '{', evil->heard[i].bytes) &&
		    found++ == nth)
			return i;
	cr_assert_fail("there is no sealed parcel %d", nth);
	return -1;
}

static void agent_waits(struct pair *p)
{
	for (int i = 0; i < 50; i++)
		serve(p);
}

EVIL_TEST(with_a_careless_broker_what_is_forged_repeated_or_reordered_is_refused_and_counted)
{
	static const char forged[] = "0123456789abcdef 0000000000000000 0000000000000000 {\"kind\": \"stop\"}";
	struct bus_refused refused;
	struct sealed sealed;
	struct parcel_head head;
	struct raw evil;
	struct pair p;
	EVP_PKEY *key = NULL, *own = NULL;
	char *text;
	size_t bytes;
	char parcel[256];
	int at;

	begin();
	make_careless(&evil);
	raw_subscribe(&evil, "squall/#");
	pair_open(&p);
	exchange(&p);
	raw_serve(&evil, NS_PER_S / 5);
	cr_assert_eq(certificate_key(in(BUS_COORDINATOR), &key, NULL), 0);
	cr_assert_eq(certificate_key(in("evil"), &own, NULL), 0);

	/* Without a signature, with its own, and with the coordinator's over something else. */
	cr_assert(raw_publish(&evil, "squall/down/agent", forged, strlen(forged)));
	cr_assert_eq(seal_make(own, "agent", UINT64_MAX, forged, strlen(forged), &text, &bytes), 0);
	cr_assert(raw_publish(&evil, "squall/down/agent", text, bytes));
	free(text);
	at = sealed_heard(&evil, 0);
	evil.heard[at].text[evil.heard[at].bytes - 2] ^= 1;
	cr_assert(raw_publish(&evil, "squall/down/agent", evil.heard[at].text, evil.heard[at].bytes));
	evil.heard[at].text[evil.heard[at].bytes - 2] ^= 1;
	agent_waits(&p);
	cr_assert_eq(bus_refused(p.b).forged, 3);

	/* As it was, once more. */
	refused = bus_refused(p.b);
	cr_assert(raw_publish(&evil, "squall/down/agent", evil.heard[at].text, evil.heard[at].bytes));
	agent_waits(&p);
	cr_assert_eq(bus_refused(p.b).repeated, refused.repeated + 1);

	/* What only who has the key could send, so that each reason is seen alone: too early, too late, to another, in no session. */
	cr_assert_eq(seal_open(key, evil.heard[at].text, evil.heard[at].bytes, &sealed), 0);
	cr_assert_eq(parcel_parse(sealed.parcel, sealed.parcel_bytes, &head), 0);
	(void)snprintf(parcel, sizeof parcel, "%016llx %016x %016x {\"kind\": \"stop\"}", (unsigned long long)head.session, 99, 0);
	cr_assert_eq(seal_make(key, "agent", UINT64_MAX, parcel, strlen(parcel), &text, &bytes), 0);
	cr_assert(raw_publish(&evil, "squall/down/agent", text, bytes));
	free(text);
	(void)snprintf(parcel, sizeof parcel, "%016llx %016x %016x {\"kind\": \"stop\"}", (unsigned long long)head.session, 2, 0);
	cr_assert_eq(seal_make(key, "agent", NS_PER_MS, parcel, strlen(parcel), &text, &bytes), 0);
	cr_assert(raw_publish(&evil, "squall/down/agent", text, bytes));
	free(text);
	cr_assert_eq(seal_make(key, "other", UINT64_MAX, parcel, strlen(parcel), &text, &bytes), 0);
	cr_assert(raw_publish(&evil, "squall/down/agent", text, bytes));
	free(text);
	cr_assert_eq(seal_make(key, "agent", UINT64_MAX, forged, strlen(forged), &text, &bytes), 0);
	cr_assert(raw_publish(&evil, "squall/down/agent", text, bytes));
	free(text);
	agent_waits(&p);
	refused = bus_refused(p.b);
	cr_assert_eq(refused.reordered, 1);
	cr_assert_eq(refused.expired, 1);
	cr_assert_eq(refused.misaddressed, 1);
	cr_assert_eq(refused.of_no_session, 1);

	exchange(&p);		/* and the session goes on */
	EVP_PKEY_free(key);
	EVP_PKEY_free(own);
	raw_close(&evil);
	pair_close(&p);
}

EVIL_TEST(with_a_careless_broker_the_commands_of_a_session_are_worth_nothing_after_it)
{
	struct raw evil;
	struct pair p;
	int nr, sealed = 0;

	begin();
	make_careless(&evil);
	raw_subscribe(&evil, "squall/#");
	pair_open(&p);
	for (int i = 0; i < 5; i++)
		exchange(&p);
	raw_serve(&evil, NS_PER_S / 5);
	pair_close(&p);

	/* An agent that was started again, and hears everything once more, from the request for a session on. */
	open_bus(&p.b, "agent");
	nr = evil.heard_nr;
	for (int i = 0; i < nr; i++)
		if (strcmp(evil.heard[i].topic, "squall/down/agent") == 0) {
			cr_assert(raw_publish(&evil, "squall/down/agent", evil.heard[i].text, evil.heard[i].bytes));
			sealed += evil.heard[i].bytes > 128;
		}
	cr_assert_gt(sealed, 5);
	for (int turn = 0; turn < 100 && bus_refused(p.b).of_no_session < (uint64_t)sealed; turn++)
		cr_assert_eq(bus_accept(p.b, clock_mono_ns() + NS_PER_S / 10, NULL), 0);
	cr_assert_eq(bus_refused(p.b).of_no_session, (uint64_t)sealed);
	bus_free(p.b);
	raw_close(&evil);
}

EVIL_TEST(with_a_careless_broker_false_last_wills_and_requests_end_no_session)
{
	char will[WINDOW_HEADER_BYTES + 5], open[WINDOW_HEADER_BYTES + 5];
	size_t will_bytes = parcel_print(0, 0, 0, "gone", will), open_bytes = parcel_print(0, 12345, 0, "open", open);
	struct raw evil;
	struct pair p;
	uint64_t end;

	begin();
	make_careless(&evil);
	pair_open(&p);
	end = clock_mono_ns() + 5 * NS_PER_S;
	while (clock_mono_ns() < end) {
		cr_assert(raw_publish(&evil, "squall/all", will, will_bytes));
		cr_assert(raw_publish(&evil, "squall/up/agent", will, will_bytes));
		cr_assert(raw_publish(&evil, "squall/down/agent", open, open_bytes));
		exchange(&p);
	}
	raw_close(&evil);
	pair_close(&p);
}
