/* SPDX-License-Identifier: MIT */
/*
 * bus_window_test.c - messages through a broker that loses, repeats and reorders: once and in order, or the peer is known to be gone.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../common/bus_window.h"
#include "clock.h"
#include "rng.h"

#define SESSION 0x123456789abcdef0u
#define WIRE_NR 256

struct wire {
	char *text[WIRE_NR];
	size_t bytes[WIRE_NR];
	unsigned int nr;
};

static void wire_add(struct wire *wire, const char *text, size_t bytes)
{
	if (wire->nr == WIRE_NR)
		return;		/* lost */
	wire->text[wire->nr] = malloc(bytes);
	memcpy(wire->text[wire->nr], text, bytes);
	wire->bytes[wire->nr++] = bytes;
}

static void send_all(struct window *from, struct wire *wire, uint64_t now)
{
	const struct parcel *parcel;
	char ack[WINDOW_HEADER_BYTES + 5];

	window_look(from, now);
	while ((parcel = window_send(from, now)))
		wire_add(wire, parcel->text, parcel->bytes);
	if (window_owes_ack(from)) {
		size_t bytes = window_ack(from, "", ack);

		wire_add(wire, ack, bytes);
	}
}

static void deliver(struct window *to, const char *text, size_t bytes, uint64_t now)
{
	struct parcel_head head;

	cr_assert_eq(parcel_parse(text, bytes, &head), 0);
	cr_assert_eq(head.session, SESSION);
	cr_assert_eq(window_receive(to, &head, now), 0);
}

/* The wire's next, or one behind it: delivered and kept, delivered, or lost. */
static void broker(struct wire *wire, struct window *to, struct rng *rng, uint64_t now)
{
	unsigned int i;

	if (wire->nr == 0)
		return;
	i = rng_below(rng, 16) == 0 ? (unsigned int)rng_below(rng, wire->nr) : 0;
	if (rng_below(rng, 32) != 0)
		deliver(to, wire->text[i], wire->bytes[i], now);
	if (rng_below(rng, 8) == 0)
		return;
	free(wire->text[i]);
	wire->nr--;
	for (; i < wire->nr; i++) {
		wire->text[i] = wire->text[i + 1];
		wire->bytes[i] = wire->bytes[i + 1];
	}
}

static void put_number(struct window *w, int number, uint64_t now)
{
	char text[16];

	(void)snprintf(text, sizeof text, "%d", number);
	cr_assert_eq(window_put(w, text, strlen(text), now), 0);
}

static long take_number(struct window *w)
{
	struct parcel *parcel = window_take(w);
	long number = parcel ? strtol(parcel->text + WINDOW_HEADER_BYTES, NULL, 10) : -1;

	free(parcel);
	return number;
}

static void wire_release(struct wire *wire)
{
	for (unsigned int i = 0; i < wire->nr; i++)
		free(wire->text[i]);
	wire->nr = 0;
}

Test(bus_window, a_broker_that_loses_repeats_and_reorders_changes_nothing)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct window a, b;
		struct wire there = { .nr = 0 }, back = { .nr = 0 };
		struct rng rng;
		uint64_t now = NS_PER_S;
		long expected = 0, number;

		rng_init(&rng, seed, 0);
		window_init(&a, SESSION);
		window_init(&b, SESSION);
		for (int i = 0; i < 500; i++)
			put_number(&a, i, now);
		for (int turn = 0; turn < 200000 && (expected < 500 || !window_is_empty(&a)); turn++, now += NS_PER_MS) {
			send_all(&a, &there, now);
			send_all(&b, &back, now);
			broker(&there, &b, &rng, now);
			broker(&back, &a, &rng, now);
			if (rng_below(&rng, 3) == 0)
				while ((number = take_number(&b)) >= 0)
					cr_assert_eq(number, expected++, "seed %llu: %ld instead of %ld", (unsigned long long)seed, number, expected);
		}
		cr_assert_eq(expected, 500, "seed %llu: %ld of 500 arrived", (unsigned long long)seed, expected);
		cr_assert(window_is_empty(&a), "seed %llu: the sender was not told", (unsigned long long)seed);
		wire_release(&there);
		wire_release(&back);
		window_release(&a);
		window_release(&b);
	}
}

Test(bus_window, what_is_lost_is_sent_again_although_something_is_sent_all_the_time)
{
	struct window a, b;
	uint64_t now = NS_PER_S;

	window_init(&a, SESSION);
	window_init(&b, SESSION);
	for (int i = 0; i < 40; i++, now += NS_PER_S / 10) {	/* 4 s; the first is lost */
		struct wire there = { .nr = 0 }, back = { .nr = 0 };

		put_number(&a, i, now);
		send_all(&a, &there, now);
		for (unsigned int k = i == 0; k < there.nr; k++)
			deliver(&b, there.text[k], there.bytes[k], now);
		if (i >= 11)
			cr_assert_eq(take_number(&b), i - 11);
		send_all(&b, &back, now);
		for (unsigned int k = 0; k < back.nr; k++)
			deliver(&a, back.text[k], back.bytes[k], now);
		wire_release(&there);
		wire_release(&back);
	}
	window_release(&a);
	window_release(&b);
}

Test(bus_window, no_more_than_a_window_is_under_way_and_kept)
{
	struct window a, b;
	struct wire wire = { .nr = 0 };

	window_init(&a, SESSION);
	window_init(&b, SESSION);
	for (int i = 0; i < 200; i++)
		put_number(&a, i, 1);
	send_all(&a, &wire, 1);
	cr_assert_eq(wire.nr, WINDOW_NR);
	for (unsigned int i = 0; i < wire.nr; i++)
		deliver(&b, wire.text[i], wire.bytes[i], 1);
	/* Nobody asked for more, and nothing was taken: what comes all the same is not kept. */
	for (uint64_t seq = WINDOW_NR; seq < 2 * WINDOW_NR; seq++) {
		struct parcel_head head = { .session = SESSION, .seq = seq, .body = "x", .body_bytes = 1 };

		cr_assert_eq(window_receive(&b, &head, 1), 0);
	}
	for (long i = 0; i < WINDOW_NR; i++)
		cr_assert_eq(take_number(&b), i);
	cr_assert_eq(take_number(&b), -1);
	wire_release(&wire);
	window_release(&a);
	window_release(&b);
}

Test(bus_window, a_queue_has_a_limit)
{
	size_t bytes = 1u << 20;
	char *text = calloc(1, bytes);
	struct window w;
	int nr = 0;

	window_init(&w, SESSION);
	while (nr < 100 && window_put(&w, text, bytes, 1) == 0)
		nr++;
	cr_assert_eq(nr, 63);		/* 64 MiB, headers included */
	window_release(&w);
	free(text);
}

Test(bus_window, a_peer_is_silent_when_something_has_waited_for_it_as_long_as_a_lease)
{
	struct window w;
	struct parcel_head sign = { .session = SESSION };

	window_init(&w, SESSION);
	cr_assert_not(window_is_silent(&w, 100 * NS_PER_S));	/* nothing waits */
	put_number(&w, 1, NS_PER_S);
	cr_assert_not(window_is_silent(&w, 11 * NS_PER_S));
	cr_assert(window_is_silent(&w, 11 * NS_PER_S + 1));
	cr_assert_eq(window_receive(&w, &sign, 5 * NS_PER_S), 0);
	cr_assert_not(window_is_silent(&w, 15 * NS_PER_S));
	cr_assert(window_is_silent(&w, 15 * NS_PER_S + 1));
	window_release(&w);
}

Test(bus_window, what_is_no_parcel_is_refused)
{
	static const char good[] = "0123456789abcdef 0000000000000001 0000000000000002 {}";
	struct parcel_head head;
	struct window w;
	char bad[sizeof good];

	cr_assert_eq(parcel_parse(good, sizeof good - 1, &head), 0);
	cr_assert(head.session == 0x0123456789abcdefu && head.seq == 1 && head.ack == 2 && head.body_bytes == 2);
	cr_assert_eq(parcel_parse(good, WINDOW_HEADER_BYTES - 1, &head), -EBADMSG);
	for (size_t i = 0; i < WINDOW_HEADER_BYTES; i++) {
		memcpy(bad, good, sizeof good);
		bad[i] = 'A';
		cr_assert_eq(parcel_parse(bad, sizeof bad - 1, &head), -EBADMSG, "at %zu", i);
	}
	window_init(&w, SESSION);
	head = (struct parcel_head){ .session = SESSION, .ack = 1 };	/* of nothing */
	cr_assert_eq(window_receive(&w, &head, 1), -EBADMSG);
}
