/* SPDX-License-Identifier: MIT */
/*
 * bus_window.c - the two ends of a session: what waits, what is under way, what is here. No clock and no socket of its own.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus_link.h"
#include "bus_window.h"

#define DIGITS 16

static bool parse_hex(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	for (int i = 0; i < DIGITS; i++) {
		const char *digits = "0123456789abcdef", *at = text[i] ? strchr(digits, text[i]) : NULL;

		if (!at)
			return false;
		value = value << 4 | (uint64_t)(at - digits);
	}
	*ret = value;
	return text[DIGITS] == ' ';
}

int parcel_parse(const char *text, size_t bytes, struct parcel_head *ret)
{
	if (bytes < WINDOW_HEADER_BYTES || bytes > WINDOW_HEADER_BYTES + BUS_MESSAGE_BYTES_MAX || !parse_hex(text, &ret->session) ||
	    !parse_hex(text + DIGITS + 1, &ret->seq) || !parse_hex(text + 2 * (DIGITS + 1), &ret->ack))
		return -EBADMSG;
	ret->body = text + WINDOW_HEADER_BYTES;
	ret->body_bytes = bytes - WINDOW_HEADER_BYTES;
	return 0;
}

bool parcel_is(const struct parcel_head *head, const char *word)
{
	return head->body_bytes == 4 && memcmp(head->body, word, 4) == 0;
}

size_t parcel_print(uint64_t session, uint64_t seq, uint64_t ack, const char *body, char *ret)
{
	return (size_t)snprintf(ret, WINDOW_HEADER_BYTES + 5, "%016llx %016llx %016llx %.4s", (unsigned long long)session, (unsigned long long)seq,
				(unsigned long long)ack, body);
}

static void parcels_append(struct parcels *p, struct parcel *parcel)
{
	parcel->after = NULL;
	if (p->last)
		p->last->after = parcel;
	else
		p->first = parcel;
	p->last = parcel;
	p->bytes += parcel->bytes;
}

static struct parcel *parcels_shift(struct parcels *p)
{
	struct parcel *parcel = p->first;

	p->first = parcel->after;
	if (!p->first)
		p->last = NULL;
	p->bytes -= parcel->bytes;
	return parcel;
}

static struct parcel *parcel_new(const char *text, size_t bytes)
{
	struct parcel *parcel = malloc(sizeof *parcel + WINDOW_HEADER_BYTES + bytes + 1);

	if (!parcel)
		return NULL;
	parcel->bytes = WINDOW_HEADER_BYTES + bytes;
	memcpy(parcel->text + WINDOW_HEADER_BYTES, text, bytes);
	parcel->text[parcel->bytes] = '\0';
	return parcel;
}

void window_init(struct window *w, uint64_t session)
{
	*w = (struct window){ .session = session, .resend_ns = WINDOW_RESEND_NS };
}

void window_release(struct window *w)
{
	while (w->out.first)
		free(parcels_shift(&w->out));
	while (w->in.first)
		free(parcels_shift(&w->in));
}

bool window_is_empty(const struct window *w)
{
	return !w->out.first;
}

int window_put(struct window *w, const char *text, size_t bytes, uint64_t now)
{
	struct parcel *parcel;

	if (bytes > BUS_MESSAGE_BYTES_MAX || w->out.bytes + bytes > BUS_QUEUE_BYTES_MAX)
		return -ENOBUFS;
	parcel = parcel_new(text, bytes);
	if (!parcel)
		return -ENOMEM;
	parcels_append(&w->out, parcel);
	if (!w->out_next)
		w->out_next = parcel;
	if (w->silent_ns == 0)
		w->silent_ns = now;
	w->out_end++;
	return 0;
}

const struct parcel *window_send(struct window *w, uint64_t now)
{
	struct parcel *parcel = w->out_next;
	char head[WINDOW_HEADER_BYTES + 5];

	if (!parcel || w->out_next_seq - w->out_first >= WINDOW_NR)
		return NULL;
	(void)parcel_print(w->session, w->out_next_seq, w->in_taken, "", head);
	memcpy(parcel->text, head, WINDOW_HEADER_BYTES);
	w->in_acked = w->in_taken;
	w->owes_ack = false;
	if (w->out_next_seq == w->out_first)
		w->sent_ns = now;
	w->out_next = parcel->after;
	w->out_next_seq++;
	return parcel;
}

void window_look(struct window *w, uint64_t now)
{
	if (w->out_next_seq == w->out_first || now < w->sent_ns + w->resend_ns)
		return;
	w->out_next = w->out.first;
	w->out_next_seq = w->out_first;
	if (w->resend_ns < WINDOW_RESEND_MAX_NS)
		w->resend_ns *= 2;
}

bool window_is_silent(const struct window *w, uint64_t now)
{
	return w->silent_ns != 0 && now > w->silent_ns + WINDOW_PATIENCE_NS;
}

/* Everything below `ack` is with the peer. It may be more than is under way: what is being sent again was not lost. */
static void acknowledged(struct window *w, uint64_t ack, uint64_t now)
{
	if (ack > w->out_first) {
		w->resend_ns = WINDOW_RESEND_NS;
		w->sent_ns = now;
	}
	while (w->out_first < ack) {
		if (w->out_next == w->out.first) {
			w->out_next = w->out.first->after;
			w->out_next_seq++;
		}
		free(parcels_shift(&w->out));
		w->out_first++;
	}
	w->silent_ns = w->out.first ? now : 0;
}

int window_receive(struct window *w, const struct parcel_head *head, uint64_t now)
{
	struct parcel *parcel;

	assert(head->session == w->session);
	if (head->ack > w->out_end)
		return -EBADMSG;
	acknowledged(w, head->ack, now);
	if (head->body_bytes == 0)
		return 0;
	if (head->seq != w->in_end) {
		w->owes_ack |= head->seq < w->in_end;
		return 0;
	}
	if (w->in_end - w->in_taken >= WINDOW_NR || w->in.bytes + head->body_bytes > BUS_QUEUE_BYTES_MAX)
		return 0;
	parcel = parcel_new(head->body, head->body_bytes);
	if (!parcel)
		return -ENOMEM;
	parcel->at_ns = now;
	parcels_append(&w->in, parcel);
	w->in_end++;
	return 0;
}

struct parcel *window_take(struct window *w)
{
	if (!w->in.first)
		return NULL;
	w->in_taken++;
	return parcels_shift(&w->in);
}

bool window_owes_ack(const struct window *w)
{
	return w->owes_ack || w->in_acked != w->in_taken;
}

size_t window_ack(struct window *w, const char *body, char *ret)
{
	w->in_acked = w->in_taken;
	w->owes_ack = false;
	return parcel_print(w->session, w->out_next_seq, w->in_taken, body, ret);
}
