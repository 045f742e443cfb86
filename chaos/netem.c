/* SPDX-License-Identifier: MIT */
/*
 * netem.c - plans and proves netem on a flow.
 *
 * One socket of DRBD is matched by its four-tuple, and with its connection the fault has vanished; both, and NFS, are matched by the port at either
 * end, which outlives a reconnect. The effect is proved by packets that came into the netem queue; filter and queue are looked for again every second.
 * What netem does to a packet without a counter of its own (corrupt, duplicate, reorder) is proved by what TCP of this host hears of it from the other end.
 */
#include "netem.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drbd.h"
#include "err.h"
#include "nfs.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"
#include "units.h"

#define IFB_MTU 9000		/* at least that of any NIC in front of it, or packets are dropped */
#define QUEUE_PACKETS 10000	/* what waits is not dropped for its number */
#define PREF_FIRST 10
#define MATCHES_MAX 2

const char *const netem_socket_names[] = { "data", "meta", "both", NULL };
const char *const netem_drbd_needs[] = { "tc", "ip", "ss", "drbdadm", NULL };
const char *const netem_nfs_needs[] = { "tc", "ip", "ss", NULL };

/* Packets that leave by an interface and match a filter. Also the state of the run. */
struct flow {
	const char *what;		/* for people */
	const char *ifb;		/* the interface of our own that has the netem: of each kind of flow one, so that both can be slow at a time */
	char dev[16];
	char match[MATCHES_MAX][160];	/* keys of flower, for a filter each */
	unsigned int matches_nr;
	struct drbd_socket socket;	/* the one of DRBD's that is meant; without a port when it is both, or NFS */
	unsigned long long seen_last;	/* [packets] */
	const char *told;		/* the counter of TCP's that proves the effect; NULL = netem's prove it */
	char address[16];		/* of this host, with which the connections are found that have it */
	unsigned long long told_last, told_more;
};

int netem_probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	if (access("/sys/module/ifb", F_OK) < 0)
		return err_set(err, -ENOPKG, "the kernel module ifb is not loaded (modprobe ifb)");
	return 0;
}

static void add_match(struct flow *flow, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add_match(struct flow *flow, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(flow->match[flow->matches_nr++], sizeof flow->match[0], format, ap);
	va_end(ap);
}

enum netem_socket netem_which(const struct fault_run *run)
{
	unsigned int which = NETEM_BOTH;

	for (unsigned int i = 0; netem_socket_names[i]; i++)
		if (strcmp(fault_arg_text(run, "socket"), netem_socket_names[i]) == 0)
			which = i;
	return (enum netem_socket)which;
}

static int find_drbd(const struct fault_run *run, enum netem_socket which, struct flow *flow, struct err *err)
{
	struct drbd_link link = { .dev = "DEV", .data.peer = "PEER", .meta.peer = "PEER" };
	const struct drbd_socket *s = which == NETEM_META ? &link.meta : &link.data;
	const char *name = which == NETEM_META ? "META" : "DATA";
	int rc = run->dry ? 0 : drbd_link_find(&run->allow, &link, err);

	memcpy(flow->dev, link.dev, sizeof flow->dev);
	if (which == NETEM_BOTH) {
		add_match(flow, "dst_ip %s src_port %d", s->peer, DRBD_PORT);
		add_match(flow, "dst_ip %s dst_port %d", s->peer, DRBD_PORT);
	} else if (run->dry) {
		add_match(flow, "dst_ip PEER src_port %s_LOCAL_PORT dst_port %s_PEER_PORT", name, name);
	} else {
		add_match(flow, "dst_ip %s src_port %u dst_port %u", s->peer, s->local_port, s->peer_port);
		flow->socket = *s;
	}
	return rc;
}

static int find_nfs(const struct fault_run *run, struct flow *flow, struct err *err)
{
	struct nfs_link link = { .dev = "DEV" };
	int rc = run->dry ? 0 : nfs_link_find(&run->allow, &link, err);

	memcpy(flow->dev, link.dev, sizeof flow->dev);
	memcpy(flow->address, link.address, sizeof flow->address);
	add_match(flow, "src_port %d", NFS_PORT);
	add_match(flow, "dst_port %d", NFS_PORT);
	return rc;
}

/* The words after `netem`, from the arguments that the fault has. */
static void netem_words(const struct fault_run *run, char *ret, size_t bytes)
{
	uint64_t jitter_ns = fault_arg_u64(run, "jitter"), rate = fault_arg_u64(run, "rate");
	char delay[32], jitter[32];

	if (json_object_get(run->args, "delay"))
		(void)snprintf(ret, bytes, "delay %s%s%s", units_exact_ns(fault_arg_u64(run, "delay"), delay, sizeof delay), jitter_ns ? " " : "",
			       jitter_ns ? units_exact_ns(jitter_ns, jitter, sizeof jitter) : "");
	else if (json_object_get(run->args, "percent"))
		(void)snprintf(ret, bytes, "loss %" PRIu64 "%%", fault_arg_u64(run, "percent"));
	else
		(void)snprintf(ret, bytes, "rate %" PRIu64 "%s", rate % 1000 ? rate : rate / 1000, rate % 1000 ? "bit" : "kbit");
}

unsigned long long netem_parse_told(const char *text, const char *told)
{
	size_t n = strlen(told);
	unsigned long long sum = 0;

	for (const char *p = text; (p = strstr(p, told)); p += n) {
		const char *value = p + n + 1;

		if (p == text || p[-1] != ' ' || p[n] != ':')	/* "bytes_retrans" is another one */
			continue;
		if (value[strcspn(value, "/ \n")] == '/')
			value = strchr(value, '/') + 1;
		sum += strtoull(value, NULL, 10);
	}
	return sum;
}

/* How far the counter rose. That of a connection that has ended is lost, with what it rose since the last look. */
static int look_told(struct flow *flow, struct err *err)
{
	char *text = NULL;
	unsigned long long now;
	int rc = flow->told ? tool_output(&text, err, "ss -tniH " NFS_CONNECTIONS, NFS_PORT, NFS_PORT, flow->address) : 0;

	if (rc == 0 && flow->told) {
		now = netem_parse_told(text, flow->told);
		flow->told_more += now > flow->told_last ? now - flow->told_last : 0;
		flow->told_last = now;
	}
	free(text);
	return rc;
}

/* The listing before, and a refusal when what we would add is there already. */
static int look_before(const struct flow *flow, char **ret_before, struct err *err)
{
	int rc = undo_qdisc_list(flow->dev, ret_before, err);

	if (rc == 0 && (strstr(*ret_before, "clsact") || strstr(*ret_before, "ingress")))
		rc = err_set(err, -EBUSY, "%s holds a clsact or ingress qdisc already: another fault, or someone else's", flow->dev);
	if (rc == 0 && if_nametoindex(flow->ifb) != 0)
		rc = err_set(err, -EBUSY, "the interface %s is there already: another fault (squall chaos status)", flow->ifb);
	return rc;
}

static int add_actions(const struct flow *flow, const char *netem, struct plan *plan, struct err *err)
{
	int rc = plan_add_run(plan, err, "ip link add name %s mtu %d type ifb", flow->ifb, IFB_MTU);

	if (rc == 0)
		rc = plan_add_run(plan, err, "ip link set %s up", flow->ifb);
	if (rc == 0)
		rc = plan_add_run(plan, err, "tc qdisc add dev %s clsact", flow->dev);
	if (rc == 0)
		rc = plan_add_run(plan, err, "tc qdisc add dev %s root netem %s limit %d", flow->ifb, netem, QUEUE_PACKETS);
	for (unsigned int i = 0; i < flow->matches_nr && rc == 0; i++)
		rc = plan_add_run(plan, err, "tc filter add dev %s egress protocol ip pref %u handle 1 flower ip_proto tcp %s action mirred egress redirect dev %s",
				  flow->dev, PREF_FIRST + i, flow->match[i], flow->ifb);
	return rc;
}

static int add_undo(const struct flow *flow, const char *before, struct plan *plan, struct err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < flow->matches_nr && rc == 0; i++)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:i}", "op", "FILTER_DEL", "dev", flow->dev, "pref", (int)(PREF_FIRST + i)), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "QDISC_DEL", "dev", flow->dev, "parent", "clsact"), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "IFB_DEL", "dev", flow->ifb), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "QDISC_SAME", "dev", flow->dev, "list", before), err);
	return rc;
}

static int plan_flow(struct fault_run *run, const struct flow *found, const char *netem, struct plan *plan, struct err *err)
{
	struct flow *flow = calloc(1, sizeof *flow);
	char *before = NULL;
	int rc = 0;

	run->state = flow;
	if (!flow)
		return -ENOMEM;
	*flow = *found;
	if (!run->dry)
		rc = look_before(flow, &before, err);
	if (rc == 0 && !run->dry)
		rc = look_told(flow, err);
	flow->told_more = 0;
	if (rc == 0)
		rc = add_actions(flow, netem, plan, err);
	if (rc == 0)
		rc = add_undo(flow, before ? before : "", plan, err);
	free(before);
	return rc;
}

int netem_plan(struct fault_run *run, enum netem_socket which, const char *netem, struct plan *plan, struct err *err)
{
	struct flow flow = { .what = "the DRBD link", .ifb = UNDO_IFB_DRBD };
	int rc = find_drbd(run, which, &flow, err);

	if (rc == 0)
		rc = plan_flow(run, &flow, netem, plan, err);
	return rc < 0 ? rc : drbd_add_linked(run, plan, err);
}

int netem_plan_socket(struct fault_run *run, enum netem_socket which, struct plan *plan, struct err *err)
{
	char netem[96];

	netem_words(run, netem, sizeof netem);
	return netem_plan(run, which, netem, plan, err);
}

int netem_plan_drbd(struct fault_run *run, struct plan *plan, struct err *err)
{
	return netem_plan_socket(run, netem_which(run), plan, err);
}

int netem_plan_nfs_told(struct fault_run *run, const char *netem, const char *told, struct plan *plan, struct err *err)
{
	struct flow flow = { .what = "NFS", .ifb = UNDO_IFB_NFS, .told = told };
	int rc = find_nfs(run, &flow, err);

	return rc < 0 ? rc : plan_flow(run, &flow, netem, plan, err);
}

int netem_plan_nfs(struct fault_run *run, struct plan *plan, struct err *err)
{
	char netem[96];

	netem_words(run, netem, sizeof netem);
	return netem_plan_nfs_told(run, netem, NULL, plan, err);
}

int netem_parse(const char *text, struct netem_counts *ret)
{
	const char *p = strstr(text, "qdisc netem"), *sent, *backlog;

	*ret = (struct netem_counts){ .passed = 0 };
	if (!p)
		return -ENOENT;
	sent = strstr(p, "Sent ");
	backlog = strstr(p, "backlog ");
	if (!sent || sscanf(sent, "Sent %*u bytes %llu pkt (dropped %llu", &ret->passed, &ret->lost) != 2)
		return -EBADMSG;
	if (backlog)
		(void)sscanf(backlog, "backlog %*[0-9KMGb] %llup", &ret->waiting);
	return 0;
}

static int filters_there(const struct flow *flow, struct err *err)
{
	char *text = NULL, needle[32];
	int rc;

	rc = tool_output(&text, err, "tc filter show dev %s egress", flow->dev);
	for (unsigned int i = 0; rc == 0 && i < flow->matches_nr; i++) {
		(void)snprintf(needle, sizeof needle, "pref %u flower", PREF_FIRST + i);
		if (!strstr(text, needle))
			rc = -ENOENT;
	}
	free(text);
	return rc;
}

static bool is_same(const struct drbd_socket *a, const struct drbd_socket *b)
{
	return a->local_port == b->local_port && a->peer_port == b->peer_port;
}

/* A connection that DRBD makes anew has other ports: nothing happens to it. */
static bool has_ended(const struct fault_run *run, const struct drbd_socket *socket)
{
	struct err e = ERR_INIT;
	struct drbd_link link;
	int rc = drbd_link_find(&run->allow, &link, &e);

	if (rc < 0)
		return rc == -ENOTCONN;
	return !is_same(socket, &link.data) && !is_same(socket, &link.meta);
}

enum fault_verdict netem_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct flow *flow = run->state;
	unsigned long long seen;
	struct netem_counts n;
	struct err e = ERR_INIT;
	char *text = NULL, words[128];
	int rc;

	rc = filters_there(flow, &e);
	if (rc == 0)
		rc = tool_output(&text, &e, "tc -s qdisc show dev %s", flow->ifb);
	if (rc == 0)
		rc = netem_parse(text, &n);
	if (rc == 0)
		rc = look_told(flow, &e);
	free(text);
	if (rc == -ENOENT) {
		(void)snprintf(evidence, bytes, "the filter on %s or netem on %s is gone", flow->dev, flow->ifb);
		return FAULT_VANISHED;
	}
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	if (flow->told)
		(void)snprintf(words, sizeof words, "; %s of TCP rose by %llu since the injection", flow->told, flow->told_more);
	else
		drbd_words(words, sizeof words);
	if (flow->socket.local_port != 0 && has_ended(run, &flow->socket)) {
		(void)snprintf(evidence, bytes, "the connection of port %u to port %u of %s has ended, and another one is not touched%s", flow->socket.local_port,
			       flow->socket.peer_port, flow->socket.peer, words);
		return FAULT_VANISHED;
	}
	seen = n.passed + n.lost + n.waiting;
	(void)snprintf(evidence, bytes, "%llu packets of %s came into netem, %llu since the last look: %llu went through, %llu were lost, %llu wait%s", seen, flow->what,
		       seen - flow->seen_last, n.passed, n.lost, n.waiting, words);
	flow->seen_last = seen;
	return seen > 0 && (!flow->told || flow->told_more > 0) ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}
