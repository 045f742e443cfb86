/* SPDX-License-Identifier: MIT */
/*
 * fault_drbd_packet_drop.c - of what DRBD says to its peer, one kind of packet does not arrive.
 *
 * TCP goes on in order and sends again what was dropped: from the first such packet on the socket stands still, and after the heal nothing is lost.
 *
 *	Primary --- data socket: data, barrier ---------> Secondary
 *	        <-- meta socket: write-ack, barrier-ack,
 *	            answers to pings ----------------
 */
#include <stdio.h>
#include <string.h>

#include "confine.h"
#include "cut.h"
#include "drbd.h"

/* Source: drbd_protocol.h, enum drbd_packet */
static const struct packet {
	const char *what, *role;	/* of who sends it */
	unsigned int command;
	bool on_meta;
} packets[] = {
	{ "P_DATA", "Primary", 0x00, false },
	{ "P_BARRIER", "Primary", 0x03, false },
	{ "P_WRITE_ACK", "Secondary", 0x16, true },
	{ "P_BARRIER_ACK", "Secondary", 0x1c, true },
};
static const char *const packet_names[] = { "data", "barrier", "write-ack", "barrier-ack", NULL };

static const struct packet *packet_of(const struct fault_run *run)
{
	size_t i = 0;

	while (packet_names[i + 1] && strcmp(packet_names[i], fault_arg_text(run, "packet")) != 0)
		i++;
	return &packets[i];
}

/* struct p_header100, which peers of protocol 100 and later use: be32 magic, be16 volume, be16 command. Source: drbd_protocol.h; DRBD_MAGIC_100 */
static int plan(struct fault_run *run, struct plan *plan, struct err *err)
{
	const struct packet *packet = packet_of(run);
	struct drbd_link link = { .dev = "DEV" };
	struct cut_beginning of = { .what = packet->what, .dev = link.dev, .port = DRBD_PORT,
				    .bits = { { 0, 32, 0x8620ec20 }, { 48, 16, packet->command } } };
	int rc = drbd_check_role(run, packet->role, err);

	if (rc == 0 && !run->dry)
		rc = drbd_link_find(&run->allow, &link, err);
	if (rc == 0)
		rc = cut_plan_beginning(run, "squall_packet", &of, plan, err);
	return rc < 0 ? rc : drbd_add_linked(run, plan, err);
}

static enum fault_verdict verify(struct fault_run *run, char *evidence, size_t bytes)
{
	enum fault_verdict verdict = cut_verify(run, evidence, bytes);
	size_t n = strlen(evidence);

	drbd_words(evidence + n, bytes - n);
	return verdict;
}

/* Seen in the lab: barrier for 13 s, Connected; barrier-ack, WFConnection after 11 s, connected anew 2 s later. */
static void foresee(const struct fault_run *run, char *ret, size_t bytes)
{
	const bool on_meta = packet_of(run)->on_meta;

	(void)snprintf(ret, bytes, "From the first such packet on nothing of this socket arrives, and no write of the primary is done. DRBD stays Connected for %s; then the peer is"
		       " given up, writes go on alone without a copy, the peers connect anew and lose such a packet again. After a heal TCP waits for its next try",
		       on_meta ? "at most 10.5s (ping-int 10s + ping-timeout 500ms), as answers to pings take this socket too"
			       : "42s (timeout x ko-count), as its pings use the other socket");
}

static const struct fault_arg args[] = {
	{ "packet", ARG_ENUM, 0, 0, NULL, packet_names, NULL, "what is dropped; the peer that sends it is the one to inject it on" },
	{ .name = NULL },
};

static const char *const needs[] = { "nft", "ss", "drbdadm", NULL };

const struct fault fault_drbd_packet_drop = {
	.name = "drbd-packet-drop",
	.breaks = "drops one kind of packet that DRBD sends",
	.where = "the DRBD peer that sends it",
	.page = "docs/faults/drbd-packet-drop.scd",
	.heal_class = HEAL_H0,
	.capabilities = CONFINE_CAP(NET_ADMIN),
	.allowed = ALLOW_RESOURCE | ALLOW_INTERFACE,
	.args = args,
	.needs = needs,
	.plan = plan,
	.inject = cut_inject,
	.verify = verify,
	.foresee = foresee,
	.heal = cut_heal,
};
