/* SPDX-License-Identifier: MIT */
/*
 * netem.c - plans and proves netem on the flow of DRBD.
 *
 * One socket is matched by its four-tuple, and with its connection the fault has vanished; both are matched by port 7789 at either end, which
 * outlives a reconnect. The effect is proved by packets that came into the netem queue; filter and queue are looked for again every second.
 */
#include "netem.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "drbd.h"
#include "err.h"
#include "plan.h"
#include "tool.h"
#include "undo.h"

#define IFB_MTU 9000		/* at least that of any NIC in front of it, or packets are dropped */
#define PREF_FIRST 10

const char *const netem_socket_names[] = { "data", "meta", "both", NULL };
const char *const netem_needs[] = { "tc", "ip", "ss", "drbdadm", NULL };

struct netem_state {
	char dev[16];
	unsigned int filters;
	struct drbd_socket flow;	/* the one that is meant; without a port when both are */
	unsigned long long seen_last;	/* [packets] */
};

int netem_probe(const struct allow *allow, struct err *err)
{
	(void)allow;
	if (access("/sys/module/ifb", F_OK) < 0)
		return err_set(err, -ENOPKG, "the kernel module ifb is not loaded (modprobe ifb)");
	return 0;
}

static int add_undo(const struct netem_state *state, const char *before, struct plan *plan, struct err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < state->filters && rc == 0; i++)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:i}", "op", "FILTER_DEL", "dev", state->dev, "pref", (int)(PREF_FIRST + i)), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "QDISC_DEL", "dev", state->dev, "parent", "clsact"), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s}", "op", "IFB_DEL", "dev", UNDO_IFB), err);
	if (rc == 0)
		rc = plan_add_undo(plan, json_pack("{s:s, s:s, s:s}", "op", "QDISC_SAME", "dev", state->dev, "list", before), err);
	return rc;
}

static int add_filter(struct plan *plan, const char *dev, unsigned int pref, const char *match, struct err *err)
{
	return plan_add_run(plan, err, "tc filter add dev %s egress protocol ip pref %u handle 1 flower ip_proto tcp %s action mirred egress redirect dev %s",
			    dev, pref, match, UNDO_IFB);
}

static int add_filters(struct netem_state *state, enum netem_socket which, const struct drbd_link *link, bool dry, struct plan *plan, struct err *err)
{
	const struct drbd_socket *s = which == NETEM_META ? &link->meta : &link->data;
	char match[160];
	int rc;

	if (which == NETEM_BOTH) {
		snprintf(match, sizeof(match), "dst_ip %s src_port %d", dry ? "PEER" : s->peer, DRBD_PORT);
		rc = add_filter(plan, state->dev, PREF_FIRST, match, err);
		snprintf(match, sizeof(match), "dst_ip %s dst_port %d", dry ? "PEER" : s->peer, DRBD_PORT);
		state->filters = 2;
		return rc < 0 ? rc : add_filter(plan, state->dev, PREF_FIRST + 1, match, err);
	}
	if (dry)
		snprintf(match, sizeof(match), "dst_ip PEER src_port %s dst_port %s", which == NETEM_META ? "META_LOCAL_PORT" : "DATA_LOCAL_PORT",
			 which == NETEM_META ? "META_PEER_PORT" : "DATA_PEER_PORT");
	else
		snprintf(match, sizeof(match), "dst_ip %s src_port %u dst_port %u", s->peer, s->local_port, s->peer_port);
	state->flow = *s;
	state->filters = 1;
	return add_filter(plan, state->dev, PREF_FIRST, match, err);
}

/* The listing before, and a refusal when what we would add is there already. */
static int look_before(const char *dev, char **ret_before, struct err *err)
{
	int rc = undo_qdisc_list(dev, ret_before, err);

	if (rc == 0 && (strstr(*ret_before, "clsact") || strstr(*ret_before, "ingress")))
		rc = err_set(err, -EBUSY, "%s holds a clsact or ingress qdisc already: another fault, or someone else's", dev);
	if (rc == 0 && if_nametoindex(UNDO_IFB) != 0)
		rc = err_set(err, -EBUSY, "the interface " UNDO_IFB " is there already: another fault (squall chaos status)");
	return rc;
}

enum netem_socket netem_which(const struct fault_run *run)
{
	unsigned int which = NETEM_BOTH;

	for (unsigned int i = 0; netem_socket_names[i]; i++)
		if (strcmp(fault_arg_text(run, "socket"), netem_socket_names[i]) == 0)
			which = i;
	return (enum netem_socket)which;
}

int netem_plan(struct fault_run *run, enum netem_socket which, const char *netem, struct plan *plan, struct err *err)
{
	struct netem_state *state = calloc(1, sizeof(*state));
	struct drbd_link link = { .dev = "DEV" };
	char *before = NULL;
	int rc = 0;

	run->state = state;
	if (!state)
		return -ENOMEM;
	if (!run->dry)
		rc = drbd_link_find(&run->allow, &link, err);
	if (rc == 0 && !run->dry)
		rc = look_before(link.dev, &before, err);
	if (rc < 0)
		goto out;
	memcpy(state->dev, link.dev, sizeof(state->dev));
	rc = plan_add_run(plan, err, "ip link add name %s mtu %d type ifb", UNDO_IFB, IFB_MTU);
	if (rc == 0)
		rc = plan_add_run(plan, err, "ip link set %s up", UNDO_IFB);
	if (rc == 0)
		rc = plan_add_run(plan, err, "tc qdisc add dev %s clsact", state->dev);
	if (rc == 0)
		rc = plan_add_run(plan, err, "tc qdisc add dev %s root netem %s", UNDO_IFB, netem);
	if (rc == 0)
		rc = add_filters(state, which, &link, run->dry, plan, err);
	if (rc == 0)
		rc = add_undo(state, before ? before : "", plan, err);
	if (rc == 0)
		rc = drbd_add_linked(run, plan, err);
out:
	free(before);
	return rc;
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

static int filters_there(const struct netem_state *state, struct err *err)
{
	char *text = NULL, needle[32];
	int rc;

	rc = tool_output(&text, err, "tc filter show dev %s egress", state->dev);
	for (unsigned int i = 0; rc == 0 && i < state->filters; i++) {
		snprintf(needle, sizeof(needle), "pref %u flower", PREF_FIRST + i);
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
static bool has_ended(const struct fault_run *run, const struct drbd_socket *flow)
{
	struct err e = ERR_INIT;
	struct drbd_link link;
	int rc = drbd_link_find(&run->allow, &link, &e);

	if (rc < 0)
		return rc == -ENOTCONN;
	return !is_same(flow, &link.data) && !is_same(flow, &link.meta);
}

enum fault_verdict netem_verify(struct fault_run *run, char *evidence, size_t bytes)
{
	struct netem_state *state = run->state;
	unsigned long long seen;
	struct netem_counts n;
	struct err e = ERR_INIT;
	char *text = NULL, words[128];
	int rc;

	rc = filters_there(state, &e);
	if (rc == 0)
		rc = tool_output(&text, &e, "tc -s qdisc show dev %s", UNDO_IFB);
	if (rc == 0)
		rc = netem_parse(text, &n);
	free(text);
	if (rc == -ENOENT) {
		snprintf(evidence, bytes, "the filter on %s or netem on %s is gone", state->dev, UNDO_IFB);
		return FAULT_VANISHED;
	}
	if (rc < 0)
		return fault_unseen(rc, &e, evidence, bytes);
	drbd_words(words, sizeof(words));
	if (state->flow.local_port != 0 && has_ended(run, &state->flow)) {
		snprintf(evidence, bytes, "the connection of port %u to port %u of %s has ended, and another one is not touched%s", state->flow.local_port,
			 state->flow.peer_port, state->flow.peer, words);
		return FAULT_VANISHED;
	}
	seen = n.passed + n.lost + n.waiting;
	snprintf(evidence, bytes, "%llu packets of the DRBD link came into netem, %llu since the last look: %llu went through, %llu were lost, %llu wait%s", seen,
		 seen - state->seen_last, n.passed, n.lost, n.waiting, words);
	state->seen_last = seen;
	return seen > 0 ? FAULT_CONFIRMED : FAULT_INCONCLUSIVE;
}
