/* SPDX-License-Identifier: MIT */
/*
 * window.c - parcels of a peer that follows no rule, each behind two bytes of its length: what is kept has a limit, and is taken in order.
 */
#include "../../common/bus_link.h"
#include "../../common/bus_window.h"
#include "fuzz.h"

#define SESSION 1

static unsigned int take_some(struct window *w, unsigned int nr)
{
	unsigned int taken = 0;
	struct parcel *parcel;

	while (taken < nr && (parcel = window_take(w))) {
		CHECK(parcel->bytes > WINDOW_HEADER_BYTES && parcel->text[parcel->bytes] == '\0');
		free(parcel);
		taken++;
	}
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct window w;
	unsigned int put = 0;

	window_init(&w, SESSION);
	while (size > 2) {
		size_t bytes = data[0] * 256u + data[1] < size - 2 ? data[0] * 256u + data[1] : size - 2;
		char *text = fuzz_text(data + 2, bytes);
		struct parcel_head head;

		if (put < 300 && window_put(&w, "{}", 2, 1) == 0)
			put++;
		(void)window_send(&w, 1);
		if (parcel_parse(text, bytes, &head) == 0 && !parcel_is(&head, "gone") && head.session == SESSION)
			(void)window_receive(&w, &head, 1);
		CHECK(w.out_first <= w.out_next_seq && w.out_next_seq <= w.out_end && w.out_end == put);
		CHECK(w.in_taken <= w.in_end && w.in_end - w.in_taken <= WINDOW_NR && w.in.bytes <= BUS_QUEUE_BYTES_MAX + WINDOW_NR * WINDOW_HEADER_BYTES);
		if (bytes % 3 == 0)
			(void)take_some(&w, 1 + (unsigned int)bytes % 5);
		free(text);
		data += 2 + bytes;
		size -= 2 + bytes;
	}
	CHECK(take_some(&w, 2 * WINDOW_NR) <= WINDOW_NR);
	window_release(&w);
	return 0;
}
